"""The tables of a log as rows of text, for pages and reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from daf.render.logs.data import LogTables


@dataclass(frozen=True)
class Column:
    """A column's name, and whether it holds numbers (right-aligned)."""

    name: str
    number: bool = True


@dataclass(frozen=True)
class TextTable:
    """A table ready to print; `note` states what it leaves out."""

    heading: str
    columns: tuple[Column, ...]
    rows: list[list[str]]
    note: str = ""


def tables(log: LogTables, *, most: int = 40) -> list[TextTable]:
    """Components, maps, damage, gaps, oddities and files; empty tables are left out."""
    found = [
        components_table(log),
        _maps(log, most),
        _damage(log, most),
        _gaps(log, most),
        _oddities(log),
        _files(log, most),
    ]
    return [table for table in found if table.rows]


def components_table(log: LogTables) -> TextTable:
    """n, mean, spread, extrema and quantiles of every value column."""
    names = ("n", "mean", "sd", "min", "q05", "q50", "q95", "max", "mean_at_end")
    heads = ("n", "mean", "SD", "min", "5 %", "median", "95 %", "max", "mean at the end")
    rows = [
        [str(name), f"{int(row['n']):,}", *(_number(row[key]) for key in names[1:]), _percent(row["share"])]
        for name, row in log.components.to_dict("index").items()
    ]
    columns = (Column("column", number=False), *(Column(head) for head in heads), Column("share"))
    return TextTable(
        "Rewards",
        columns,
        rows,
        "From all records; quantiles within 0.4 % of their size. The mean at the end is that of the stretches' last "
        "records; the share is that of the components' summed absolute means.",
    )


def _maps(log: LogTables, most: int) -> TextTable:
    rows = [
        [str(int(row["map"])), f"{int(row['visits']):,}", _percent(row["share"]), f"{int(row['cells']):,}"]
        for row in log.maps.head(most).to_dict("records")
    ]
    columns = (Column("map"), Column("visits"), Column("share"), Column("cells"))
    return TextTable("Time per map", columns, rows, _left_out(len(log.maps), most))


def _damage(log: LogTables, most: int) -> TextTable:
    rows = [
        [str(row["file"]), f"{int(row['offset']):,}", f"{int(row['length']):,}", str(row["reason"])]
        for row in log.damage.head(most).to_dict("records")
    ]
    columns = (Column("file", number=False), Column("offset"), Column("bytes"), Column("what is wrong", number=False))
    return TextTable("Damage", columns, rows, _left_out(len(log.damage), most))


def _gaps(log: LogTables, most: int) -> TextTable:
    largest = log.gaps.sort_values(["steps", "first"], ascending=[False, True]).head(most)
    rows = [
        [f"{int(row['first']):,}", f"{int(row['last']):,}", f"{int(row['steps']):,}"]
        for row in largest.to_dict("records")
    ]
    columns = (Column("first missing step"), Column("last"), Column("steps"))
    return TextTable("Gaps in the steps", columns, rows, _left_out(len(log.gaps), most))


def _oddities(log: LogTables) -> TextTable:
    rows = [[str(row["what"]), f"{int(row['count']):,}"] for row in log.oddities.to_dict("records")]
    return TextTable("What validation found", (Column("what", number=False), Column("how often")), rows)


def _files(log: LogTables, most: int) -> TextTable:
    rows = [
        [
            str(row["file"]),
            f"{int(row['records']):,}",
            f"{row['bytes'] / 1e6:,.1f}",
            _number(row["last_total"]),
            f"{int(row['damaged_stretches']):,}",
        ]
        for row in log.files.head(most).to_dict("records")
    ]
    columns = (Column("file", number=False), Column("records"), Column("MB"), Column("total steps"), Column("damage"))
    return TextTable("Files", columns, rows, _left_out(len(log.files), most))


def headline(log: LogTables) -> list[str]:
    """The few facts at the top of every page."""
    facts = [f"{log.records:,} records", f"{len(log.files):,} files" if len(log.files) != 1 else "1 file"]
    if log.step_range:
        sampled = f", sampled every {log.stride:,} steps" if log.stride > 1 else ""
        facts.append(f"steps {log.step_range[0]:,.0f} to {log.step_range[1]:,.0f}{sampled}")
    facts.append(f"sample {len(log.sample):,} ({log.sampling_ratio:.3%})")
    facts.append(f"{log.stretches['n']:,} stretches, {log.stretches['stuck']:,} stuck")
    return facts


def alerts(log: LogTables) -> list[str]:
    """Warnings to read before trusting the page: damage, gaps, oddities."""
    said: list[str] = []
    if len(log.damage):
        lost = int(log.damage["length"].sum())
        said.append(
            f"{_count(len(log.damage), 'damaged stretch', 'damaged stretches')}, {lost:,} bytes, could not be read."
        )
    if len(log.gaps):
        missing = int(log.gaps["steps"].sum())
        said.append(f"{_count(len(log.gaps), 'gap', 'gaps')} in the steps, {missing:,} steps in all.")
    if len(log.oddities):
        kinds = _count(len(log.oddities), "kind", "kinds")
        said.append(f"Validation found {kinds} of oddities, {int(log.oddities['count'].sum()):,} cases.")
    return said


def _count(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _left_out(n: int, most: int) -> str:
    return f"{n - most:,} more are left out here; the JSON summary holds all." if n > most else ""


def _number(value: Any) -> str:
    if value is None or value != value:
        return "–"
    value = value + 0.0  # -0 is 0
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:,.4g}"


def _percent(value: Any) -> str:
    return "–" if value is None or value != value else f"{value:.1%}"


def as_lines(table: TextTable) -> Sequence[str]:
    """The table in fixed-width text, with aligned columns."""
    rows = [[column.name for column in table.columns], *table.rows]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    return [
        "  ".join(
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(row, widths, table.columns, strict=True)
        ).rstrip()
        for row in rows
    ]
