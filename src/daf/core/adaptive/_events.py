"""The events of an experiment's journal, as types that every line is checked against when it is read.

Unknown fields are kept. Names of runs and jobs become paths, so they contain only letters, digits, `_`, `-` and `.`,
and start with a letter or digit.
"""

from typing import Annotated, Any, Literal, TypedDict

import msgspec

_Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,199}\Z")]
_Run = Annotated[str, msgspec.Meta(pattern=r"\Ar[0-9]{1,9}\Z")]
_Steps = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class AnyEvent(TypedDict):
    """Every event."""

    event: str


class Created(AnyEvent):
    """The first event."""

    format: str
    experiment_id: str
    config: dict[str, Any]
    time: float


class RunEvent(AnyEvent):
    """An event of one run."""

    run: _Run


class Planned(RunEvent):
    """A run is wanted. parent: the run and the steps that it branches from."""

    settings: dict[str, bool | int | float | str | None]
    target: _Steps
    why: str
    parent: tuple[_Run, _Steps] | None


class Extended(RunEvent):
    """A run is to train to a later target."""

    target: _Steps
    why: str


class Launching(RunEvent):
    """A job is about to start."""

    job: _Name


class Trained(RunEvent):
    """A training job succeeded."""

    steps: _Steps
    checkpoint: str | None
    metrics: dict[str, float]


class ScoreData(TypedDict):
    """An evaluation's result."""

    mean: float
    low: float | None
    high: float | None
    iqm: float | None
    n: int


class Evaluated(RunEvent):
    """An evaluation job succeeded."""

    score: ScoreData


class Broke(RunEvent):
    """A job failed."""

    next: Literal["retry", "stale", "failed"]
    retry_at: float | None
    counts: bool | int
    error: str | None


class Resumed(AnyEvent):
    """A controller resumed the experiment."""

    config: dict[str, Any]


class Stopped(AnyEvent):
    """A controller stopped."""

    reason: str | None


class Finished(AnyEvent):
    """Nothing is left to do."""

    status: Literal["running", "stopped", "done", "failed"]
    reason: str | None


class Hook(AnyEvent):
    """A hook was called."""

    id: str
    state: str


EVENTS: dict[str, type[Any]] = {
    "created": Created,
    "planned": Planned,
    "extended": Extended,
    "launching": Launching,
    "trained": Trained,
    "evaluated": Evaluated,
    "broke": Broke,
    "revived": RunEvent,
    "resumed": Resumed,
    "stopped": Stopped,
    "finished": Finished,
    "hook": Hook,
    "adjusted": AnyEvent,
    "noted": AnyEvent,
}
