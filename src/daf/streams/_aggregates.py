"""Everything that is counted about a log, from every record, in bounded memory, such that parts can be merged.

An `Aggregate` is fed `Placed` rows source by source. Two aggregates of different sources (or of successive parts of
one) merge into the aggregate of both: counts, extrema, quantiles, samples and visits to the last bit in any order,
means and variances up to rounding; `daf.streams.running` always merges in the order of the log, so its results are
bitwise reproducible.
"""

from collections import Counter

import numpy as np

from daf.streams._moments import Binned
from daf.streams._sampling import NO_BOUND, Sample, record_hashes, source_key
from daf.streams._sketch import Sketch
from daf.streams._spans import Spans
from daf.streams._stretches import Placed
from daf.streams._stride import Rises
from daf.streams._tallies import STUCK_RECORDS, SourcePlan, SourceTally, StretchTally
from daf.streams._visits import Visits
from daf.streams.records import FIXED, MAX_COMPONENTS, FloatArray, too_many_components

JUMPS = "step jumps ahead"


class Aggregate:
    """Counts of any number of sources; `bound`: hashes above it are known not to enter the sample."""

    def __init__(self, seed: int = 0, sample_size: int = 10_000, *, bound: int = NO_BOUND) -> None:
        self.seed = seed
        self.sample = Sample(sample_size, bound)
        self.sources: dict[str, SourceTally] = {}
        self.steps = Binned()
        self.extrema: dict[str, tuple[float, float]] = {}
        self.sketches: dict[str, Sketch] = {}
        self.visits = Visits()
        self.stretches = StretchTally()
        self.spans = Spans()
        self.rises = Rises()
        self.oddities: Counter[str] = Counter()

    @property
    def records(self) -> int:
        """All records of all sources."""
        return sum(source.records for source in self.sources.values())

    def begin(self, plan: SourcePlan) -> "SourceCounter":
        """A counter for the rows of one source, or of its next part."""
        return SourceCounter(self, plan)

    def merge(self, other: "Aggregate", *, slices_before: int = 0) -> None:
        """Add what `other` counted; for a source in both, `other`'s part is the later one.

        `slices_before`: how many visit slices are used here that `other`'s, numbered apart, come after.
        """
        moved = other.visits.moved(slices_before, max((sum(t.slices) for t in other.sources.values()), default=0))
        before = {name: self.sources[name].records for name in other.sources if name in self.sources}
        self.sample.merge(other.sample, before)
        for name, tally in other.sources.items():
            own = self._source(name, tally)
            own.merge(tally)
            own.slices = (tally.slices[0] + moved, tally.slices[1])
        self.steps.merge(other.steps)
        for name, extrema in other.extrema.items():
            self._extend(name, *extrema)
        if len(self.extrema) > MAX_COMPONENTS + 2:  # with total and step_reward
            raise too_many_components(" and ".join(list(self.sources)[-2:]), list(self.extrema))
        for name, sketch in other.sketches.items():
            self.sketches.setdefault(name, Sketch()).merge(sketch)
        self.visits.merge(other.visits, moved)
        self.stretches.merge(other.stretches)
        self.spans.merge(other.spans)
        self.rises.merge(other.rises)
        self.oddities += other.oddities

    def _source(self, name: str, like: SourceTally) -> SourceTally:
        """The tally of source `name`, empty if it is new, with a sample of the size that `like` has."""
        return self.sources.setdefault(name, SourceTally(coverage=Sample(like.coverage.size)))

    def thin(self, most: int) -> None:
        """Join neighbouring bins of the sources' shares of training until all together are at most about `most`."""
        while sum(tally.shares.cells.n.shape[1] for tally in self.sources.values()) > most:
            wide = [tally.shares for tally in self.sources.values() if tally.shares.cells.n.shape[1] > 1]
            if not wide:
                return
            for shares in wide:
                shares.coarsen()

    def _extend(self, name: str, least: float, greatest: float) -> None:
        low, high = self.extrema.get(name, (least, greatest))
        self.extrema[name] = (min(low, least), max(high, greatest))


