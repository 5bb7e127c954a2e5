"""Play policies on missions and say how they did: what `daf evaluate`, `daf compare` and `daf quickstart` do.

The same call again reads what was played and plays what is missing; each call leaves a run folder of its own with the
records, tables, the report and the replays that were asked for.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute.executor import make_executor
from daf.episodes.blocks import Scores, scores_of
from daf.episodes.cache import EpisodeCache, link_or_copy
from daf.episodes.plan import Contender, Plan, plan_episodes
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import EPISODE_TIMEOUT, PRELOAD, PRELOAD_NETWORKS, RunResult, record_replays, run_plan
from daf.errors import UsageError, unknown
from daf.game import missions as game_missions
from daf.game import policies as game_policies
from daf.game.outcome import SLOW_STEP_MS, SeriesRequest
from daf.stats.summaries import PolicySummary, summarise
from daf.stats.verdicts import PairVerdict, compare_pairs

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

logger = logging.getLogger(__name__)

SAVE_REPLAYS = ("none", "best", "all")


@dataclass(frozen=True)
class Analysis:
    """What the scores say.

    ranking: over all missions, best mean first; by_mission: the same for each mission. pairs: every pair overall, then
    on every mission (empty with fewer than two contenders). notes: what a reader must know about these numbers.
    """

    scores: Scores
    ranking: tuple[PolicySummary, ...]
    by_mission: Mapping[str, tuple[PolicySummary, ...]]
    pairs: tuple[PairVerdict, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that was run. replays: file by record key, inside the run folder."""

    operation: str
    run_id: str
    run_dir: Path
    result: RunResult
    analysis: Analysis
    replays: Mapping[str, Path]
    report: Path | None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """ok: every episode has a result. failed: some have none, or the run was stopped early."""
        return "failed" if self.result.failures or self.result.stopped else "ok"


@dataclass(frozen=True)
class Settings:
    """How episodes are played; see `daf evaluate --help` for each."""

    episodes: int = 20
    seed: int = 42
    jobs: int | str = "auto"
    executor: str = "local"
    game: str = game_missions.DEFAULT_GAME
    engine: str = "auto"
    device: str = "cpu"
    enforce_timeouts: int | None = None
    slow_step_ms: float = SLOW_STEP_MS
    episode_timeout: float | None = None
    max_failures: int | None = None
    max_steps: int | None = None
    use_cache: bool = True
    cache_dir: Path | None = None
    save_replays: str = "none"
    series: SeriesRequest | None = None
    alpha: float = 0.05
    resamples: int = 10_000
    margin: float | None = None
    report: bool = True


def contenders_of(
    policies: Sequence[Any], teams: Sequence[str | Mapping[str, float]], *, cache: Path, runs: Path | None
) -> list[Contender]:
    """The contenders that policies and teams name, under names that differ.

    teams: "starter=4,random=4", or a mapping from policy to its number of agents. Raises `PolicyError`, `UsageError`.
    """
    singles = [game_policies.resolve(policy, cache=cache, runs=runs) for policy in policies]
    members = [_team(team) for team in teams]
    mixed = [[game_policies.resolve(policy, cache=cache, runs=runs) for policy, _ in team] for team in members]
    known = {policy.identity for policy in singles}
    others = {policy.identity: policy for team in mixed for policy in team if policy.identity not in known}
    named = game_policies.uniquely_named([*singles, *others.values()])
    by_identity = {policy.identity: policy for policy in reversed(named)}
    contenders = [Contender(policy.name, (policy,)) for policy in named[: len(singles)]]
    for team, resolved in zip(members, mixed, strict=True):
        if len({policy.identity for policy in resolved}) < len(resolved):
            raise UsageError(f"the team {_shown(team)} names one policy twice. Add up its agents.")
        players = tuple(by_identity[policy.identity] for policy in resolved)
        counts = tuple(count for _, count in team)
        name = "+".join(f"{policy.name}={count:g}" for policy, count in zip(players, counts, strict=True))
        contenders.append(Contender(name, players, counts))
    if not contenders:
        raise UsageError("no policy is given. Name one with -p, for example -p starter.")
    names = [contender.name for contender in contenders]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"the team {repeated} is given twice.")
    return contenders


def _shown(team: Sequence[tuple[str, float]]) -> str:
    return "+".join(f"{policy}={count:g}" for policy, count in team)


def _team(team: str | Mapping[str, float]) -> list[tuple[str, float]]:
    """The policy strings of a team with their numbers of agents.

    Members are separated by commas, or by plus signs where a policy string holds commas itself:
    "starter=4,random=4", "class=lstm,data=w.pt=4+random=4".
    """
    if not isinstance(team, str):
        return [(policy, float(count)) for policy, count in team.items()]
    members = []
    for part in team.split("+" if "+" in team else ","):
        policy, separator, count = part.rpartition("=")
        if not separator or not policy.strip() or not count.strip().isdigit() or int(count) < 1:
            raise UsageError(
                f'--team "{team}": "{part}" is no POLICY=AGENTS. Write for example starter=4,random=4; where a policy '
                "has options, separate the members with plus signs: class=lstm,data=w.pt=4+random=4."
            )
        members.append((policy.strip(), float(count)))
    return members


