"""How far `step` rises from record to record within stretches, in three counts.

Logs of every n-th step (and of an episode's last) have one stride: then a jump of `step` is not an oddity, and the
steps in between are not a gap. Counts of parts of a log add up to those of the whole.
"""

import numpy as np

from daf.streams.records import FloatArray

_FEWEST = 3
"""Minimum number of rises of one size that count as regular."""


class Rises:
    """The greatest rise, how often it occurred, and how often a smaller one (above 0) did."""

    def __init__(self) -> None:
        self.greatest = 0.0
        self.at = 0
        self.below = 0

    def add(self, rises: FloatArray) -> None:
        """Count these; what does not rise, or is NaN, is left out."""
        rises = rises[rises > 0]
        if len(rises):
            greatest = float(rises.max())
            at = int(np.count_nonzero(rises == greatest))
            self._join(greatest, at, len(rises) - at)

    def merge(self, other: "Rises") -> None:
        """Add what `other` counted."""
        self._join(other.greatest, other.at, other.below)

    def stride(self, stretches: int) -> int:
        """The regular number of steps from record to record; 1 if it is not regular.

        The last record of each of the `stretches` may come early: samplers keep an episode's end too.
        """
        regular = self.at >= _FEWEST and self.below <= min(stretches, self.at - 1) and self.greatest.is_integer()
        return int(self.greatest) if regular else 1

    def _join(self, greatest: float, at: int, below: int) -> None:
        most = max(self.greatest, greatest)
        whole = self.at + self.below + at + below
        self.at = (self.at if self.greatest == most else 0) + (at if greatest == most else 0)
        self.greatest, self.below = most, whole - self.at
