"""Types of a sweep's files, against which everything is checked when it is read.

Unknown fields are kept. A known field of the wrong type raises an error that names the file and the field.
"""

from typing import Annotated, Any, Literal, NotRequired, Required, TypedDict

import msgspec

Index = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Number = float | None
"""None if it was not a finite number."""
SettingValue = bool | int | float | str | None


class MissionData(TypedDict, total=False):
    """A trial's result on one mission. mission: its name with the trial's options. keys: of the episodes' records."""

    value: Number
    n: Index
    values: list[Number]
    metrics: dict[str, Number]
    max_steps: Index | None
    mission: str
    keys: list[str]


class TrialData(TypedDict, total=False):
    """A trial, as `SweepTrialResult.to_data` writes it."""

    trial_id: Required[Annotated[int, msgspec.Meta(ge=-1, le=2**53)]]
    hyperparameters: Required[dict[str, SettingValue]]
    primary_metric: Number
    all_metrics: dict[str, Number]
    mission_results: dict[str, MissionData | float]
    success: bool | None
    status: Literal["complete", "infeasible", "stopped", "failed", "running"] | None
    values: list[Number]
    constraints: dict[str, Number]
    reason: str | None
    source: str
    rungs: list[tuple[Index, Number]]
    seconds: Number
    cost: Number
    steps: Index | None
    checkpoint: str | None
    run_dir: str | None
    policy: str | None
    attempts: Index
    repeats: Index | None


class HeldOut(TypedDict, total=False):
    """The best trials on held-out seeds, limited to what a resumed sweep reads from the record."""

    winner: Index | None
    asked: list[Any]


class ProposedEvent(TypedDict):
    """A trial was proposed. state: what its strategy restores."""

    trial: Index
    hyperparameters: dict[str, SettingValue]
    source: str
    state: dict[str, Any]


class RungEvent(TypedDict):
    """A trial was evaluated at a rung."""

    trial: Index
    goal: Index
    result: TrialData


class FinishedEvent(TypedDict):
    """A trial ended."""

    trial: Index
    result: TrialData


class DefaultEvent(TypedDict):
    """The default configuration was played."""

    result: TrialData


class SeedRun(TypedDict):
    """A best configuration (-1: the default), trained with another seed and played on the held-out episodes.

    blocks: the primary metric of each episode by mission, None without a result.
    """

    trial: Annotated[int, msgspec.Meta(ge=-1, le=2**53)]
    train_seed: Index
    value: Number
    blocks: dict[str, list[Number]] | None
    error: str | None
    checkpoint: str | None
    steps: Index | None
    seconds: Number


class SeedRunEvent(TypedDict):
    """A best configuration was trained with another seed."""

    run: SeedRun


class HeldOutEvent(TypedDict):
    """The best trials were played on held-out seeds."""

    record: HeldOut


EVENTS: dict[str, type[Any]] = {
    "proposed": ProposedEvent,
    "rung": RungEvent,
    "finished": FinishedEvent,
    "default": DefaultEvent,
    "seed_run": SeedRunEvent,
    "held_out": HeldOutEvent,
}
Directions = Annotated[list[Literal["maximize", "minimize"]], msgspec.Meta(min_length=1)]


class SweepFacts(TypedDict):
    """`sweep.json`: the definition of the sweep."""

    run_id: str
    fingerprint: NotRequired[str]
    name: str
    strategy: str
    objectives: Annotated[list[str], msgspec.Meta(min_length=1)]
    directions: Directions
    planned: Index | None
    best_n: Index
    config: dict[str, Any]


class ResultFile(TypedDict):
    """`result.json` of a sweep, and what `SweepResult.save_json` writes."""

    format: Literal["daf-sweep-1"]
    name: str
    run_id: str | None
    run_dir: str | None
    status: str
    strategy: str
    objectives: Annotated[list[str], msgspec.Meta(min_length=1)]
    directions: Directions
    planned: Index | None
    best_n: Index
    trials: list[TrialData]
    held_out: HeldOut | None
    notes: list[str]
