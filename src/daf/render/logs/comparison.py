"""Several logs side by side: the same axes, the same canvas, the same colours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.render.logs.data import LogTables, axis_label, curve, pack
from daf.render.logs.figures import (
    LINES,
    MOST_PANELS,
    PALETTE,
    canvas_panel,
    caption,
    count_ticks,
    new_figure,
    say_nothing,
    shared_norm,
    thousands,
)
from daf.render.theme import legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def compare_rewards_figure(logs: Sequence[LogTables], names: Sequence[str], smooth_window: int | None) -> "Figure":
    """Every reward column over training, in one panel each with all logs."""
    columns = list(dict.fromkeys(str(c) for log in logs for c in log.components.index))[: MOST_PANELS + 2]
    across = min(3, len(columns))
    down = -(-len(columns) // across)
    figure = new_figure(10, 1.5 + 2.2 * down)
    panels = np.atleast_1d(figure.subplots(down, across, squeeze=False)).ravel()
    for axes, column in zip(panels, columns, strict=False):
        for index, (log, name) in enumerate(zip(logs, names, strict=True)):
            if column in log.components.index:
                line = curve(log, column, smooth_window=smooth_window)
                color = PALETTE[index % len(PALETTE)]
                axes.fill_between(line.middle, line.mean - line.sd, line.mean + line.sd, color=color, alpha=0.13, lw=0)
                axes.plot(line.middle, line.smooth, color=color, ls=LINES[index % 4], lw=1.5, label=name)
        axes.set_title(column)
        axes.xaxis.set_major_formatter(thousands())
    for axes in panels[len(columns) :]:
        axes.set_visible(False)
    for index, axes in enumerate(panels[: len(columns)]):
        if index % across == 0:
            axes.set_ylabel("reward")
        if index + across >= len(columns):
            axes.set_xlabel(_shared_axis(logs))
    lines = {line.get_label(): line for axes in panels[: len(columns)] for line in axes.get_lines()}
    legend(
        figure,
        [lines[name] for name in names if name in lines],
        [name for name in names if name in lines],
        loc="outside upper right",
        ncols=len(names),
        fontsize=8,
        frameon=False,
    )
    figure.suptitle("Reward components over training", fontsize=11.5, x=0.01, ha="left")
    counts = "; ".join(f"{name} n = {log.records:,}" for log, name in zip(logs, names, strict=True))
    told = f"{counts} records. Lines: means of all records per bin, smoothed. Bands: ± 1 standard deviation."
    if len({log.time_axis for log in logs}) > 1:
        units = ", ".join(f"{name} in {log.time_axis.replace('_', ' ')}" for log, name in zip(logs, names, strict=True))
        told += f" Time is not the same in all: {units}."
    caption(figure, told)
    return figure


def compare_heatmap_figure(logs: Sequence[LogTables], names: Sequence[str]) -> "Figure":
    """The visits of several logs side by side, on one canvas and one colour scale."""
    import pandas as pd

    everything = pd.concat([log.visits for log in logs]).groupby(["map", "x", "y"])["visits"].sum().reset_index()
    canvas = pack(everything)
    figure = new_figure(6.0 * len(logs), 1.5 + (5.4 * (canvas.height + 5) / canvas.width if canvas else 2.0))
    panels = figure.subplots(1, len(logs), squeeze=False)[0]
    norm = shared_norm(*logs)
    image: Any = None
    for axes, log, name in zip(panels, logs, names, strict=True):
        if canvas is None or not len(log.visits):
            say_nothing(axes, "no positions, or maps too large for one canvas")
            continue
        image = canvas_panel(axes, log, canvas, norm)
        axes.set_title(f"{name}: {len(log.visits):,} cells of {len(log.maps)} maps")
    if image is not None:
        bar = figure.colorbar(image, ax=list(panels), shrink=0.8, pad=0.015, panchor=False)
        bar.set_label("visits (records), log scale")
        count_ticks(bar, norm.vmax)
        bar.outline.set_visible(False)
    figure.suptitle(f"Where the agents went: {' and '.join(names)}", fontsize=11.5, x=0.01, ha="left")
    counts = "; ".join(f"{name} n = {int(log.visits['visits'].sum()):,}" for log, name in zip(logs, names, strict=True))
    caption(
        figure,
        f"{counts} visits, all records. The same canvas and colours in both. Grey: in no record.",
    )
    return figure


def _shared_axis(logs: Sequence[LogTables]) -> str:
    labels = {axis_label(log) for log in logs}
    return labels.pop() if len(labels) == 1 else "training time"
