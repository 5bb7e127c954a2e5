"""The content of one log record: two shapes, distinguished per record, and the numbers that are read from each.

A record is a JSON object. *Nested* ones have `rewards` (and mostly `position`) as objects; *flat* ones have `step`
and at least one of the fields in `FLAT_MARKS` or a `reward_…` field. A `Shape` is the kind of a record with the
paths of the fields read from it; records of one shape become the rows of one table, whichever decoder read them.

A value that a record does not state is absent (NaN in the tables), never 0. Of duplicate keys the last counts, as in
json.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from daf.errors import DataError

type FloatArray = NDArray[np.float64]

FIXED = ("step", "total_steps", "x", "y", "map")
"""The first rows of every table; value columns follow."""

FLAT_MARKS = (
    "event", "healr", "deaths", "badge", "coord_count", "levels", "levels_sum", "pcount", "max_map_progress"
)  # fmt: skip
MAX_COMPONENTS = 256
"""Most reward components of a log."""
TOTAL, STEP_REWARD = "total", "step_reward"


@dataclass(frozen=True)
class RunConstants:
    """`reward_scale` s and `explore_weight` e of the run that wrote flat records; `None` where its YAML has none."""

    reward_scale: float | None = None
    explore_weight: float | None = None

    @property
    def flat_fields(self) -> tuple[str, ...]:
        """The fields of flat records that can be used with these constants; the others are not read."""
        if self.reward_scale is None:
            return ("event",)
        derived = ("event", "healr", "deaths", "badge", "levels")
        return derived if self.explore_weight is None else (*derived, "coord_count")


@dataclass(frozen=True)
class LogShape:
    """A kind of record and the dotted paths of the numbers read from it, in the order they were met."""

    kind: Literal["nested", "flat"]
    paths: tuple[str, ...]


class NameBound:
    """Refuse a log with more names than there can be reward components: each costs memory per bin, and a panel.

    where: the file, for the error.
    """

    def __init__(self, where: str | Path) -> None:
        self._where = str(where)
        self._paths: set[str] = set()

    def check(self, shape: LogShape) -> None:
        """Raise `DataError` if there are more than `MAX_COMPONENTS` (or as many levels) with the names in `shape`."""
        if len(self._paths | set(shape.paths)) > MAX_COMPONENTS + len(FIXED):
            raise too_many_components(self._where, [value_name(path) for path in shape.paths])

    def add(self, shape: LogShape) -> None:
        """Take note of the names in `shape`. Raises `DataError` as `check` does."""
        self.check(shape)
        self._paths.update(shape.paths)


def too_many_components(where: str, names: Sequence[str]) -> DataError:
    """The error for a log with more than `MAX_COMPONENTS`, with a few of its `names`."""
    some = ", ".join(f"{name:.40}" for name in list(names)[-3:])
    return DataError(
        f"{where}: more than {MAX_COMPONENTS} reward components (among them {some}). Names that differ from record to "
        "record, such as an id or a step, belong into a separate field."
    )


@dataclass(frozen=True)
class RecordTable:
    """Records as columns: `data` is (5 + len(names), n), the rows of `FIXED` first; NaN is absent.

    `rising`: the column "level" is the level at the moment, and its running maximum over the episode is the component.
    """

    names: tuple[str, ...]
    data: FloatArray
    rising: bool = False

    @property
    def n(self) -> int:
        return int(self.data.shape[1])


@dataclass
class FieldProblems:
    """Number of times a field was absent, null, not a number, or not finite, by "path: problem"."""

    counts: Counter[str] = field(default_factory=Counter)


def kind_of(record: dict[str, Any]) -> Literal["nested", "flat"] | None:
    """Which of the two formats `record` is in; `None` where it is neither."""
    if isinstance(record.get("rewards"), dict) or isinstance(record.get("position"), dict):
        return "nested"
    return "flat" if "step" in record and is_flat(record) else None


def is_flat(keys: Collection[str]) -> bool:
    """Whether an object with these keys, or a shape of these paths, is a flat record if it has a `step`."""
    if any(mark in keys for mark in FLAT_MARKS) or all(key in keys for key in ("x", "y", "map")):
        return True
    return any(key.startswith(("reward_", "levels.")) for key in keys)


def read(
    record: dict[str, Any], problems: FieldProblems, constants: RunConstants
) -> tuple[LogShape, list[float]] | None:
    """The shape and the numbers of `record`, or `None` where it is in neither format; oddities go into `problems`."""
    kind = kind_of(record)
    if kind is None:
        return None
    paths: list[str] = []
    numbers: list[float] = []

    def take(path: str, value: Any) -> None:
        if type(value) is float and value - value == 0.0:  # what nearly all are: a finite number
            paths.append(path)
            numbers.append(value)
            return
        taken = number(value)
        if taken is None:
            problems.counts[f"{path}: {'null' if value is None else 'not a number'}"] += 1
            taken = math.nan
        elif not math.isfinite(taken):
            problems.counts[f"{path}: not finite"] += 1
            taken = math.nan
        paths.append(path)
        numbers.append(taken)

    if kind == "nested":
        _read_nested(record, take)
    else:
        _read_flat(record, take, constants.flat_fields)
    shape = LogShape(kind, tuple(paths))
    for problem in missing(shape):
        problems.counts[problem] += 1
    return shape, numbers


@lru_cache
def missing(shape: LogShape) -> tuple[str, ...]:
    """The problems of every record of `shape`: fields that it should have."""
    prefix = "position." if shape.kind == "nested" else ""
    wanted = ("step", f"{prefix}x", f"{prefix}y", f"{prefix}map")
    return tuple(f"{path}: missing" for path in wanted if path not in shape.paths)


def _read_nested(record: dict[str, Any], take: Any) -> None:
    for key in ("step", "total_steps"):
        if key in record:
            take(key, record[key])
    position, rewards = record.get("position"), record.get("rewards")
    if isinstance(position, dict):
        for key in ("x", "y", "map"):
            if key in position:
                take(f"position.{key}", position[key])
    if isinstance(rewards, dict):
        for key in ("total", "step"):
            if key in rewards:
                take(f"rewards.{key}", rewards[key])
        components = rewards.get("components")
        if isinstance(components, dict):
            for key, value in components.items():
                take(f"rewards.components.{key}", value)


def _read_flat(record: dict[str, Any], take: Any, fields: tuple[str, ...]) -> None:
    for key, value in record.items():
        if key in FIXED or (key in fields and key != "levels") or key.startswith("reward_"):
            take(key, value)
        elif key == "levels" and key in fields and isinstance(value, list) and value:
            for index, level in enumerate(value):
                take(f"levels.{index}", level)


def number(value: Any) -> float | None:
    """`value` as a float (infinite if it is too large for one), or `None` if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


