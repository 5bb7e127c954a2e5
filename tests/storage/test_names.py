"""File names from free text fit into what file systems allow, and stay distinct."""

from pathlib import Path

import pytest

from daf.storage import atomic
from daf.storage.names import MOST_BYTES, file_name, shortened

LONG = ["a" * 300, "ä" * 200, "日本" * 100, "🦊" * 90, "a" + "🦊" * 90, "x" * 79 + "ä"]


@pytest.mark.parametrize("text", LONG)
def test_a_name_is_cut_by_bytes_between_characters(tmp_path: Path, text: str) -> None:
    name = file_name(text)
    assert 72 < len(name.encode()) <= 80
    assert name.partition("~")[0] in text.replace("🦊", "_")
    assert file_name(text + "b") != name
    (tmp_path / f"{name}-{name}-{name}").touch()


def test_a_short_name_keeps_what_file_names_hold() -> None:
    assert file_name("arena,max_steps=40 a/b") == "arena_max_steps=40_a_b"
    assert shortened("ä" * 127) == "ä" * 127


@pytest.mark.parametrize("character", ["a", "ä", "日"])
def test_a_file_with_the_longest_name_is_written_whole_or_not_at_all(tmp_path: Path, character: str) -> None:
    path = tmp_path / (character * (MOST_BYTES // len(character.encode())))
    atomic.write_text(path, "whole")
    with pytest.raises(RuntimeError), atomic.writing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [(path.name, "whole")]
    atomic.remove(path)
    path.mkdir()
    atomic.remove(path)
    assert list(tmp_path.iterdir()) == []
