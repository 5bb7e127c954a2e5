"""Training curves from whatever holds them: run directories, ids, JSON lines, rows, or lists of numbers.

A metric that a row lacks is a gap. A value that is not a finite number is rejected, because a curve through it would be
invented; in a run's own files it is left out and counted.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daf.core.recorded_training import METRICS, RecordedTraining, read_training_run
from daf.errors import DataError, UsageError
from daf.stats.sentences import labels
from daf.storage import journal
from daf.storage.hashing import hash_json
from daf.visualization._runs_given import is_run, run_folder, run_label

OF_ONE_RUN = (
    "seed", "experiment_name", "num_workers", "workers_per_node", "num_nodes", "threads", "memory_budget_mb",
    "trackers", "tracker_options", "log_interval", "log_agents", "keep_last_checkpoints", "keep_best_checkpoints",
    "checkpoint_frequency", "milestone_frequency", "eval_replays",
)  # fmt: skip
"""Settings in which repetitions of a training may differ: the seed, and those that do not affect what agents learn."""
_NOT_LEARNED = ("clock/", "system/", "schedule/")
"""Metrics that don't describe learning: time and the machine, and values that the settings prescribe."""
UNNAMED_RUN = "training"
"""The name of a run that was given as plain numbers."""

logger = logging.getLogger(__name__)

type FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class EvaluationPoint:
    """An evaluation during training. interval: of the mean over episodes; None if not known."""

    step: float
    mean: float
    interval: tuple[float, float] | None
    n: int


@dataclass(frozen=True)
class TrainingCurves:
    """One run. steps: by metric, where it has a value; values: same length. steps_known: if not, x counts the values.

    not_finite: number of values and lines that could not be used. failed_evaluations: those without a result. run:
    further contents of its directory, None for plain numbers.
    """

    name: str
    steps: Mapping[str, FloatArray]
    values: Mapping[str, FloatArray]
    evaluations: Sequence[EvaluationPoint] = ()
    steps_known: bool = True
    not_finite: int = 0
    failed_evaluations: int = 0
    run: RecordedTraining | None = field(default=None, compare=False)


def training_groups(source: Any, base_dir: str | Path | None = None) -> dict[str, list[TrainingCurves]]:
    """The runs in `source`, by label; runs with the same label are repetitions (seeds) of the same training.

    source: a run (directory, id), a metrics.jsonl, rows ({"step": …, metric: …}), columns ({metric: [numbers]}), a list
    of runs, or {label: any of these}. Raises `DataError`, `UsageError`.
    """
    if isinstance(source, Mapping) and not is_run(source):  # a training result is both
        if not source:
            raise DataError("there are no training metrics: the mapping is empty.")
        if _is_columns(source):
            return {UNNAMED_RUN: [_columns(UNNAMED_RUN, source)]}
        return {str(label): each_once(_runs(one, str(label), base_dir)) for label, one in source.items()}
    runs = each_once(_runs(source, None, base_dir))
    labels = [run.name for run in runs]
    if len(set(labels)) < len(labels):
        ids = [f"#{number}" if run.run is None else run.run.path.name for number, run in enumerate(runs, 1)]
        labels = [f"{run.name} {identity}" for run, identity in zip(runs, ids, strict=True)]
    return {label: [run] for label, run in zip(labels, runs, strict=True)}


def seeds_together(sources: Sequence[Any], base_dir: str | Path | None = None) -> dict[str, list[TrainingCurves]]:
    """Training runs by what they trained: those that differ only in their seed are repetitions of the same training.

    A run that repeats another's seed is left out, because it is not an independent repetition. Raises `DataError` for a
    run whose hyperparameters are not recorded, `UsageError`.
    """
    groups: dict[str, list[TrainingCurves]] = {}
    known: dict[str, dict[str, Any]] = {}
    seeded: dict[tuple[str, Any], str] = {}
    runs = each_once([read_training(source, None, base_dir) for source in sources])
    for run in runs:
        result = run.run.result if run.run is not None else {}
        settings = result.get("hyperparameters")
        if not isinstance(settings, Mapping):
            raise DataError(f"{_place(run)}: training.json has no hyperparameters, so its repetitions are unknown.")
        trained = {name: value for name, value in settings.items() if name not in OF_ONE_RUN}
        trained |= {name: result.get(name) for name in ("mission", "policy")}
        key = hash_json(trained)
        known[key] = trained
        first = seeded.setdefault((key, settings.get("seed")), _place(run))
        if first != _place(run):
            logger.warning(
                "%s is omitted: it has the same settings and seed (%s) as %s, so it is not an independent repetition.",
                _place(run), settings.get("seed"), first,
            )  # fmt: skip
            continue
        groups.setdefault(key, []).append(run)
    names = []
    for key, runs in groups.items():
        apart = _apart(known[key], list(known.values()))
        seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
        names.append(f"{', '.join(apart) or runs[0].name} ({seeds})")
    return dict(zip(labels(names), groups.values(), strict=True))


