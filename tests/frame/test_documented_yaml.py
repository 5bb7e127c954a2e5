"""Every YAML block of the documentation loads as the file that it shows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daf.config import DAFSweepConfig, daf_load_config
from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.output_manager import OutputManager
from daf.storage.yaml_strict import load_yaml
from daf.sweeps.preparing import prepare

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("**/*.md")), ROOT / "README.md"]
AROUND: dict[str, dict[str, Any]] = {
    "curriculum": {"kind": "training", "policy": "token_lstm"},
    "sampler": {"kind": "training", "policy": "token_lstm", "curriculum": {"missions": ["training_facility_1"]}},
}
"""What stands around a block that shows a part of a file, by the part's first key."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Place and text of the YAML blocks of a page: fenced as such, or indented and beginning with a key."""
    lines = page.read_text().splitlines()
    fenced = re.compile(r"^( *)```ya?ml\s*$")
    at = 0
    while at < len(lines):
        start, opened = at, fenced.match(lines[at])
        at += 1
        if opened:
            while lines[at].strip() != "```":
                at += 1
            indent, found = len(opened.group(1)), lines[start + 1 : at]
        elif lines[start].startswith("    ") and (start == 0 or not lines[start - 1].strip()):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            indent, found = 4, lines[start:at]
            if not re.match(r"    [a-z_]+:( |$)", found[0]):
                continue
        else:
            continue
        yield f"{page.name}:{start + 1}", "\n".join(line[indent:] for line in found).rstrip() + "\n"


FOUND = [block for page in PAGES for block in blocks(page)]


@pytest.mark.parametrize("text", [text for _, text in FOUND], ids=[place for place, _ in FOUND])
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
    assert {place.split(":")[0] for place, _ in FOUND} >= {"sweeps.md", "training.md", "curricula.md", "adaptive.md"}
