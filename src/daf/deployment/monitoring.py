"""The state of a live release: errors, latency and returns in its own records, compared with those at its release.

Records are the episodes that `daf serve` served with the release, and the episodes that it played alone in runs of
`daf evaluate` and `daf compare`, all in one output directory. Served episodes show errors and latency, played ones
errors and returns: a server does not learn returns.

failing: more than 5 % of the episodes failed. degraded: the latency or a return is outside its bound. healthy: neither.
unknown: there are no records.

Not guaranteed: that latencies are comparable. The release's were measured where it was validated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from daf.deployment import _evaluations, serving_records
from daf.deployment.result import DeploymentResult
from daf.deployment.serving_records import ServedEpisode
from daf.episodes.results_file import read_results
from daf.errors import DAFError, DamagedFileError, DataError, UsageError, quoted
from daf.game import policies as game_policies
from daf.output_manager import list_runs
from daf.output_manager.layout import base_folder
from daf.playing.planning import default_cache
from daf.registry import Registry, Release, find_release, open_registry
from daf.stats.sentences import amount_text, counted, number
from daf.stats.student import student_interval
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console

State = Literal["healthy", "degraded", "failing", "unknown"]
MOST_ERRORS = 0.05
_TIE = 1e-9
"""Equal episodes can have means that differ by rounding, in intervals without width."""
_PLAYED = ("evaluations", "comparisons")


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """Which records count, and the bounds of "degraded".

    hours: only records of the last hours; None for all since the release. latency_factor: how many times as long as at
    release the 99th percentile of the step times may be. A return is outside its bound if the upper bound of its 95 %
    interval is below the lower bound of the interval at release.
    """

    hours: float | None = None
    latency_factor: float = 2.0

    def __post_init__(self) -> None:
        if self.hours is not None and not self.hours > 0:
            raise UsageError(f"--last must be above 0 hours, got {self.hours:g}.")
        if not self.latency_factor > 0:
            raise UsageError(f"--latency-factor must be above 0, got {self.latency_factor:g}.")


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds of a step of the game, all agents together. at_release: p50, p90 and p99; None if not measured."""

    steps: int
    p50: float
    p90: float
    p99: float
    at_release: tuple[float, float, float] | None
    outside: bool