def each_once(runs: Sequence[TrainingCurves]) -> list[TrainingCurves]:
    """The runs by what they learned: a run directory that is given twice, or its copy, counts once, and that is logged.

    Numbers that do not come from a run directory are taken as they are.
    """
    found: dict[str, TrainingCurves] = {}
    for place, run in enumerate(runs):
        learned: dict[str, Any] = {
            name: [run.steps[name].tolist(), values.tolist()]
            for name, values in run.values.items()
            if not name.startswith(_NOT_LEARNED)
        }
        learned["evaluations"] = [[one.step, one.mean, one.interval, one.n] for one in run.evaluations]
        known = run.run is not None
        first = found.setdefault(hash_json(learned) if known else f"#{place}", run)
        if first is not run:
            logger.warning("%s is the same training run as %s: it counts once.", _place(run), _place(first))
    return list(found.values())


def _place(run: TrainingCurves) -> str:
    return run.name if run.run is None else str(run.run.path)


def _apart(one: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> list[str]:
    """How `one` differs from the `others`: "learning_rate=0.001"; for mission and policy, the values alone."""
    names = [name for name in one if any(other.get(name) != one[name] for other in others)]
    return [str(one[name]) if name in ("mission", "policy") else f"{name}={one[name]}" for name in names]


def _runs(source: Any, label: str | None, base_dir: str | Path | None) -> list[TrainingCurves]:
    if is_run(source):
        return [read_training(source, label, base_dir)]
    if isinstance(source, Mapping):
        if _is_columns(source):
            return [_columns(label or UNNAMED_RUN, source)]
        raise DataError(f"{label}: no column of numbers in {str(source)[:80]}.")
    if isinstance(source, TrainingCurves):
        return [source]
    run_dir = getattr(source, "run_dir", None)
    if run_dir is not None:
        return [read_training(run_dir, label, base_dir)]
    if isinstance(source, np.ndarray):
        return _runs(source.tolist(), label, base_dir)
    if isinstance(source, Sequence) and source:
        if all(isinstance(row, Mapping) and not _is_columns(row) for row in source):
            return [_rows(label or UNNAMED_RUN, source)]
        if all(isinstance(value, int | float) for value in source):
            return [_columns(label or UNNAMED_RUN, {label or "value": source})]
        return [run for one in source for run in _runs(one, label, base_dir)]
    if isinstance(source, Sequence):
        raise DataError("there are no training metrics: the list is empty.")
    raise UsageError(
        f"{type(source).__name__} holds no training metrics: give a training run (directory or id), a metrics.jsonl, "
        "rows with a step each, or columns of numbers."
    )


def read_training(source: Any, label: str | None = None, base_dir: str | Path | None = None) -> TrainingCurves:
    """The curves of a training run directory, or of a file of JSON lines. Raises `DataError`, `UsageError`."""
    path = Path(source).expanduser()
    if path.is_file():
        return _rows(label or path.stem, list(journal.read(path)), where=str(path))
    folder = run_folder(source, base_dir)
    run = read_training_run(folder)
    if not run.series and not run.evaluations:
        raise DataError(f"{folder}: no update was finished yet, so that {METRICS} holds no metrics.")
    return TrainingCurves(
        label or run_label(folder),
        {name: np.array(series.steps, float) for name, series in run.series.items()},
        {name: np.array(series.values) for name, series in run.series.items()},
        [
            EvaluationPoint(
                one.step, one.mean, None if one.low is None or one.high is None else (one.low, one.high), one.n
            )
            for one in run.evaluations
            if one.mean is not None
        ],
        failed_evaluations=sum(one.mean is None for one in run.evaluations),
        not_finite=run.damaged + sum(run.not_finite.values()),
        run=run,
    )


def _rows(name: str, rows: Sequence[Mapping[str, Any]], where: str = "") -> TrainingCurves:
    steps: dict[str, list[float]] = {}
    values: dict[str, list[float]] = {}
    known = all("step" in row for row in rows)
    for place, row in enumerate(rows):
        at = row["step"] if known else place
        for metric, value in row.items():
            if metric == "step" or value is None or isinstance(value, str | Mapping | Sequence):
                continue
            if not math.isfinite(value):
                at_place = f"{where}:{place + 1}" if where else f"{name}, row {place}"
                raise DataError(f"{at_place}: {metric} is {value}, which no curve can show. It should be absent there.")
            steps.setdefault(metric, []).append(float(at))
            values.setdefault(metric, []).append(float(value))
    steps_of, values_of = ({metric: np.array(found) for metric, found in one.items()} for one in (steps, values))
    return TrainingCurves(name, steps_of, values_of, steps_known=known)


def _columns(name: str, columns: Mapping[str, Any]) -> TrainingCurves:
    lengths = {str(key): len(values) for key, values in columns.items() if _numbers(values)}
    step = columns.get("step", columns.get("steps"))
    if step is not None and len({*lengths.values()}) > 1:
        raise DataError(f"{name}: columns must be as long as the steps; got {lengths}.")
    rows: list[dict[str, Any]] = [{} for _ in range(max(lengths.values(), default=0))]
    for key, values in columns.items():
        if _numbers(values):
            for row, value in zip(rows, values, strict=False):
                row["step" if key in ("step", "steps") else str(key)] = None if value is None else float(value)
    return _rows(name, rows)


def _is_columns(source: Mapping[Any, Any]) -> bool:
    return any(_numbers(values) for values in source.values())


def _numbers(values: Any) -> bool:
    if isinstance(values, str | bytes | Mapping):
        return False
    try:
        return all(value is None or isinstance(value, int | float | np.number) for value in values)
    except TypeError:
        return False
