"""One tracker that forwards to all trackers of a run.

Metrics reach the JSON lines first, then the others. Values that are not finite numbers are left out everywhere, with
one log message per name. The JSON lines must not fail: their error ends the run. Any other tracker that fails while the
run continues is dropped, with an error in the log and in `lost`: hours of training are worth more than a second copy of
their metrics.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from daf.config.extras import require
from daf.core.tracking._interface import Number, TrackedRun, Tracker
from daf.core.tracking._json_lines import JsonLines
from daf.core.tracking._mlflow_runs import MlflowOptions, MlflowRuns
from daf.core.tracking._tensorboard_events import TensorBoardEvents
from daf.core.tracking._trackio_runs import TrackioOptions, TrackioRuns
from daf.core.tracking._wandb_runs import WandbOptions, WandbRuns
from daf.errors import UsageError, unknown

logger = logging.getLogger(__name__)

NAMES = ("jsonl", "tensorboard", "wandb", "mlflow", "trackio")
_NEEDS = {
    "tensorboard": ("tensorboard", "train"),
    "wandb": ("wandb", "track"),
    "mlflow": ("mlflow", "track"),
    "trackio": ("trackio", "track"),
}
_OPTIONS: dict[str, type[WandbOptions] | type[MlflowOptions] | type[TrackioOptions]] = {
    "wandb": WandbOptions,
    "mlflow": MlflowOptions,
    "trackio": TrackioOptions,
}


def trackers(
    names: Iterable[str], run_dir: str | Path, options: Mapping[str, Mapping[str, Any]] | None = None
) -> "Trackers":
    """The trackers of these names for the run in `run_dir`; jsonl is always included.

    options: by tracker, the fields of `WandbOptions`, `MlflowOptions` and `TrackioOptions`. Raises `UsageError` for
    unknown names and options, options of a tracker that isn't named, and a package that isn't installed.
    """
    wanted = list(dict.fromkeys(("jsonl", *names)))
    for name in wanted:
        if name not in NAMES:
            raise UsageError(unknown("tracker", name, NAMES))
        package, extra = _NEEDS.get(name, (None, None))
        if package is not None and extra is not None:
            require(extra, f"the tracker {name}", package)
    given = dict(options or {})
    for name in given:
        if name not in _OPTIONS:
            raise UsageError(f"tracker options: {unknown('tracker with options', name, _OPTIONS)}")
        if name not in wanted:
            raise UsageError(f"there are options for {name}, which is not among the trackers ({', '.join(wanted)}).")
    folder = Path(run_dir)
    make: dict[str, Callable[[], Tracker]] = {
        "tensorboard": lambda: TensorBoardEvents(folder),
        "wandb": lambda: WandbRuns(folder, WandbOptions(**_checked("wandb", given.get("wandb", {})))),
        "mlflow": lambda: MlflowRuns(folder, MlflowOptions(**_checked("mlflow", given.get("mlflow", {})))),
        "trackio": lambda: TrackioRuns(folder, TrackioOptions(**_checked("trackio", given.get("trackio", {})))),
    }
    return Trackers(JsonLines(folder), [make[name]() for name in wanted if name != "jsonl"])


class Trackers:
    """See the module. lost: why each tracker was dropped, by name."""

    name = "all"

    def __init__(self, lines: JsonLines, others: Iterable[Tracker]) -> None:
        self._lines = lines
        self._others = list(others)
        self._not_finite: set[str] = set()
        self.lost: dict[str, str] = {}

    def start(self, run: TrackedRun, resumed_at: int | None = None) -> None:
        """Start all; see `interface`. Raises `DAFError`, after closing the trackers that had started."""
        started: list[Tracker] = []
        try:
            for tracker in (self._lines, *self._others):
                started.append(tracker)
                tracker.start(run, resumed_at)
        except BaseException:
            for tracker in started[:-1]:
                tracker.close("failed")
            raise

    def log(self, step: int, values: Mapping[str, Number | None]) -> None:
        """Log one update's metrics; a value that is None or not a finite number is left out."""
        clean = self._finite(step, values)
        self._lines.log(step, clean)
        self._each("log", lambda tracker: tracker.log(step, clean))

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        """Log one evaluation, as in evaluations.jsonl."""
        self._lines.evaluation(step, record)
        self._each("evaluation", lambda tracker: tracker.evaluation(step, record))

    def evaluated(self, step: int) -> bool:
        """Whether the evaluation at `step` is recorded, so that a resumed run does not repeat it."""
        last = self._lines.last_evaluation()
        return last is not None and last >= step

    def sync(self) -> None:
        """Called before a checkpoint: what was logged must exist when the run is resumed from it."""
        self._lines.sync()
        self._each("sync", lambda tracker: tracker.sync())

    def close(self, status: str) -> None:
        """End the run with this status."""
        self._lines.close(status)
        self._each("close", lambda tracker: tracker.close(status))

    def _each(self, doing: str, call: Callable[[Tracker], None]) -> None:
        for tracker in list(self._others):
            try:
                call(tracker)
            except Exception as error:  # a service's client may raise any exception
                self._others.remove(tracker)
                self.lost[tracker.name] = f"{type(error).__name__}: {error}"
                logger.exception(
                    "the tracker %s failed (%s) and receives no more data of this run", tracker.name, doing
                )

    def _finite(self, step: int, values: Mapping[str, Number | None]) -> dict[str, Number]:
        clean: dict[str, Number] = {}
        for name, value in values.items():
            if value is None or name == "step":
                continue
            number = int(value) if isinstance(value, int) else float(value)
            if math.isfinite(number):
                clean[name] = number
            elif name not in self._not_finite:
                self._not_finite.add(name)
                logger.warning("step %d: %s is %s; it is left out of the metrics", step, name, number)
        return clean


def _checked(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    known = [field.name for field in fields(_OPTIONS[name])]
    for option in options:
        if option not in known:
            raise UsageError(unknown(f"option of the tracker {name}", option, known))
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
