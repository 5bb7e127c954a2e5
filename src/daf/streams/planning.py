"""How a log is divided into parts that can be counted independently, in any number of processes.

A part is a file, or in a large plain JSON file the bytes between two falls of `step`: so no stretch is ever divided,
and counting a part needs nothing from another. The cuts depend only on the file's content. They are found by sampling
records (`step` is a sawtooth; a fall between two records is located by bisection), so a file in which `step` never
falls is one part. Appending to a file leaves all its parts but the last as they were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from daf.errors import StorageError
from daf.storage.atomic import explain
from daf.streams._damage import scan
from daf.streams._source import Source, is_streamed
from daf.streams._tallies import COVERAGE, SourcePlan
from daf.streams._visits import SLICES as LAST_SLICE
from daf.streams.finding import LogFile
from daf.streams.records import RunConstants

PART = 64 * 1024 * 1024
_PROBES = 16
_WINDOW = 64 * 1024
_GLANCES = (2 * 1024, 8 * 1024, _WINDOW)
"""Bytes in which a whole record is looked for, one after the other: the exact reader is slow."""
SLICES = 48
"""Number of slices of training in the picture of visits over time."""
_SHARE_BINS = 4_096
_COVERED = 5_000
"""Records in the samples of all files together."""
_SAMPLED = ("environment", "episode")
"""Fields of each record in a file with samples of a training run's episodes."""


@dataclass(frozen=True)
class LogPart:
    """Bytes [start, end) of a log file (`end` is `None`: to its end), and how they are counted."""

    path: Path
    start: int
    end: int | None
    size: int
    """Bytes to be read, before decompression."""
    constants: RunConstants
    plan: SourcePlan
    expected: float | None = None
    """Approximate number of records, if it can be estimated from the first ones."""


@dataclass(frozen=True)
class _Seen:
    """A whole record at `offset`."""

    offset: int
    step: float | None
    total: float | None


