"""Parts counted one after the other or in several processes, with the same result to the last bit.

Parts are submitted and merged in the order of the log, whichever finishes first. Few parts are in progress at once, so
the memory does not grow with the log.
"""

import logging
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from daf.compute import compiling
from daf.compute.contexts import Spawn
from daf.errors import ExecutorError, UsageError
from daf.processes.lifeline import end_with_coordinator
from daf.streams import _kernels
from daf.streams._aggregates import Aggregate
from daf.streams._reading import TableReader
from daf.streams._sampling import NO_BOUND
from daf.streams._stretches import Stretches
from daf.streams.keeping import Keeper
from daf.streams.planning import LogPart, is_json

_LOG = logging.getLogger(__name__)
LARGE = 100_000_000
"""Bytes of JSON from which compiled code is worth the second and the 150 MB that a process needs to load it."""


@dataclass(frozen=True)
class PartDone:
    """Progress: `part`, number `index` of `count`, is counted, and with it `file` of `files` is reached.

    `records`, `done_bytes` of `total_bytes`: so far, before decompression. `peak_memory`: bytes, the largest process
    yet.
    """

    part: LogPart
    index: int
    count: int
    file: int
    files: int
    records: int
    done_bytes: int
    total_bytes: int
    peak_memory: int


type Report = Callable[[PartDone], None]
type Announce = Callable[[str], None]


def is_large(parts: Sequence[LogPart]) -> bool:
    """Whether compiled code should read a log of these parts."""
    return sum(part.size for part in parts if is_json(part.path)) >= LARGE


def slowed_by(parts: Sequence[LogPart]) -> str | None:
    """Why these parts, a large log, are read without compiled code; `None` where they are not, or the log is small."""
    return compiling.refusal("Reading large logs more than twice as fast") if is_large(parts) else None


def count_part(
    part: LogPart, seed: int, sample_size: int, bound: int = NO_BOUND, *, compiled: bool = False
) -> Aggregate:
    """Everything that `part` holds, counted, to the same bits with and without compiled code. Raises `StorageError`."""
    from daf.streams.csvlog import CsvReader

    if compiled:
        _kernels.load()
    began = time.perf_counter()
    aggregate = Aggregate(seed, sample_size, bound=bound)
    reader: TableReader | CsvReader = (
        TableReader(part.path, part.constants, start=part.start, end=part.end, compiled=compiled)
        if is_json(part.path)
        else CsvReader(part.path, part.constants)
    )
    counter = aggregate.begin(part.plan)
    stretches = Stretches(clock=part.plan.clock is not None, since=part.plan.since)
    for table in reader:
        for placed in stretches.add(table):
            counter.add(placed)
    for placed in stretches.finish():
        counter.add(placed)
    report, tally = reader.report, counter.tally
    tally.bytes_read, tally.slow_bytes, tally.damage = report.bytes_read, report.slow_bytes, report.damage
    tally.kinds, tally.fields = report.kinds, report.problems.counts
    tally.seconds = time.perf_counter() - began
    counter.finish()
    aggregate.sample.settle()
    return aggregate


def count(
    parts: Sequence[LogPart],
    *,
    seed: int = 0,
    sample_size: int = 10_000,
    jobs: int = 1,
    report: Report | None = None,
    into: Aggregate | None = None,
    keeper: Keeper | None = None,
    announce: Announce | None = None,
) -> tuple[Aggregate, int]:
    """All `parts` in one aggregate (`into`, where given), and the largest resident memory of a process in bytes.

    `keeper`: where counts of parts are kept from one time to the next. `announce` (default: a warning in this module's
    log) reports that the reader of large logs is being compiled, which happens once.

    Raises `UsageError` for `jobs` below 1, `StorageError` for a file that cannot be read, and `ExecutorError` if a
    process was killed from outside.
    """
    if jobs < 1:
        raise UsageError(f"jobs must be at least 1 process, got {jobs}.")
    compiled = is_large(parts) and slowed_by(parts) is None
    if compiled and not _kernels.are_kept():
        (announce or _LOG.warning)("compiling the reader of large logs; this happens once for each version of DAF")
        _kernels.load()  # before there are processes that would each do it
    total, peak = _count(parts, seed, sample_size, jobs, _bound(parts, sample_size), compiled, report, keeper)
    if len(total.sample.hashes) < min(sample_size, total.records):  # the expectation was far too high
        total, peak = _count(parts, seed, sample_size, jobs, NO_BOUND, compiled, report, None)
    if into is None:
        return total, peak
    into.merge(total)
    into.sample.settle()
    return into, peak


