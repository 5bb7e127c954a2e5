"""GIF's LZW encoding for frames in which little changes.

A frame that follows another is mostly transparent: long runs of one index, with some changed pixels between. `encode`
takes only the changed pixels and writes the runs with the codes that LZW's own table assigns to runs (T, TT, TTT, …),
so its time depends on the number of changed pixels and not on the frame's size. The output is plain GIF LZW of 8-bit
pixels, which every decoder reads; it is less dense than a full encoder's output if the changed pixels repeat.
"""

import numpy as np
from numpy.typing import NDArray

CLEAR, END, FIRST = 256, 257, 258
_STRETCH = 256
"""Literal codes between two checks of the table's size."""

_FULL = 4096 - FIRST - _STRETCH - 2
"""The table is cleared after this many codes since the last time, so that it never fills."""


def encode(positions: NDArray[np.int64], values: NDArray[np.uint8], area: int, background: int) -> bytes:
    """LZW data of an image of `area` pixels that is `background` except at `positions`, which have `values`.

    positions: (n,) flat, ascending. Returns the minimum code size, the sub-blocks and their end, as in a GIF file.
    """
    codes, places = _runs(positions, area, background)
    stream = np.empty(len(positions) + len(codes), np.int64)
    inserted = np.asarray(places, np.int64) + np.arange(len(codes))
    literal = np.ones(len(stream), np.bool_)
    literal[inserted] = False
    stream[inserted] = codes
    stream[literal] = values
    return b"\x08" + _blocks(_packed(stream)) + b"\x00"


def _runs(positions: NDArray[np.int64], area: int, background: int) -> tuple[list[int], list[int]]:
    """The codes that are not literals, and before which literal (by number) each comes."""
    ends = np.concatenate((positions, [area]))
    gaps = np.diff(ends, prepend=-1) - 1
    stops = np.union1d(np.flatnonzero(gaps), np.arange(0, len(gaps), _STRETCH))
    codes, places = [CLEAR], [0]
    put, place = codes.append, places.append
    chain, longest, since, seen = [0, background], 1, 0, 0
    for literals, gap in zip(stops.tolist(), gaps[stops].tolist(), strict=True):
        since += literals - seen
        seen = literals
        while True:
            if since >= _FULL:
                put(CLEAR)
                place(literals)
                chain, longest, since = [0, background], 1, 0
            if gap <= longest:
                break
            put(chain[longest])
            place(literals)
            gap -= longest
            chain.append(FIRST + since)
            longest += 1
            since += 1
        if gap:
            put(chain[gap])
            place(literals)
            since += 1
    codes.append(END)
    places.append(len(positions))
    return codes, places


def _packed(stream: NDArray[np.int64]) -> bytes:
    """The codes as bits, lowest bit first, each as wide as the table's size requires at that point."""
    turn = np.arange(len(stream))
    cleared = np.flatnonzero(stream == CLEAR)
    begins = np.concatenate(([0], cleared + 1))
    since = turn - np.repeat(begins, np.diff(np.concatenate((begins, [len(stream)]))))
    widths = 9 + (since >= 512 - 257) + (since >= 1024 - 257) + (since >= 2048 - 257)
    ends = np.cumsum(widths)
    starts = ends - widths
    shifted = stream << (starts & 7)
    first = starts >> 3
    size = int(ends[-1] + 7) // 8
    total = np.zeros(size + 3)
    for byte in range(3):
        # Codes that meet in a byte have different bits of it, so that adding them is the same as or-ing them.
        part = np.bincount(first + byte, weights=(shifted >> (8 * byte)) & 255, minlength=size + 3)
        total += part[: size + 3]
    return total[:size].astype(np.uint8).tobytes()


def _blocks(data: bytes) -> bytes:
    whole = len(data) // 255
    table = np.empty((whole, 256), np.uint8)
    table[:, 0] = 255
    table[:, 1:] = np.frombuffer(data, np.uint8, whole * 255).reshape(whole, 255)
    rest = data[whole * 255 :]
    return table.tobytes() + (bytes([len(rest)]) + rest if rest else b"")
