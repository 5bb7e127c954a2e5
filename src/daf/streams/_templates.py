"""Templates of records: what a log's writer repeats in each of them, and the compiled reading of what follows one.

A template comes from a record that the exact reader has read. All its bytes are fixed but its numbers, words and
strings (not keys). Which of these go to which column is found by reading the record once more with another number in
each of them: so whatever `daf.streams.records.read` makes of a record, a template makes of all that follow it.
"""

import ctypes
import json
import re
from collections import Counter

import numpy as np

from daf.compute import compiling
from daf.streams._damage import SEPARATORS
from daf.streams._gathering import PAD, Rows
from daf.streams._kernels import READING
from daf.streams.records import FieldProblems, LogShape, RunConstants, read

MAX_TEMPLATES = 64
"""A log whose records follow more templates is read the exact way where they do not follow these."""
_TRIED = 8
"""Templates that are tried before a record goes to the exact reader, the last used ones first."""
_LONGEST = 64 * 1024
_SEPARATOR = 31
"""Longest separator of records that is learned, so that it and the next brace are compared at once."""
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*+"(\s*:)?|-?Infinity|NaN|null|true|false|-?\d[\d.eE+-]*', re.DOTALL)
_NUMBER = re.compile(rb"-?\d")
_ABSENT = {b"null": 1, b"NaN": 2, b"Infinity": 2, b"-Infinity": 2}
_PROBLEMS = ("null", "not finite")


class Template:
    """What a record and those that follow it have in common, and the last of them."""

    def __init__(self, text: bytes, shape: LogShape, numbers: list[float], constants: RunConstants) -> None:
        """`numbers` (paths of `shape`) are what the exact reader took from the record `text`. Raises `ValueError` if
        it cannot serve: a value that is read is neither a number nor absent.
        """
        spans = _spans(text)
        fixed = _fixed(text, spans)
        probe = b"".join(part + b"%d.5" % i for i, part in enumerate(fixed[:-1])) + fixed[-1]
        problems = FieldProblems()
        taken = read(json.loads(probe.decode("utf-8", "replace")), problems, constants)
        if taken is None or taken[0] != shape:
            raise ValueError("its shape depends on its values")
        self.shape = shape
        self._each = problems.counts
        self._slots = {int(value): column for column, value in enumerate(taken[1]) if value == value}
        self._columns = np.array([self._slots.get(i, -1) for i in range(len(spans))], np.int64)
        self._states = np.zeros(len(spans), np.int64)
        self._values = np.array(numbers)
        for i, column in self._slots.items():
            token = text[slice(*spans[i])]
            self._states[i] = _ABSENT.get(token, 0 if np.isfinite(numbers[column]) else 2)
            if token not in _ABSENT and not _NUMBER.match(token):
                raise ValueError(f"{shape.paths[column]} is not a number")
        self._fixed = np.array([len(part) for part in fixed], np.int64)
        self._lengths = np.array([end - begin for begin, end in spans], np.int64)
        self._counts = np.zeros((len(spans), 2), np.int64)
        self._record = np.zeros(2 * len(text) + 4_096, np.uint8)
        self._record[: len(text)] = np.frombuffer(text, np.uint8)
        self._separator, self._n_separator = np.zeros(32, np.uint8), 0
        self._match = compiling.load(READING).match

    def separate_by(self, text: bytes) -> None:
        """Expect `text`, up to and with the brace of the next record, between two records."""
        if len(text) <= _SEPARATOR + 1:
            self._separator[: len(text)] = np.frombuffer(text, np.uint8)
            self._n_separator = len(text) - 1

    def read(self, address: int, at: int, stop: int, rows: Rows) -> int:
        """Gather the records of the buffer at `address` from `at` on; where the last one ends, `at` if none does."""
        array, begin = rows.room(self.shape)
        last, end = self._match(
            address + at, address + stop, self._record, self._fixed, self._lengths, self._columns, self._states,
            self._values, self._counts, array, begin, self._separator, self._n_separator,
        )  # fmt: skip
        if end > begin:
            rows.took(self.shape, end - begin)
            self._count_problems(end - begin, rows.report.problems)
        return int(last) - address

    def _count_problems(self, n: int, problems: FieldProblems) -> None:
        """Add to `problems` those of `n` records, which were just read."""
        for what, count in self._each.items():
            problems.counts[what] += count * n
        if self._counts.any():
            found: Counter[str] = Counter()
            for i, column in self._slots.items():
                for kind, count in zip(_PROBLEMS, self._counts[i].tolist(), strict=True):
                    found[f"{self.shape.paths[column]}: {kind}"] += count
            problems.counts.update(+found)
            self._counts[:] = 0


class TemplateDecoder:
    """Reads the records that follow templates, which it learns."""

    def __init__(self, constants: RunConstants) -> None:
        self._constants = constants
        self._known: dict[tuple[bytes, ...], Template | None] = {}
        self._recent: list[Template] = []

    def learn(self, text: bytes, separator: bytes | None, shape: LogShape, numbers: list[float]) -> None:
        """Take the record `text`, which the exact reader read as `numbers`, for a template."""
        if len(self._known) >= MAX_TEMPLATES or len(text) > _LONGEST:
            return
        fixed = tuple(_fixed(text, _spans(text)))
        if fixed not in self._known:
            try:
                self._known[fixed] = template = Template(text, shape, numbers, self._constants)
            except ValueError:
                self._known[fixed] = None
            else:
                self._recent.insert(0, template)

    def read(self, buffer: bytearray, at: int, stop: int, *, ended: bool, rows: Rows) -> int:
        """Gather records from `buffer[at:stop]`; the place of the first byte that it does not read."""
        buffer[stop : stop + PAD] = bytes(PAD)
        address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
        while at < stop and buffer[at] == 0x7B:
            for template in self._recent[:_TRIED]:
                end = template.read(address, at, stop, rows)
                if end > at:
                    break
            else:
                return at
            if template is not self._recent[0]:
                self._recent.remove(template)
                self._recent.insert(0, template)
            at = SEPARATORS.match(buffer, end, stop).end()  # type: ignore[union-attr]
            if at < stop:
                template.separate_by(bytes(buffer[end : at + 1]))
        return at


def _spans(text: bytes) -> list[tuple[int, int]]:
    """Where the numbers, words and strings of a record lie that are not keys."""
    return [found.span() for found in _SCALAR.finditer(text) if found.group(1) is None]


def _fixed(text: bytes, spans: list[tuple[int, int]]) -> list[bytes]:
    """The text before, between and after `spans`."""
    begins, ends = [begin for begin, _ in spans], [end for _, end in spans]
    return [text[end:begin] for end, begin in zip([0, *ends], [*begins, len(text)], strict=True)]
