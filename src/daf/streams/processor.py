"""Logs of any size, read as streams: the front end for files, folders and any other iterable of records.

    processor = StreamingProcessor(seed=0)
    for path in paths:                       # in the order they were written
        processor.process(path)
    summary = processor.result()

Processors of different files merge: after `a.merge(b)`, `a` has the state of one processor that read both. The sample
depends on the seed, the files' names and their records, not on the order in which files or processors came.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from daf.errors import UsageError
from daf.streams._aggregates import Aggregate
from daf.streams._stretches import Stretches
from daf.streams._tallies import SourcePlan
from daf.streams._visits import SLICES as LAST_SLICE
from daf.streams.finding import LogFile, find_logs, read_constants
from daf.streams.planning import SLICES, plan_parts
from daf.streams.records import FieldProblems, LogShape, NameBound, RecordTable, RunConstants, number, read, tabulate
from daf.streams.running import Report, count
from daf.streams.summary import LogSummary, summarize

_ROWS = 4_096
_BINS = 8_192


class StreamingProcessor:
    """Counts logs one after the other, in bounded memory.

    `sample_size`: how many records the uniform sample holds at most. Raises `UsageError` for a size below 1.
    """

    def __init__(self, seed: int = 0, sample_size: int = 10_000) -> None:
        if sample_size < 1:
            raise UsageError(f"sample_size must be at least 1 record, got {sample_size}.")
        self.seed = seed
        self.sample_size = sample_size
        self.aggregate = Aggregate(seed, sample_size)
        self._paths: dict[str, Path] = {}

    def process(self, path: str | Path, *, jobs: int = 1, report: Report | None = None) -> None:
        """Count a log file, or all logs of a folder; a large file's parts are shared among `jobs` processes.

        Raises `UsageError` if there is none or it was counted before, `StorageError` if it cannot be read.
        """
        files = [self._distinct(file) for file in find_logs([path])]
        known = [file.name for file in files if file.name in self.aggregate.sources]
        if known:
            raise UsageError(f"{known[0]} was counted before: each record counts once.")
        slices, first = self._slices(len(files))
        parts = plan_parts(files, slices=slices, first_slice=first)
        count(parts, seed=self.seed, sample_size=self.sample_size, jobs=jobs, report=report, into=self.aggregate)
        self.aggregate.thin(_BINS)
        self._paths |= {file.name: file.path.resolve() for file in files}

    def process_records(
        self, records: Iterable[Mapping[str, Any]], *, name: str = "records", constants: RunConstants | None = None
    ) -> int:
        """Count records from any source, in order; returns their number.

        `name` identifies them like a file in the result and in the sample's hashes. Raises `UsageError` for an object
        that is not a record, and if `name` was counted before; then, and if `records` itself raises, none of them is
        counted.
        """
        if name in self.aggregate.sources:
            raise UsageError(f"records named {name!r} were counted before: give these another name.")
        problems = FieldProblems()
        source = iter(records)
        seen = 0
        first = list(islice(source, _ROWS))
        totals = [t for r in first if (t := number(r.get("total_steps"))) is not None and np.isfinite(t)]
        moves = len(set(totals)) > 1
        plan = SourcePlan(name, clock=(min(totals), max(totals)) if moves else None, slices=(self._slices(1)[1], 1))
        counted, names = Aggregate(self.seed, self.sample_size), NameBound(name)
        counter, stretches = counted.begin(plan), Stretches(clock=moves)
        batch = first
        while batch:
            for table in _tables(batch, seen, problems, constants or RunConstants(), counter.tally.kinds, names):
                for placed in stretches.add(table):
                    counter.add(placed)
            seen += len(batch)
            batch = list(islice(source, _ROWS))
        for placed in stretches.finish():
            counter.add(placed)
        counter.tally.fields = problems.counts
        counter.finish()
        self.aggregate.merge(counted)
        self.aggregate.sample.settle()
        return seen

    def _distinct(self, file: LogFile) -> LogFile:
        """`file`, under its whole path if another file has its name."""
        other = self._paths.get(file.name)
        return file if other in (None, file.path.resolve()) else replace(file, name=str(file.path.resolve()))

    def _slices(self, files: int) -> tuple[int, int]:
        """The number of visit slices for this many further files, and the first one's number."""
        used = self._slices_used()
        most = SLICES if used < 64 * SLICES else files
        return most, min(used, LAST_SLICE - most)

    def _slices_used(self) -> int:
        return max((sum(tally.slices) for tally in self.aggregate.sources.values()), default=0)

    def merge(self, other: "StreamingProcessor") -> None:
        """Add what `other` counted. Raises `UsageError` if seeds or sample sizes differ, or files are the same."""
        if (self.seed, self.sample_size) != (other.seed, other.sample_size):
            raise UsageError(
                f"cannot merge processors with seed {self.seed}, sample_size {self.sample_size} and seed {other.seed}, "
                f"sample_size {other.sample_size}: their samples would not be uniform."
            )
        twice = sorted(self.aggregate.sources.keys() & other.aggregate.sources.keys())
        if twice:
            raise UsageError(f"both processors counted {twice[0]}: each record counts once.")
        self.aggregate.merge(other.aggregate, slices_before=self._slices_used())
        self._paths |= other._paths

    def result(self) -> LogSummary:
        """The summary of everything counted so far."""
        return summarize(self.aggregate)


def _tables(
    records: list[Mapping[str, Any]],
    before: int,
    problems: FieldProblems,
    constants: RunConstants,
    kinds: Any,
    names: NameBound,
) -> Iterable[RecordTable]:
    rows: list[list[float]] = []
    shape: LogShape | None = None
    for index, record in enumerate(records):
        entry = read(dict(record), problems, constants)
        if entry is None:
            raise UsageError(
                f"record {before + index} is in neither format: keys {', '.join(list(record)[:5]) or 'none'}. "
                "It needs rewards, or step and one of event, levels, healr, … or reward_…."
            )
        if entry[0] != shape:
            names.add(entry[0])
            if shape is not None:
                yield _table(shape, rows, constants)
                rows = []
        shape = entry[0]
        kinds[shape.kind] += 1
        rows.append(entry[1])
    if shape is not None:
        yield _table(shape, rows, constants)


def _table(shape: LogShape, rows: list[list[float]], constants: RunConstants) -> RecordTable:
    return tabulate(shape, np.array(rows, dtype=np.float64).reshape(len(rows), len(shape.paths)).T, constants)


__all__ = ["LogSummary", "RunConstants", "StreamingProcessor", "read_constants"]
