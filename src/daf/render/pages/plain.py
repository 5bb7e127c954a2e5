"""Any JSON value as nested tables of a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from daf.render.pages.parts import Column, Facts, Heading, Part, Table, Text, cell
from daf.render.pages.run_facts import flat, shown
from daf.render.text import printable

MOST_TABLE_ROWS = 2_000


def parts_of(value: object) -> list[Part]:
    """Any JSON value as parts: lists of objects as tables, objects as facts with nested values below, text as text."""
    if isinstance(value, Mapping):
        simple = {name: item for name, item in value.items() if not nested(item)}
        parts: list[Part] = (
            [Facts([(printable(str(name)), shown(item)) for name, item in simple.items()])] if simple else []
        )
        for name, item in value.items():
            if nested(item) and item:
                parts += [Heading(heading_of(str(name))), *parts_of(item)]
        return parts
    if isinstance(value, list):
        if value and all(isinstance(item, dict) for item in value):
            return [_table(value)]
        return [Text([shown(item) for item in value[:MOST_TABLE_ROWS]])] if value else []
    return [Text([shown(value)])] if value not in (None, "") else []


def nested(item: object) -> bool:
    """Whether a JSON value needs parts below its name: an object, or a list that holds objects or lists."""
    return isinstance(item, Mapping) or (isinstance(item, list) and any(isinstance(part, dict | list) for part in item))


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    shown_rows = [dict(flat(row)) for row in rows[:MOST_TABLE_ROWS]]
    names = list(dict.fromkeys(name for row in shown_rows for name in row))
    numbers = {name: all(_number(row.get(name)) for row in shown_rows) for name in names}
    left = len(rows) - len(shown_rows)
    return Table(
        [Column(name, number=numbers[name]) for name in names],
        [[cell(row.get(name, "")) for name in names] for row in shown_rows],
        note=f"{left:,} more rows are in the file." if left else "",
    )


def _number(text: str | None) -> bool:
    if text in (None, "", "not set"):
        return True
    try:
        float(str(text))
    except ValueError:
        return False
    return True


def bounds_in(value: object) -> tuple[float, float] | None:
    """The interval that a JSON value holds, None if it holds none."""
    return (value[0], value[1]) if isinstance(value, list) and len(value) == 2 else None


def heading_of(name: str) -> str:
    """The heading of the field `name`."""
    title = printable(name.replace("_", " ").replace("-", " "))
    return title[:1].upper() + title[1:]


def key_of(name: str) -> str:
    """The id of the section that shows the field `name`."""
    return "part-" + "".join(character if character.isalnum() else "-" for character in name)[:60]
