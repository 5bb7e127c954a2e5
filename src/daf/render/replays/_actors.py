"""Agents on the map: a disc in the team's colour that points where it faces, the game's robot, role, vibe and bars."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daf.game.replays import Replay
from daf.game.replays.replay import named
from daf.game.sprites import DIRECTIONS, ROLES
from daf.render.replays._artwork import Artwork, Pixels, Tile
from daf.render.replays._scene import Agents
from daf.render.replays._terrain import stamp

LEVELS = 8
"""Levels of the bars for hp and energy."""

LETTERS = {
    "aligner": ("010", "101", "111", "101"),
    "miner": ("10001", "11011", "10101", "10001"),
    "scout": ("111", "100", "011", "111"),
    "scrambler": ("101", "010", "010", "101"),
}
"""Marks of the roles: A, M, S and X."""


@dataclass(frozen=True, slots=True)
class Moments:
    """A window of steps: where each agent is, its appearance as one number, and which agents changed in each step."""

    x: list[list[int]]
    y: list[list[int]]
    appearance: list[list[int]]
    changed: list[list[int]]


class AgentTiles:
    """Draws agents; creates the tile for each appearance only once."""

    def __init__(self, artwork: Artwork, replay: Replay, teams: list[str | None]) -> None:
        self._artwork, self._replay = artwork, replay
        self._teams = sorted({team or "" for team in teams})
        self._team_of = np.array([self._teams.index(team or "") for team in teams], np.int64)
        self._bars = [name in replay.item_names for name in ("hp", "energy")]
        self._bases = (2, len(self._teams), len(ROLES), len(DIRECTIONS), LEVELS + 1, LEVELS + 1)
        self._tiles: dict[int, Tile] = {}
        self._places: list[tuple[int, int] | None] = [None] * len(teams)
        self._looks = [-1] * len(teams)
        self._last: NDArray[np.int64] | None = None

    def moments(self, agents: Agents) -> Moments:
        """The appearance of the agents over a window of steps."""
        levels = [_level(agents.hp, agents.hp_most), _level(agents.energy, agents.energy_most)]
        teams = np.broadcast_to(self._team_of, agents.x.shape)
        appearance = agents.vibe.copy()
        for part, base in zip((agents.alive, teams, agents.role, agents.facing, *levels), self._bases, strict=True):
            appearance = appearance * base + part
        both = np.stack((agents.x, agents.y, appearance), axis=2)
        before = np.concatenate((both[:1] - 1 if self._last is None else self._last[None], both[:-1]))
        self._last = both[-1]
        changed = (both != before).any(axis=2)
        rows = [np.flatnonzero(row).tolist() for row in changed]
        return Moments(agents.x.tolist(), agents.y.tolist(), appearance.tolist(), rows)

    def draw(self, canvas: Pixels, ground: Pixels, moments: Moments, row: int, touched: set[tuple[int, int]]) -> None:
        """Draw the agents that changed in row `row` of the window, and those on `touched` cells."""
        cell = self._artwork.cell
        changed = moments.changed[row]
        if touched:
            on = {agent for agent, place in enumerate(self._places) if place in touched}
            changed = sorted(on.union(changed))
        for agent in changed:
            place = self._places[agent]
            if place is not None:
                x, y = place[0] * cell, place[1] * cell
                canvas[y : y + cell, x : x + cell] = ground[y : y + cell, x : x + cell]
        xs, ys, appearances = moments.x[row], moments.y[row], moments.appearance[row]
        for agent in changed:
            self._places[agent] = (xs[agent], ys[agent])
            tile = self._tiles.get(appearances[agent]) or self._tile(appearances[agent])
            x, y = xs[agent] * cell, ys[agent] * cell
            np.copyto(canvas[y : y + cell, x : x + cell], tile.pixels, where=tile.mask)

    def _tile(self, key: int) -> Tile:
        if len(self._tiles) > 50_000:
            self._tiles.clear()
        parts, rest = [], key
        for base in reversed(self._bases):
            parts.append(rest % base)
            rest //= base
        energy, hp, facing, role, team, alive = parts
        tile = self._made(rest, bool(alive), self._teams[team] or None, ROLES[role], DIRECTIONS[facing], hp, energy)
        self._tiles[key] = tile
        return tile

    def _made(
        self, vibe: int, alive: bool, team: str | None, role: str, facing: str, hp: int, energy: int
    ) -> Tile:  # fmt: skip
        artwork, cell = self._artwork, self._artwork.cell
        pixels = np.zeros((cell, cell), np.uint8)
        if not alive:
            return Tile(pixels, pixels > 0)
        color = artwork.team(team)
        _disc(pixels, color, artwork.names["outline"])
        picture = f"{role} {facing}"
        if cell >= 10 and artwork.has(picture):
            stamp(pixels[: cell - 2], artwork.pictures[picture])
        _pointer(pixels, facing, artwork.names["white"])
        if cell >= 14 and role in LETTERS:
            _letter(pixels, LETTERS[role], artwork.names["white"], artwork.names["outline"])
        sign = f"vibe {named(self._replay.vibe_names, vibe)}"
        if cell >= 14 and artwork.has(sign):
            tile = artwork.pictures[sign]
            height, width = tile.pixels.shape
            np.copyto(pixels[:height, cell - width :], tile.pixels, where=tile.mask)
        if cell >= 12:
            low = artwork.names["hp low" if hp <= LEVELS // 3 else "hp"]
            thick = max(cell // 12, 1)
            for number, (level, bar) in enumerate(((hp, low), (energy, artwork.names["energy"]))):
                if self._bars[number]:
                    bottom = cell - (1 - number) * thick
                    strip = pixels[bottom - thick : bottom, 1:-1]
                    strip[:] = artwork.names["empty"]
                    strip[:, : -(-level * (cell - 2) // LEVELS)] = bar
        return Tile(pixels, pixels > 0)


def _level(amounts: NDArray[np.int64], most: NDArray[np.int64]) -> NDArray[np.int64]:
    """The level of each amount, out of `LEVELS`; any amount above 0 is visible."""
    return np.clip(-(-amounts * LEVELS // np.maximum(most, 1)), 0, LEVELS)


def _disc(pixels: Pixels, color: int, outline: int) -> None:
    cell = pixels.shape[0]
    if cell < 8:
        pixels[:] = outline
        pixels[1:-1, 1:-1] = color
        return
    middle = (cell - 1) / 2
    rows, columns = np.ogrid[:cell, :cell]
    apart = np.hypot(rows - middle, columns - middle)
    pixels[apart <= cell / 2] = outline
    pixels[apart <= cell / 2 - 1] = color


def _pointer(pixels: Pixels, facing: str, color: int) -> None:
    """A bright notch on the side that the agent faces."""
    cell = pixels.shape[0]
    long, thick = max(cell // 4, 1), max(cell // 10, 1)
    first = (cell - long) // 2
    span = slice(first, first + long)
    if facing == "n":
        pixels[:thick, span] = color
    elif facing == "s":
        pixels[cell - thick * (3 if cell >= 12 else 1) : cell - thick * (2 if cell >= 12 else 0), span] = color
    elif facing == "w":
        pixels[span, :thick] = color
    else:
        pixels[span, cell - thick :] = color


def _letter(pixels: Pixels, rows: tuple[str, ...], color: int, ground: int) -> None:
    shape = np.array([[mark == "1" for mark in row] for row in rows])
    scale = max(pixels.shape[0] // 20, 1)
    shape = shape.repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = shape.shape
    pixels[: height + 2, : width + 2] = ground
    pixels[1 : height + 1, 1 : width + 1][shape] = color
