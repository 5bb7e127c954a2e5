"""The quality of a checkpoint: played by the episode engine, as `daf evaluate` does, on seeds that training never uses.

Training seeds start at `TRAINING_SEEDS`. Evaluation seeds are below, by default from `VALIDATION_SEED`, the same at
every checkpoint and in every run, so that curves can be compared point by point. A later `daf evaluate` uses yet other
seeds: on the episodes that selected it, the score of the best of many checkpoints is biased upwards.

The checkpoint is loaded from its directory, so the evaluation measures what was saved. Episode records are cached: a
resumed run reads the episodes already played.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np

from daf.episodes.cache import EpisodeCache, link_or_copy
from daf.episodes.plan import Contender
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult
from daf.errors import UsageError
from daf.game import policies
from daf.game.mission import Mission
from daf.playing.planning import plan_of
from daf.playing.player import open_player
from daf.playing.settings import Settings
from daf.stats.summaries import summarise
from daf.storage.names import file_name

TRAINING_SEEDS = 2**30
"""The first seed that training may draw: see `daf.game.training_world.episode_seed`."""

VALIDATION_SEED = 500_000_000
"""The first seed of interval evaluations, away from common choices (0, 42, 1000)."""

REPLAYS = ("best", "worst", "median")
"""The episodes of a mission whose replays are kept, in order of priority."""


@dataclass(frozen=True, slots=True)
class MissionScore:
    """Mean return per agent over the finished episodes, its 95 % interval and the interquartile mean.

    None: too few episodes for this number. failed: episodes without a result; they count in no other number.
    """

    mean: float | None
    low: float | None
    high: float | None
    iqm: float | None
    n: int
    failed: int


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One policy, evaluated. overall: the mean over missions, equally weighted. failures: distinct messages.

    returns: reward per agent of each mission's episodes in the order of their seeds, None for a failed one. seed: of
    the first episode on each mission. replays: the files. keys: of the episodes, by mission. others: the other policies
    on the same episodes, by name.
    """

    missions: Mapping[str, MissionScore]
    overall: MissionScore
    returns: Mapping[str, tuple[float | None, ...]]
    seed: int
    seconds: float
    replays: tuple[Path, ...]
    failures: tuple[str, ...]
    keys: Mapping[str, tuple[str, ...]]
    others: Mapping[str, "EvaluationRecord"] = field(default_factory=dict)

    def to_data(self, run_dir: Path) -> dict[str, Any]:
        """JSON values, as in a line of evaluations.jsonl; replays relative to `run_dir`."""
        overall = asdict(self.overall)
        return {
            "missions": {name: asdict(score) for name, score in self.missions.items()},
            **{name: overall[name] for name in ("mean", "low", "high", "iqm", "n", "failed")},
            "seed": self.seed,
            "returns": {name: list(returns) for name, returns in self.returns.items()},
            "keys": {name: list(keys) for name, keys in self.keys.items()},
            "replays": [path.relative_to(run_dir).as_posix() for path in self.replays],
            "failures": list(self.failures),
            "seconds": self.seconds,
            **{name: record.to_data(run_dir) for name, record in self.others.items()},
        }


