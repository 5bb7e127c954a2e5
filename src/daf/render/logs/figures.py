"""Figures of a log for papers and slides: rewards over training and visits; byte-for-byte reproducible.

Curves and bands come from all records; dots are the uniform sample. Several logs share axes, canvas and colours.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daf.render import theme
from daf.render.figures.curves import Curve, CurvePanel, curves_figure
from daf.render.figures.map import VisitMap, map_figure
from daf.render.logs.data import Canvas, FloatArray, LogTables, axis_label, curve, fitting, grid, sampling, tiled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PANELS = 12
MOST_CELLS = 4_000_000
DPI = 300


def rewards_figure(logs: Sequence[LogTables], names: Sequence[str], *, smooth_window: int | None = None) -> "Figure":
    """Every reward column over training, a panel each: binned means with bands, and the sample of a single log."""
    columns = list(dict.fromkeys(str(column) for log in logs for column in log.components.index))
    shown = _largest(logs[0], columns)
    alone, widest, panels = len(logs) == 1, 1, []
    for column in shown:
        curves = []
        for log, name in zip(logs, names, strict=True):
            if column in log.components.index:
                line = curve(log, column, smooth_window=smooth_window)
                widest = max(widest, line.window)
                dots = log.sample[["time", column]].dropna().to_numpy() if alone and column in log.sample else ()
                raw = line.mean.tolist() if line.window > 1 else None
                low, high = (line.mean - line.sd).tolist(), (line.mean + line.sd).tolist()
                curves.append(Curve(name, line.middle.tolist(), line.smooth.tolist(), raw, low, high, dots=dots))
        panels.append(CurvePanel(column, "reward", curves))
    counts = "; ".join(f"{name} n = {log.records:,}" for log, name in zip(logs, names, strict=True))
    caption = f"n = {logs[0].records:,} records, {sampling(logs[0])}." if alone else f"{counts} records."
    caption += " Lines: means of all records per bin of training time, "
    caption += f"smoothed over up to {widest} bins (thin: not smoothed)." if widest > 1 else "not smoothed."
    caption += " Bands: mean ± 1 standard deviation of the records in a bin." + (" Dots: the sample." if alone else "")
    left_out = len(columns) - len(shown)
    if left_out:
        caption += f" {left_out} smaller component{' is' if left_out == 1 else 's are'} not drawn."
    if len({log.time_axis for log in logs}) > 1:
        units = ", ".join(f"{name} in {log.time_axis.replace('_', ' ')}" for log, name in zip(logs, names, strict=True))
        caption += f" Training time differs in its unit: {units}."
    labels = {axis_label(log) for log in logs}
    title = "Reward components over training" + (f": {names[0]}" if alone else "")
    return curves_figure(
        panels,
        x_label=labels.pop() if len(labels) == 1 else "training time",
        title=title,
        caption=caption,
        names=names,
    )


def _largest(log: LogTables, columns: Sequence[str]) -> list[str]:
    """The sums and the components with the largest shares, in the order of `columns`."""
    shares = log.components["share"].dropna()
    ranked = sorted(columns, key=lambda name: (name in shares.index, -float(shares.get(name, 0.0)), name))
    return sorted(ranked[: MOST_PANELS + 2], key=columns.index)


def heatmap_figure(log: LogTables, name: str) -> "Figure":
    """Visits on a log scale: all maps on one canvas, and each of the most visited maps on separate axes."""
    title = f"Where the agents went: {name}"
    if not len(log.visits):
        return map_figure([VisitMap("", grid_of_nothing())], title=title, caption="No record has a position.")
    tile, canvas = fitting(log.visits, MOST_CELLS)
    counts = grid(tiled(log.visits, tile), canvas)
    panels = [int(m) for m in log.maps["map"].head(MOST_PANELS)]
    maps = [map_of(log, canvas, counts, m, tile) for m in panels]
    joint = canvas_map(f"all {len(canvas.places)} maps on one canvas", counts, canvas)
    visits, cells = int(log.visits["visits"].sum()), len(log.visits)
    count = "1 map" if len(log.maps) == 1 else f"{len(log.maps)} maps"
    more = f"; below: the {len(panels)} most visited" if len(log.maps) > len(panels) else ""
    return map_figure(
        maps,
        wide=joint if len(canvas.places) > 1 else None,
        title=title,
        unit="visits (records)",
        caption=f"n = {visits:,} visits to {cells:,} cells of {count}, all records{more}.{visits_note(tile)}",
    )


def compare_heatmap_figure(logs: Sequence[LogTables], names: Sequence[str]) -> "Figure":
    """The visits of several logs side by side, on one canvas and one colour scale."""
    import pandas as pd

    title = f"Where the agents went: {' and '.join(names)}"
    together = pd.concat([log.visits for log in logs])
    if not len(together):
        return map_figure([VisitMap("", grid_of_nothing())], title=title, caption="No record has a position.")
    tile, canvas = fitting(together, MOST_CELLS)
    maps = []
    for log, name in zip(logs, names, strict=True):
        subject = f"{name}: {len(log.visits):,} cells of {len(log.maps)} maps"
        maps.append(canvas_map(subject, grid(tiled(log.visits, tile), canvas), canvas))
    counts = "; ".join(f"{name} n = {int(log.visits['visits'].sum()):,}" for log, name in zip(logs, names, strict=True))
    caption = f"{counts} visits, all records. The same canvas and colours in all.{visits_note(tile)}"
    return map_figure(maps, title=title, unit="visits (records)", caption=caption)


def visits_note(tile: int) -> str:
    """What the colours of a map do not show."""
    squares = f" Each cell is the sum of {tile} × {tile} tiles." if tile > 1 else ""
    return f"{squares} Grey: in no record. On a canvas, maps are packed by size, not by their place in the world."


def canvas_map(title: str, counts: FloatArray, canvas: Canvas) -> VisitMap:
    """All maps on one canvas."""
    return VisitMap(title, counts, boxes={str(m): place for m, place in canvas.places.items()})


def map_of(log: LogTables, canvas: Canvas, counts: FloatArray, m: int, tile: int) -> VisitMap:
    """One map in its own coordinates."""
    left, top, width, height = canvas.places[m]
    share = float(log.maps.loc[log.maps["map"] == m, "share"].iloc[0])
    x, y = canvas.origins[m]
    part = counts[top : top + height, left : left + width]
    return VisitMap(f"map {m} ({share:.1%})", part, origin=(x * tile, y * tile), tile=tile)


def grid_of_nothing() -> FloatArray:
    """A map without a visit, on which the figure states that there is none."""
    import numpy as np

    return np.zeros((1, 3))


def save(figure: "Figure", stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write `figure` as `stem`.png (300 DPI), .pdf or .svg, each atomically. Raises `StorageError`.

    The layout is computed once, so that all formats look alike.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return [theme.save_figure(figure, stem.with_name(f"{stem.name}.{kind}"), dpi=DPI) for kind in formats]
