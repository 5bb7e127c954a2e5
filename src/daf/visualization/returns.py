"""Returns of policies on missions, from any source that holds them, with their intervals.

An evaluation's own intervals are used if there are any, so that a figure never shows other numbers than the report of
the same run. Failed episodes have no return; they are counted, not shown as 0.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.episodes.results_file import FILE, ResultsFile, read_results
from daf.errors import DataError, UsageError
from daf.render.figures.frame import finite_values
from daf.render.figures.means import Estimate
from daf.stats.summaries import summarise
from daf.visualization._runs_given import is_run, run_folder

if TYPE_CHECKING:
    from daf.comparison import ComparisonReport

RETURN_UNIT = "reward per agent"
UNNAMED = "all missions"
METHODS = {
    "student": "Student",
    "studentized": "studentized bootstrap",
    "bca": "BCa bootstrap",
    "percentile": "percentile bootstrap",
}


@dataclass(frozen=True)
class Returns:
    """Mean returns per agent, one per episode.

    values: by policy and mission, in the order of the seeds; a policy without an episode on a mission lacks it.
    overall, by_mission: means with intervals of the blocks that all policies finished, as in the run's report.
    failed: episodes without a result, by policy and mission. methods: how the intervals were computed.
    """

    policies: tuple[str, ...]
    missions: tuple[str, ...]
    values: Mapping[str, Mapping[str, Sequence[float]]]
    overall: Mapping[str, Estimate] = field(default_factory=dict)
    by_mission: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    failed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    level: float = 0.95

    @property
    def episodes(self) -> tuple[int, int]:
        """Smallest and largest number of episodes of any policy on any mission."""
        counts = [len(values) for missions in self.values.values() for values in missions.values()]
        return (min(counts), max(counts)) if counts else (0, 0)

    @property
    def failures(self) -> int:
        """Total number of episodes without a result."""
        return sum(count for missions in self.failed.values() for count in missions.values())

    def failed_of(self, policy: str, mission: str) -> int:
        """Number of episodes of `policy` on `mission` without a result."""
        return self.failed.get(policy, {}).get(mission, 0)

    def interval_words(self) -> str:
        """ "95 % interval (Student)", "" if there are no intervals."""
        if not self.methods:
            return ""
        return f"{100 * self.level:g} % interval ({', '.join(METHODS[name] for name in self.methods)})"


def returns_of(source: Any, base_dir: str | Path | None = None) -> Returns:
    """The returns in `source`.

    source: a `ComparisonReport`, an `Evaluation`, any report based on one, a run (directory, id), numbers,
    {policy: numbers}, or {policy: {mission: numbers}}. A single number is a mean without an interval. Raises
    `DataError` for values that are empty or not finite, `UsageError` for a source without returns.
    """
    from daf.comparison import ComparisonReport
    from daf.evaluation import Evaluation, results_data

    if isinstance(source, Returns):
        return source
    if is_run(source):
        return _from_results(_results(run_folder(source, base_dir)))
    behind = source if isinstance(source, Evaluation) else getattr(source, "evaluation", None)
    if isinstance(behind, Evaluation):
        return _from_results(results_data(behind))
    if isinstance(source, ComparisonReport):
        return _from_report(source)
    nested = getattr(source, "comparison", None)
    if isinstance(nested, ComparisonReport):
        return returns_of(nested)
    return _from_numbers(source)


def _results(folder: Path) -> ResultsFile:
    data = read_results(folder)
    if data is None:
        raise DataError(f"{folder} holds no {FILE}: no episodes were compared, or it did not end.")
    if "episodes" not in data:
        raise DataError(f"{folder / FILE} lists no episodes, so there are no returns to draw.")
    return data


def _from_results(data: Mapping[str, Any]) -> Returns:
    values: dict[str, dict[str, list[float]]] = {}
    failed: dict[str, dict[str, int]] = {}
    missions: dict[str, None] = {}
    for episode in data["episodes"]:
        policy, mission = episode["contender"], episode["mission"]
        missions.setdefault(mission)
        of_policy = values.setdefault(policy, {})
        if episode["rewards"] is None:
            of_failed = failed.setdefault(policy, {})
            of_failed[mission] = of_failed.get(mission, 0) + 1
        else:
            of_policy.setdefault(mission, []).append(sum(episode["rewards"]) / len(episode["rewards"]))
    rows = data.get("summary", {}).get("missions", {})
    by_mission = {mission: _estimates(of_mission) for mission, of_mission in rows.items()}
    overall = _estimates(data.get("ranking", []))
    methods = [row["method"] for of_mission in [data.get("ranking", []), *rows.values()] for row in of_mission]
    alpha = data.get("settings", {}).get("alpha", 0.05)
    found = Returns(
        tuple(values), tuple(missions), values, overall, by_mission, failed, _known(methods), 1 - float(alpha)
    )
    return found if by_mission else _with_intervals(found)


def _from_report(report: "ComparisonReport") -> Returns:
    values = {policy: dict(report.policy_mission_rewards.get(policy, {})) for policy in report.policies}
    if not any(values.values()):
        raise DataError("the report holds no returns: nothing was added to it.")
    found = Returns(tuple(report.policies), tuple(report.missions), values, level=1 - report.alpha)
    return _with_intervals(found, seed=report.seed, resamples=max(1_000, report.resamples // 2))


def _from_numbers(source: Any) -> Returns:
    if isinstance(source, Mapping):
        named = {str(policy): _missions(str(policy), given) for policy, given in source.items()}
    elif isinstance(source, Iterable) and not isinstance(source, str | bytes):
        named = {"returns": _missions("returns", list(source))}
    else:
        raise UsageError(
            f"{type(source).__name__} holds no returns: give a comparison's report, an evaluation, a run (folder or "
            "id), numbers, or {policy: numbers}."
        )
    if not named:
        raise DataError("there are no returns: the mapping is empty.")
    missions = tuple(dict.fromkeys(mission for of_policy in named.values() for mission in of_policy))
    return _with_intervals(Returns(tuple(named), missions, named))


def _missions(policy: str, given: Any) -> dict[str, Sequence[float]]:
    if isinstance(given, Mapping):
        return {str(m): finite_values(_listed(v), f"{policy} on {m}").tolist() for m, v in given.items()}
    return {UNNAMED: finite_values(_listed(given), policy).tolist()}


def _listed(given: Any) -> Any:
    return [given] if isinstance(given, int | float | np.number) else list(given)


def _with_intervals(found: Returns, *, seed: int = 0, resamples: int = 5_000) -> Returns:
    """The same with means and intervals: for each policy on each mission, overall for those that played them all."""
    by_mission: dict[str, dict[str, Estimate]] = {}
    methods: list[str | None] = []
    alpha = 1 - found.level
    for mission in found.missions:
        cells = {}
        for policy in found.policies:
            sample = found.values.get(policy, {}).get(mission, ())
            if len(sample):
                row = summarise([policy], [list(sample)], alpha=alpha, resamples=resamples, seed=seed)[0]
                cells[policy] = Estimate(row.mean, row.ci, row.n)
                methods.append(row.method)
        by_mission[mission] = cells
    overall = {}
    for policy in found.policies:
        parts = [found.values[policy].get(mission, ()) for mission in found.missions]
        if parts and all(len(part) for part in parts):
            strata = [index for index, part in enumerate(parts) for _ in part]
            flat = [value for part in parts for value in part]
            row = summarise([policy], [flat], np.array(strata), alpha=alpha, resamples=resamples, seed=seed)[0]
            overall[policy] = Estimate(row.mean, row.ci, row.n)
    return Returns(
        found.policies, found.missions, found.values, overall, by_mission, found.failed, _known(methods), found.level
    )


def _estimates(rows: Iterable[Mapping[str, Any]]) -> dict[str, Estimate]:
    return {
        row["policy"]: Estimate(row["mean"], None if row["ci"] is None else (row["ci"][0], row["ci"][1]), row["n"])
        for row in rows
    }


def _known(methods: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(method for method in methods if method))
