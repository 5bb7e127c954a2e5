"""A training run as read from its directory, even while it runs: no file is locked or written.

`read_training_run` reads every complete line of `metrics.jsonl` and `evaluations.jsonl`. It skips an incomplete last
line, which a running trainer may leave for a moment. Lines that are not JSON objects and values that are not finite are
counted and left out, never replaced by 0. `read_lines` continues from where an earlier call ended, for programs that
watch a run.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from daf.core.training_file import FILE, TrainingFile, read_training
from daf.errors import DataError, StorageError
from daf.storage.atomic import explain
from daf.storage.numbers import finite
from daf.storage.reading import open_regular

METRICS = "metrics.jsonl"
EVALUATIONS = "evaluations.jsonl"
START = "start"
"""The field of an evaluation of weights that training has not changed yet: what they are, such as "untrained"."""
BASELINE = "random"
"""The policy that plays the episodes of the first evaluation too, and the field with its scores."""
TEACHER = "teacher"
"""The field with the scores, and the name, of the teacher on the same episodes."""


@dataclass(frozen=True)
class RecordedLines:
    """Objects from a JSON Lines file. end: the byte to continue from. damaged: number of lines that are not objects."""

    rows: tuple[dict[str, Any], ...]
    end: int
    damaged: int


@dataclass(frozen=True)
class MetricSeries:
    """One metric. steps, updates: agent step and update of each value; values: finite, of the same length."""

    name: str
    steps: tuple[int, ...]
    updates: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class RecordedScore:
    """Reward per agent on a mission in one evaluation. low, high: its interval, None if there is none."""

    mean: float
    low: float | None
    high: float | None
    iqm: float | None
    n: int


@dataclass(frozen=True)
class TrainingEvaluation:
    """One evaluation during training.

    mean: None if no episode finished. failed: number of episodes without a result; failures: each distinct reason once.
    replays: paths relative to the run directory. returns: reward per agent of each mission's episodes in the order of
    their seeds, None for a failed one; empty in runs of earlier versions. start: what the weights were, if training had
    not changed them yet. baseline, teacher: the scores of `BASELINE` and of the teacher on the same episodes. name: of
    the teacher, in its scores.
    """

    step: int
    update: int
    mean: float | None
    low: float | None
    high: float | None
    n: int
    seed: int | None
    missions: Mapping[str, RecordedScore]
    replays: tuple[str, ...]
    seconds: float | None
    failed: int = 0
    failures: tuple[str, ...] = ()
    returns: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    start: str | None = None
    baseline: "TrainingEvaluation | None" = None
    teacher: "TrainingEvaluation | None" = None
    name: str | None = None

    @property
    def rivals(self) -> "list[tuple[str, TrainingEvaluation]]":
        """The other policies on the same episodes, with their names."""
        found = [(BASELINE, self.baseline), (self.teacher.name or TEACHER if self.teacher else "", self.teacher)]
        return [(name, one) for name, one in found if one is not None]


@dataclass(frozen=True)
class RecordedCheckpoint:
    """A checkpoint. step: None for the one named "final". path: relative to the run directory."""

    name: str
    step: int | None
    path: str
    size_bytes: int


@dataclass(frozen=True)
class RecordedTraining:
    """The files of a training run.

    result: `training.json`, empty if it does not exist yet. damaged: number of unusable lines; not_finite: number of
    values that are not finite, by metric.
    """

    path: Path
    result: TrainingFile
    series: Mapping[str, MetricSeries]
    evaluations: tuple[TrainingEvaluation, ...]
    checkpoints: tuple[RecordedCheckpoint, ...]
    damaged: int = 0
    not_finite: Mapping[str, int] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Agent steps so far, from the result or else the last line."""
        logged = max((series.steps[-1] for series in self.series.values()), default=0)
        return max(int(self.result.get("steps") or 0), logged)

    @property
    def updates(self) -> int:
        """Updates so far."""
        logged = max((series.updates[-1] for series in self.series.values()), default=0)
        return max(int(self.result.get("updates") or 0), logged)


def is_training_run(folder: Path) -> bool:
    """Whether `folder` holds the files of a trainer."""
    return any((folder / name).is_file() for name in (FILE, METRICS))


def read_training_run(folder: str | Path) -> RecordedTraining:
    """Read the run in `folder`. Raises `DataError` if it holds no training run, `StorageError`."""
    path = Path(folder)
    if not is_training_run(path):
        raise DataError(f"{path} is not a training run: it has neither {FILE} nor {METRICS}.")
    metrics, evaluations = read_lines(path / METRICS), read_lines(path / EVALUATIONS)
    series, not_finite = series_of(metrics.rows)
    found = evaluations_of(evaluations.rows)
    return RecordedTraining(
        path=path,
        result=read_training(path) or {},
        series=series,
        evaluations=found,
        checkpoints=tuple(_checkpoints(path)),
        damaged=metrics.damaged + evaluations.damaged + len(evaluations.rows) - len(found),
        not_finite=not_finite,
    )


