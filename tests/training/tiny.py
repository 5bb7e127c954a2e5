"""Training runs small enough for tests."""

import json
from pathlib import Path
from typing import Any

MISSION = "training_facility_1,max_steps=40"
TINY: dict[str, Any] = {"n_steps": 16, "num_envs": 6, "num_workers": 1, "seed": 7}
AGENTS = 4
STEPS_PER_UPDATE = TINY["n_steps"] * TINY["num_envs"] * AGENTS


def metrics_of(run_dir: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if not k.startswith(("clock/", "system/"))} for line in lines]


def weights_of(checkpoint: Path) -> dict[str, bytes]:
    """The bytes of every tensor of a checkpoint."""
    from safetensors.torch import load_file

    return {name: tensor.numpy().tobytes() for name, tensor in load_file(checkpoint / "weights.safetensors").items()}
