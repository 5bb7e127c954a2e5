"""What can go wrong with a curriculum, and the way out."""

from typing import TYPE_CHECKING

from daf.errors import DAFError, UsageError

if TYPE_CHECKING:
    from daf.core.curriculum.stagnation import Stagnation


class TaskGenerationError(UsageError):
    """No tasks can be made of what was asked for: a mission or option that is not there, or tasks that do not fit
    together. `skip_invalid` leaves out what does not fit."""


class CurriculumStagnationError(DAFError):
    """No task of the curriculum is being learned any more.

    `evidence` has the numbers, and `evidence.recovery` the adaptation that `adapt_curriculum` would make.
    """

    def __init__(self, evidence: "Stagnation") -> None:
        super().__init__(evidence.sentence())
        self.evidence = evidence