@dataclass(frozen=True, slots=True)
class MissionReturn:
    """Mean return per agent over n different episodes; released: at release, None if it was not validated there."""

    mission: str
    n: int
    mean: float
    ci: tuple[float, float] | None
    released: float | None
    released_ci: tuple[float, float] | None
    outside: bool


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The state of a release. episodes: served and played. failed: of them, by the policy's fault.

    first_error: of a failed episode. notes: what could not be compared, and why.
    """

    name: str
    version: str
    sha256: str
    bundle: str
    state: State
    served: int
    played: int
    failed: int
    first_error: str | None
    latencies: Latencies | None
    returns: tuple[MissionReturn, ...]
    notes: tuple[str, ...]

    @property
    def error_rate(self) -> float | None:
        """None without an episode."""
        total = self.served + self.played
        return self.failed / total if total else None

    def sentence(self) -> str:
        """The state, with the numbers that decide it."""
        head = f"{self.name} {self.version} is {self.state}"
        rate = self.error_rate
        if rate is None:
            return f"{head}: no episode of it is recorded."
        parts = [
            f"{self.failed} of {counted(self.served + self.played, 'episode')} failed ({100 * rate:.2g} %)"
            + (f"; the first: {self.first_error.rstrip('.')}" if self.first_error else "")
        ]
        if self.latencies is not None:
            parts.append(_latency_words(self.latencies))
        parts += [_return_words(one) for one in self.returns]
        return f"{head}. {'. '.join(parts)}."


def daf_monitor_deployment(
    release: str | None = None,
    *,
    registry: str | Path | None = None,
    settings: MonitorSettings | None = None,
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> DeploymentResult:
    """Check a release as `monitor` does, with the result that all deployment functions share.

    The result's status is the state, and its message has the numbers.
    """
    found = monitor(release, registry=registry, settings=settings, output_dir=output_dir)
    result = DeploymentResult(
        policy_name=found.name,
        version=found.version,
        status=found.state,
        message=found.sentence(),
        package_path=found.bundle,
        deployment_id=found.sha256,
    )
    show(console, f"State of {found.name}", result)
    return result


def monitor(
    release: str | None = None,
    *,
    registry: str | Path | None = None,
    settings: MonitorSettings | None = None,
    output_dir: str | Path | None = None,
) -> Monitoring:
    """The state of a release: NAME@VERSION, VERSION, or NAME for the live one.

    registry: as in `open_registry`. output_dir: where the records are. Raises `ReleaseError`, and as the registry does.
    """
    base, chosen = base_folder(output_dir), settings or MonitorSettings()
    there = open_registry(registry, base_dir=base)
    found = find_release(there, release)
    since = _time(found["added_at"])
    if chosen.hours is not None:
        since = max(since, datetime.now(UTC) - timedelta(hours=chosen.hours))
    notes: list[str] = []
    served = list(_served(base, found, since, notes))
    played = _Played(base, there, found, since, notes)
    failures = [one["error"] or "no reason recorded" for one in served if one["end"] == "failed"]
    failures += played.failures
    total = len(served) + played.count
    validation = found["facts"].get("validation") or {}
    latencies = _latencies(served, validation, chosen, notes)
    returns = _returns(played.rewards, validation, notes)
    outside = (latencies is not None and latencies.outside) or any(one.outside for one in returns)
    state: State = "healthy"
    if not total:
        state = "unknown"
    elif len(failures) / total > MOST_ERRORS:
        state = "failing"
    elif outside:
        state = "degraded"
    return Monitoring(
        name=found["name"],
        version=found["version"],
        sha256=found["sha256"],
        bundle=there.where(found),
        state=state,
        served=len(served),
        played=played.count,
        failed=len(failures),
        first_error=failures[0] if failures else None,
        latencies=latencies,
        returns=returns,
        notes=tuple(notes),
    )


def _served(base: Path, release: Release, since: datetime, notes: list[str]) -> Iterator[ServedEpisode]:
    """The episodes that `daf serve` served with the release."""
    for path in sorted(base.glob(f"*/*/{serving_records.FILE}")):
        try:
            for episode in serving_records.read(path):
                if episode["sha256"] == release["sha256"] and _time(episode["started_at"]) >= since:
                    yield episode
        except DamagedFileError as error:
            notes.append(f"left out: {error}")


class _Played:
    """The episodes that the release played alone in DAF's runs.

    rewards: by mission and key, so that an episode that several runs show counts once. count: with the failed ones.
    """

    def __init__(self, base: Path, registry: Registry, release: Release, since: datetime, notes: list[str]) -> None:
        self.rewards: dict[str, dict[str, float]] = {}
        self.failures: list[str] = []
        runs = [run for kind in _PLAYED for run in list_runs(base, kind) if run.started_at.astimezone(UTC) >= since]
        identity = _identity(base, registry, release, notes) if runs else None
        failed: set[str] = set()
        for run in runs if identity is not None else ():
            try:
                results = read_results(run.path)
            except DamagedFileError as error:
                notes.append(f"left out: {error}")
                continue
            if results is None or not results.get("episodes"):
                continue
            label = f"{release['name']}@{release['version']}"
            found, _ = _evaluations.rows_of(
                run.path, results["episodes"], results.get("cache", ""), identity or "", label=label
            )
            for mission, rows in found.items():
                for row in rows:
                    if row["rewards"]:
                        mean = sum(row["rewards"]) / len(row["rewards"])
                        self.rewards.setdefault(mission, {})[row["key"]] = mean
                    elif row["key"] not in failed:
                        failed.add(row["key"])
                        failure = row["failure"]
                        self.failures.append(failure["message"] if failure is not None else "no reason recorded")
        self.count = len(self.failures) + sum(len(there) for there in self.rewards.values())


def _identity(base: Path, registry: Registry, release: Release, notes: list[str]) -> str | None:
    """The identity of the release's policy; None, with a note, where it can't be known."""
    bundles = default_cache(base) / "bundles"
    try:
        identity = game_policies.describe(registry.fetch(release, _folder(bundles)), cache=bundles).identity
    except DAFError as error:
        notes.append(f"played episodes are left out, since the bundle can't be read: {error}")
        return None
    if identity is None:
        notes.append("played episodes are left out: the bundle's set-up script must run first to identify its policy.")
    return identity


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _latencies(
    served: Sequence[ServedEpisode], validation: Mapping[str, Any], settings: MonitorSettings, notes: list[str]
) -> Latencies | None:
    steps = sum(episode["steps"] for episode in served)
    quantiles = [serving_records.step_quantile(served, share) for share in (0.5, 0.9, 0.99)]
    p50, p90, p99 = quantiles
    if p50 is None or p90 is None or p99 is None:
        return None
    times = validation.get("step_times")
    if times is None:
        notes.append("no latency was measured at release, so that of now is not compared.")
        return Latencies(steps, p50, p90, p99, None, False)
    before = (float(times["p50"]), float(times["p90"]), float(times["p99"]))
    return Latencies(steps, p50, p90, p99, before, p99 > settings.latency_factor * before[2])


def _returns(
    rewards: Mapping[str, Mapping[str, float]], validation: Mapping[str, Any], notes: list[str]
) -> tuple[MissionReturn, ...]:
    released = {one["mission"]: one for one in validation.get("missions", ()) if one.get("mean") is not None}
    rows = []
    for mission, by_key in sorted(rewards.items()):
        values = np.array(list(by_key.values()))
        ci = None
        if values.size > 1:
            low, high = student_interval(values[None], np.zeros(values.size, dtype=np.int64), "mean")
            ci = (float(low[0]), float(high[0]))
        before = released.get(mission)
        before_ci = tuple(before["ci"]) if before is not None and before["ci"] is not None else None
        outside = ci is not None and before_ci is not None and ci[1] < before_ci[0] - _TIE * (1 + abs(before_ci[0]))
        rows.append(
            MissionReturn(
                mission, int(values.size), float(values.mean()), ci,
                float(before["mean"]) if before is not None else None,
                (float(before_ci[0]), float(before_ci[1])) if before_ci is not None else None, outside,
            )
        )  # fmt: skip
    missing = [row.mission for row in rows if row.released is None]
    if missing:
        notes.append(f"not compared, since the release was not validated there: {', '.join(missing)}.")
    return tuple(rows)


def _latency_words(found: Latencies) -> str:
    now = f"p99 {number(found.p99)} ms of {counted(found.steps, 'step')}"
    if found.at_release is None:
        return now
    return f"{now}, {number(found.at_release[2])} ms at release{' (outside the bound)' if found.outside else ''}"


def _return_words(found: MissionReturn) -> str:
    now = f"{found.mission}: return {amount_text(found.mean, found.ci)} ({counted(found.n, 'episode')})"
    if found.released is None:
        return now
    bound = " (outside the bound)" if found.outside else ""
    return f"{now}, {amount_text(found.released, found.released_ci)} at release{bound}"


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"{quoted(text)} is not a time as DAF records it (ISO 8601).") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
