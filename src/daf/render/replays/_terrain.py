"""The ground of a map: sand, walls, and buildings in their teams' colours."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from daf.game.replays import Replay
from daf.render.replays._artwork import Artwork, Pixels, Tile
from daf.render.replays._scene import Building


class Terrain:
    """The map without agents. ground: (height, width) indices, restored on cells that agents leave."""

    def __init__(self, replay: Replay, artwork: Artwork) -> None:
        self._artwork = artwork
        self._there: dict[int, Building] = {}
        self.ground = self._walled(replay)
        self._bare = self.ground.copy()

    def canvas(self) -> Pixels:
        """An empty picture of the whole map."""
        return np.empty_like(self.ground)

    def paint(self, canvas: Pixels) -> None:
        """Draw the whole terrain."""
        canvas[:] = self.ground

    def build(self, changes: Iterable[Building], canvas: Pixels) -> set[tuple[int, int]]:
        """Update the appearance of buildings as in `changes`, and return the cells that were redrawn."""
        touched: set[tuple[int, int]] = set()
        for change in changes:
            before = self._there.get(change.number)
            if before is not None:
                touched.add((before.x, before.y))
            self._there[change.number] = change
            touched.add((change.x, change.y))
        if touched:
            by_cell = {(one.x, one.y): one for one in self._there.values() if (one.x, one.y) in touched}
            for place in touched:
                self._cell(place, by_cell.get(place), canvas)
        return touched

    def _cell(self, place: tuple[int, int], building: Building | None, canvas: Pixels) -> None:
        box = _box(place, self._artwork.cell)
        target = self.ground[box]
        target[:] = self._bare[box]
        if building is not None:
            self._building(target, building)
        canvas[box] = target

    def _building(self, target: Pixels, building: Building) -> None:
        artwork = self._artwork
        if building.gone:
            if artwork.has(f"{building.type} remnant"):
                stamp(target, artwork.pictures[f"{building.type} remnant"])
            return
        if building.team is not None:
            target[:] = artwork.dim.get(building.team, artwork.names["muted"])
            edge = max(artwork.cell // 12, 1)
            for part in (target[:edge], target[-edge:], target[:, :edge], target[:, -edge:]):
                part[:] = artwork.team(building.team)
        name = building.type
        if building.depleted and artwork.has(f"{name} depleted"):
            name = f"{name} depleted"
        if artwork.has(name) and artwork.cell >= 8:
            stamp(target, artwork.pictures[name])
        else:
            _plain(
                target,
                artwork.team(building.team) if building.team else artwork.main_color(name),
                artwork.names["outline"],
            )

    def _walled(self, replay: Replay) -> Pixels:
        artwork, cell = self._artwork, self._artwork.cell
        rows, columns = -(-replay.height // 8), -(-replay.width // 8)
        ground = np.tile(artwork.sand, (rows, columns))[: replay.height * cell, : replay.width * cell].copy()
        walls = np.zeros((replay.height + 2, replay.width + 2), np.bool_)
        for thing in replay.objects:
            if thing.type == "wall" and thing.alive.at(0):
                x, y = thing.location.at(0)
                walls[y + 1, x + 1] = True
        rock = _rock(cell, artwork.names)
        for y, x in np.argwhere(walls[1:-1, 1:-1]):
            target = ground[_box((int(x), int(y)), cell)]
            target[:] = rock[(int(x) * 7 + int(y) * 13) % len(rock)]
            edge = max(cell // 8, 1)
            if not walls[y, x + 1]:
                target[:edge] = artwork.names["rock light"]
            if not walls[y + 2, x + 1]:
                target[-2 * edge :] = artwork.names["rock dark"]
            if not walls[y + 1, x]:
                target[:, :1] = artwork.names["rock light"]
            if not walls[y + 1, x + 2]:
                target[:, -1:] = artwork.names["rock dark"]
        return ground


def stamp(target: Pixels, tile: Tile) -> None:
    """Draw `tile` in the centre of `target`, which is at least as large."""
    height, width = tile.pixels.shape
    top, left = (target.shape[0] - height) // 2, (target.shape[1] - width) // 2
    np.copyto(target[top : top + height, left : left + width], tile.pixels, where=tile.mask)


def _box(place: tuple[int, int], cell: int) -> tuple[slice, slice]:
    x, y = place
    return slice(y * cell, (y + 1) * cell), slice(x * cell, (x + 1) * cell)


def _plain(target: Pixels, color: int, outline: int) -> None:
    cell = target.shape[0]
    inset = max(cell // 6, 1) if cell > 4 else 0
    inner = target[inset : cell - inset, inset : cell - inset]
    inner[:] = outline
    if inner.shape[0] > 2:
        inner[1:-1, 1:-1] = color


def _rock(cell: int, names: dict[str, int]) -> list[NDArray[np.uint8]]:
    """A few plain rocks with specks, always the same."""
    generator = np.random.default_rng(5)
    found = []
    for _ in range(5):
        rock = np.full((cell, cell), names["rock"], np.uint8)
        specks = generator.random((cell, cell))
        rock[specks < 0.04] = names["rock dark"]
        rock[specks > 0.97] = names["rock light"]
        found.append(rock)
    return found
