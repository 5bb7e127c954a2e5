"""How a training run on Ray Train ended, as the launcher reports it to the driver."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Outcome:
    """How Ray Train ended. reason: why the workers were lost for good, or could not be started."""

    kind: Literal["finished", "lost", "no room", "error"]
    reason: str = ""