def plan_parts(
    files: Sequence[LogFile],
    *,
    part: int = PART,
    slices: int = SLICES,
    first_slice: int = 0,
    growing: bool = False,
) -> list[LogPart]:
    """The parts of `files`, in order, with `slices` visit slices, numbered from `first_slice`.

    `growing`: more may follow, so parts must not depend on the number of files: each has eight slices. Raises
    `StorageError` if a file cannot be read.
    """
    share_exponent = -max(0, min(10, (_SHARE_BINS // max(len(files), 1)).bit_length() - 1))
    coverage = COVERAGE if growing else max(1, min(COVERAGE, _COVERED // max(len(files), 1)))
    parts: list[LogPart] = []
    before: float | None = None
    for index, file in enumerate(files):
        size = _size(file.path)
        first, last, record_size, sampled = peek(file.path)
        clock = (first, last) if first is not None and last is not None and last > first else None
        since = before if clock and before is not None and before <= clock[0] else None
        low = index * slices // len(files)
        own = (first_slice + low, max(1, (index + 1) * slices // len(files) - low))
        if growing:
            share_exponent, own = -8, (8 * min(index, LAST_SLICE // 8 - 1), 8)
        cuts: list[tuple[int, float | None]] = [(0, since)]
        if size > part and is_json(file.path) and not is_streamed(file.path):
            cuts += _cuts(file.path, size, part, clock is not None)
        ends = [cut for cut, _ in cuts[1:]] + [size]
        for (start, known), end in zip(cuts, ends, strict=True):
            plan = SourcePlan(file.name, start, share_exponent, own, clock, known, coverage, sampled)
            expected = (end - start) / record_size if record_size else None
            stop = None if end == size else end
            parts.append(LogPart(file.path, start, stop, end - start, file.constants, plan, expected))
        before = last if last is not None else before
    return parts


def peek(path: Path) -> tuple[float | None, float | None, float | None, bool]:
    """`total_steps` of the first and of the last whole record of a file, the bytes that a record takes in it, and
    whether it holds samples of a training run's episodes: its first record says of which environment and episode.

    A number is `None` where there is none, the size where the file is compressed or not JSON too.
    """
    if not is_json(path):
        from daf.streams.csvlog import rows_of

        first_row, last_row = rows_of(path)
        return _total(first_row), _total(last_row), None, False
    streamed = is_streamed(path)
    with Source(path) as source:
        buffer = bytearray(_WINDOW)
        n = _fill(source, memoryview(buffer))
        for length in (n,) if streamed or n < _WINDOW else _GLANCES[1:]:
            found = scan(bytes(buffer[:length]), final=n < _WINDOW).records
            if found:
                break
        first = last = [_seen(start, value) for start, _, value in found]
        if n == _WINDOW and not streamed:
            last = _records_before(path, source.size)
        elif n == _WINDOW and len({record.total for record in first}) > 1:
            last = _tail_of_stream(source, bytes(buffer))
    ends = [end[at].total for end, at in ((first, 0), (last, -1)) if end]
    totals = [total for total in ends if total is not None]
    size = found[-1][1] / len(found) if found and not streamed else None
    sampled = bool(found) and all(name in found[0][2] for name in _SAMPLED)
    return (totals[0], totals[-1], size, sampled) if totals else (None, None, size, sampled)


def _tail_of_stream(source: Source, tail: bytes) -> list[_Seen]:
    buffer = bytearray(_WINDOW)
    while n := _fill(source, memoryview(buffer)):
        tail = (tail + bytes(buffer[:n]))[-2 * _WINDOW :]
    return [_seen(0, value) for _, _, value in scan(tail, final=True).records]


def _cuts(path: Path, size: int, part: int, clock: bool) -> list[tuple[int, float | None]]:
    """Offsets at which a new stretch begins, about `part` bytes apart, with `total_steps` of the record before each."""
    cuts: list[tuple[int, float | None]] = []
    for low in range(part, size, part):
        cut = _first_fall(path, low, min(low + part, size), part // _PROBES, clock)
        if cut is not None and (not cuts or cut[0] > cuts[-1][0]):
            cuts.append(cut)
    return cuts


def _first_fall(path: Path, low: int, high: int, spacing: int, clock: bool) -> tuple[int, float | None] | None:
    previous: _Seen | None = None
    for offset in range(low, high, spacing):
        found = _glance(path, offset)
        if not found or found[0].step is None:
            continue
        if previous is not None and _falls(previous, found[0]):
            cut = _close_in(path, previous, found[0], clock)
            if cut is not None:
                return cut
        previous = found[0]
    return None


def _close_in(path: Path, left: _Seen, right: _Seen, clock: bool) -> tuple[int, float | None] | None:
    """The two neighbouring records between which `step` falls, as the second's offset and the first's total."""
    while right.offset - left.offset > _GLANCES[0]:
        middle = (left.offset + right.offset) // 2
        found = [r for r in _glance(path, middle) if r.step is not None and r.offset < right.offset]
        if not found or found[0].offset <= left.offset:
            break
        left, right = (left, found[0]) if _falls(left, found[0]) else (found[0], right)
    for length in _GLANCES[1:]:
        for a, b in pairwise(_records_at(path, left.offset, right.offset - left.offset + length)):
            if _falls(a, b) and (not clock or a.total != b.total):
                return b.offset, a.total
    return None


def _falls(a: _Seen, b: _Seen) -> bool:
    return a.step is not None and b.step is not None and b.step < a.step


def _glance(path: Path, offset: int) -> list[_Seen]:
    """At least one whole record after `offset`, if a window has any."""
    return next((found for length in _GLANCES if (found := _records_at(path, offset, length))), [])


def _records_before(path: Path, end: int) -> list[_Seen]:
    """At least one whole record before `end`, if a window has any."""
    return next((found for n in _GLANCES[1:] if (found := _records_at(path, max(0, end - n), n))), [])


def _records_at(path: Path, offset: int, length: int) -> list[_Seen]:
    """The whole records that start in `length` bytes from `offset` on; records torn at either end are left out."""
    with Source(path, offset) as source:
        buffer = bytearray(length)
        n = _fill(source, memoryview(buffer))
    return [_seen(offset + start, value) for start, _, value in scan(bytes(buffer[:n]), final=True).records]


def _fill(source: Source, target: memoryview) -> int:
    filled = 0
    while filled < len(target):
        n = source.readinto(target[filled:])
        if not n:
            break
        filled += n
    return filled


def _seen(offset: int, record: dict[str, Any]) -> _Seen:
    return _Seen(offset, _number(record.get("step")), _number(record.get("total_steps")))


def _total(record: dict[str, Any] | None) -> float | None:
    return _number(record.get("total_steps")) if record else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value and abs(value) < 1e300 else None


def is_json(path: Path) -> bool:
    """Whether a log is read as JSON, not as CSV: by its name."""
    return ".csv" not in [suffix.lower() for suffix in path.suffixes]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error
