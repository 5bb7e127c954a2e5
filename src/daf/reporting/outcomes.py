"""What a run found, in one phrase and one number, as lists of runs show it.

Read from the run's own result files, and only from their few fields that matter, so that a list of hundreds of runs
does not load their episodes. Without a result, for example before the first evaluation, there is no outcome; damage is
an outcome as well, and hides no other run.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

from daf.core.recorded_training import EVALUATIONS, START, read_lines
from daf.core.training_file import read_training
from daf.errors import DAFError
from daf.output_manager.kinds import Kind
from daf.stats.sentences import counted, number
from daf.storage.numbers import finite
from daf.storage.reading import read_json


@dataclass(frozen=True)
class Outcome:
    """text: for a column of a table. metric, value, low, high: the number in it and its interval, None without one."""

    text: str = ""
    metric: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None

    def to_data(self) -> dict[str, Any]:
        """All fields, as JSON data."""
        return asdict(self)


class _Row(TypedDict):
    policy: str
    mean: float
    ci: tuple[float, float] | None


class _Ranked(TypedDict, total=False):
    ranking: list[_Row]


class _Need(TypedDict):
    fixed: int | None


class _Needs(TypedDict, total=False):
    needed: list[_Need]
    training_runs: int | None


class _Value(TypedDict):
    value: float | None
    ci: tuple[float, float] | None


class _Scored(TypedDict, total=False):
    candidate: str
    vor: _Value


class _Crossed(TypedDict, total=False):
    policies: list[str]


class _Verdict(TypedDict):
    passed: bool


class _Gated(TypedDict, total=False):
    gate: _Verdict


def outcome_of(folder: Path, kind: Kind) -> Outcome:
    """The outcome of the run of `kind` in `folder`."""
    read = _READERS.get(kind)
    if read is None:
        return Outcome()
    try:
        return read(folder)
    except DAFError:  # `daf runs show` prints the reason
        return Outcome("damaged result")


def _evaluation(folder: Path) -> Outcome:
    rows = (read_json(folder / "results.json", _Ranked) or {}).get("ranking") or []
    if not rows:
        return Outcome()
    best = rows[0]
    found = _interval("reward", best["mean"], best["ci"])
    return Outcome(f"{found.text} {best['policy']}" if len(rows) > 1 else found.text, *_numbers(found))


def _power(folder: Path) -> Outcome:
    data = read_json(folder / "power.json", _Needs) or {}
    rows = data.get("needed") or []
    if rows:
        blocks = rows[0]["fixed"]
        return Outcome("over 1,000,000 blocks" if blocks is None else counted(blocks, "block"), "blocks", blocks)
    runs = data.get("training_runs")
    return Outcome() if runs is None else Outcome(counted(runs, "training run"), "training runs", runs)


def _score(folder: Path) -> Outcome:
    data = read_json(folder / "results.json", _Scored) or {}
    vor = data.get("vor")
    if vor is None or vor["value"] is None:
        return Outcome()
    found = _interval("vor", vor["value"], vor["ci"])
    return Outcome(f"{found.text} VOR", *_numbers(found))


def _crossplay(folder: Path) -> Outcome:
    policies = (read_json(folder / "results.json", _Crossed) or {}).get("policies") or []
    return Outcome(f"{len(policies)} policies") if policies else Outcome()


def _gate(folder: Path) -> Outcome:
    gate = (read_json(folder / "results.json", _Gated) or {}).get("gate")
    if gate is None:
        return Outcome()
    return Outcome("passed" if gate["passed"] else "refused")


def _training(folder: Path) -> Outcome:
    evaluations = [row for row in read_lines(folder / EVALUATIONS).rows if START not in row]
    rows = [row for row in evaluations if finite(row.get("mean")) is not None]
    if rows:
        low, high = finite(rows[-1].get("low")), finite(rows[-1].get("high"))
        mean = finite(rows[-1]["mean"])
        assert mean is not None
        return _interval("reward", mean, None if low is None or high is None else (low, high))
    training: Any = read_training(folder) or {}
    value = finite((training.get("metrics") or {}).get("episode/return"))
    return Outcome() if value is None else Outcome(f"{number(value)} in training", "episode/return", value)


def _sweep(folder: Path) -> Outcome:
    from daf.sweeps.result import SweepResult

    result = SweepResult.load(folder)
    best = result.top_trials(1)
    if not best or best[0].primary_metric is None:
        return Outcome(f"{len(result.trials)} of {result.planned} trials") if result.planned else Outcome()
    value = best[0].primary_metric
    return Outcome(f"{number(value)} trial {best[0].trial_id}", result.objectives[0], value)


def _adaptive(folder: Path) -> Outcome:
    from daf.core.adaptive.record import read

    experiment = read(folder)
    if experiment is None:
        return Outcome()
    over = sum(run.over for run in experiment.runs.values())
    text = f"{over} of {len(experiment.runs)} runs"
    best = experiment.best
    if best is None or best.score is None:
        return Outcome(text)
    return Outcome(f"{number(best.score.mean)} best, {text}", "score", best.score.mean, best.score.low, best.score.high)


def _tests(folder: Path) -> Outcome:
    from daf.test_runner.result import FILE, RecordedTests

    tests = RecordedTests.read(folder / FILE)
    if tests is None:
        return Outcome()
    total, bad = sum(tests.counts.values()), sum(len(suite.failures) for suite in tests.suites)
    return Outcome(f"{bad} of {total} failed" if bad else f"{total} passed or skipped", "failed", float(bad))


def _submission(folder: Path) -> Outcome:
    from daf.deployment.submission import progress_of

    return Outcome(progress_of(folder))


_READERS = {
    "evaluation": _evaluation,
    "comparison": _evaluation,
    "metrics": _evaluation,
    "power": _power,
    "score": _score,
    "crossplay": _crossplay,
    "gate": _gate,
    "training": _training,
    "sweep": _sweep,
    "adaptive": _adaptive,
    "tests": _tests,
    "submission": _submission,
}


def _interval(metric: str, value: float, bounds: tuple[float, float] | None) -> Outcome:
    half = 0.0 if bounds is None else (bounds[1] - bounds[0]) / 2
    text = number(value, half) + (f" ± {number(half, half)}" if half > 0 else "")
    return Outcome(text, metric, value, *(bounds or (None, None)))


def _numbers(found: Outcome) -> tuple[str | None, float | None, float | None, float | None]:
    return found.metric, found.value, found.low, found.high
