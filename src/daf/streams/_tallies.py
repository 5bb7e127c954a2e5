"""How one source of a log is counted, and the tallies that are kept of sources and of stretches."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from daf.streams._damage import Damage
from daf.streams._moments import Binned, Cells, cells_of
from daf.streams._sampling import Sample
from daf.streams._sketch import Sketch
from daf.streams.records import FloatArray

COVERAGE = 100
"""Largest size of the sample kept of each source, in addition to the sample of everything and never mixed into it."""
STUCK_RECORDS = 100
"""A stretch counts as stuck if its agent stays on one cell for at least this number of consecutive records."""


@dataclass(frozen=True)
class SourcePlan:
    """How one source (a file, or a part of one from byte `offset` on) is to be counted.

    `name` identifies it permanently: the sample depends on it. `share_exponent`: its share of training is cut into
    2**-share_exponent bins. `slices`: the first visit slice that belongs to it and how many do. `clock`: the range of
    `total_steps` in it if that moves inside the file, else `None`; `since`: its value before the first record.
    `coverage`: size of its sample. `sampled`: its records are samples of the time since the previous file, so their
    number does not indicate how long that was.
    """

    name: str
    offset: int = 0
    share_exponent: int = -6
    slices: tuple[int, int] = (0, 1)
    clock: tuple[float, float] | None = None
    since: float | None = None
    coverage: int = COVERAGE
    sampled: bool = False


@dataclass
class SourceTally:
    """What one source held."""

    records: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    slow_bytes: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    damage: list[Damage] = field(default_factory=list)
    first_total: float | None = None
    last_total: float | None = None
    shares: Binned = field(default_factory=lambda: Binned(most=1024))
    clock: bool = False
    slices: tuple[int, int] = (0, 1)
    sampled: bool = False
    coverage: Sample = field(default_factory=lambda: Sample(COVERAGE))

    def merge(self, other: "SourceTally") -> None:
        """Add a later part of the same source."""
        self.coverage.merge(other.coverage, dict.fromkeys(other.coverage.names, self.records))
        self.records += other.records
        self.bytes_read += other.bytes_read
        self.seconds += other.seconds
        self.slow_bytes += other.slow_bytes
        self.kinds += other.kinds
        self.fields += other.fields
        self.damage += other.damage
        self.first_total = other.first_total if self.first_total is None else self.first_total
        self.last_total = other.last_total if other.last_total is not None else self.last_total
        self.shares.merge(other.shares)
        self.clock |= other.clock
        self.sampled |= other.sampled
        self.slices = other.slices


@dataclass
class StretchTally:
    """What the stretches (an environment's records between two falls of `step`) were like."""

    n: int = 0
    stuck: int = 0
    lengths: Sketch = field(default_factory=Sketch)
    returns: Sketch = field(default_factory=Sketch)
    names: list[str] = field(default_factory=list)
    last: Cells = field(default_factory=lambda: Cells.empty(0, 1))
    """Moments of each column at a stretch's last record."""

    def add_ends(self, names: tuple[str, ...], values: FloatArray) -> None:
        """Count the values (columns, stretches) at the last records of stretches."""
        self._join(names, cells_of(np.zeros(values.shape[1], dtype=np.intp), values, 1))

    def merge(self, other: "StretchTally") -> None:
        """Add what `other` counted."""
        self.n += other.n
        self.stuck += other.stuck
        self.lengths.merge(other.lengths)
        self.returns.merge(other.returns)
        self._join(tuple(other.names), other.last)

    def _join(self, names: tuple[str, ...], cells: Cells) -> None:
        self.names += [name for name in names if name not in self.names]
        self.last = self.last.widened(len(self.names))
        rows = [self.names.index(name) for name in names]
        both = Cells(self.last.n[rows], self.last.mean[rows], self.last.m2[rows]).merge(cells)
        self.last.n[rows], self.last.mean[rows], self.last.m2[rows] = both.n, both.mean, both.m2
