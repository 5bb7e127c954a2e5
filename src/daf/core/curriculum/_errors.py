"""What can go wrong with a curriculum, and how to recover."""

from typing import TYPE_CHECKING

from daf.errors import DAFError, UsageError

if TYPE_CHECKING:
    from daf.core.curriculum.stagnation import Stagnation


class TaskGenerationError(UsageError):
    """The requested tasks cannot be created: a mission or option does not exist, or tasks do not fit together.
    `skip_invalid` leaves out those that do not fit."""


class CurriculumStagnationError(DAFError):
    """No task of the curriculum is being learned any more.

    `evidence` contains the numbers, and `evidence.recovery` the adaptation that `adapt_curriculum` would make.
    """

    def __init__(self, evidence: "Stagnation") -> None:
        super().__init__(evidence.sentence())
        self.evidence = evidence
