"""The appearance of replays: 255 colours, and every picture in them at the size of a cell.

Index 0 is never drawn (a GIF needs it). Fixed colours come first: the ground, text, teams; the others are chosen
for the pictures that this replay needs. The same replay and cell size give the same palette and the same pixels.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from daf.game import sprites

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
MIN_CELL, MAX_CELL = 4, 64

TEAM_COLORS = {
    "blue": (58, 134, 255), "red": (255, 77, 77), "green": (40, 190, 90), "yellow": (245, 200, 40),
    "cogs": (58, 134, 255), "clips": (255, 77, 77),
}  # fmt: skip
"""Colours by a word in a team's name; other teams get `OTHER_TEAMS` in turn."""

OTHER_TEAMS = ((200, 90, 230), (30, 190, 200), (255, 140, 40), (170, 200, 60))
NO_TEAM = (132, 144, 160)

COLORS = {
    "panel": (24, 26, 31), "text": (232, 234, 237), "muted": (150, 156, 166), "bad": (255, 110, 100),
    "outline": (18, 18, 20), "hp": (70, 215, 90), "hp low": (255, 80, 60), "energy": (90, 190, 255),
    "empty": (50, 48, 46), "rock": (66, 60, 58), "rock light": (98, 90, 84), "rock dark": (44, 40, 40),
    "sand": (128, 114, 98), "white": (255, 255, 255),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture of a cell: palette indices, and a mask of the pixels to draw."""

    pixels: Pixels
    mask: NDArray[np.bool_]


@dataclass
class Artwork:
    """Colours and tiles for one replay. palette: (256, 3). cell: side length in pixels."""

    cell: int
    palette: Pixels
    names: dict[str, int]
    teams: dict[str, int]
    dim: dict[str, int]
    pictures: dict[str, Tile] = field(repr=False)
    sand: Pixels = field(repr=False)

    def team(self, name: str | None) -> int:
        """A team's colour."""
        return self.teams.get(name or "", self.names["no team"])

    def main_color(self, picture: str) -> int:
        """The colour nearest to a picture's mean; a plain grey if there is no such picture."""
        tile = self.pictures.get(picture)
        if tile is None or not tile.mask.any():
            return self.names["muted"]
        mean = self.palette[tile.pixels[tile.mask]].mean(axis=0)
        return int(np.square(self.palette[1:] - mean).sum(axis=1).argmin()) + 1

    def has(self, picture: str) -> bool:
        """Whether the game has that picture; if not, a plain shape replaces it."""
        return picture in self.pictures


def artwork_for(types: Iterable[str], teams: Iterable[str], vibes: Iterable[str], cell: int) -> Artwork:
    """The `Artwork` of a replay with these types of buildings, teams and vibes, with cells `cell` pixels wide."""
    images = _pictures(types, vibes, cell)
    names: dict[str, int] = {}
    colors: list[tuple[int, int, int]] = [(0, 0, 0)]

    def add(color: tuple[int, int, int]) -> int:
        colors.append(color)
        return len(colors) - 1

    for name, color in COLORS.items():
        names[name] = add(color)
    names["no team"] = add(NO_TEAM)
    chosen = team_colors(teams)
    team_index = {name: add(color) for name, color in list(chosen.items())[:24]}
    sand_color = np.array(COLORS["sand"])
    mixed = {name: (np.array(chosen[name]) * 0.55 + sand_color * 0.45).astype(int) for name in team_index}
    dim = {name: add((int(mix[0]), int(mix[1]), int(mix[2]))) for name, mix in mixed.items()}
    sand_image = _sand(cell)
    shown = [rgba[rgba[..., 3] > 127][:, :3] for rgba in images.values()]
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = colors
    chosen_colors = _chosen(sand_image.reshape(-1, 3), 10)
    if shown:
        rest = _chosen(np.concatenate(shown), 256 - len(colors) - len(chosen_colors))
        chosen_colors = np.concatenate((chosen_colors, rest))
    used = len(colors) + len(chosen_colors)
    palette[len(colors) : used] = chosen_colors
    nearest = _nearest(palette[1:used])
    pictures = {name: Tile(nearest(rgba[..., :3]), rgba[..., 3] > 127) for name, rgba in images.items()}
    return Artwork(cell, palette, names, team_index, dim, pictures, nearest(sand_image))


def team_colors(teams: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    """A colour for each team."""
    found: dict[str, tuple[int, int, int]] = {}
    others = 0
    for name in sorted(set(teams)):
        words = name.lower().replace("-", "_").split("_")
        known = [color for word, color in TEAM_COLORS.items() if word in words]
        color = next((one for one in known if one not in found.values()), None)
        if color is None:
            color, others = OTHER_TEAMS[others % len(OTHER_TEAMS)], others + 1
        found[name] = color
    return found


def _pictures(types: Iterable[str], vibes: Iterable[str], cell: int) -> dict[str, Pixels]:
    wanted: dict[str, tuple[Image | None, int]] = {}
    for name in sorted(set(types)):
        wanted[name] = (sprites.object_sprite(name), cell)
        wanted[f"{name} depleted"] = (sprites.sprite(f"objects/{name}.depleted"), cell)
        wanted[f"{name} remnant"] = (sprites.remnant_sprite(name), cell)
    for role in sprites.ROLES:
        for direction in sprites.DIRECTIONS:
            wanted[f"{role} {direction}"] = (sprites.agent_sprite(role, direction), max(cell - 2, 1))
    for vibe in sorted(set(vibes) - {"default"}):
        wanted[f"vibe {vibe}"] = (sprites.vibe_sprite(vibe), max(cell * 3 // 8, 1))
    return {name: _fitted(image, size) for name, (image, size) in wanted.items() if image is not None}


def _fitted(image: "Image", size: int) -> Pixels:
    """`image` as RGBA, at most `size` pixels wide and high."""
    from PIL import Image

    scale = size / max(image.size)
    width, height = (max(round(side * scale), 1) for side in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _sand(cell: int) -> Pixels:
    """Ground for 8×8 cells, as RGB: the game's sand, or plain if it has none."""
    from PIL import Image

    picture = sprites.sprite("terrain/repeating.sand", crop=False)
    side = cell * 8
    if picture is None:
        return np.full((side, side, 3), COLORS["sand"], np.uint8)
    small = picture.convert("RGB").resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(small.point(lambda value: min(int(value * 1.12), 255)))


def _chosen(colors: Pixels, most: int) -> Pixels:
    """At most `most` colours that represent `colors` (n, 3), by median cut."""
    from PIL import Image

    strip = Image.fromarray(np.ascontiguousarray(colors.reshape(1, -1, 3)))
    found = strip.quantize(most, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).getpalette()
    return np.unique(np.array(found, np.uint8).reshape(-1, 3)[:most], axis=0)


def _nearest(palette: Pixels) -> Callable[[Pixels], Pixels]:
    """A function from RGB to indices, 1 for the palette's first colour."""
    table = palette.astype(np.int32)

    def indices(rgb: Pixels) -> Pixels:
        colors, back = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
        best = np.empty(len(colors), np.uint8)
        for first in range(0, len(colors), 1024):
            apart = colors[first : first + 1024, None, :].astype(np.int32) - table
            best[first : first + 1024] = np.square(apart).sum(axis=2).argmin(axis=1) + 1
        return best[back].reshape(rgb.shape[:-1])

    return indices
