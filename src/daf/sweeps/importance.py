"""Hyperparameter importance: which ones mattered, by how much, and whether that exceeds noise.

Two measures of one objective over the complete trials. `pedanova`: how much the best trials differ from all, fast for
any number of trials. `fanova`: the share of the objective's variance that a hyperparameter explains alone, from a
random forest; the remainder to 1 is explained by several together.

Each value has an interval and a noise level. The interval comes from random halves of the trials, which vary around the
whole as much as another sweep would around this one. Its half-width is 1.96 standard deviations, estimated from the
middle 68 % because a few halves are outliers. The noise level is what hyperparameters without an effect would reach,
all of them together, in 95 of 100 sweeps. It is computed with the best trials drawn at random (pedanova, with
Bonferroni's correction) or with permuted copies of the columns (fanova, the largest of a forest). A value below it is
not evidence of an effect.

Not guaranteed: that trials of a strategy that learns (TPE, CMA-ES, …) are independent draws. Such a strategy samples
most densely where it found good values, and both measures then describe that region; a random or QMC search describes
the whole space.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from daf.errors import DataError, UsageError, unknown
from daf.stats.arrays import FloatArray, generator
from daf.sweeps import _analysis_fanova as analysis_fanova
from daf.sweeps import _analysis_pedanova as analysis_pedanova
from daf.sweeps.analysis_columns import HyperparameterColumn, columns_of
from daf.sweeps.result import SweepResult, hyperparameter_names

Method = Literal["pedanova", "fanova"]
METHODS: tuple[Method, ...] = ("pedanova", "fanova")
FEWEST = 20
"""With fewer complete trials, neither measure is informative."""
_LEVEL = 0.05
_WIDTH = 1.96


@dataclass(frozen=True)
class Importance:
    """One hyperparameter.

    low, high: 95 % interval. noise: level that chance reaches. trials: number of trials in which it was searched.
    share: of the sum of all values (pedanova); None for fanova, whose values are already shares of the variance.
    """

    name: str
    value: float
    low: float
    high: float
    noise: float
    share: float | None
    trials: int

    @property
    def significant(self) -> bool:
        """Whether `value` exceeds `noise`, the level that chance reaches."""
        return self.value > self.noise


@dataclass(frozen=True)
class Importances:
    """Importances by one measure.

    rows: the most important first. trials: number used, of `complete`. left_out: hyperparameters without a value, with
    the reason. how: description of the method.
    """

    method: Method
    objective: str
    rows: tuple[Importance, ...]
    trials: int
    complete: int
    left_out: dict[str, str]
    how: str

    def to_data(self) -> dict[str, Any]:
        """Everything as JSON data."""
        return asdict(self) | {"rows": [asdict(row) | {"significant": row.significant} for row in self.rows]}


def daf_sweep_importance(
    result: SweepResult, method: Method = "pedanova", *, objective: str | None = None, seed: int = 42
) -> Importances:
    """Compute how important each hyperparameter was for `objective` (default: the primary one).

    Raises `DataError` if there are too few complete trials (with the number required) or if nothing varied.
    """
    if method not in METHODS:
        raise UsageError(unknown("importance", method, METHODS))
    if objective is not None and objective not in result.objectives:
        raise UsageError(unknown("objective", objective, result.objectives))
    place = 0 if objective is None else result.objectives.index(objective)
    values = np.array([trial.values[place] for trial in result.finished], dtype=np.float64)
    name = result.objectives[place]
    _check(values, name)
    columns = columns_of(result)
    known = {column.name for column in columns}
    if not columns:
        raise DataError("no hyperparameter took more than one value, so importance cannot be measured.")
    left_out = {
        there: "it took one value only" for there in hyperparameter_names(result.finished) if there not in known
    }
    sign = -1.0 if result.directions[place] == "maximize" else 1.0
    of_method = _pedanova if method == "pedanova" else _fanova
    rows, few, used, how = of_method(columns, sign * values, seed)
    ordered = tuple(sorted(rows, key=lambda row: (-row.value, row.name)))
    return Importances(method, name, ordered, used, len(values), left_out | few, how)


_Found = tuple[list[Importance], dict[str, str], int, str]


def _pedanova(columns: list[HyperparameterColumn], losses: FloatArray, seed: int) -> _Found:
    few = {column.name: _too_few(column) for column in columns if column.active.sum() < FEWEST}
    kept = [column for column in columns if column.name not in few]
    if not kept:
        raise DataError(next(iter(few.values())))
    best = int(analysis_pedanova.best_of(losses).sum())
    if 2 * best > len(losses):
        raise DataError(
            f"{best} of {len(losses)} trials share the best value or come next to it, so that the best differ in "
            "nothing from all."
        )
    found = analysis_pedanova.divergences(kept, losses, seed=seed)
    whole = sum(value for value, _, _ in found)
    rows = [
        _row(column, value, halves, _noise(shuffles, len(kept)), share=value / whole if whole else 0.0)
        for column, (value, halves, shuffles) in zip(kept, found, strict=True)
    ]
    how = (
        f"How much the values of the best {best:,} trials differ from those of all {len(losses):,} (Pearson "
        f"divergence; 0: not at all). Lines: 95 % intervals from {analysis_pedanova.HALVES} random halves of the "
        f"trials. Dashed: what chance reaches ({analysis_pedanova.SHUFFLES} draws, corrected for the number of names)."
    )
    return rows, few, len(losses), how


def _fanova(columns: list[HyperparameterColumn], losses: FloatArray, seed: int) -> _Found:
    """One forest per set of trials in which a hyperparameter was searched, over those searched in all of them."""
    rows: list[Importance] = []
    few: dict[str, str] = {}
    used = 0
    for together in _groups(columns):
        active = np.flatnonzero(together[0].active)
        varying = [column for column in columns if column.active[active].all()]
        constant = len(active) and np.ptp(losses[active]) == 0
        if len(active) < FEWEST or constant:
            reason = "the objective is the same wherever it was searched" if constant else None
            few |= {column.name: reason or _too_few(column) for column in together}
            continue
        if len(active) > analysis_fanova.MOST:
            active = np.sort(generator(seed).choice(active, analysis_fanova.MOST, replace=False))
        used = max(used, len(active))
        places = np.stack([_in_unit(column)[active] for column in varying], axis=1)
        value, halves, shuffles = analysis_fanova.explained(places, losses[active], seed=seed)
        noise = _noise(shuffles.max(axis=1), 1)
        for column in together:
            i = varying.index(column)
            rows.append(_row(column, float(value[i]), halves[:, i], noise, share=None))
    if not rows:
        raise DataError(next(iter(few.values())))
    drawn = f"{used:,} trials drawn at random from {len(losses):,}" if used < len(losses) else f"{used:,} trials"
    how = (
        f"The part of the variance that each explains alone, by a random forest on {drawn}. Lines: 95 % intervals from "
        f"{analysis_fanova.HALVES} random halves of them. Dashed: the most that any shuffled copy got in "
        f"{analysis_fanova.FORESTS} forests. The rest to 1 belongs to several together."
    )
    return rows, few, used, how


def _row(
    column: HyperparameterColumn, value: float, halves: FloatArray, noise: float, *, share: float | None
) -> Importance:
    reach = _WIDTH * float(np.diff(np.quantile(halves, [0.1587, 0.8413]))[0]) / 2
    high = value + reach if share is not None else min(1.0, value + reach)
    return Importance(column.name, value, max(0.0, value - reach), high, noise, share, int(column.active.sum()))


def _noise(by_chance: FloatArray, several: int) -> float:
    """The level that the largest of `several` reaches by chance in 95 of 100 cases."""
    return float(np.quantile(by_chance, 1 - _LEVEL / several, method="higher"))


def _groups(columns: Sequence[HyperparameterColumn]) -> list[list[HyperparameterColumn]]:
    """Groups of columns that were searched in the same trials."""
    found: dict[bytes, list[HyperparameterColumn]] = {}
    for column in columns:
        found.setdefault(np.packbits(column.active).tobytes(), []).append(column)
    return list(found.values())


def _in_unit(column: HyperparameterColumn) -> FloatArray:
    place: FloatArray = column.place if column.ordered else (column.place + 0.5) / column.steps
    return place


def _too_few(column: HyperparameterColumn) -> str:
    return f"{column.name} was searched in {int(column.active.sum())} complete trials; it takes {FEWEST}."


def _check(values: FloatArray, objective: str) -> None:
    if len(values) < FEWEST:
        raise DataError(
            f"importance needs at least {FEWEST} complete trials, got {len(values)}: with fewer, chance "
            "decides which hyperparameter looks important."
        )
    if not np.isfinite(values).all():
        raise DataError(f"{objective} is not finite in {int((~np.isfinite(values)).sum())} trials.")
    if np.ptp(values) == 0:
        raise DataError(f"{objective} is the same in every complete trial, so that no hyperparameter matters for it.")
