"""The data behind the figures of a log, and the preparation of its bins for drawing.

The tables are those of a log's summary (`daf.streams.summary.LogSummary`); any object that has them can be drawn.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from daf.stats.smoothing import running_mean

if TYPE_CHECKING:
    import pandas as pd

type FloatArray = NDArray[np.float64]

DISPLAY_BINS = 240
"""Maximum number of bins drawn; finer ones are merged."""
_WINDOWS = (1, 3, 5, 9, 17, 33)
_QUIET = 0.02


class LogTables(Protocol):
    """The tables of a log that are drawn."""

    @property
    def records(self) -> int: ...
    @property
    def sampling_ratio(self) -> float: ...
    @property
    def time_axis(self) -> str: ...
    @property
    def time_range(self) -> tuple[float, float]: ...
    @property
    def step_range(self) -> tuple[float, float] | None: ...
    @property
    def components(self) -> "pd.DataFrame": ...
    @property
    def component_names(self) -> list[str]: ...
    @property
    def timeline(self) -> "pd.DataFrame": ...
    @property
    def visits(self) -> "pd.DataFrame": ...
    @property
    def visits_over_time(self) -> "pd.DataFrame": ...
    @property
    def maps(self) -> "pd.DataFrame": ...
    @property
    def sample(self) -> "pd.DataFrame": ...
    @property
    def returns(self) -> "pd.DataFrame": ...
    @property
    def files(self) -> "pd.DataFrame": ...
    @property
    def damage(self) -> "pd.DataFrame": ...
    @property
    def stride(self) -> int: ...
    @property
    def gaps(self) -> "pd.DataFrame": ...
    @property
    def oddities(self) -> "pd.DataFrame": ...
    @property
    def stretches(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class BinnedCurve:
    """One column over training, in bins: midpoints and edges, n, mean and sd of the records in each, and the mean
    smoothed over `window` bins.
    """

    middle: FloatArray
    start: FloatArray
    end: FloatArray
    n: FloatArray
    mean: FloatArray
    sd: FloatArray
    smooth: FloatArray
    window: int


def curve(log: LogTables, column: str, *, smooth_window: int | None = None, bins: int = DISPLAY_BINS) -> BinnedCurve:
    """`column` over training, in about `bins` bins at most, smoothed over `smooth_window` of them.

    By default the window is the narrowest that reduces the bins' noise below 2 % of the curve's range. The noise is
    estimated from second differences, so that a slope does not count as noise.
    """
    rows = log.timeline[log.timeline["column"] == column]
    start, end = rows["start"].to_numpy(), rows["end"].to_numpy()
    n, mean = rows["n"].to_numpy(np.float64), rows["mean"].to_numpy()
    m2 = np.nan_to_num(rows["sd"].to_numpy()) ** 2 * (n - 1)
    low, high = log.time_range
    width = (high - low) / bins or 1.0
    group = np.floor(((start + end) / 2 - low) / width).astype(np.int64)
    order = np.argsort(group, kind="stable")
    begins = np.flatnonzero(np.diff(group[order], prepend=-(10**9)))
    if not len(begins):
        empty = np.empty(0)
        return BinnedCurve(empty, empty, empty, empty, empty, empty, empty, 1)
    start, end, n, mean, m2 = start[order], end[order], n[order], mean[order], m2[order]
    total = np.add.reduceat(n, begins)
    joined = np.add.reduceat(n * mean, begins) / total
    spread = np.add.reduceat(m2 + n * (mean - np.repeat(joined, np.diff([*begins, len(n)]))) ** 2, begins)
    sd = np.sqrt(spread / np.maximum(total - 1, 1))
    left, right = np.minimum.reduceat(start, begins), np.maximum.reduceat(end, begins)
    window = smooth_window or _window(joined)
    return BinnedCurve((left + right) / 2, left, right, total, joined, sd, running_mean(joined, window, total), window)


def _window(mean: FloatArray) -> int:
    if len(mean) < 5:
        return 1
    noise = float(np.median(np.abs(np.diff(mean, 2)))) / 0.6745 / np.sqrt(6.0)
    range_ = float(mean.max() - mean.min())
    wide = [w for w in _WINDOWS if w <= max(1, len(mean) // 4)]
    return next((w for w in wide if noise / np.sqrt(w) <= _QUIET * range_), wide[-1])


@dataclass(frozen=True)
class Canvas:
    """All maps arranged side by side on one plane: `places` gives each map's (left, top, width, height) there."""

    width: int
    height: int
    places: dict[int, tuple[int, int, int, int]]
    origins: dict[int, tuple[int, int]]

    def positions(self, frame: "pd.DataFrame") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Canvas column and row of each row of `frame` (map, x, y)."""
        maps = frame["map"].to_numpy()
        known = {m: i for i, m in enumerate(self.places)}
        index = np.array([known[m] for m in maps.tolist()], dtype=np.int64)
        left = np.array([place[0] for place in self.places.values()], dtype=np.int64)
        top = np.array([place[1] for place in self.places.values()], dtype=np.int64)
        x0 = np.array([self.origins[m][0] for m in self.places], dtype=np.int64)
        y0 = np.array([self.origins[m][1] for m in self.places], dtype=np.int64)
        return frame["x"].to_numpy() - x0[index] + left[index], frame["y"].to_numpy() - y0[index] + top[index]


def pack(visits: "pd.DataFrame", *, gap: int = 4, most_cells: int = 4_000_000) -> Canvas | None:
    """A canvas for the maps in `visits` (map, x, y, visits), tallest first in rows; `None` if it would be too large."""
    if not len(visits):
        return None
    least = visits.groupby("map")[["x", "y"]].min().to_records()
    most = visits.groupby("map")[["x", "y"]].max().to_records()
    boxes = {int(m): (int(x0), int(y0), int(x1), int(y1)) for (m, x0, y0), (_, x1, y1) in zip(least, most, strict=True)}
    sizes = {m: (x1 - x0 + 1, y1 - y0 + 1) for m, (x0, y0, x1, y1) in boxes.items()}
    area = sum((w + gap) * (h + gap) for w, h in sizes.values())
    if area > most_cells:
        return None
    across = max(int(np.sqrt(area * 2.5)), max(w for w, _ in sizes.values()) + gap)
    places: dict[int, tuple[int, int, int, int]] = {}
    left = top = shelf = 0
    for m in sorted(sizes, key=lambda m: (-sizes[m][1], m)):
        w, h = sizes[m]
        if left and left + w > across:
            left, top, shelf = 0, top + shelf + gap, 0
        places[m] = (left, top, w, h)
        left, shelf = left + w + gap, max(shelf, h)
    width = max(x + w for x, _, w, _ in places.values())
    height = max(y + h for _, y, _, h in places.values())
    return Canvas(width, height, places, {m: (x0, y0) for m, (x0, y0, _, _) in boxes.items()})


def tiled(visits: "pd.DataFrame", tile: int) -> "pd.DataFrame":
    """The visits of each square of `tile` by `tile` cells."""
    if tile == 1:
        return visits
    squares = visits.assign(x=visits["x"] // tile, y=visits["y"] // tile)
    return squares.groupby(["map", "x", "y"])["visits"].sum().reset_index()


def fitting(visits: "pd.DataFrame", most_cells: int) -> tuple[int, Canvas]:
    """The side of the smallest squares whose canvas has up to `most_cells` cells or so, and that canvas.

    visits: at least one.
    """
    tile = 1
    while True:
        # Gaps between many small maps don't shrink with the squares, so that larger squares may use more cells.
        canvas = pack(tiled(visits, tile), most_cells=most_cells * (4 if tile > 1 else 1))
        if canvas is not None:
            return tile, canvas
        tile *= 2


def grid(visits: "pd.DataFrame", canvas: Canvas) -> FloatArray:
    """(height, width) visits on the canvas, 0 for cells that nobody visited."""
    cells = np.zeros((canvas.height, canvas.width))
    column, row = canvas.positions(visits)
    np.add.at(cells, (row, column), visits["visits"].to_numpy(np.float64))
    return cells


def axis_label(log: LogTables) -> str:
    """Name and unit of the training time axis."""
    return "total environment steps" if log.time_axis == "total_steps" else "training time (records)"


def sampling(log: LogTables) -> str:
    """The sentence about the sample that appears in titles."""
    ratio = log.sampling_ratio * 100
    shown = "100 %" if ratio == 100 else f"{ratio:.3g} %"
    return f"sample {len(log.sample):,} of {log.records:,} records ({shown})"
