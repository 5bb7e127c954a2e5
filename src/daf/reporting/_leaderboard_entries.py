"""The entries of a leaderboard: policies with their returns by block, from comparisons, evaluations and runs.

The same policy in several sources is one entry. Policies are identified by everything that determines their behaviour.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from daf.episodes.plan_file import read_plan
from daf.episodes.results_file import read_results
from daf.errors import DataError, UsageError
from daf.evaluation import Evaluation
from daf.output_manager import RunInfo
from daf.output_manager.kinds import RANKED, kind_of, run_of

if TYPE_CHECKING:
    from daf.comparison import ComparisonReport

type RankedSource = "ComparisonReport | Evaluation | RunInfo | str | Path"
type Block = tuple[str, object, object]
"""A mission, identified by its config's hash if known, with seed (or position) and step limit."""


@dataclass
class LeaderboardEntry:
    """A policy or team with its returns by block. identity: everything that determines its behaviour."""

    name: str
    identity: str
    scores: dict[Block, float] = field(default_factory=dict)
    lost: set[Block] = field(default_factory=set)
    runs: list[str] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """Number of episodes without a result, each counted once even if it occurs in several sources."""
        return len(self.lost - self.scores.keys())


def take(
    source: RankedSource, entries: dict[str, LeaderboardEntry], missions: dict[str, str], base_dir: str | Path | None
) -> None:
    """Add the content of `source` to `entries` (by identity) and `missions` (names by mission identity)."""
    from daf.comparison import ComparisonReport

    if isinstance(source, ComparisonReport):
        if source.evaluation is None:
            _by_hand(source, entries, missions)
            return
        source = source.evaluation
    if isinstance(source, Evaluation):
        _of_result(source, entries, missions)
        return
    info = source if isinstance(source, RunInfo) else run_of(source, base_dir)
    if kind_of(info.path) not in RANKED:
        read_results(info.path)  # The kind may be unknown because the results are damaged.
        raise UsageError(
            f"{info.operation}/{info.run_id} is not an evaluation or comparison; a leaderboard can rank only those."
        )
    _of_files(info, entries, missions)


def _of_result(evaluation: Evaluation, entries: dict[str, LeaderboardEntry], missions: dict[str, str]) -> None:
    result = evaluation.result
    for planned, record in zip(result.planned, result.records, strict=True):
        contender = result.plan.contenders[planned.contender]
        players = [
            {"identity": policy.identity, "count": count}
            for policy, count in zip(contender.policies, contender.counts, strict=True)
        ]
        entry = _entry(entries, contender.name, json.dumps(players), evaluation.run_id)
        spec = record.spec
        missions.setdefault(spec.config_hash, spec.mission)
        block = (spec.config_hash, spec.seed, spec.max_steps)
        if record.ok:
            entry.scores[block] = record.reward_per_agent()
        else:
            entry.lost.add(block)


def _of_files(info: RunInfo, entries: dict[str, LeaderboardEntry], missions: dict[str, str]) -> None:
    """Read `plan.json` and `results.json`, which every evaluation keeps even without records."""
    plan, results = read_plan(info.path), read_results(info.path)
    if plan is None or results is None:
        raise DataError(f"{info.path} has no plan.json and results.json; a leaderboard needs both.")
    rewards = {episode.get("key"): episode.get("rewards") for episode in results.get("episodes", ())}
    for planned in plan.episodes:
        contender = plan.contenders[planned.contender]
        players = [
            {"identity": plan.policies[number].identity, "count": count}
            for number, count in zip(contender.policies, contender.counts, strict=True)
        ]
        entry = _entry(entries, contender.name, json.dumps(players), info.run_id)
        missions.setdefault(planned.config_hash, planned.mission)
        returns = rewards.get(planned.key)
        block = (planned.config_hash, planned.seed, planned.max_steps)
        if returns:
            entry.scores[block] = sum(returns) / len(returns)
        elif planned.failure is not None:
            entry.lost.add(block)


def _by_hand(report: "ComparisonReport", entries: dict[str, LeaderboardEntry], missions: dict[str, str]) -> None:
    for policy in report.policies:
        entry = _entry(entries, policy, f"by hand: {policy}", "")
        for mission, rewards in report.policy_mission_rewards.get(policy, {}).items():
            missions.setdefault(mission, mission)
            for position, reward in enumerate(rewards):
                entry.scores[mission, position, None] = reward


def _entry(entries: dict[str, LeaderboardEntry], name: str, identity: str, run: str) -> LeaderboardEntry:
    entry = entries.setdefault(identity, LeaderboardEntry(name, identity))
    if run and run not in entry.runs:
        entry.runs.append(run)
    return entry