def evaluate_checkpoint(
    folder: Path,
    missions: Sequence[Mission],
    *,
    episodes: int,
    cache_dir: Path,
    seed: int = VALIDATION_SEED,
    jobs: int | str = "auto",
    replays: int = 0,
    replay_dir: Path | None = None,
    device: str = "cpu",
    gpu_memory_fraction: float = 1.0,
    others: Mapping[str, Contender] = MappingProxyType({}),
) -> EvaluationRecord:
    """Play `episodes` of every mission with the checkpoint in `folder`, which controls all agents.

    others: further policies or teams, by a name, that play the same episodes, without replays.

    seed: of each mission's first episode, below `TRAINING_SEEDS`. replays: how many of `REPLAYS` to save per mission,
    in `replay_dir`. device: already resolved. gpu_memory_fraction: of a GPU's memory, per worker.
    An episode that fails is part of the result; a checkpoint that can't be loaded raises `PolicyError`, other wrong
    arguments `UsageError`.
    """
    if not 0 <= seed <= TRAINING_SEEDS - episodes:
        raise UsageError(
            f"the evaluation seed {seed} is outside 0 to {TRAINING_SEEDS - episodes}: training draws its seeds from "
            f"{TRAINING_SEEDS} on, and an evaluation on them would overestimate the policy."
        )
    if not 0 <= replays <= len(REPLAYS):
        raise UsageError(f"replays must be 0 to {len(REPLAYS)} ({', '.join(REPLAYS)}), got {replays}.")
    if replays and replay_dir is None:
        raise UsageError("replays require replay_dir.")
    started = perf_counter()
    cache = EpisodeCache(cache_dir)
    policy = policies.resolve(folder, cache=cache.bundles)
    settings = Settings(
        episodes=episodes,
        seed=seed,
        jobs=jobs,
        device=device,
        gpu_memory_fraction=gpu_memory_fraction,
    )
    contenders = [Contender(policy.name, (policy,)), *(replace(o, name=n) for n, o in others.items())]
    plan = plan_of(missions, contenders, settings)
    networks = any(each.network for contender in contenders for each in contender.policies)
    with contextlib.closing(open_player(settings, cache, networks=networks)) as player:
        result = player.play(plan)
        by_mission = _by_mission(result, 0)
        shown = {
            f"{file_name(name)}-{which}": record
            for name, records in by_mission.items()
            for which, record in _shown(records, replays).items()
        }
        files = player.record(shown.values())
    kept = []
    for name, record in shown.items():
        if replay_dir is not None and record.spec.key in files:
            target = replay_dir / f"{name}.json.z"
            target.unlink(missing_ok=True)
            link_or_copy(files[record.spec.key], target)
            kept.append(target)
    seconds = perf_counter() - started
    return replace(
        _record(by_mission, seed, seconds, tuple(kept)),
        others={other: _record(_by_mission(result, at), seed, seconds) for at, other in enumerate(others, start=1)},
    )


def _by_mission(result: RunResult, contender: int) -> dict[str, list[EpisodeRecord]]:
    """The records of one contender by mission, in the order of their seeds."""
    found: dict[str, list[EpisodeRecord]] = {mission.name: [] for mission in result.plan.missions}
    for planned, record in zip(result.planned, result.records, strict=True):
        if planned.contender == contender:
            found[planned.spec.mission].append(record)
    return found


def _record(
    by_mission: Mapping[str, Sequence[EpisodeRecord]], seed: int, seconds: float, replays: tuple[Path, ...] = ()
) -> EvaluationRecord:
    failures = [record.failure.message for records in by_mission.values() for record in records if record.failure]
    return EvaluationRecord(
        missions={name: _score({name: records}) for name, records in by_mission.items()},
        overall=_score(by_mission),
        returns={
            name: tuple(record.reward_per_agent() if record.ok else None for record in records)
            for name, records in by_mission.items()
        },
        seed=seed,
        seconds=seconds,
        replays=replays,
        failures=tuple(dict.fromkeys(failures)),
        keys={name: tuple(record.spec.key for record in records) for name, records in by_mission.items()},
    )


def _score(by_mission: Mapping[str, Sequence[EpisodeRecord]]) -> MissionScore:
    finished = [[record.reward_per_agent() for record in records if record.ok] for records in by_mission.values()]
    failed = sum(len(records) for records in by_mission.values()) - sum(map(len, finished))
    if not all(finished):
        return MissionScore(None, None, None, None, sum(map(len, finished)), failed)
    strata = np.repeat(np.arange(len(finished)), [len(scores) for scores in finished])
    (row,) = summarise(["checkpoint"], [[score for scores in finished for score in scores]], strata)
    low, high = row.ci if row.ci is not None else (None, None)
    return MissionScore(row.mean, low, high, row.iqm, row.n, failed)


def _shown(records: Sequence[EpisodeRecord], count: int) -> dict[str, EpisodeRecord]:
    """The first `count` of `REPLAYS` among the finished episodes; an episode is not shown twice."""
    ordered = sorted((record for record in records if record.ok), key=EpisodeRecord.reward_per_agent)
    if not ordered:
        return {}
    positions = {"best": len(ordered) - 1, "worst": 0, "median": (len(ordered) - 1) // 2}
    found: dict[int, str] = {}
    for which in REPLAYS[:count]:
        found.setdefault(positions[which], which)
    return {which: ordered[position] for position, which in found.items()}
