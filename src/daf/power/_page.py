"""The page of `daf power`: the needed numbers as a table, and as a curve over the difference."""

from collections.abc import Sequence

from daf.power._rows import CurvePoint, PowerRow
from daf.render.pages.parts import Alert, Column, Part, Plot, Plots, RunPage, Section, Table, Text, cell, run_html
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.text import duration
from daf.render.theme import styles
from daf.stats.sentences import number

READING = (
    ("Block", "A mission, a seed and a placement of agents; every policy plays the same ones."),
    ("Fixed", "The number of blocks that is chosen beforehand and played whatever happens."),
    (
        "Until decided",
        "At most, and on average if the difference is the stated one, with looks at planned times "
        "(daf compare --until-decided).",
    ),
    ("Numbers", "They hold for normal differences, and for the part of α that the comparison has in its family."),
)


def power_page(
    title: str,
    subtitle: str,
    rows: Sequence[PowerRow],
    curve: Sequence[CurvePoint],
    notes: Sequence[str],
    *,
    seeds: bool,
    runs: int | None,
) -> str:
    """The HTML page."""
    parts: list[Part] = []
    if rows:
        parts.append(_table(rows))
    if seeds:
        parts.append(Text([f"Training runs of each setting: {_count(runs)}."]))
    sections = [Section("needed", "Needed", parts)]
    known = [point for point in curve if point.fixed is not None]
    if known:
        sections.append(Section("curve", "By difference", [Plots([_plot(known, rows[0])], linked=False)]))
    finding = rows[0].sentence if rows else f"{_count(runs)} training runs of each setting are needed."
    return run_html(
        RunPage(
            title, subtitle, alerts=[Alert(note) for note in notes], finding=finding, sections=sections, reading=READING
        )
    )


def _table(rows: Sequence[PowerRow]) -> Table:
    columns = [
        Column("Pair"), Column("Where"), Column("Standard deviation", number=True), Column("d_z", number=True),
        Column("Fixed", number=True), Column("At most", number=True), Column("On average", number=True),
        Column("Episodes, fixed", number=True), Column("Time, fixed", number=True),
        Column("Time, on average", number=True),
    ]  # fmt: skip
    cells = []
    for row in rows:
        need = row.needed
        texts = [
            row.who, row.where, number(row.deviation), number(need.effect), _count(need.fixed), _count(need.most),
            _count(need.expected), _count(row.episodes(need.fixed)), _time(row.minutes(need.fixed)),
            _time(row.minutes(need.expected)),
        ]  # fmt: skip
        cells.append([cell(text) for text in texts])
    return Table(columns, cells, note="Blocks per policy and mission, unless a column names episodes.")


def _plot(points: Sequence[CurvePoint], row: PowerRow) -> Plot:
    names = ("fixed", "until decided, at most", "until decided, on average")
    look = styles(names)
    values = [[float(getattr(point, kind) or 0.0) for point in points] for kind in ("fixed", "most", "expected")]
    series = [
        CurveSeries(name, look[name], [point.difference for point in points], each, smooth=False)
        for name, each in zip(names, values, strict=True)
    ]
    figure = curve_figure(
        series, x_title="difference (reward per agent)", y_title="blocks", size="full", zero=True,
        description="Needed blocks by difference",
    )  # fmt: skip
    cut = f" {figure.cut} values lie above the figure." if figure.cut else ""
    return Plot("Needed blocks", figure.svg, f"{row.who} {row.where}, power {row.needed.power:g}.{cut}", "full")


def _count(value: float | None) -> str:
    return "more than 1,000,000" if value is None else f"{value:,.0f}"


def _time(minutes: float | None) -> str | None:
    return None if minutes is None else duration(60 * minutes)
