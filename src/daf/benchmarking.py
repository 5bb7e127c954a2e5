"""How fast episodes are played here, and where the time goes: `daf bench evaluate`.

Upstream's rollout and DAF's fastest engine play the same episodes in turn, in this process, so that other load on the
machine affects both; set-up of each episode counts, imports don't. Reproducible results must be equal, else the
benchmark fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from daf.errors import DataError, UsageError
from daf.game import missions as game_missions
from daf.game import policies as game_policies
from daf.game.policy import Policy
from daf.game.profiling import measured
from daf.game.rollout import Game, Play, PlayedEpisode, batchable, play, play_together


@dataclass(frozen=True)
class EngineSpeed:
    """One engine's speed. seconds: processor time per episode, median over rounds. agent_steps_per_second: from it."""

    engine: str
    episodes: int
    seconds: float
    agent_steps_per_second: float


@dataclass(frozen=True)
class EvaluateBenchmark:
    """The measurements of `benchmark_evaluate`.

    ratio: reference time by DAF's, median over rounds. checked: "equal" if both engines' outcomes were compared, else
    why they could not be. shares: seconds per episode of DAF's engine by what they were spent on.
    """

    policy: str
    mission: str
    agents: int
    steps: int
    reference: EngineSpeed
    daf: EngineSpeed
    ratio: float
    checked: str
    shares: dict[str, float]


def benchmark_evaluate(
    policy: Any,
    mission: Any,
    *,
    episodes: int = 4,
    rounds: int = 3,
    seed: int = 100,
    game: str = "cogs_vs_clips",
    cache: str | Path = "daf_output/cache",
    on_round: Callable[[int], None] | None = None,
) -> EvaluateBenchmark:
    """Play `episodes` of a mission with one policy in both engines, `rounds` times in turn. Nothing is stored.

    Raises `UsageError`, and `DataError` if the engines disagree.
    """
    if episodes < 1 or rounds < 1:
        raise UsageError(f"--episodes and --rounds must be at least 1, got {episodes} and {rounds}.")
    player = game_policies.resolve(policy, cache=Path(cache))
    found = game_missions.resolve(mission, game=game)
    if len(found) != 1:
        raise UsageError(f"a benchmark needs one mission, but {mission} names {len(found)}.")
    arena = found[0]
    board = Game(arena.config)
    batched = batchable((player,), None)
    plays = [Play(board, (player,), (0,) * arena.num_agents, seed + index) for index in range(episodes)]
    _ours(plays[:1], batched)  # imports, caches, the converted game
    _reference(plays[:1])
    theirs, ours, ratios, played, referenced = [], [], [], [], []
    for number in range(rounds):
        started = process_time()
        referenced = _reference(plays)
        between = process_time()
        played = _ours(plays, batched)
        ended = process_time()
        theirs.append((between - started) / episodes)
        ours.append((ended - between) / episodes)
        ratios.append((between - started) / (ended - between))
        if on_round is not None:
            on_round(number + 1)
    steps = sum(result.outcome.steps for result in played)
    return EvaluateBenchmark(
        policy=player.name,
        mission=arena.name,
        agents=arena.num_agents,
        steps=steps // episodes,
        reference=_speed("reference", episodes, median(theirs), steps * arena.num_agents / episodes),
        daf=_speed(played[0].engine, episodes, median(ours), steps * arena.num_agents / episodes),
        ratio=median(ratios),
        checked=_checked(played, referenced, batched, player),
        shares=_shares(plays, batched),
    )


def _speed(engine: str, episodes: int, seconds: float, agent_steps: float) -> EngineSpeed:
    return EngineSpeed(engine, episodes, seconds, agent_steps / seconds)


def _reference(plays: Sequence[Play]) -> list[PlayedEpisode]:
    return [play(replace(episode, engine="reference")) for episode in plays]


def _ours(plays: Sequence[Play], batched: bool) -> list[PlayedEpisode]:
    if not batched:
        return [play(episode) for episode in plays]
    results = play_together([replace(episode, engine="batch") for episode in plays])
    for result in results:
        if isinstance(result, Exception):
            raise result
    return [result for result in results if isinstance(result, PlayedEpisode)]


def _checked(
    played: Sequence[PlayedEpisode], referenced: Sequence[PlayedEpisode], batched: bool, player: Policy
) -> str:
    if batched:
        return "not comparable: the batch engine draws other actions from the same network"
    for ours, theirs in zip(played, referenced, strict=True):
        if ours.outcome != theirs.outcome:
            raise DataError(
                f"{player.name} gave another result in the {ours.engine} engine than in the reference. If the policy "
                "has a private random generator, it is not reproducible; otherwise this is a bug of DAF."
            )
    return "equal"


def _shares(plays: Sequence[Play], batched: bool) -> dict[str, float]:
    """Seconds per episode, by what they were spent on; one more round, with the clock read at every step."""
    started = perf_counter()
    with measured() as spent:
        played = _ours(plays, batched)
    total = perf_counter() - started
    policy = sum(latency.total_ns for result in played for latency in result.outcome.latencies) / 1e9
    set_up = sum(result.set_up_seconds for result in played)
    count = len(plays)
    rest = max(0.0, total - policy - set_up - spent.simulator - spent.statistics)
    return {
        "simulator": spent.simulator / count,
        "policy": policy / count,
        "statistics": spent.statistics / count,
        "set-up of policies": set_up / count,
        "engine and set-up of the simulation": rest / count,
    }
