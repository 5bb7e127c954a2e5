"""Which checkpoints are kept: the last few, the best few, and milestones permanently.

The plan is a function of the existing checkpoints, so that a resumed run keeps the same ones as an uninterrupted run.
Never deleted: the newest (training resumes from it), the best evaluated one, and the final one (it does not belong to a
step, and is not passed here).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daf.errors import UsageError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint. step: agent steps. score: used for ranking, None if it was not evaluated."""

    folder: Path
    step: int
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """keep_last, keep_best: numbers of checkpoints (the best one is kept even with 0). milestone_every: agent steps
    between checkpoints that are kept permanently.

    larger_is_better: whether the best score is the highest.
    """

    keep_last: int
    keep_best: int = 1
    milestone_every: int | None = None
    larger_is_better: bool = True

    def __post_init__(self) -> None:
        if self.keep_last < 1:
            raise UsageError(
                f"keep_last must be 1 or more, got {self.keep_last}: training resumes from the last checkpoint."
            )
        if self.keep_best < 0:
            raise UsageError(f"keep_best must be 0 or more, got {self.keep_best}.")
        if self.milestone_every is not None and self.milestone_every < 1:
            raise UsageError(f"milestone_every must be 1 or more, got {self.milestone_every}.")

    def to_delete(self, checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
        """Those of `checkpoints` that need not be kept, oldest first."""
        ordered = sorted(checkpoints, key=lambda checkpoint: checkpoint.step)
        kept = {checkpoint.step for checkpoint in ordered[-self.keep_last :]}
        kept |= {checkpoint.step for checkpoint in self._best(ordered)[: max(self.keep_best, 1)]}
        kept |= self._milestones(ordered)
        return [checkpoint for checkpoint in ordered if checkpoint.step not in kept]

    def _best(self, ordered: Sequence[Checkpoint]) -> list[Checkpoint]:
        """Those with a score, best first; with equal scores the later first, since it trained longer."""
        sign = -1 if self.larger_is_better else 1
        scored = [(c.score, c) for c in ordered if c.score is not None and math.isfinite(c.score)]
        return [c for _, c in sorted(scored, key=lambda pair: (sign * pair[0], -pair[1].step))]

    def _milestones(self, ordered: Sequence[Checkpoint]) -> set[int]:
        """The first checkpoint at or after every multiple of `milestone_every`."""
        if self.milestone_every is None:
            return set()
        first: dict[int, int] = {}
        for checkpoint in ordered:
            first.setdefault(checkpoint.step // self.milestone_every, checkpoint.step)
        return {step for multiple, step in first.items() if multiple > 0}
