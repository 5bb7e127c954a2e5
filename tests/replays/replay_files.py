"""Replays to test with: those in the mettagrid wheel, one that DAF records, and small ones made by hand."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daf.game.sprites import data_dir

WHEEL = data_dir() / "replays"


def minimal(**changes: Any) -> dict[str, Any]:
    """A whole replay of 4 steps on a 5×4 map: an agent that walks and mines, a hub that changes hands, a wall."""
    document: dict[str, Any] = {
        "version": 4,
        "action_names": ["noop", "move_east"],
        "item_names": ["hp", "energy", "miner", "carbon"],
        "type_names": ["agent", "hub", "wall"],
        "capacity_names": ["energy", "hp"],
        "tags": {"team:cogs": 0, "team:clips": 1, "type:agent": 2},
        "map_size": [5, 4],
        "num_agents": 1,
        "max_steps": 4,
        "mg_config": {"label": "tiny", "game": {"vibe_names": ["default", "heart"]}},
        "infos": {"attributes": {"seed": 7}},
        "objects": [
            {
                "id": 1, "type_name": "agent", "agent_id": 0, "location": [[0, [1, 1]], [2, [2, 1]]],
                "inventory": [[0, [[0, 100], [1, 20]]], [1, [[0, 90], [1, 20], [2, 1]]]],
                "inventory_capacities": [[0, 20], [1, 100]],
                "tag_ids": [0, 2], "action_id": [[0, 0], [2, 1], [3, 0]], "action_success": True,
                "current_reward": [[0, 0.0], [3, 1.5]], "total_reward": [[0, 0.0], [3, 1.5]],
                "vibe_id": [[0, 0], [3, 1]],
                "policy_infos": [[0, {"goal": "hub"}], [2, {"goal": "<script>alert(1)</script>"}]],
            },
            {
                "id": 2, "type_name": "hub", "location": [3, 2], "inventory": [[3, 5]],
                "tag_ids": [[0, []], [1, [1]], [3, [0]]],
            },
            {"id": 3, "type_name": "wall", "location": [0, 0], "inventory": []},
            {"id": 4, "type_name": "wall", "location": [4, 3], "inventory": []},
        ],
    }  # fmt: skip
    return document | changes


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a replay made by `minimal` (with one object's fields changed by `agent`) and return its path."""

    def write(name: str = "tiny.json.z", agent: dict[str, Any] | None = None, **changes: Any) -> Path:
        document = minimal(**changes)
        if agent:
            document["objects"][0].update(agent)
        path = tmp_path / name
        path.write_bytes(zlib.compress(json.dumps(document).encode()))
        return path

    return write


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replay that DAF recorded: `starter` for 60 steps of tutorial.miner."""
    from daf.evaluation import Settings, evaluate
    from daf.output_manager import OutputManager

    settings = Settings(episodes=1, save_replays="all", jobs=1, executor="serial", report=False)
    output = OutputManager(tmp_path_factory.mktemp("recorded"), log_to_file=False)
    found = evaluate(["starter"], ["tutorial.miner,max_steps=60"], settings=settings, output=output)
    return next(iter(found.replays.values()))
