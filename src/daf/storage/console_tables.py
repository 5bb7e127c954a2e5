"""The result of an operation as a table on the caller's console.

`show` prints nothing without a console. Text is made safe to print, numbers are rounded to four digits, and long cells
are shortened: the operation's return value is complete.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console

LONGEST = 120
"""Maximum characters of a cell."""
MOST_ENTRIES = 6
"""Maximum entries of a list or mapping in a cell."""


def show(console: "Console | None", title: str, found: object, *, without: Collection[str] = ()) -> None:
    """Print `found` on `console`: rows (a sequence of mappings or dataclasses, or a mapping of them) or facts.

    without: names of columns or facts to leave out.
    """
    if console is None:
        return
    from rich.table import Table

    columns, rows = _rows(jsonable(found), set(without))
    console.print(terminal_text(title))  # a table's own title would be wrapped to the table's width
    table = Table()
    for name in columns:
        table.add_column(terminal_text(name))
    for row in rows:
        table.add_row(*(terminal_text(_cell(value)) for value in row))
    console.print(table)


def _rows(data: Any, without: set[str]) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns, and the cells."""
    if isinstance(data, Mapping) and data and all(isinstance(value, Mapping) for value in data.values()):
        data = [{"name": name, **value} for name, value in data.items()]
    if isinstance(data, Mapping):
        return ["name", "value"], [[name, value] for name, value in data.items() if name not in without]
    if not isinstance(data, list):
        return ["value"], [[data]]
    if not data or not all(isinstance(row, Mapping) for row in data):
        return ["value"], [[value] for value in data]
    columns = [name for name in dict.fromkeys(name for row in data for name in row) if name not in without]
    return columns, [[row.get(name) for name in columns] for row in data]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return _joined([f"{name}={_cell(part)}" for name, part in value.items()])
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _joined([_cell(part) for part in value])
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _joined(parts: list[str]) -> str:
    more = f", … ({len(parts)} in all)" if len(parts) > MOST_ENTRIES else ""
    text = ", ".join(parts[:MOST_ENTRIES]) + more
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
