"""The interactive page of a log, and of a comparison: one self-contained file each, byte-for-byte reproducible.

Curves are means of all records per bin of training time and maps count all visits; only the dots are a sample.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from daf.render import theme
from daf.render.logs._visits_svg import MAPS_OFFERED, VisitFigure, visit_figures
from daf.render.logs.data import LogTables, axis_label, curve, sampling
from daf.render.logs.tables import alerts, components_table, headline, tables
from daf.render.pages.parts import Alert, Part, Plot, Plots, RunPage, Section, Text, run_html
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import printable

DOTS = 600
"""Dots per figure: the first of the sample in hash order, which are a uniform sample of it."""
RETURN_BINS = 40
HOW_TO = "Drag over a figure to zoom, double-click to return; with the keyboard, use the arrow keys, + and Escape."


def report_page(
    log: LogTables, name: str, *, smooth_window: int | None = None, most: int = 40, sections: Sequence[Section] = ()
) -> RunPage:
    """Everything about a log on one page. most: rows per table. sections: those that follow, such as how the run was
    made.
    """
    figures = [_rewards([log], [name], smooth_window), *_visits([log], [name]), *_statistics(log)]
    rows = [Section(title.lower().replace(" ", "-"), title, [table]) for title, table in tables(log, most=most)]
    return RunPage(
        f"Training log: {printable(name)}",
        sampling(log),
        headline(log),
        [Alert(text) for text in alerts(log)],
        sections=[*figures, *rows, *sections],
    )


def comparison_page(logs: Sequence[LogTables], names: Sequence[str], smooth_window: int | None = None) -> str:
    """Several logs side by side."""
    pairs = list(zip(names, logs, strict=True))
    rows = [
        Section(f"columns-{place}", f"Rewards: {printable(name)}", [components_table(log)])
        for place, (name, log) in enumerate(pairs)
    ]
    title = f"Training logs: {' and '.join(printable(name) for name in names)}"
    page = RunPage(
        title,
        "",
        [f"{printable(name)}: {log.records:,} records" for name, log in pairs],
        [Alert(f"{printable(name)}: {alert}") for name, log in pairs for alert in alerts(log)],
        sections=[_rewards(logs, names, smooth_window), *_visits(logs, names), *rows],
    )
    return run_html(page)


def _rewards(logs: Sequence[LogTables], names: Sequence[str], smooth_window: int | None) -> Section:
    """A figure for each reward column, with every log in it."""
    columns = list(dict.fromkeys(str(column) for log in logs for column in log.components.index))
    plots, widest = [], 1
    for column in columns:
        lines = []
        for place, (log, name) in enumerate(zip(logs, names, strict=True)):
            if column in log.components.index:
                style, alone = theme.style(place), len(logs) == 1
                line, window = _reward_line(log, column, name, style, smooth_window, dots=alone)
                widest = max(widest, window)
                lines.append(line)
        lines = [line for line in lines if len(line.x)]
        if lines:
            made = curve_figure(
                lines, x_title=axis_label(logs[0]), y_title="reward", description=f"{printable(column)} over training"
            )
            note = f"{made.cut:,} values beyond the axis are not drawn." if made.cut else ""
            plots.append(Plot(printable(column), made.svg, note))
    note = "Lines: means of all records per bin of training time" + (
        f", smoothed over up to {widest} bins (thin: not smoothed). " if widest > 1 else ", not smoothed. "
    )
    note += "Bands and brackets: ± 1 standard deviation of the records in a bin. "
    if len(logs) == 1:
        note += f"Dots: {min(DOTS, len(logs[0].sample)):,} records of the uniform sample. "
    elif len({log.time_axis for log in logs}) > 1:
        note += "The logs measure training time in different units; see their headings. "
    return Section("rewards-over-training", "Rewards over training", [Plots(plots), Text([note + HOW_TO], muted=True)])


def _reward_line(
    log: LogTables, column: str, name: str, style: theme.SeriesStyle, smooth_window: int | None, *, dots: bool
) -> tuple[CurveSeries, int]:
    """The line of one column, and the number of bins it was smoothed over."""
    bins = curve(log, column, smooth_window=smooth_window)
    sample: list[tuple[float, float]] = []
    if dots and column in log.sample:
        shown = log.sample[["time", column]].head(DOTS).dropna()
        sample = list(zip(shown["time"].tolist(), shown[column].tolist(), strict=True))
    line = CurveSeries(
        printable(name),
        style,
        bins.middle.tolist(),
        bins.smooth.tolist(),
        low=(bins.mean - bins.sd).tolist(),
        high=(bins.mean + bins.sd).tolist(),
        raw=bins.mean.tolist() if bins.window > 1 else (),
        dots=sample,
        smooth=False,
        notes=[f"n = {n:,.0f}" for n in bins.n.tolist()],
    )
    return line, bins.window


def _visits(logs: Sequence[LogTables], names: Sequence[str]) -> list[Section]:
    found = visit_figures([log.visits for log in logs], [f"Visits of each cell: {printable(name)}" for name in names])
    if not found:
        return [Section("visits", "Where the agents went", [Text(["No record has a position."])])]
    several = len(logs) > 1
    plots = [
        Plot(
            printable(name) if several else "Visits per cell",
            figure.svg,
            f"n = {int(log.visits['visits'].sum()):,} visits, all records.",
            size="full",
        )
        for log, name, figure in zip(logs, names, found, strict=True)
    ]
    parts: list[Part] = [Plots(plots), Text([_visits_note(found[0], several)], muted=True)]
    return [Section("visits", "Where the agents went", parts)]


def _visits_note(figure: VisitFigure, several: bool) -> str:
    note = "Colours on a log scale; a cell without colour is in no record. x and y in tiles, y downwards. "
    if figure.tile > 1:
        note += f"Each square shows the sum of {figure.tile} × {figure.tile} tiles. "
    if figure.maps > 1:
        note += "Maps are packed by size, not by their place in the world. "
    if figure.maps > MAPS_OFFERED:
        note += f"The {MAPS_OFFERED} most visited of {figure.maps} maps are in the menu. "
    if several:
        note += "The same canvas and colours in all. "
    return note + "The pointer or the arrow keys read the counts."


def _statistics(log: LogTables) -> list[Section]:
    """Returns at the ends of stretches, and the shares of the components."""
    plots = []
    if len(log.returns):
        low, high = log.returns["low"].to_numpy(), log.returns["high"].to_numpy()
        edges = np.linspace(float(low.min()), float(high.max()) or 1.0, RETURN_BINS + 1)
        counts, _ = np.histogram((low + high) / 2, bins=edges, weights=log.returns["count"])
        middles = (edges[1:] + edges[:-1]) / 2
        bars = CurveSeries("stretches", theme.style(0), middles.tolist(), counts.tolist(), bars=True)
        made = curve_figure(
            [bars],
            x_title="total reward at a stretch's last record",
            y_title="stretches",
            description="Histogram of the total reward at the ends of stretches",
        )
        note = (
            f"n = {log.stretches['n']:,} stretches (an environment's records of one episode in a flush), all of them."
        )
        plots.append(Plot("Returns at the ends of stretches", made.svg, note))
    shares = log.components["share"].dropna().sort_values(ascending=False)
    if len(shares):
        rows = [_share(log, str(name), float(share)) for name, share in shares.items()]
        unit = "share of the summed |mean| (%)"
        drawn = interval_figure(rows, axis_title=unit, description="Component shares", zero=True)
        plots.append(Plot("Component shares", drawn, f"n = {log.records:,} records, all of them.", size="full"))
    return [Section("statistics", "Statistics", [Plots(plots, linked=False)])] if plots else []


def _share(log: LogTables, name: str, share: float) -> IntervalRow:
    mean: Any = log.components.loc[name, "mean"]
    return IntervalRow(printable(name) + (" (negative mean)" if mean < 0 else ""), theme.style(0), share * 100)