def _count(
    parts: Sequence[LogPart],
    seed: int,
    sample_size: int,
    jobs: int,
    bound: int,
    compiled: bool,
    report: Report | None,
    keeper: Keeper | None,
) -> tuple[Aggregate, int]:
    total = Aggregate(seed, sample_size)
    total_bytes = sum(part.size for part in parts)
    paths = list(dict.fromkeys(part.path for part in parts))
    places = {path: number for number, path in enumerate(paths, start=1)}
    peak = records = done = 0
    for index, (part, counted, memory) in enumerate(_counted(parts, seed, sample_size, jobs, bound, compiled, keeper)):
        total.merge(counted)
        peak = max(peak, memory)
        records += counted.records
        done += part.size
        if report is not None:
            file = places[part.path]
            report(PartDone(part, index, len(parts), file, len(paths), records, done, total_bytes, peak))
    total.sample.settle()
    return total, max(peak, peak_memory())


def _bound(parts: Sequence[LogPart], sample_size: int) -> int:
    """A hash that the sample's largest will not exceed, if there are at least an eighth of the records expected.

    It only spares the parts from carrying records that cannot stay: the sample is the same with any bound that holds,
    and `count` checks whether it held.
    """
    expected = [part.expected for part in parts if part.expected is not None]
    if len(expected) < len(parts) or sum(expected) <= 8 * sample_size:
        return NO_BOUND
    return int(NO_BOUND * (8 * sample_size / sum(expected)))


def peak_memory() -> int:
    """The largest resident memory that this process has had, in bytes.

    Reads the kernel's high-water mark if there is one: `getrusage` gives a child the mark of the process that started
    it.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 as cheap as can be
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _counted(
    parts: Sequence[LogPart],
    seed: int,
    sample_size: int,
    jobs: int,
    bound: int,
    compiled: bool,
    keeper: Keeper | None,
) -> Iterator[tuple[LogPart, Aggregate, int]]:
    """Each part in its turn, counted here or elsewhere, or as it was kept."""

    def kept(part: LogPart, counted: Aggregate) -> Aggregate:
        if keeper is not None:
            keeper.put(part, counted)
        return counted

    if jobs == 1 or len(parts) == 1:
        for part in parts:
            found = keeper.get(part, bound) if keeper else None
            counted = found or kept(part, count_part(part, seed, sample_size, bound, compiled=compiled))
            yield part, counted, peak_memory()
        return
    waiting: deque[tuple[LogPart, Aggregate | Future[tuple[Aggregate, int]]]] = deque()

    def first() -> tuple[LogPart, Aggregate, int]:
        part, found = waiting[0]
        counted, memory = (found, 0) if isinstance(found, Aggregate) else found.result()
        waiting.popleft()
        return part, counted if isinstance(found, Aggregate) else kept(part, counted), memory

    with ProcessPoolExecutor(min(jobs, len(parts)), mp_context=Spawn(), initializer=_begin_work) as pool:
        try:
            for part in parts:
                known = keeper.get(part, bound) if keeper else None
                waiting.append((part, known or pool.submit(_work, part, seed, sample_size, bound, compiled)))
                if len(waiting) >= jobs + 2:
                    yield first()
            while waiting:
                yield first()
        except BrokenProcessPool as error:
            raise ExecutorError(
                f"a worker process was killed from outside while it read {waiting[0][0].path} (out of memory?). "
                "The same command with --jobs 1 reads it in this process."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_work() -> None:
    """Leave Ctrl-C to the process that gave out the work, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_coordinator()


def _work(part: LogPart, seed: int, sample_size: int, bound: int, compiled: bool) -> tuple[Aggregate, int]:
    return count_part(part, seed, sample_size, bound, compiled=compiled), peak_memory()