@lru_cache(4_096)
def value_name(path: str) -> str:
    """The column's name for a reward path: the component's own name, `total` or `step_reward`."""
    if path.startswith("rewards.components."):
        name = path.removeprefix("rewards.components.")
        return f"component_{name}" if name in (TOTAL, STEP_REWARD, *FIXED) else name
    if path in ("rewards.total", "reward_total"):
        return TOTAL
    if path in ("rewards.step", "reward_step"):
        return STEP_REWARD
    name = path.removeprefix("reward_")
    return f"component_{name}" if name in FIXED else name


def tabulate(shape: LogShape, raw: FloatArray, constants: RunConstants) -> RecordTable:
    """The table of records of one `shape`: `raw` is (paths, n) in the shape's order.

    Components of flat records other than `event` follow from the run's constants: heal 30·s·healr, badge 10·s·badge,
    dead −0.1·s·deaths, explore 0.1·s·e·coord_count, level s·Σ levels (its running maximum is taken per episode, later).
    A component that the record itself gives wins over the derived one.
    """
    row = {path: index for index, path in enumerate(shape.paths)}
    prefix = "position." if shape.kind == "nested" else ""
    fixed = [row.get(key if key in ("step", "total_steps") else prefix + key) for key in FIXED]
    values: dict[str, FloatArray] = {}
    rising = False
    if shape.kind == "nested":
        for path, index in row.items():
            if path.startswith("rewards."):
                values[value_name(path)] = raw[index]
    else:
        for path, index in row.items():
            if path.startswith("reward_"):
                values[value_name(path)] = raw[index]
        if "event" in row:
            values.setdefault("event", raw[row["event"]])
        rising = _derive(shape, row, raw, constants, values)
    data = np.full((len(FIXED) + len(values), raw.shape[1]), np.nan)
    for target, source in enumerate(fixed):
        if source is not None:
            data[target] = raw[source]
    for target, column in enumerate(values.values(), start=len(FIXED)):
        data[target] = column
    return RecordTable(tuple(values), data, rising)


def _derive(
    shape: LogShape, row: dict[str, int], raw: FloatArray, constants: RunConstants, values: dict[str, FloatArray]
) -> bool:
    """Add the derivable components to `values`; whether "level" was among them."""
    scale, weight = constants.reward_scale, constants.explore_weight
    if scale is None:
        return False
    levels = [index for path, index in row.items() if path.startswith("levels.")]
    rising = bool(levels) and "level" not in values
    if rising:
        values["level"] = scale * raw[levels].sum(axis=0)
    for name, path, factor in (("heal", "healr", 30.0), ("badge", "badge", 10.0), ("dead", "deaths", -0.1)):
        if path in row and name not in values:
            values[name] = factor * scale * raw[row[path]]
    if weight is not None and "coord_count" in row and "explore" not in values:
        values["explore"] = 0.1 * scale * weight * raw[row["coord_count"]]
    return rising
