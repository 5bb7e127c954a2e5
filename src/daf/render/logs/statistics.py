"""Statistics of a log in one figure: returns, time per map, component shares, stuck stretches."""

from typing import TYPE_CHECKING

import numpy as np

from daf.render.logs.data import LogTables, number
from daf.render.logs.figures import MOST_PANELS, PALETTE, caption, new_figure, say_nothing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def statistics_figure(log: LogTables, name: str) -> "Figure":
    """Returns at the ends of stretches, time per map, component shares, and stuck stretches."""
    figure = new_figure(10, 6.2)
    panels = figure.subplots(2, 2)
    _returns_panel(panels[0, 0], log)
    _maps_panel(panels[0, 1], log)
    _shares_panel(panels[1, 0], log)
    _stretches_panel(panels[1, 1], log)
    figure.suptitle(f"Statistics of all records: {name}", fontsize=11.5, x=0.01, ha="left")
    facts = log.stretches
    caption(
        figure,
        f"n = {log.records:,} records in {facts['n']:,} stretches (an environment's records of one episode in a flush)."
        f" Stuck: at least {facts['stuck_after_records']} records in a row on one cell. No intervals: counts.",
    )
    return figure


def _returns_panel(axes: "Axes", log: LogTables) -> None:
    axes.set_title("returns at the ends of stretches")
    if not len(log.returns):
        say_nothing(axes, "no total reward in these records")
        return
    low, high = log.returns["low"].to_numpy(), log.returns["high"].to_numpy()
    edges = np.linspace(float(low.min()), float(high.max()) or 1.0, 41)
    counts, _ = np.histogram((low + high) / 2, bins=edges, weights=log.returns["count"])
    axes.stairs(counts, edges, fill=True, color=PALETTE[0])
    mean = log.stretches["mean_return"]
    if mean is not None:
        axes.axvline(mean, color=PALETTE[8], lw=1.4, ls="--", label=f"mean {mean:.3g}")
        axes.legend(loc="upper right")
    axes.set_xlabel("total reward at a stretch's last record")
    axes.set_ylabel("stretches")


def _maps_panel(axes: "Axes", log: LogTables) -> None:
    axes.set_title("time per map")
    top = log.maps.head(MOST_PANELS)
    if not len(top):
        say_nothing(axes, "no positions in these records")
        return
    names = [str(int(m)) for m in top["map"]]
    axes.barh(names, top["share"] * 100, color=PALETTE[0], height=0.72)
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
        say_nothing(axes, "no reward components in these records")
        return
    negative = [bool(log.components.loc[name, "mean"] < 0) for name in shares.index]
    colors = [PALETTE[1] if below else PALETTE[0] for below in negative]
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
    axes.barh(["stuck", "moving"], [facts["stuck"], free], color=[PALETTE[1], PALETTE[0]], height=0.4)
    for row, value in enumerate((facts["stuck"], free)):
        axes.text(value, row, f" {value:,} ({value / max(facts['n'], 1):.1%})", va="center", fontsize=8)
    axes.set_xlim(0, max(facts["stuck"], free, 1) * 1.25)
    axes.grid(visible=False, axis="y")
    length = facts["length_q50"]
    axes.set_xlabel(f"stretches (median length {number(round(length))} records)" if length else "stretches")
