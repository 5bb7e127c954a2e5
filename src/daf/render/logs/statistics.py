"""Statistics of a log in one figure: returns, time per map, component shares, stuck stretches."""

from typing import TYPE_CHECKING

import numpy as np

from daf.render.figures.frame import WIDTH, figure_of, head, nothing
from daf.render.logs.data import LogTables
from daf.render.logs.figures import MOST_PANELS
from daf.render.theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def statistics_figure(log: LogTables, name: str) -> "Figure":
    """Returns at the ends of stretches, time per map, component shares, and stuck stretches."""
    figure = figure_of(WIDTH, 7.0)
    panels = figure.subplots(2, 2)
    _returns_panel(panels[0, 0], log)
    _maps_panel(panels[0, 1], log)
    _shares_panel(panels[1, 0], log)
    _stretches_panel(panels[1, 1], log)
    facts = log.stretches
    head(
        figure,
        f"Statistics of all records: {name}",
        f"n = {log.records:,} records in {facts['n']:,} stretches (an environment's records of one episode in a flush)."
        f" Stuck: at least {facts['stuck_after_records']} records in a row on one cell. No intervals: counts.",
        width=WIDTH,
        dark=False,
    )
    return figure


def _returns_panel(axes: "Axes", log: LogTables) -> None:
    axes.set_title("returns at the ends of stretches")
    if not len(log.returns):
        nothing(axes, "no total reward in these records", dark=False)
        return
    low, high = log.returns["low"].to_numpy(), log.returns["high"].to_numpy()
    edges = np.linspace(float(low.min()), float(high.max()) or 1.0, 41)
    counts, _ = np.histogram((low + high) / 2, bins=edges, weights=log.returns["count"])
    axes.stairs(counts, edges, fill=True, color=LIGHT[0])
    mean = log.stretches["mean_return"]
    if mean is not None:
        axes.axvline(mean, color=LIGHT[8], lw=1.4, ls="--", label=f"mean {mean:.3g}")
        axes.legend(loc="upper right")
    axes.set_xlabel("total reward at a stretch's last record")
    axes.set_ylabel("stretches")


def _maps_panel(axes: "Axes", log: LogTables) -> None:
    axes.set_title("time per map")
    top = log.maps.head(MOST_PANELS)
    if not len(top):
        nothing(axes, "no positions in these records", dark=False)
        return
    names = [str(int(m)) for m in top["map"]]
    axes.barh(names, top["share"] * 100, color=LIGHT[0], height=0.72)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("share of visits (%)")
    axes.set_ylabel("map")
    if len(log.maps) > len(top):
        axes.set_title(f"time per map: the {len(top)} most visited of {len(log.maps)}")


def _shares_panel(axes: "Axes", log: LogTables) -> None:
    axes.set_title("component shares")
    shares = log.components["share"].dropna().sort_values(ascending=False).head(MOST_PANELS)
    if not len(shares):
        nothing(axes, "no reward components in these records", dark=False)
        return
    negative = [bool(log.components.loc[name, "mean"] < 0) for name in shares.index]
    colors = [LIGHT[1] if below else LIGHT[0] for below in negative]
    bars = axes.barh([str(name) for name in shares.index], shares * 100, color=colors, height=0.72)
    for bar, below in zip(bars, negative, strict=True):
        if below:
            bar.set_hatch("///")
            bar.set_edgecolor("white")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("share of the summed |mean| (%); hatched: the mean is negative")


def _stretches_panel(axes: "Axes", log: LogTables) -> None:
    facts = log.stretches
    axes.set_title(f"stuck stretches: {facts['stuck']:,} of {facts['n']:,}")
    free = facts["n"] - facts["stuck"]
    axes.barh(["stuck", "moving"], [facts["stuck"], free], color=[LIGHT[1], LIGHT[0]], height=0.4)
    for row, value in enumerate((facts["stuck"], free)):
        axes.text(value, row, f" {value:,} ({value / max(facts['n'], 1):.1%})", va="center", fontsize=8)
    axes.set_xlim(0, max(facts["stuck"], free, 1) * 1.25)
    axes.grid(visible=False, axis="y")
    length = facts["length_q50"]
    axes.set_xlabel(f"stretches (median length {round(length):,} records)" if length else "stretches")
