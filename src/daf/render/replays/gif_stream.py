"""A GIF written frame by frame: one frame in memory, and only the changes since the previous frame in the file.

Every frame is the smallest rectangle around the changes; unchanged pixels inside it are transparent. The global palette
has 256 colours, of which index 0 stands for "as before" and is never drawn.
"""

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from daf.errors import UsageError
from daf.render.replays import _gif_lzw as gif_lzw

MAX_FPS = 50
"""Browsers show a frame shorter than 2/100 s for 10/100 s."""

DENSE = 8
"""Frames in which more than one pixel in `DENSE` changed use Pillow's encoder: slower, but a smaller file."""


class GifStream:
    """Writes frames to an open file. `add` each in turn, then `close`; the file stays open."""

    def __init__(self, file: BinaryIO, width: int, height: int, palette: NDArray[np.uint8], fps: float) -> None:
        """palette: (256, 3). fps: above 0, up to `MAX_FPS`. Raises `UsageError`."""
        check_rate(fps)
        if not (0 < width <= 65535 and 0 < height <= 65535):
            raise UsageError(
                f"a GIF of {width}×{height} pixels is beyond the format's 65,535. Choose a smaller --cell."
            )
        self._file, self._size, self._fps = file, (width, height), fps
        self._before: NDArray[np.uint8] | None = None
        self._frames = 0
        file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF7, 0, 0) + palette.tobytes())
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Write the next frame: (height, width) palette indices, none of them 0."""
        if self._before is None:
            self._before = frame.copy()
            self._image(frame, 0, 0)
            return
        changed = np.flatnonzero(frame != self._before)
        width = self._size[0]
        if not len(changed):
            changed = np.zeros(1, np.int64)
        rows, columns = changed // width, changed % width
        top, left = int(rows[0]), int(columns.min())
        across, down = int(columns.max()) - left + 1, int(rows[-1]) - top + 1
        values = frame.reshape(-1)[changed]
        self._before.reshape(-1)[changed] = values
        if len(changed) * DENSE > across * down:
            region = np.zeros((down, across), np.uint8)
            region[rows - top, columns - left] = values
            self._image(region, left, top)
            return
        self._head(left, top, across, down)
        self._file.write(gif_lzw.encode((rows - top) * across + columns - left, values, across * down, 0))

    def close(self) -> None:
        """Write the end of the file."""
        self._file.write(b"\x3b")

    def _image(self, region: NDArray[np.uint8], left: int, top: int) -> None:
        self._head(left, top, region.shape[1], region.shape[0])
        self._file.write(b"\x08" + _pillow_lzw(region) + b"\x00")

    def _head(self, left: int, top: int, width: int, height: int) -> None:
        begins, ends = (round(number * 100 / self._fps) for number in (self._frames, self._frames + 1))
        self._frames += 1
        control = struct.pack("<BBHB", 4, (1 << 2) | 1, ends - begins, 0)
        self._file.write(b"\x21\xf9" + control + b"\x00\x2c" + struct.pack("<HHHHB", left, top, width, height, 0))


def check_rate(fps: float) -> None:
    """Raise `UsageError` for a rate that no browser plays."""
    if not 0.1 <= fps <= MAX_FPS:
        raise UsageError(f"--fps {fps:g} is outside 0.1 to {MAX_FPS}: browsers slow faster GIFs down to 10.")


def _pillow_lzw(region: NDArray[np.uint8]) -> bytes:
    """Sub-blocks of `region`, by Pillow's encoder in C."""
    from PIL import Image

    # Pillow's private encoder: its public `save` writes whole GIF files, and chooses palettes and rectangles itself.
    picture = Image.fromarray(np.ascontiguousarray(region))
    encoder = Image._getencoder("L", "gif", ("L",), (8, 0))
    encoder.setimage(picture.im, (0, 0, *picture.size))
    parts = []
    status = 0
    while not status:
        _, status, data = encoder.encode(1 << 16)
        parts.append(data)
    return b"".join(parts)
