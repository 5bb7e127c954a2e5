"""Figures of a log for papers and slides: rewards over training, visits, and statistics; byte-for-byte reproducible.

Curves and bands come from all records; dots are the uniform sample. Figures are drawn within `drawing`, whatever the
user's matplotlib settings are, and files contain neither dates nor versions.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.render import theme
from daf.render.logs.data import Canvas, Curve, LogTables, axis_label, curve, grid, number, pack, sampling, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = theme.LIGHT
LINES = ("-", "--", ":", "-.")
MOST_PANELS = 12
DPI = 300
_EMPTY = "#E6E8EB"


@contextmanager
def drawing() -> Iterator[None]:
    """Apply DAF's style in print size to matplotlib within the block, whatever the user's settings are."""
    import matplotlib as mpl

    settings: Any = theme.matplotlib_rc() | {
        "font.size": 8.5,
        "axes.titlesize": 9.5,
        "axes.labelsize": 8.5,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5,
        "axes.linewidth": 0.7,
        "grid.linewidth": 0.5,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def rewards_figure(log: LogTables, name: str, *, smooth_window: int | None = None) -> "Figure":
    """Every reward column over training: sample, binned means with bands, smoothed curve."""
    columns, colors = [str(column) for column in log.components.index], series(log)
    sums = [column for column in columns if column in ("total", "step_reward")]
    parts = [column for column in columns if column not in sums]
    if len(parts) > MOST_PANELS:
        share = log.components["share"].fillna(0.0)
        parts = sorted(sorted(parts, key=lambda c: (-float(share[c]), c))[:MOST_PANELS], key=columns.index)
    across = 3 if len(parts) > 4 else max(len(parts), 1) if not sums else 2 if len(parts) > 1 else 1
    down = -(-len(parts) // across)
    figure = new_figure(10, 1.7 + (2.4 if sums else 0) + 1.75 * down)
    space = figure.add_gridspec((1 if sums else 0) + down, across, height_ratios=([1.5] if sums else []) + [1.0] * down)
    widest = 1
    for column in sums[:1]:
        axes = figure.add_subplot(space[0, :])
        widest = max(widest, _reward_panel(axes, log, column, colors[column].color(), smooth_window))
        axes.set_title("total reward" if column == "total" else "step reward")
        axes.legend(loc="upper left", ncols=4, markerscale=6)
        axes.set_ylabel("reward")
    for index, column in enumerate(parts):
        row, place = divmod(index, across)
        axes = figure.add_subplot(space[row + bool(sums), place])
        widest = max(widest, _reward_panel(axes, log, column, colors[column].color(), smooth_window))
        axes.set_title(column)
        if place == 0:
            axes.set_ylabel("reward")
        if index + across >= len(parts):
            axes.set_xlabel(axis_label(log) if across < 3 else axis_label(log).replace("environment ", ""))
    left_out = len(columns) - len(sums) - len(parts)
    figure.suptitle(f"Reward components over training: {name}\n{sampling(log)}", fontsize=11.5, x=0.01, ha="left")
    caption(
        figure,
        f"n = {log.records:,} records. Lines: means of all records per bin of training time, "
        + (f"smoothed over up to {widest} of them. " if widest > 1 else "not smoothed. ")
        + "Bands: mean ± 1 standard deviation of the records in a bin. Dots: the uniform sample."
        + (f" {left_out} smaller components are left out." if left_out else ""),
    )
    return figure


def heatmap_figure(log: LogTables, name: str) -> "Figure":
    """Visits on a log scale: all maps on one canvas, and each of the most visited maps on separate axes."""
    panels = [int(m) for m in log.maps["map"].head(MOST_PANELS)]
    across = min(4, len(panels)) or 1
    down = -(-len(panels) // across)
    canvas = pack(log.visits)
    if not panels:
        return _no_visits(name)
    joint = canvas is not None and len(canvas.places) > 1
    tall = 8.6 * (canvas.height + 5) / canvas.width if joint and canvas is not None else 0.0
    if joint or len(panels) > 1:
        figure = new_figure(10, 1.4 + tall + 2.2 * down)
    else:
        wide, high = (float(np.ptp(log.visits[axis])) + 1 for axis in ("x", "y"))
        height = min(7.0, max(2.2, 8.4 * high / wide))
        figure = new_figure(min(10.0, max(5.5, 1.6 + height * wide / high)), 1.4 + height)
    space = figure.add_gridspec(int(joint) + down, across, height_ratios=([tall] if joint else []) + [2.2] * down)
    norm = shared_norm(log)
    image: Any = None
    axes_all: list[Any] = []
    if joint and canvas is not None:
        axes = figure.add_subplot(space[0, :])
        image = canvas_panel(axes, log, canvas, norm)
        axes.set_title(f"all {len(canvas.places)} maps on one canvas (packed by size, not by their place in the world)")
        axes_all.append(axes)
    for index, m in enumerate(panels):
        row, place = divmod(index, across)
        axes = figure.add_subplot(space[row + int(joint), place])
        image = map_panel(axes, log, m, norm)
        if place:
            axes.set_ylabel("")
        if index + across < len(panels):
            axes.set_xlabel("")
        axes_all.append(axes)
    if image is not None:
        shrink = 0.4 if len(axes_all) > 1 else 0.8
        bar = figure.colorbar(image, ax=axes_all, shrink=shrink, aspect=30, pad=0.015, panchor=False)
        bar.set_label("visits (records), log scale")
        count_ticks(bar, norm.vmax)
        bar.outline.set_visible(False)
    figure.suptitle(
        f"Where the agents went: {name}\nall {log.records:,} records, no sampling", fontsize=11.5, x=0.01, ha="left"
    )
    visited, cells = int(log.visits["visits"].sum()), len(log.visits)
    shown = f", the {len(panels)} most visited of {len(log.maps)} maps below" if len(log.maps) > len(panels) else ""
    maps = "1 map" if len(log.maps) == 1 else f"{len(log.maps)} maps"
    caption(
        figure,
        f"n = {visited:,} visits to {cells:,} cells of {maps}{shown}. Grey: in no record.",
    )
    return figure


def _no_visits(name: str) -> "Figure":
    figure = new_figure(10, 3)
    say_nothing(figure.subplots(), "no positions in these records")
    figure.suptitle(f"Where the agents went: {name}", fontsize=11.5, x=0.01, ha="left")
    return figure


def save(figure: "Figure", stem: Path, formats: Sequence[str]) -> list[Path]:
    """Write `figure` as `stem`.png (300 DPI), .pdf or .svg, each atomically. Raises `StorageError`.

    The layout is computed once, so that all formats look alike.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return [theme.save_figure(figure, stem.with_name(f"{stem.name}.{kind}"), dpi=DPI) for kind in formats]