class SourceCounter:
    """Counts the rows of one source into an aggregate; `finish` must be called at its end."""

    def __init__(self, aggregate: Aggregate, plan: SourcePlan) -> None:
        self._all = aggregate
        self._plan = plan
        self._key = source_key(aggregate.seed, plan.name, plan.offset)
        self._done = 0
        self.tally = SourceTally(
            shares=Binned(most=1024, exponent=0 if plan.clock else plan.share_exponent),
            clock=plan.clock is not None,
            slices=plan.slices,
            sampled=plan.sampled,
            coverage=Sample(plan.coverage),
        )
        self._open = False
        self._row: tuple[tuple[str, ...], FloatArray] = ((), np.empty(0))
        self._length = self._stay = 0
        self._stuck = False
        self._last_step = np.nan
        self._last_cell: FloatArray = np.empty(0)

    def add(self, placed: Placed) -> None:
        """Count these rows."""
        table, data = placed.table, placed.table.data
        n, values = table.n, table.data[len(FIXED) :]
        share, moment = self._when(placed)
        self._values(table.names, values)
        self._all.steps.add(table.names, data[0], values)
        self.tally.shares.add(table.names, moment, values)
        first, count = self._plan.slices
        slices = first + np.minimum((share * count).astype(np.int64), count - 1)
        self._all.visits.add(slices, data[2], data[3], data[4])
        hashes = record_hashes(self._key, self._done, n)
        self._all.sample.add(hashes, self._plan.name, self._done, share, table)
        self.tally.coverage.add(hashes, self._plan.name, self._done, share, table)
        self._stretches(placed)
        self._coverage(data[0], placed)
        self._totals(data[1])
        self._done += n
        self.tally.records += n

    def finish(self) -> None:
        """Close the last stretch and put the source's own tally in its place."""
        if self._open:
            self._end_stretches([self._row], np.array([self._length]), int(self._stuck))
        self._all._source(self._plan.name, self.tally).merge(self.tally)

    def _when(self, placed: Placed) -> tuple[FloatArray, FloatArray]:
        """Each row's place in its source's share of training (0 to 1), and where it is counted on the source's axis."""
        share: FloatArray = (placed.position + 0.5) / placed.length
        if self._plan.clock is None:
            return share, share
        low, high = self._plan.clock
        total = placed.table.data[1]
        moment = placed.since + (total - placed.since) * ((placed.position + 1) / placed.length)
        place = np.nan_to_num((moment - low) / (high - low) if high > low else moment * 0.0)
        return np.clip(place, 0.0, 1.0), moment

    def _values(self, names: tuple[str, ...], values: FloatArray) -> None:
        least, greatest = values.min(axis=1), values.max(axis=1)
        for name, column, low, high in zip(names, values, least.tolist(), greatest.tolist(), strict=True):
            known = column
            if low != low:
                known = column[~np.isnan(column)]
                if not known.size:
                    continue
                low, high = float(known.min()), float(known.max())
            self._all._extend(name, low, high)
            self._all.sketches.setdefault(name, Sketch()).add(known)

    def _stretches(self, placed: Placed) -> None:
        table, starts = placed.table, placed.starts
        data, n = table.data, table.n
        changed = np.ones(n, dtype=np.bool_)
        changed[1:] = (data[2:5, 1:] != data[2:5, :-1]).any(axis=0)
        if self._open and n:
            changed[0] = bool((data[2:5, 0] != self._last_cell).any())
        changed[starts] = True
        self._last_cell = data[2:5, -1].copy()
        runs = np.flatnonzero(changed)
        ends = np.concatenate((runs, (n,)))
        stays = ends[1:] - ends[:-1]
        stuck = set((np.searchsorted(starts, runs[stays >= STUCK_RECORDS], side="right") - 1).tolist())
        head = int(runs[0]) if len(runs) else n
        if head and self._stay + head >= STUCK_RECORDS:
            stuck.add(-1)
        self._stay = int(stays[-1]) if len(runs) else self._stay + n
        self._stuck |= -1 in stuck
        if len(starts):
            ends = starts[1:] - 1
            rows: list[tuple[tuple[str, ...], FloatArray]] = []
            lengths = np.diff(starts)
            n_stuck = len(stuck - {-1, len(starts) - 1})
            if self._open:
                previous = self._row if not starts[0] else (table.names, data[len(FIXED) :, starts[0] - 1 : starts[0]])
                rows.append(previous)
                lengths = np.concatenate(([self._length + starts[0]], lengths))
                n_stuck += int(self._stuck)
            if len(ends):
                rows.append((table.names, data[len(FIXED) :, ends]))
            self._end_stretches(rows, lengths, n_stuck)
            self._length, self._stuck, self._open = 0, len(starts) - 1 in stuck, True
            self._length = n - int(starts[-1])
        else:
            self._open = True
            self._length += n
        self._row = (table.names, data[len(FIXED) :, -1:].copy())

    def _end_stretches(self, rows: list[tuple[tuple[str, ...], FloatArray]], lengths: FloatArray, stuck: int) -> None:
        tally = self._all.stretches
        tally.n += len(lengths)
        tally.stuck += stuck
        tally.lengths.add(lengths.astype(np.float64))
        for names, values in rows:
            tally.add_ends(names, values)
            if "total" in names:
                total = values[names.index("total")]
                tally.returns.add(np.ascontiguousarray(total[~np.isnan(total)]))

    def _coverage(self, step: FloatArray, placed: Placed) -> None:
        """Note which steps occur, and where they do not go up by one inside a stretch."""
        odd = self._all.oddities
        inner = np.ones(len(step), dtype=np.bool_)
        inner[placed.starts] = False
        rise = np.empty(len(step))
        rise[0] = step[0] - self._last_step
        np.subtract(step[1:], step[:-1], out=rise[1:])
        self._last_step = step[-1]
        self._all.rises.add(rise[inner])
        broken = inner & (rise != 1)
        breaks = broken | ~inner
        breaks[0] = True
        if broken.any():
            for what, count in (
                ("step repeated", int((inner & (rise == 0)).sum())),
                (JUMPS, int((inner & (rise > 1)).sum())),
                ("step absent", int(np.isnan(step).sum())),
            ):
                if count:
                    odd[what] += count
        begins = np.flatnonzero(breaks)
        firsts, lasts = step[begins], step[np.append(begins[1:] - 1, len(step) - 1)]
        known = ~(np.isnan(firsts) | np.isnan(lasts))
        firsts, lasts = firsts[known], lasts[known]
        if len(firsts):
            if (firsts < 0).any():
                odd["step below 0"] += int((step < 0).sum())
            self._all.spans.add(firsts, lasts)

    def _totals(self, total: FloatArray) -> None:
        known = total if not np.isnan(total.sum()) else total[~np.isnan(total)]
        if known.size:
            falls = int(np.count_nonzero(known[1:] < known[:-1]))
            if self.tally.first_total is None:
                self.tally.first_total = float(known[0])
            elif self.tally.last_total is not None and known[0] < self.tally.last_total:
                falls += 1
            if falls:
                self._all.oddities["total_steps falls inside a file"] += falls
            self.tally.last_total = float(known[-1])
