"""Every YAML block of the documentation loads as the file that it shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from daf.config import DAFSweepConfig, daf_load_config
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.output_manager import OutputManager
from daf.storage.yaml_strict import load_yaml
from daf.sweeps.preparing import prepare
from tests.docs.documented import blocks

AROUND: dict[str, dict[str, Any]] = {
    "curriculum": {"kind": "training", "policy": "token_lstm"},
    "sampler": {"kind": "training", "policy": "token_lstm", "curriculum": {"missions": ["training_facility_1"]}},
}
"""The rest of the file around a block that shows a part of it, by the part's first key."""

FOUND = blocks("yaml")


@pytest.mark.parametrize("text", [block.text for block in FOUND], ids=[block.place for block in FOUND])
def test_a_documented_file_loads(text: str, tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(text)
    shown = load_yaml(path)
    if shown.get("kind") == "adaptive":
        DAFAdaptiveConfig.from_yaml(path)
        return
    if "kind" not in shown:
        around = AROUND[next(iter(shown))]
        inner = {"curriculum": around["curriculum"] | shown} if "curriculum" in around else shown

        path = tmp_path / "around.json"
        path.write_text(json.dumps(around | inner))
    config = daf_load_config(path)
    if isinstance(config, DAFSweepConfig):
        if config.training is not None:
            pytest.importorskip("torch")
        prepare(config, OutputManager(tmp_path / "runs"), jobs=1, executor="serial", use_cache=False)


def test_the_blocks_are_found() -> None:
    assert len(FOUND) >= 8
    assert {block.page.name for block in FOUND} >= {"sweeps.md", "training.md", "curricula.md", "adaptive.md"}
