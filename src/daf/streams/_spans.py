"""Which steps a log covers: a union of spans, and the gaps between them.

Exact while there are at most `MOST` spans; beyond that, gaps of up to `tolerance` steps are closed, the least that
suffices (a power of two), and every gap wider than that is still reported with its exact ends.
"""

import numpy as np

from daf.streams.records import FloatArray

MOST = 2_048


class Spans:
    """A set of closed spans [first, last] of whole steps."""

    def __init__(self) -> None:
        self.tolerance = 0
        self._firsts: FloatArray = np.empty(0)
        self._lasts: FloatArray = np.empty(0)

    def add(self, firsts: FloatArray, lasts: FloatArray) -> None:
        """Add the spans [firsts[i], lasts[i]]."""
        self._firsts = np.concatenate([self._firsts, firsts])
        self._lasts = np.concatenate([self._lasts, lasts])
        order = np.argsort(self._firsts, kind="stable")
        self._firsts, self._lasts = self._firsts[order], np.maximum.accumulate(self._lasts[order])
        self._join()
        while len(self._firsts) > MOST:
            self.tolerance = max(1, self.tolerance * 2)
            self._join()

    def merge(self, other: "Spans") -> None:
        """Add what `other` covers."""
        self.tolerance = max(self.tolerance, other.tolerance)
        self.add(other._firsts, other._lasts)

    def gaps(self) -> list[tuple[float, float]]:
        """First and last missing step of each gap, in order."""
        return [
            (float(last) + 1, float(first) - 1) for last, first in zip(self._lasts[:-1], self._firsts[1:], strict=True)
        ]

    @property
    def range(self) -> tuple[float, float] | None:
        """The least and the greatest step."""
        return (float(self._firsts[0]), float(self._lasts[-1])) if len(self._firsts) else None

    def _join(self) -> None:
        if not len(self._firsts):
            return
        apart = self._firsts[1:] > self._lasts[:-1] + 1 + self.tolerance
        self._firsts = self._firsts[np.concatenate(([True], apart))]
        self._lasts = self._lasts[np.concatenate((apart, [True]))]