def canvas_panel(axes: "Axes", log: LogTables, canvas: Canvas, norm: Any) -> Any:
    """Draw the visits of all maps on one canvas, each map's box in grey with its number above."""
    from matplotlib.patches import Rectangle

    for m, (left, top, width, height) in canvas.places.items():
        axes.add_patch(Rectangle((left, top), width, height, facecolor=_EMPTY, linewidth=0, zorder=-1))
        if width * height > 0.003 * canvas.width * canvas.height:
            axes.text(left, top - 0.2, str(m), fontsize=5.5, va="bottom", color=theme.LIGHT_GROUND.muted)
    image = picture_of(axes, grid(log.visits, canvas), norm, extent=(0, canvas.width, canvas.height, 0))
    axes.set_ylim(canvas.height, -4)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("tiles; numbers name the maps")
    axes.set_anchor("NW")
    return image


def map_panel(axes: "Axes", log: LogTables, m: int, norm: Any) -> Any:
    """Draw one map's visits in its own coordinates."""
    cells = log.visits[log.visits["map"] == m]
    x, y = cells["x"].to_numpy(), cells["y"].to_numpy()
    visits = cells["visits"].to_numpy(np.float64)
    width, height = int(x.max() - x.min() + 1), int(y.max() - y.min() + 1)
    if width * height > 4_000_000:
        axes.invert_yaxis()
        image: Any = axes.scatter(x, y, c=visits, s=2, norm=norm, cmap="viridis", rasterized=True)
    else:
        axes.set_facecolor(_EMPTY)
        picture = np.zeros((height, width))
        picture[y - y.min(), x - x.min()] = visits
        image = picture_of(axes, picture, norm, (x.min() - 0.5, x.max() + 0.5, y.max() + 0.5, y.min() - 0.5))
    row = log.maps[log.maps["map"] == m].iloc[0]
    axes.set_title(f"map {m} ({float(row['share']) * 100:.1f} %)", fontsize=8)
    axes.set_anchor("NW")
    axes.set_xlabel("x (tiles)")
    axes.set_ylabel("y (tiles, downwards)")
    axes.locator_params(nbins=4, integer=True)
    return image


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of `width` by `height` inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def caption(figure: "Figure", text: str) -> None:
    """Put `text` under `figure`."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=7.5, color="#444444", wrap=True)


def _reward_panel(axes: "Axes", log: LogTables, column: str, color: str, window: int | None) -> int:
    """Draw one column; returns the number of bins it was smoothed over."""
    line = curve(log, column, smooth_window=window)
    if "time" in log.sample and column in log.sample:
        axes.plot(
            log.sample["time"],
            log.sample[column],
            ".",
            ms=1.6,
            mew=0,
            alpha=0.25,
            color=color,
            rasterized=True,
            label="sample",
        )
    low, high = line.mean - line.sd, line.mean + line.sd
    axes.fill_between(line.middle, low, high, color=color, alpha=0.2, lw=0, label="± 1 SD")
    if line.window > 1:
        axes.plot(line.middle, line.mean, color=color, lw=0.5, alpha=0.6, label="bin mean")
    axes.plot(line.middle, line.smooth, color=color, lw=1.6, label="smoothed mean" if line.window > 1 else "bin mean")
    axes.xaxis.set_major_formatter(thousands())
    axes.locator_params(axis="x", nbins=6)
    _limits(axes, line, log, column)
    return line.window


def _limits(axes: "Axes", line: Curve, log: LogTables, column: str) -> None:
    """Make room for the bands and nearly all of the sample: single outliers must not flatten the curve."""
    if not len(line.mean):
        return
    row: dict[str, float] = log.components[["q01", "q99"]].to_dict("index")[column]  # type: ignore[assignment]
    low = min(float(np.nanmin(line.mean - line.sd)), row["q01"])
    high = max(float(np.nanmax(line.mean + line.sd)), row["q99"])
    room = 0.05 * (high - low) or 0.5
    axes.set_ylim(low - room, high + room)
    first, last = log.time_range
    axes.set_xlim(first, last if last > first else first + 1)


def shared_norm(*logs: LogTables) -> Any:
    """One log colour scale for the visits of all `logs`."""
    from matplotlib.colors import LogNorm

    most = max((int(log.visits["visits"].max()) for log in logs if len(log.visits)), default=1)
    return LogNorm(vmin=1, vmax=max(most, 2))


def count_ticks(bar: Any, most: float) -> None:
    """Set the ticks of a colour bar of counts on a log scale: round numbers from 1, and the largest count itself."""
    steps = (1, 2, 5) if most < 1_000 else (1, 3) if most < 100_000 else (1,)
    ticks = [step * 10**power for power in range(16) for step in steps if step * 10**power * 1.3 < most]
    ticks.append(int(most))
    bar.set_ticks(ticks, labels=[f"{tick:,}" for tick in ticks])
    bar.ax.minorticks_off()


def picture_of(axes: "Axes", cells: Any, norm: Any, extent: tuple[float, float, float, float]) -> Any:
    """Draw `cells` (rows, columns) of visits; cells without visits are transparent."""
    import matplotlib as mpl

    colors = mpl.colormaps["viridis"].with_extremes(bad=(0, 0, 0, 0))
    axes.grid(visible=False)
    return axes.imshow(
        np.ma.masked_equal(cells, 0), norm=norm, cmap=colors, extent=extent, interpolation="nearest", aspect="equal"
    )


def thousands() -> Any:
    """A tick formatter: 12.3k, 4.5M."""
    from matplotlib.ticker import FuncFormatter

    text: Callable[[float, Any], str] = lambda value, _: number(value)  # noqa: E731
    return FuncFormatter(text)


def say_nothing(axes: "Axes", why: str) -> None:
    """Write on empty axes why they are empty."""
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, color="#666666")
    axes.set_xticks([])
    axes.set_yticks([])
