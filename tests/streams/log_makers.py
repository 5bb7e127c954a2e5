"""Logs as the real writers leave them, and their analysis in plain Python to compare with."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

COMPONENTS = ("event", "level", "heal", "badge", "explore", "dead", "stuck")


def nested_record(rng: np.random.Generator, step: int, total: int, position: tuple[int, int, int]) -> dict[str, Any]:
    components = {name: round(float(rng.normal(scale=10)), 4) for name in COMPONENTS}
    x, y, map_id = position
    return {
        "step": step,
        "total_steps": total,
        "position": {"x": x, "y": y, "map": map_id},
        "rewards": {"total": sum(components.values()), "step": components["event"], "components": components},
        "player_status": {"health": 1.0, "levels": [6, 0, 0, 0, 0, 0], "levels_sum": 6, "badges": 0},
        "actions": {"last_action": int(rng.integers(8))},
        "statistics": {"deaths": 0, "exploration_coords": 1, "map_progress": 1},
    }


def flat_record(rng: np.random.Generator, step: int, position: tuple[int, int, int]) -> dict[str, Any]:
    x, y, map_id = position
    return {
        "step": step,
        "x": x,
        "y": y,
        "map": map_id,
        "max_map_progress": 1,
        "last_action": int(rng.integers(8)),
        "pcount": 1,
        "levels": [int(rng.integers(1, 12)), 3, 0, 0, 0, 0],
        "levels_sum": 9,
        "ptypes": [176, 36, 255, 255, 255, 255],
        "hp": 1.0,
        "coord_count": step + 1,
        "deaths": int(rng.integers(3)),
        "badge": int(rng.integers(2)),
        "event": float(rng.integers(40)),
        "healr": round(float(rng.random()), 6),
    }


def flush(
    kind: str, *, envs: int = 3, length: int = 40, start: int = 0, total: int | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    """One flush: `envs` stretches of `length` records, environment by environment."""
    rng = np.random.default_rng(seed)
    records = []
    for _ in range(envs):
        walk = np.abs(np.cumsum(rng.integers(-1, 2, (length, 2)), axis=0)) + 5
        map_id = int(rng.integers(4))
        for index in range(length):
            position = (int(walk[index, 0]), int(walk[index, 1]), map_id)
            step = start + index
            records.append(
                flat_record(rng, step, position)
                if kind == "flat"
                else nested_record(rng, step, total or start + length * envs, position)
            )
    return records


def write_array(path: Path, records: list[dict[str, Any]], indent: int | None = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records, indent=indent))
    return path


def values_of(record: dict[str, Any]) -> dict[str, float]:
    """The value columns of a nested record."""
    rewards = record["rewards"]
    return {"total": rewards["total"], "step_reward": rewards["step"], **rewards["components"]}


def plain_moments(records: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """n, mean, sd, min and max per column, with exact sums."""
    columns: dict[str, list[float]] = {}
    for record in records:
        for name, value in values_of(record).items():
            columns.setdefault(name, []).append(value)
    result = {}
    for name, values in columns.items():
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
        result[name] = {
            "n": len(values),
            "mean": mean,
            "sd": math.sqrt(variance),
            "min": min(values),
            "max": max(values),
        }
    return result
