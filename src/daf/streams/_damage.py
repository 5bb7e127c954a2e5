"""The exact reader: every whole record of a piece of text, and every stretch of it that is none.

Slow (Python's json, one record at a time) and used only where the fast decoder refuses a block. Between records only
white space, commas and brackets are expected; anything else there, a truncated record, or an object that is not a
record, is reported as `Damage` with its offset, length and reason. After damage the reader resumes at the next object
that is a whole record; the inner objects of a torn record do not count, since no part of a record looks like a record.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daf.streams.records import kind_of

SEPARATORS = re.compile(rb"[\s,\[\]]*(?:\xef\xbb\xbf[\s,\[\]]*)*")
_OPENING = re.compile(r'\{\s*(?:["}]|$)')
_CUT = "cut short in mid-record"
_DEEP = "nested too deeply"
_LONGEST_TOKEN = 12
"""An error this close to the end may be part of a number, a name (-Infinity) or an escape (two \\uXXXX) that
continues.
"""
DAMAGE_NAMED = 10_000
"""Number of damaged stretches of a part that are named each; the rest are reported as a count and a size."""
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True)
class Damage:
    """`length` bytes of `path` from byte `offset` that are not a record, and why; in a compressed file, of its
    content.
    """

    path: str
    offset: int
    length: int
    reason: str


class DamageList:
    """The damage of `path`: adjoining stretches as one; of those beyond `DAMAGE_NAMED` the number and the bytes."""

    def __init__(self, path: Path) -> None:
        self.entries: list[Damage] = []
        self._path = str(path)
        self._unnamed: list[tuple[int, int]] = []
        self._more = 0

    def add(self, offset: int, length: int, reason: str) -> None:
        """Note `length` bytes from `offset`."""
        last = self.entries[-1] if self.entries else None
        if last is not None and length and last.offset + last.length == offset and not self._unnamed:
            self.entries[-1] = Damage(last.path, last.offset, last.length + length, last.reason)
        elif len(self.entries) < DAMAGE_NAMED:
            self.entries.append(Damage(self._path, offset, length, reason))
        else:
            self._unnamed.append((offset, length))
            if len(self._unnamed) == DAMAGE_NAMED:
                self.sum_up()

    def sum_up(self) -> None:
        """Keep one entry for all damage that is not named."""
        if self._unnamed:
            last = self.entries[-1]
            earlier = self._more
            n, lost = len(self._unnamed), sum(length for _, length in self._unnamed)
            offset = last.offset if earlier else self._unnamed[0][0]
            lost += last.length if earlier else 0
            self._more += n
            entry = Damage(self._path, offset, lost, f"{self._more:,} further stretches from here on")
            self.entries[len(self.entries) - bool(earlier) :] = [entry]
            self._unnamed = []


@dataclass
class Scan:
    """What a piece of text held: `(start, end, object)` of whole records, damage as `(start, length, reason)`."""

    records: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    damage: list[tuple[int, int, str]] = field(default_factory=list)
    consumed: int = 0
    """Where the text that is settled ends; an object that begins there needs more bytes."""


def scan(data: bytes, *, final: bool) -> Scan:
    """Read `data`; `final` if nothing follows it. Otherwise an incomplete object ends the settled text: its content
    is not examined.
    """
    text = data.decode("latin-1")
    near_end = len(text.rstrip()) - _LONGEST_TOKEN
    found = Scan()
    at = bad = _skip(data, 0)
    reason = ""
    unfinished = len(text)  # where an object starts that may continue beyond the end
    while at < len(text):
        value, end, why = _object(text, at, near_end)
        if value is not None and kind_of(value) is not None:
            if bad < at:
                found.damage.append((bad, _length(data, bad, at), reason))
            found.records.append((at, end, _utf8(value, data[at:end])))
        elif value is not None and bad == at:
            keys = ", ".join(list(value)[:5]) or "none"
            found.damage.append((at, end - at, f"an object that is not a record: keys {keys}"))
        else:
            if why == _CUT and not final:
                unfinished = at
                break
            reason = reason or why
            at = _next_opening(text, at, 200 if why == _DEEP else 1)
            continue
        at = bad = found.consumed = _skip(data, end)
        reason = ""
    if final:
        if bad < len(text):
            found.damage.append((bad, _length(data, bad, len(text)), reason))
        found.consumed = len(text)
    else:
        found.consumed = unfinished
        if bad < found.consumed:
            found.damage.append((bad, _length(data, bad, found.consumed), reason))
    return found


def _object(text: str, at: int, near_end: int) -> tuple[dict[str, Any] | None, int, str]:
    """The object at `text[at]` and its end, or `None` and why not."""
    if text[at] != "{":
        return None, at, f"not JSON: {text[at : at + 12]!a}"
    try:
        value, end = _decode(text, at)
    except json.JSONDecodeError as error:
        cut = error.pos >= near_end or error.msg.startswith("Unterminated string")
        return None, at, _CUT if cut else f"broken record: {error.msg}"
    except RecursionError:
        return None, at, _DEEP
    except ValueError as error:
        return None, at, f"unreadable number: {error}"
    return value, end, ""


def _next_opening(text: str, at: int, skipping: int) -> int:
    """Where the next object after `at` may begin (or, in a nest too deep to be one, the next but `skipping`)."""
    for _ in range(skipping):
        following = _OPENING.search(text, at + 1)
        if following is None:
            return len(text)
        at = following.start()
    return at


def _utf8(value: dict[str, Any], data: bytes) -> dict[str, Any]:
    """The object that `data` spells, which was read byte for byte as `value`."""
    if data.isascii():
        return value
    decoded: dict[str, Any] = json.loads(data.decode("utf-8", "replace"))
    return decoded


def _skip(data: bytes, at: int) -> int:
    return SEPARATORS.match(data, at).end()  # type: ignore[union-attr]


def _length(data: bytes, start: int, end: int) -> int:
    """The bytes from `start` to `end` without the separators before `end`."""
    return len(data[start:end].rstrip(b" \t\r\n,[]")) or end - start
