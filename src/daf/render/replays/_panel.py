"""The panel next to the map: step, score, and a line per agent. Text is drawn once per word and place, and cached."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from daf.render.replays._artwork import Pixels

LETTER_WIDTH, LETTER_HEIGHT = 6, 11
LINE = 13


class Letters:
    """Words as palette indices, in Pillow's bitmap font; characters outside printable ASCII become "?"."""

    def __init__(self, ground: int) -> None:
        self._ground = ground
        self._shapes = _shapes()
        self._words: dict[tuple[str, int, int], Pixels] = {}

    def word(self, text: str, width: int, color: int) -> Pixels:
        """`text` in `width` letters, truncated or padded: (LETTER_HEIGHT, width × LETTER_WIDTH)."""
        key = (text, width, color)
        found = self._words.get(key)
        if found is None:
            if len(self._words) > 20_000:
                self._words.clear()
            codes = [ord(letter) - 32 if 32 <= ord(letter) < 127 else 31 for letter in text[:width].ljust(width)]
            shape = self._shapes[codes].transpose(1, 0, 2).reshape(LETTER_HEIGHT, width * LETTER_WIDTH)
            found = np.where(shape, np.uint8(color), np.uint8(self._ground))
            self._words[key] = found
        return found


def _shapes() -> NDArray[np.bool_]:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default_imagefont()
    found = np.zeros((95, LETTER_HEIGHT, LETTER_WIDTH), np.bool_)
    for number in range(95):
        picture = Image.new("1", (LETTER_WIDTH, LETTER_HEIGHT))
        ImageDraw.Draw(picture).text((0, 0), chr(32 + number), fill=1, font=font)
        found[number] = np.asarray(picture)
    return found


class SidePanel:
    """Words at places (line, column in letters) of a canvas; a word that is already there is not drawn again."""

    def __init__(self, canvas: Pixels, letters: Letters) -> None:
        self._canvas, self._letters = canvas, letters
        self._there: dict[tuple[int, int], tuple[str, int]] = {}

    @property
    def lines(self) -> int:
        """Number of lines that fit."""
        height = int(self._canvas.shape[0])
        return max((height - 4) // LINE, 0)

    def put(self, line: int, column: int, text: str, width: int, color: int) -> None:
        """Draw a word, if there is room for it and it is not already there."""
        if line >= self.lines or self._there.get((line, column)) == (text, color):
            return
        self._there[(line, column)] = (text, color)
        top, left = 3 + line * LINE, 4 + column * LETTER_WIDTH
        self._canvas[top : top + LETTER_HEIGHT, left : left + width * LETTER_WIDTH] = self._letters.word(
            text, width, color
        )


def short_number(value: float) -> str:
    """A score in up to seven characters."""
    return f"{value:.2f}" if abs(value) < 1000 else f"{value:.4g}"


def widths(columns: Sequence[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    """(column, width) in letters of each named column, with one letter between columns."""
    found, at = {}, 0
    for name, width in columns:
        found[name] = (at, width)
        at += width + 1
    return found
