"""The complete trials of a sweep as numeric columns, one for each hyperparameter.

Numbers that were searched in a range are mapped to 0 (lowest) to 1 (highest), on a logarithmic scale if they were
searched on one; everything else is a choice with an index. The range is that of the search space if the run directory
holds it, else the range of the values in the trials. If a condition excluded a hyperparameter from a trial, its value
there is NaN.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daf.render.scales import SearchedRange, SettingScale, searched_setting, setting_of
from daf.stats.arrays import FloatArray
from daf.sweeps.reading import CONFIG, read_facts
from daf.sweeps.result import SweepResult, hyperparameter_names

FEW = 6
"""Numbers with at most this many distinct values are treated as choices."""
STEPS = 50
"""Number of cells of a range."""


@dataclass(frozen=True)
class HyperparameterColumn:
    """One hyperparameter.

    place: (trials,) 0 to 1, or the index of a choice; NaN if it was not searched. ordered: whether it is a range.
    steps: cells of the range, or the number of choices. values: the choices, by index, or the two ends of a range.
    log: whether a range is searched on a logarithmic scale. searched: whether the search space names the range.
    """

    name: str
    place: FloatArray
    ordered: bool
    steps: int
    values: tuple[Any, ...]
    log: bool = False
    searched: bool = False

    @property
    def active(self) -> NDArray[np.bool_]:
        """(trials,) whether it was searched."""
        return ~np.isnan(self.place)

    def cells(self) -> NDArray[np.int64]:
        """(trials,) the cell of each value, -1 if it was not searched. Values on a boundary go to the lower cell."""
        filled = np.where(self.active, self.place, 0.0)
        cells = np.clip(np.ceil(filled * (self.steps - 1) - 0.5), 0, self.steps - 1) if self.ordered else filled
        return np.where(self.active, cells, -1).astype(np.int64)


def columns_of(result: SweepResult, *, few: int = FEW) -> list[HyperparameterColumn]:
    """A column for each hyperparameter that has more than one value in the complete trials.

    few: numbers with at most this many distinct values are choices, even if a range was searched.
    """
    space, finished = searched_space(result), [trial.hyperparameters for trial in result.finished]
    found = []
    for name in dict.fromkeys(itertools.chain.from_iterable(finished)):
        taken = [given.get(name) for given in finished]
        kinds = set(map(type, taken)) - {type(None)}
        column = _range(name, taken, space.get(name), few) if kinds <= {int, float} else None
        column = column or _choices(name, taken, mixed=len(kinds) > 1)
        if len(column.values) > 1:
            found.append(column)
    return found


def drawn_columns(result: SweepResult) -> list[HyperparameterColumn]:
    """The columns as figures show them: a range is a range, however few of its numbers were tried.

    Without a search space, a few numbers that repeat are choices.
    """
    numeric = {column.name: column for column in columns_of(result, few=1) if column.ordered}
    found = []
    for column in columns_of(result):
        other = numeric.get(column.name)
        tried = sum(column.active)
        found.append(other if other is not None and (other.searched or column.steps == tried) else column)
    return found


def searched_space(result: SweepResult) -> Mapping[str, Any]:
    """The search space as stored in the sweep's file; {} if the result does not come from a run directory."""
    space = stored_config(result).get("search_space")
    return space if isinstance(space, dict) else {}


def searched_ranges(result: SweepResult) -> dict[str, SearchedRange]:
    """The ranges in the search space by hyperparameter; {} if no run directory holds the space."""
    entries = {name: entry for name, entry in searched_space(result).items() if isinstance(entry, dict)}
    return {
        name: SearchedRange(float(entry["min"]), float(entry["max"]), bool(entry.get("log")))
        for name, entry in entries.items()
        if isinstance(entry.get("min"), int | float) and isinstance(entry.get("max"), int | float)
    }


def setting_scales(result: SweepResult) -> list[SettingScale]:
    """The axis of each hyperparameter that occurs in a trial."""
    ranges, given = searched_ranges(result), [trial.hyperparameters for trial in result.trials]
    return [
        searched_setting(name, [settings[name] for settings in given if name in settings], ranges.get(name))
        for name in hyperparameter_names(result.trials)
    ]


def stored_config(result: SweepResult) -> Mapping[str, Any]:
    """The settings in the sweep's file; {} if the result does not come from a run directory."""
    if result.run_dir is None or not (result.run_dir / CONFIG).is_file():
        return {}
    config = read_facts(result.run_dir).get("config")
    return config if isinstance(config, dict) else {}


def _range(name: str, taken: list[Any], searched: Any, few: int) -> HyperparameterColumn | None:
    """The column of a number that was searched in a range; None if it has few distinct values."""
    values = np.array(taken, dtype=np.float64)  # None becomes NaN
    there = values[~np.isnan(values)]
    different = np.unique(there)
    listed = isinstance(searched, list) or (isinstance(searched, dict) and "choices" in searched)
    if len(different) <= few or (listed and len(different) <= STEPS):
        return None
    low, high = float(different[0]), float(different[-1])
    known = isinstance(searched, dict) and "min" in searched
    if known:
        low, high, log = min(low, searched["min"]), max(high, searched["max"]), bool(searched.get("log"))
    else:
        log = setting_of(name, np.quantile(there, np.linspace(0, 1, 101)).tolist()).log
    steps = STEPS
    if low.is_integer() and high.is_integer() and (different == np.floor(different)).all():
        count = int(high - low) + 1
        steps = min(STEPS, math.ceil(math.log2(count)) + 1 if log else count)
    ends = (low, high)
    if log:
        values, ends = np.log(values), (math.log(low), math.log(high))
    return HyperparameterColumn(name, (values - ends[0]) / (ends[1] - ends[0]), True, steps, (low, high), log, known)


def _choices(name: str, taken: list[Any], *, mixed: bool) -> HyperparameterColumn:
    """mixed: whether the values are of several types, so that 1 and true are distinct."""
    keys = [None if value is None else str(value) for value in taken] if mixed else taken
    first = dict(zip(reversed(keys), reversed(taken), strict=True))
    order = [key for key in dict.fromkeys(keys) if key is not None]
    if not mixed and not isinstance(order[0], str):
        order.sort()
    index: dict[Any, float] = {key: place for place, key in enumerate(order)} | {None: math.nan}
    place = np.array(list(map(index.__getitem__, keys)), dtype=np.float64)
    return HyperparameterColumn(name, place, False, len(order), tuple(first[key] for key in order))