def read_lines(path: Path, start: int = 0) -> RecordedLines:
    """The complete lines of a JSON Lines file from byte `start`; empty without a file.

    Raises `DamagedFileError` if it is not a regular file, `StorageError`.
    """
    rows, damaged, end = [], 0, start
    try:
        with open_regular(path) as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                value = _decoded(line)
                if isinstance(value, dict):
                    rows.append(value)
                else:
                    damaged += bool(line.strip())
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error
    return RecordedLines(tuple(rows), end, damaged)


def _decoded(line: bytes) -> object:
    """The value of a line, None if it is not JSON. NaN and Infinity, which strict JSON lacks, are accepted."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def series_of(rows: tuple[dict[str, Any], ...]) -> tuple[dict[str, MetricSeries], dict[str, int]]:
    """The metrics in `rows` by name, in order of first appearance, and the number of non-finite values of each."""
    found: dict[str, tuple[list[int], list[int], list[float]]] = {}
    not_finite: dict[str, int] = {}
    for row in rows:
        step, update = _whole(row.get("step")), _whole(row.get("update"))
        if step is None:
            continue
        for name, value in row.items():
            if name in ("step", "update") or value is None:
                continue
            number = value if type(value) is float and value - value == 0 else finite(value)
            if number is None:
                not_finite[name] = not_finite.get(name, 0) + 1
                continue
            if name not in found:
                found[name] = ([], [], [])
            steps, updates, values = found[name]
            steps.append(step)
            updates.append(update or 0)
            values.append(number)
    return {name: MetricSeries(name, tuple(s), tuple(u), tuple(v)) for name, (s, u, v) in found.items()}, not_finite


def evaluations_of(rows: Iterable[Mapping[str, Any]]) -> tuple[TrainingEvaluation, ...]:
    """The evaluations in the lines of `evaluations.jsonl`; lines that are none are left out."""
    return tuple(one for one in map(_evaluation, rows) if one is not None)


def _whole(value: object) -> int | None:
    number = finite(value)
    return None if number is None else int(number)


def _evaluation(row: Mapping[str, Any]) -> TrainingEvaluation | None:
    step, mean = _whole(row.get("step")), finite(row.get("mean"))
    if step is None:
        return None
    missions = row.get("missions")
    replays, failures, returns = row.get("replays"), row.get("failures"), row.get("returns")
    start, baseline, teacher, name = row.get(START), row.get(BASELINE), row.get(TEACHER), row.get("name")
    return TrainingEvaluation(
        step=step,
        update=_whole(row.get("update")) or 0,
        mean=mean,
        low=finite(row.get("low")),
        high=finite(row.get("high")),
        n=_whole(row.get("n")) or 0,
        seed=_whole(row.get("seed")),
        missions=dict(_missions(missions)) if isinstance(missions, dict) else {},
        replays=tuple(str(replay) for replay in replays) if isinstance(replays, list) else (),
        seconds=finite(row.get("seconds")),
        failed=_whole(row.get("failed")) or 0,
        failures=tuple(str(reason) for reason in failures) if isinstance(failures, list) else (),
        returns=_returns(returns) if isinstance(returns, dict) else {},
        start=start if isinstance(start, str) else None,
        baseline=_evaluation({**baseline, "step": step}) if isinstance(baseline, dict) else None,
        teacher=_evaluation({**teacher, "step": step}) if isinstance(teacher, dict) else None,
        name=name if isinstance(name, str) else None,
    )


def _returns(returns: Mapping[str, Any]) -> dict[str, tuple[float | None, ...]]:
    return {str(name): tuple(map(finite, row)) for name, row in returns.items() if isinstance(row, list)}


def _missions(missions: Mapping[str, Any]) -> Iterator[tuple[str, RecordedScore]]:
    for name, row in missions.items():
        mean = finite(row.get("mean")) if isinstance(row, dict) else None
        if mean is not None:
            low, high, iqm = (finite(row.get(key)) for key in ("low", "high", "iqm"))
            yield str(name), RecordedScore(mean, low, high, iqm, _whole(row.get("n")) or 0)


def _checkpoints(folder: Path) -> Iterator[RecordedCheckpoint]:
    place = folder / "checkpoints"
    if not place.is_dir():
        return
    for path in sorted(place.iterdir(), key=lambda entry: (entry.name == "final", entry.name)):
        digits = path.name.removeprefix("step_")
        if path.name.startswith(".") or not path.is_dir() or not (path.name == "final" or digits.isdecimal()):
            continue
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        step = None if path.name == "final" else int(digits)
        yield RecordedCheckpoint(path.name, step, f"checkpoints/{path.name}", size)
