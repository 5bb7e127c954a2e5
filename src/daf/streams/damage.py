"""The exact reader: every whole record of a piece of text, and every stretch of it that is none.

Slow (Python's json, one record at a time) and used only where the fast decoder refuses a block. Between records only
white space, commas and brackets are expected; whatever else lies there, a record cut short, or an object that is no
record, is reported as `Damage` with its offset, length and reason. After damage the reader goes on at the next object
that is a whole record; the inner objects of a torn record are none, since no part of a record looks like a record.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from daf.streams.records import kind_of

SEPARATORS = re.compile(rb"[\s,\[\]]*(?:\xef\xbb\xbf[\s,\[\]]*)*")
_OPENING = re.compile(r"\{")
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True)
class Damage:
    """`length` bytes of `path` from byte `offset` that are no record, and why; in a compressed file, of its content."""

    path: str
    offset: int
    length: int
    reason: str


@dataclass
class Scan:
    """What a piece of text held: `(start, end, object)` of whole records, damage as `(start, length, reason)`."""

    records: list[tuple[int, int, dict[str, Any]]] = field(default_factory=list)
    damage: list[tuple[int, int, str]] = field(default_factory=list)
    consumed: int = 0
    """Where the text that is settled ends; the rest needs more bytes (everything is settled when `final`)."""


def scan(data: bytes, *, final: bool) -> Scan:
    """Read `data`; `final` when nothing follows it."""
    text = data.decode("latin-1")
    found = Scan()
    at = bad = SEPARATORS.match(data).end()  # type: ignore[union-attr]
    reason = ""
    while at < len(text):
        start = at
        value, end, why = _object(text, at)
        if value is not None and kind_of(value) is not None:
            if bad < start:
                found.damage.append((bad, _length(data, bad, start), reason))
            found.records.append((start, end, _utf8(value, data[start:end])))
            at = bad = found.consumed = _skip(data, end)
            reason = ""
            continue
        if value is not None and not reason:
            why = f"an object that is no record: keys {', '.join(list(value)[:5]) or 'none'}"
        reason = reason or why
        if value is not None and bad == start:
            found.damage.append((start, end - start, reason))
            at = bad = found.consumed = _skip(data, end)
            reason = ""
            continue
        following = _OPENING.search(text, at + 1)
        at = following.start() if following else len(text)
    if bad < len(text) and final:
        found.damage.append((bad, _length(data, bad, len(text)), reason))
    if final or bad >= len(text):
        found.consumed = len(text)
    return found


def _object(text: str, at: int) -> tuple[dict[str, Any] | None, int, str]:
    """The object at `text[at]` and its end, or `None` and why not."""
    if text[at] != "{":
        return None, at, f"not JSON: {text[at : at + 12]!a}"
    try:
        value, end = _decode(text, at)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        return None, at, "cut short in mid-record" if cut else f"broken record: {error.msg}"
    except RecursionError:
        return None, at, "nested too deeply"
    except ValueError as error:
        return None, at, f"unreadable number: {error}"
    return value, end, ""


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