def play(
    policies: Sequence[Any],
    missions: Any,
    output: "OutputManager",
    *,
    teams: Sequence[str | Mapping[str, float]] = (),
    settings: Settings | None = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[EpisodeRecord], None] | None = None,
) -> tuple[RunResult, dict[str, Path]]:
    """Plan, play what is missing, and record the replays that are asked for. Returns the result and replay files."""
    chosen = settings or Settings()
    if chosen.save_replays not in SAVE_REPLAYS:
        raise UsageError(unknown("choice for --save-replays", chosen.save_replays, SAVE_REPLAYS))
    cache = EpisodeCache(chosen.cache_dir or default_cache(output), enabled=chosen.use_cache)
    contenders = contenders_of(policies, teams, cache=cache.bundles, runs=Path(output.base_dir))
    found = game_missions.resolve(missions, game=chosen.game)
    if chosen.max_steps is not None:
        found = [game_missions.with_max_steps(mission, chosen.max_steps) for mission in found]
    plan = plan_episodes(
        found,
        contenders,
        episodes=chosen.episodes,
        seed=chosen.seed,
        device=chosen.device,
        action_timeout_ms=chosen.enforce_timeouts,
        slow_step_ms=chosen.slow_step_ms,
        series=chosen.series,
    )
    if on_plan is not None:
        on_plan(plan)
    networks = any(policy.network for contender in contenders for policy in contender.policies)
    executor = make_executor(chosen.executor, jobs=chosen.jobs, preload=PRELOAD_NETWORKS if networks else PRELOAD)
    timeout = chosen.episode_timeout
    if timeout is None and executor.isolated:
        timeout = EPISODE_TIMEOUT
    try:
        result = run_plan(
            plan,
            executor,
            cache,
            engine=chosen.engine,
            episode_timeout=timeout,
            max_failures=chosen.max_failures,
            on_record=on_record,
        )
        replays = record_replays(_chosen(result, chosen.save_replays), executor, cache, engine=chosen.engine)
    finally:
        executor.close()
    return result, replays


def default_cache(output: "OutputManager") -> Path:
    """Where records are kept when nobody says otherwise: beside the runs, shared by all of them."""
    return Path(output.base_dir) / "cache"


def _chosen(result: RunResult, which: str) -> list[EpisodeRecord]:
    """The episodes to record: all that finished, or for each mission the one with the highest return."""
    finished = [record for record in result.records if record.ok]
    if which == "none":
        return []
    if which == "all":
        return finished
    best: dict[str, EpisodeRecord] = {}
    for record in finished:
        leader = best.get(record.spec.mission)
        if leader is None or record.reward_per_agent() > leader.reward_per_agent():
            best[record.spec.mission] = record
    return list(best.values())


def analyse(result: RunResult, settings: Settings | None = None) -> Analysis:
    """Rank the contenders and compare every pair of them."""
    chosen = settings or Settings()
    scores = scores_of(result)
    blocks = scores.scores.shape[1]
    notes = _notes(result, scores)
    if not len(scores.names) or not blocks:
        return Analysis(scores, (), {}, (), tuple(notes))
    summary_resamples = max(1_000, chosen.resamples // 2)
    ranking = summarise(
        scores.names, scores.scores, scores.strata, alpha=chosen.alpha, resamples=summary_resamples, seed=chosen.seed
    )
    by_mission = {}
    for index, mission in enumerate(scores.missions):
        columns = scores.strata == index
        by_mission[mission] = tuple(
            summarise(
                scores.names,
                scores.scores[:, columns],
                alpha=chosen.alpha,
                resamples=summary_resamples,
                seed=chosen.seed,
            )
        )
    pairs = compare_pairs(
        scores.names,
        scores.scores,
        scores.strata,
        scores.missions,
        alpha=chosen.alpha,
        seed=chosen.seed,
        resamples=chosen.resamples,
        margin=chosen.margin,
    )
    return Analysis(scores, tuple(ranking), by_mission, tuple(pairs), tuple(notes))


def _notes(result: RunResult, scores: Scores) -> list[str]:
    notes = []
    failures = result.failures
    if failures:
        kinds: dict[str, int] = {}
        for record in failures:
            kinds[record.spec.name] = kinds.get(record.spec.name, 0) + 1
        each = ", ".join(f"{name}: {count}" for name, count in kinds.items())
        notes.append(f"{len(failures)} of {len(result.records)} episodes failed ({each}). They count nowhere as 0.")
    if scores.left_out:
        notes.append(
            f"{scores.left_out} blocks are left out of every number, since an episode there has no result; if a policy "
            "fails where it would score low, its mean is flattered."
        )
    notes += [f"{name} finished no episode and is not ranked." for name in scores.absent]
    if result.stopped:
        notes.append(f"The run was stopped early: {result.stopped}.")
    if scores.scores.size and not scores.scores.any():
        notes.append("Every episode scored 0: these missions and steps tell nothing about these policies.")
    return notes


def keep(output_dir: Path, result: RunResult, replays: Mapping[str, Path], cache: EpisodeCache) -> dict[str, Path]:
    """Put records and replays into the run folder, as links where that can be. Returns the replays' places there."""
    for record in result.records:
        if record.ok:
            cache.link(record, output_dir / "records")
    kept = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        source = replays.get(record.spec.key)
        if source is None:
            continue
        parts = [_file_name(record.spec.mission), _file_name(record.spec.name), f"{planned.index:03d}"]
        name = "-".join([*parts, record.spec.key[:8]]) + ".json.z"
        target = output_dir / "replays" / name
        link_or_copy(source, target)
        kept[record.spec.key] = target
    return kept


def _file_name(text: str) -> str:
    return "".join(character if character.isalnum() or character in "._=+" else "_" for character in text)[:80]
