"""A replay as pictures, one at a time: the map with everything on it, and a panel with step, score and agents.

Pictures are palette indices (see `_artwork`). Only one picture is in memory, and from step to step only the cells and
words that changed are redrawn. Objects for which the game has no sprite are plain shapes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from daf.errors import UsageError
from daf.game.replays import Replay
from daf.game.replays.replay import named
from daf.game.sprites import ROLES
from daf.render.replays._actors import AgentTiles
from daf.render.replays._artwork import MAX_CELL, MIN_CELL, Artwork, Pixels, artwork_for
from daf.render.replays._panel import LETTER_WIDTH, LINE, Letters, SidePanel, short_number, widths
from daf.render.replays._scene import Agents, Building, agents_over, building_changes
from daf.render.replays._terrain import Terrain

COLUMNS = widths([("agent", 3), ("role", 9), ("hp", 4), ("energy", 4), ("action", 14)])
PANEL_LETTERS = 39
AUTO_PIXELS = 880
MAX_PIXELS = 32_000_000
MAX_FRAMES = 100_000
"""Ten times the longest episodes of CoGames; a replay file of 1 KB can claim a million steps."""
FOLLOW_CELLS = 21
"""Side length, in cells, of the view around a followed agent."""


@dataclass(frozen=True, slots=True)
class View:
    """Which steps are drawn, and how. cell: side length in pixels, None to fit. follow: an agent to keep in view."""

    start: int = 0
    end: int | None = None
    every: int = 1
    cell: int | None = None
    follow: int | None = None


class ReplayFrames:
    """Frames of `replay`. size: (width, height) in pixels, both even. palette: (256, 3)."""

    def __init__(self, replay: Replay, view: View | None = None) -> None:
        """Draws nothing yet. Raises `UsageError` for a view that the replay does not have."""
        chosen = view or View()
        self.replay = replay
        self.steps = _steps(replay, chosen)
        if len(self.steps) > MAX_FRAMES:
            raise UsageError(
                f"{replay.path}: {len(self.steps):,} frames, and at most {MAX_FRAMES:,} are drawn. "
                f"--every {-(-len(self.steps) // 10_000)} draws 10,000 of them."
            )
        if chosen.follow is not None and not 0 <= chosen.follow < len(replay.agents):
            raise UsageError(
                f"{replay.path}: --follow {chosen.follow}, and its {len(replay.agents)} agents are numbered from 0."
            )
        self.follow = chosen.follow
        self.cell = _cell(replay, chosen)
        self._teams = [replay.team_series(agent).at(self.steps.start) for agent in replay.agents]
        self._changes = building_changes(replay)
        teams = {change.team for change in self._changes if change.team} | {team for team in self._teams if team}
        self.artwork: Artwork = artwork_for(
            {change.type for change in self._changes}, teams, replay.vibe_names, self.cell
        )
        self._columns = {name: name not in ("hp", "energy") or name in replay.item_names for name in COLUMNS}
        self._team_lines = sorted({team for team in self._teams if team})
        across, down = self._shown_cells()
        lines = 4 + len(self._team_lines) + len(replay.agents)
        self._map_size = (across * self.cell, down * self.cell)
        height = max(self._map_size[1], min(lines, 24) * LINE + 8)
        width = self._map_size[0] + PANEL_LETTERS * LETTER_WIDTH + 8
        self.size = (width + width % 2, height + height % 2)

    @property
    def palette(self) -> Pixels:
        """The colours, (256, 3)."""
        return self.artwork.palette

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Pixels]:
        """Each frame in turn: (height, width) palette indices, the same array each time, valid until the next frame."""
        frame = np.full((self.size[1], self.size[0]), self.artwork.names["panel"], np.uint8)
        shown = frame[: self._map_size[1], : self._map_size[0]]
        terrain = Terrain(self.replay, self.artwork)
        canvas = shown if self.follow is None else terrain.canvas()
        terrain.paint(canvas)
        actors = AgentTiles(self.artwork, self.replay, self._teams)
        panel = SidePanel(frame[:, self._map_size[0] :], Letters(self.artwork.names["panel"]))
        self._headline(panel)
        changes = iter(self._changes)
        upcoming = next(changes, None)
        for window, agents in agents_over(self.replay, self.steps):
            moments = actors.moments(agents)
            for row, step in enumerate(window):
                fresh: list[Building] = []
                while upcoming is not None and upcoming.step <= step:
                    fresh.append(upcoming)
                    upcoming = next(changes, None)
                touched = terrain.build(fresh, canvas)
                actors.draw(canvas, terrain.ground, moments, row, touched)
                self._write_panel(panel, step, agents, row)
                if self.follow is not None:
                    self._look_around(shown, canvas, agents, row)
                yield frame

    def _shown_cells(self) -> tuple[int, int]:
        if self.follow is None:
            return self.replay.width, self.replay.height
        return min(self.replay.width, FOLLOW_CELLS), min(self.replay.height, FOLLOW_CELLS)

    def _look_around(self, shown: Pixels, canvas: Pixels, agents: Agents, row: int) -> None:
        across, down = self._shown_cells()
        left = int(np.clip(agents.x[row, self.follow] - across // 2, 0, self.replay.width - across)) * self.cell
        top = int(np.clip(agents.y[row, self.follow] - down // 2, 0, self.replay.height - down)) * self.cell
        shown[:] = canvas[top : top + shown.shape[0], left : left + shown.shape[1]]

    def _headline(self, panel: SidePanel) -> None:
        names = self.artwork.names
        panel.put(0, 0, self.replay.mission or self.replay.path.name, PANEL_LETTERS - 1, names["text"])
        line = 3 + len(self._team_lines)
        for name, (column, width) in COLUMNS.items():
            if not self._columns[name]:
                continue
            panel.put(line, column, {"agent": "#", "energy": "en"}.get(name, name), width, names["muted"])
        room = panel.lines - line - 1
        if room < len(self.replay.agents):
            panel.put(panel.lines - 1, 0, f"... {len(self.replay.agents) - room + 1} more agents", 20, names["muted"])

    def _write_panel(self, panel: SidePanel, step: int, agents: Agents, row: int) -> None:
        names = self.artwork.names
        panel.put(1, 0, f"step {step} of {self.replay.steps}", PANEL_LETTERS - 1, names["text"])
        rewards = agents.reward[row]
        mean = short_number(float(rewards.mean())) if len(rewards) else "-"
        panel.put(2, 0, f"reward per agent {mean}", PANEL_LETTERS - 1, names["text"])
        for number, team in enumerate(self._team_lines):
            members = [agent for agent, its in enumerate(self._teams) if its == team]
            score = short_number(float(rewards[members].mean()))
            panel.put(3 + number, 0, f"  {team} {score}", PANEL_LETTERS - 1, self.artwork.team(team))
        first = 4 + len(self._team_lines)
        room = panel.lines - first
        count = len(rewards) if room >= len(rewards) else room - 1
        columns = (agents.role[row], agents.hp[row], agents.energy[row], agents.action[row], agents.failed[row])
        roles, hps, energies, actions, failed = (column.tolist() for column in columns)
        for agent in range(max(count, 0)):
            line = first + agent
            mark = names["white"] if agent == self.follow else self.artwork.team(self._teams[agent])
            panel.put(line, *_at("agent", f"{agent:>2}"), mark)
            panel.put(line, *_at("role", ROLES[roles[agent]]), names["text"])
            if self._columns["hp"]:
                panel.put(line, *_at("hp", str(hps[agent])), names["hp"])
            if self._columns["energy"]:
                panel.put(line, *_at("energy", str(energies[agent])), names["energy"])
            action = named(self.replay.action_names, actions[agent]).replace("change_vibe_", "vibe ")
            panel.put(line, *_at("action", action), names["bad" if failed[agent] else "text"])


def _at(name: str, text: str) -> tuple[int, str, int]:
    column, width = COLUMNS[name]
    return column, text, width


def _steps(replay: Replay, view: View) -> range:
    if replay.steps == 0:
        raise UsageError(f"{replay.path}: has no steps to draw.")
    end = replay.steps if view.end is None else view.end
    if not 0 <= view.start < end <= replay.steps:
        raise UsageError(
            f"{replay.path}: --start {view.start} --end {end}: the replay has {replay.steps} steps, and "
            f"0 <= start < end <= {replay.steps} must hold."
        )
    if view.every < 1:
        raise UsageError(f"--every {view.every} is below 1.")
    return range(view.start, end, view.every)


def _cell(replay: Replay, view: View) -> int:
    if view.cell is None:
        across = FOLLOW_CELLS * 1.6 if view.follow is not None else max(replay.width, replay.height)
        room = int((MAX_PIXELS / replay.width / replay.height) ** 0.5)
        return int(min(max(AUTO_PIXELS // across, MIN_CELL), 24, room))
    if not MIN_CELL <= view.cell <= MAX_CELL:
        raise UsageError(f"--cell {view.cell} is outside {MIN_CELL} to {MAX_CELL} pixels.")
    across, down = replay.width * view.cell, replay.height * view.cell
    if across * down > MAX_PIXELS:
        raise UsageError(
            f"--cell {view.cell} makes the map {across:,}×{down:,} pixels, beyond {MAX_PIXELS:,} in all. "
            f"Up to {int((MAX_PIXELS / replay.width / replay.height) ** 0.5)} fits."
        )
    return view.cell
