"""The result of one trial, and the order of trials by their primary objective.

A failed trial has no value and is never best. An infeasible trial violates a constraint and is never best, whatever its
value. A trial that was stopped early has its value at that point, which is not
comparable with a complete one, so it is never best either. Ties go to the earlier trial.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Literal, Self

from daf.errors import DataError
from daf.storage.hashing import canonical_json
from daf.storage.jsonable import jsonable

Status = Literal["complete", "infeasible", "stopped", "failed", "running"]
Value = bool | int | float | str


@dataclass(frozen=True)
class SweepTrialResult:
    """One trial.

    trial_id: its number, from 0. hyperparameters: the proposal, by the names of the search space.
    primary_metric: the first objective, None if the trial failed or is running. all_metrics: flat names to numbers.
    mission_results: by mission, {"value": aggregate, "n": episodes, "values": per episode, "metrics": means,
    "max_steps": step limit of the episodes}, for the first objective; a bare number is the value. success: whether it
    is complete. A trial built by hand needs only these fields: status follows from success, and values from
    primary_metric.

    values: every objective, in order. status: complete, infeasible (it violates a constraint), stopped (early, by the
    pruner), failed, running. reason: why it is infeasible, failed or was stopped. constraints: by name, how far the
    bound is violated; 0 or less if it is met. source: origin of its hyperparameters: the strategy, or "start" for a
    starting point. rungs: (agent steps, value) at each rung that was evaluated. seconds: wall time. cost: what the
    strategy protein weighs the score against. attempts: number of starts, more than one if the machine failed. repeats:
    the earlier trial with the same configuration, whose result this is.
    """

    trial_id: int
    hyperparameters: Mapping[str, Value]
    primary_metric: float | None = None
    all_metrics: Mapping[str, float] = field(default_factory=dict)
    mission_results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    success: bool = None  # type: ignore[assignment]  # None: as the status says
    status: Status = None  # type: ignore[assignment]  # None: as success says
    values: tuple[float, ...] = ()
    constraints: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    source: str = ""
    rungs: tuple[tuple[int, float], ...] = ()
    seconds: float | None = None
    cost: float | None = None
    steps: int | None = None
    checkpoint: str | None = None
    run_dir: str | None = None
    policy: str | None = None
    attempts: int = 1
    repeats: int | None = None

    def __post_init__(self) -> None:
        """Derive the fields that follow from the others. Raises `DataError` if fields contradict each other."""
        ended: bool | None = self.success
        named: Status | None = self.status
        status: Status = named or ("running" if ended is None else "complete" if ended else "failed")
        success = status == "complete" if ended is None else ended
        values, primary = tuple(self.values), self.primary_metric
        if success != (status == "complete"):
            raise DataError(f"trial {self.trial_id}: success is {success}, and status is {status}.")
        if primary is not None and not values:
            values = (primary,)
        elif primary is None and values and status in ("complete", "infeasible", "stopped"):
            primary = values[0]
        if success and primary is None:
            raise DataError(f"trial {self.trial_id}: a complete trial needs its primary_metric.")
        if success and not all(map(_is_finite, values)):
            raise DataError(f"trial {self.trial_id}: a complete trial needs finite numbers, got {values}.")
        if success and primary != values[0]:
            raise DataError(f"trial {self.trial_id}: primary_metric is {primary}, and the first of values {values[0]}.")
        given = {mission: _entry(self.trial_id, mission, entry) for mission, entry in self.mission_results.items()}
        completed = {"status": status, "success": success, "values": values, "primary_metric": primary}
        for name, value in {**completed, "mission_results": given}.items():
            object.__setattr__(self, name, value)

    @property
    def number(self) -> int:
        """The same as `trial_id`."""
        return self.trial_id

    def to_data(self) -> dict[str, Any]:
        """All fields as JSON data."""
        data: dict[str, Any] = jsonable({item.name: getattr(self, item.name) for item in fields(self)})
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Build a trial from the output of `to_data`."""
        given = {name: value for name, value in data.items() if name in _FIELDS}
        given["values"] = tuple(given.get("values", ()))
        given["rungs"] = tuple((int(steps), float(value)) for steps, value in given.get("rungs", ()))
        return cls(**given)


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _entry(trial: int, mission: str, entry: Any) -> Mapping[str, Any]:
    if isinstance(entry, Mapping):
        return entry
    if _is_finite(entry):
        return {"value": float(entry)}
    raise DataError(
        f"trial {trial}: the result on {mission} must be a finite number or a mapping, got {str(entry)[:60]}."
    )


_FIELDS = frozenset(item.name for item in fields(SweepTrialResult))


def ranked(trials: Iterable[SweepTrialResult], direction: str) -> list[SweepTrialResult]:
    """The complete trials, best primary objective first."""
    sign = -1.0 if direction == "maximize" else 1.0
    complete = (trial for trial in trials if trial.success)
    return sorted(complete, key=lambda trial: (sign * trial.values[0], trial.trial_id))


def best_configurations(trials: Iterable[SweepTrialResult], direction: str, most: int) -> list[SweepTrialResult]:
    """The `most` best complete trials with distinct configurations."""
    found: dict[bytes, SweepTrialResult] = {}
    for trial in ranked(trials, direction):
        if len(found) == most:
            break
        found.setdefault(canonical_json(dict(trial.hyperparameters)), trial)
    return list(found.values())
