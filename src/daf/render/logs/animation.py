"""Where the agents went over training, as an animated GIF: all visits of all slices, byte-for-byte reproducible.

Each frame shows one slice of training: cells visited in it are coloured by their visits (log scale), cells visited
earlier are dark grey, so new cells stand out and known cells stay visible.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daf.render.logs.data import Canvas, LogTables, pack
from daf.storage import atomic

if TYPE_CHECKING:
    import pandas as pd

FRAMES = 48
SECONDS = 0.2
LAST_SECONDS = 2.0
WIDTH = 900
_BAR = 46
_GROUND, _BOX, _BEFORE = 0, 1, 2
_SHADES = 200


def write_animation(log: LogTables, name: str, path: Path) -> Path | None:
    """Write the GIF to `path` atomically; returns `None` without positions or with too many cells for a canvas.

    Raises `StorageError`.
    """
    from PIL import Image

    canvas = pack(log.visits, most_cells=600_000)
    if canvas is None:
        return None
    zoom = max(1, WIDTH // canvas.width)
    slices = _frames(log)
    most = max((int(cells["visits"].max()) for _, cells in slices), default=1)
    seen = np.zeros((canvas.height, canvas.width), dtype=np.bool_)
    palette = _palette()
    frames: list[Any] = []
    for end, cells in slices:
        picture = _picture(cells, canvas, seen, most)
        image = Image.fromarray(np.kron(picture, np.ones((zoom, zoom), dtype=np.uint8)), mode="P")
        frame = Image.new("P", (image.width, image.height + _BAR), color=_GROUND)
        frame.putpalette(palette)
        frame.paste(image, (0, _BAR))
        share = (end - log.time_range[0]) / ((log.time_range[1] - log.time_range[0]) or 1.0)
        unit = "steps" if log.time_axis == "total_steps" else "records"
        _write(frame, name, f"{end:,.0f} {unit}, {int(seen.sum()):,} cells so far", share)
        frames.append(frame)
    durations = [round(SECONDS * 1000)] * (len(frames) - 1) + [round(LAST_SECONDS * 1000)]
    data = io.BytesIO()
    frames[0].save(
        data,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        optimize=False,
        disposal=1,
    )
    atomic.write_bytes(path, data.getvalue())
    return path


def _frames(log: LogTables) -> list[tuple[float, "pd.DataFrame"]]:
    """Up to `FRAMES` slices of training: the end of each and the visits in it."""
    visits = log.visits_over_time
    ends = np.unique(visits["end"].to_numpy())
    groups = np.array_split(ends, min(FRAMES, len(ends)))
    frames: list[tuple[float, pd.DataFrame]] = []
    for group in groups:
        inside = visits[(visits["end"] >= group[0]) & (visits["end"] <= group[-1])]
        frames.append((float(group[-1]), inside.groupby(["map", "x", "y"])["visits"].sum().reset_index()))
    return frames


def _picture(cells: "pd.DataFrame", canvas: Canvas, seen: NDArray[np.bool_], most: int) -> NDArray[np.uint8]:
    """(height, width) palette indices; updates `seen`."""
    picture = np.full((canvas.height, canvas.width), _GROUND, dtype=np.uint8)
    for left, top, width, height in canvas.places.values():
        picture[top : top + height, left : left + width] = _BOX
    picture[seen] = _BEFORE
    column, row = canvas.positions(cells)
    shade = np.log(cells["visits"].to_numpy(np.float64)) / np.log(max(most, 2))
    picture[row, column] = 3 + np.round(shade * (_SHADES - 1)).astype(np.uint8)
    seen[row, column] = True
    return picture


def _palette() -> list[int]:
    import matplotlib as mpl

    viridis = mpl.colormaps["viridis"](np.linspace(0.12, 1.0, _SHADES))[:, :3]
    colors = [(255, 255, 255), (230, 232, 235), (150, 156, 164), *np.round(viridis * 255).astype(int).tolist()]
    colors += [(27, 31, 36), (11, 99, 184)]
    return [int(part) for color in colors for part in color]


def _write(frame: Any, name: str, text: str, share: float) -> None:
    from PIL import ImageDraw, ImageFont

    draw = ImageDraw.Draw(frame)
    ink, blue = 3 + _SHADES, 4 + _SHADES
    draw.fontmode = "1"
    font = ImageFont.load_default(size=15)
    draw.text((8, 6), f"Where the agents went: {name}", fill=ink, font=font)
    width = draw.textlength(text, font=font)
    draw.text((frame.width - width - 8, 6), text, fill=ink, font=font)
    draw.rectangle((8, 32, frame.width - 8, 36), fill=_BOX)
    draw.rectangle((8, 32, 8 + max(1, round((frame.width - 16) * min(share, 1.0))), 36), fill=blue)
