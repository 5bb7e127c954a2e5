"""Every YAML block of the documentation loads as the file that it shows."""

from pathlib import Path

import pytest

from daf.errors import ConfigError
from tests.docs.documented import blocks
from tests.docs.files import load_shown

FOUND = blocks("yaml")


@pytest.mark.parametrize("text", [block.text for block in FOUND], ids=[block.place for block in FOUND])
def test_a_documented_file_loads(text: str, tmp_path: Path) -> None:
    load_shown(text, tmp_path)


def test_a_wrong_field_is_found(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="polices"):
        load_shown("kind: comparison\npolices: [starter]\nmissions: [arena]\n", tmp_path)


def test_the_blocks_are_found() -> None:
    assert len(FOUND) >= 8
    assert {block.page.name for block in FOUND} >= {"sweeps.md", "training.md", "curricula.md", "adaptive.md"}
