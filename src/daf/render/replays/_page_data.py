"""A replay as data for the player in the browser: changes only, whole numbers where possible, packed.

The part needed for drawing comes first and separately (`core`); the data of an agent's panel is packed by agent and
unpacked when that agent is selected, so a long episode is on the screen before most of its data is read.
"""

import base64
import io
import json
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daf.game import sprites
from daf.game.replays import FieldValues, Replay, ReplayObject
from daf.render.replays._artwork import team_colors
from daf.render.replays._scene import AgentSampler, agents_over, building_changes

ATLAS_CELL = 48
MAX_SCORES = 20_000
"""Maximum number of points of the score; longer episodes are thinned out."""


def core(replay: Replay) -> dict[str, Any]:
    """Everything needed for drawing, as JSON data."""
    changes = building_changes(replay)
    teams = [replay.team_series(agent).at(0) for agent in replay.agents]
    names = sorted({change.team for change in changes if change.team} | {team for team in teams if team})
    types = sorted({change.type for change in changes})
    buildings: dict[int, list[Any]] = {}
    for change in changes:
        team = names.index(change.team) if change.team else -1
        entry = [change.step, change.x, change.y, team, int(change.depleted), int(change.gone)]
        buildings.setdefault(change.number, [types.index(change.type), []])[1].append(entry)
    colors = team_colors(names)
    sampler = AgentSampler(replay)
    return {
        "title": replay.mission or replay.path.name,
        "file": replay.path.name,
        "seed": replay.seed,
        "steps": replay.steps,
        "width": replay.width,
        "height": replay.height,
        "walls": _walls(replay),
        "types": types,
        "teams": [{"name": name, "color": "#{:02x}{:02x}{:02x}".format(*colors[name])} for name in names],
        "buildings": list(buildings.values()),
        "roles": list(sprites.ROLES),
        "directions": list(sprites.DIRECTIONS),
        "actions": list(replay.action_names),
        "items": list(replay.item_names),
        "vibes": list(replay.vibe_names),
        "bars": [name in replay.item_names for name in ("hp", "energy")],
        "agents": [
            {"team": names.index(team) if team else -1} | {name: _thin(*sampler.changes(name, number)) for name in CORE}
            for number, team in enumerate(teams)
        ],
        "scores": _scores(replay, teams, names),
    }


CORE = ("x", "y", "facing", "role", "alive", "vibe", "hp", "energy", "hp_most", "energy_most", "action", "failed")


def details(replay: Replay, agent: ReplayObject) -> dict[str, Any]:
    """The contents of an agent's panel: return, inventory by item, and the policy's infos."""
    stock = agent.inventory
    steps = stock.steps
    held = sorted({item for amounts in stock.values for item, _ in amounts})
    by_item = {
        str(item): _thin(steps, np.array([dict(amounts).get(item, 0) for amounts in stock.values])) for item in held
    }
    infos: FieldValues[Any] = agent.policy_infos()
    reward = agent.number("total_reward")
    return {
        "reward": _thin(reward.steps, np.asarray(reward.values, np.float64)),
        "items": by_item,
        "infos": {"s": _deltas(infos.steps), "v": list(infos.values)},
    }


def packed(value: Any) -> str:
    """JSON, deflated, in base64: safe inside a page whatever it contains."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "surrogatepass"), 6)).decode()


def atlas(replay: Replay) -> dict[str, Any]:
    """The sprites that this replay needs in one picture: its data URI, and the place of each in it, [x, y, w, h]."""
    from PIL import Image

    pictures: dict[str, Image.Image | None] = {}
    for name in replay.types:
        if name not in ("wall", "agent"):
            pictures[name] = sprites.object_sprite(name)
            pictures[f"{name} depleted"] = sprites.sprite(f"objects/{name}.depleted")
            pictures[f"{name} remnant"] = sprites.remnant_sprite(name)
    for role in sprites.ROLES:
        for direction in sprites.DIRECTIONS:
            pictures[f"{role} {direction}"] = sprites.agent_sprite(role, direction)
    pictures |= {f"vibe {vibe}": sprites.vibe_sprite(vibe) for vibe in replay.vibe_names if vibe != "default"}
    found = {name: picture for name, picture in pictures.items() if picture is not None}
    columns = 10
    sheet = Image.new("RGBA", (columns * ATLAS_CELL, -(-max(len(found), 1) // columns) * ATLAS_CELL))
    places = {}
    for number, (name, picture) in enumerate(found.items()):
        picture.thumbnail((ATLAS_CELL, ATLAS_CELL), Image.Resampling.LANCZOS)
        x, y = number % columns * ATLAS_CELL, number // columns * ATLAS_CELL
        sheet.paste(picture, (x, y))
        places[name] = [x, y, *picture.size]
    sand = sprites.sprite("terrain/repeating.sand", crop=False)
    ground = None if sand is None else _data_uri(sand.convert("RGB").resize((256, 256)), "JPEG")
    return {"image": _data_uri(sheet, "PNG"), "places": places, "ground": ground}


def _data_uri(picture: Any, kind: str) -> str:
    file = io.BytesIO()
    picture.save(file, kind, optimize=True)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _walls(replay: Replay) -> list[int]:
    """Cells with walls as runs along rows: first cell (y × width + x) and length, flat."""
    mask = np.zeros(replay.width * replay.height + 2, np.int8)
    for thing in replay.objects:
        if thing.type == "wall" and thing.alive.at(0):
            x, y = thing.location.at(0)
            mask[1 + int(y) * replay.width + int(x)] = 1
    turns = np.diff(mask)
    begins, ends = np.flatnonzero(turns == 1), np.flatnonzero(turns == -1)
    return [int(number) for pair in zip(begins, ends - begins, strict=True) for number in pair]


def _scores(replay: Replay, teams: list[str | None], names: list[str]) -> dict[str, Any]:
    """The mean return of all agents, and of the agents of each team, at regular intervals of steps."""
    every = -(-replay.steps // MAX_SCORES) if replay.steps else 1
    groups = [list(range(len(teams))), *([n for n, team in enumerate(teams) if team == name] for name in names)]
    curves: list[list[float | None]] = [[] for _ in groups]
    for _, agents in agents_over(replay, range(0, replay.steps, every)):
        for curve, members in zip(curves, groups, strict=True):
            means = agents.reward[:, members].mean(axis=1) if members else None
            curve += [None] * len(agents.reward) if means is None else [_short(value) for value in means.tolist()]
    return {"every": every, "curves": curves}


def _thin(steps: NDArray[np.int32], values: NDArray[Any]) -> dict[str, list[Any]]:
    """A series without the entries that change nothing; steps as differences."""
    keep = np.ones(len(values), np.bool_)
    keep[1:] = values[1:] != values[:-1]
    kept = values[keep]
    plain = [_short(value) for value in kept.tolist()] if kept.dtype == np.float64 else kept.astype(np.int64).tolist()
    return {"s": _deltas(steps[keep]), "v": plain}


def _deltas(steps: NDArray[np.int32]) -> list[int]:
    return np.diff(steps, prepend=0).tolist()  # type: ignore[no-any-return]


def _short(value: float) -> float:
    return float(f"{value:.6g}")
