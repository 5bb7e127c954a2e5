"""The tables of a log, for pages and reports."""

from collections.abc import Sequence
from typing import Any

from daf.render.logs.data import LogTables
from daf.render.pages.parts import Column, Table, cell
from daf.stats.sentences import counted


def tables(log: LogTables, *, most: int = 40) -> list[tuple[str, Table]]:
    """Rewards, maps, damage, gaps, oddities and files, each with its title; empty tables are left out."""
    found = [
        ("Rewards", components_table(log)),
        ("Time per map", _maps(log, most)),
        ("Damage", _damage(log, most)),
        ("Gaps in the steps", _gaps(log, most)),
        ("Findings of the validation", _oddities(log)),
        ("Files", _files(log, most)),
    ]
    return [(title, table) for title, table in found if table.rows]


def _table(names: Sequence[str], texts: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Table:
    """texts: the columns that hold text; all others hold numbers."""
    columns = [Column(name, number=name not in texts) for name in names]
    return Table(columns, [[cell(text) for text in row] for row in rows], note)


def components_table(log: LogTables) -> Table:
    """n, mean, spread, extrema and quantiles of every value column."""
    names = ("n", "mean", "sd", "min", "q05", "q50", "q95", "max", "mean_at_end")
    heads = ("n", "mean", "SD", "min", "5 %", "median", "95 %", "max", "mean at the end")
    rows = [
        [str(name), f"{int(row['n']):,}", *(_number(row[key]) for key in names[1:]), _percent(row["share"])]
        for name, row in log.components.to_dict("index").items()
    ]
    return _table(
        ["column", *heads, "share"],
        ["column"],
        rows,
        "From all records; quantiles within 0.4 % of their size. The mean at the end is that of the stretches' last "
        "records; the share is that of the components' summed absolute means.",
    )


def _maps(log: LogTables, most: int) -> Table:
    rows = [
        [str(int(row["map"])), f"{int(row['visits']):,}", _percent(row["share"]), f"{int(row['cells']):,}"]
        for row in log.maps.head(most).to_dict("records")
    ]
    return _table(["map", "visits", "share", "cells"], [], rows, _left_out(len(log.maps), most))


def _damage(log: LogTables, most: int) -> Table:
    rows = [
        [str(row["file"]), f"{int(row['offset']):,}", f"{int(row['length']):,}", str(row["reason"])]
        for row in log.damage.head(most).to_dict("records")
    ]
    names = ["file", "offset", "bytes", "reason"]
    return _table(names, ["file", "reason"], rows, _left_out(len(log.damage), most))


def _gaps(log: LogTables, most: int) -> Table:
    largest = log.gaps.sort_values(["steps", "first"], ascending=[False, True]).head(most)
    rows = [
        [f"{int(row['first']):,}", f"{int(row['last']):,}", f"{int(row['steps']):,}"]
        for row in largest.to_dict("records")
    ]
    return _table(["first missing step", "last", "steps"], [], rows, _left_out(len(log.gaps), most))


def _oddities(log: LogTables) -> Table:
    rows = [[str(row["what"]), f"{int(row['count']):,}"] for row in log.oddities.to_dict("records")]
    return _table(["finding", "count"], ["finding"], rows)


def _files(log: LogTables, most: int) -> Table:
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
    names = ["file", "records", "MB", "total steps", "damage"]
    return _table(names, ["file"], rows, _left_out(len(log.files), most))


def headline(log: LogTables) -> list[str]:
    """The few facts at the top of every page."""
    facts = [counted(log.records, "record"), counted(len(log.files), "file")]
    if log.step_range:
        sampled = f", sampled every {log.stride:,} steps" if log.stride > 1 else ""
        facts.append(f"steps {log.step_range[0]:,.0f} to {log.step_range[1]:,.0f}{sampled}")
    facts.append(f"sample {len(log.sample):,} ({log.sampling_ratio:.3%})")
    facts.append(f"{log.stretches['n']:,} stretches, {log.stretches['stuck']:,} stuck")
    return facts


def alerts(log: LogTables) -> list[str]:
    """Warnings to read before trusting the page: damage, gaps, oddities."""
    found: list[str] = []
    if len(log.damage):
        lost = int(log.damage["length"].sum())
        found.append(
            f"{counted(len(log.damage), 'damaged stretch', 'damaged stretches')}, {lost:,} bytes, could not be read."
        )
    if len(log.gaps):
        missing = int(log.gaps["steps"].sum())
        found.append(f"{counted(len(log.gaps), 'gap')} in the steps, {missing:,} steps in all.")
    if len(log.oddities):
        kinds = counted(len(log.oddities), "kind")
        found.append(f"Validation found {kinds} of oddities, {int(log.oddities['count'].sum()):,} cases.")
    return found


def _left_out(n: int, most: int) -> str:
    return f"{n - most:,} more are left out here; the JSON summary holds all." if n > most else ""


def _number(value: Any) -> str:
    if value is None or value != value:
        return "–"
    value = value + 0.0  # -0 is 0
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:,.4g}"


def _percent(value: Any) -> str:
    return "–" if value is None or value != value else f"{value:.1%}"


def as_lines(table: Table) -> Sequence[str]:
    """The table in fixed-width text, with aligned columns."""
    rows = [[column.name for column in table.columns], *([item.text for item in row] for row in table.rows)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    return [
        "  ".join(
            text.rjust(width) if column.number else text.ljust(width)
            for text, width, column in zip(row, widths, table.columns, strict=True)
        ).rstrip()
        for row in rows
    ]
