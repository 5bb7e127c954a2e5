"""Configuration files that the documentation shows."""

import json
import tempfile
from pathlib import Path
from typing import Any

from daf.config import DAFSweepConfig, daf_load_config
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.output_manager import OutputManager
from daf.storage.yaml_strict import load_yaml
from daf.sweeps.preparing import prepare

AROUND: dict[str, dict[str, Any]] = {
    "curriculum": {"kind": "training", "policy": "token_lstm"},
    "sampler": {"kind": "training", "policy": "token_lstm", "curriculum": {"missions": ["training_facility_1"]}},
}
"""The rest of the file around a block that shows a part of it, by the part's first key."""


def load_shown(text: str, folder: Path) -> None:
    """Load a file as the configuration that it is. Raises what the configuration's class raises."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / "shown.yaml"
        path.write_text(text)
        shown = load_yaml(path)
        if shown.get("kind") == "adaptive":
            DAFAdaptiveConfig.from_yaml(path)
            return
        if "kind" not in shown:
            around = AROUND[next(iter(shown))]
            inner = {"curriculum": around["curriculum"] | shown} if "curriculum" in around else shown
            path = Path(place) / "around.json"
            path.write_text(json.dumps(around | inner))
        config = daf_load_config(path)
        if isinstance(config, DAFSweepConfig):
            prepare(config, OutputManager(Path(place) / "runs"), jobs=1, executor="serial", use_cache=False)
