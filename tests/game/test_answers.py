"""Answers of the game that are looked up instead of worked out again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from daf.game import answers, missions
from daf.storage import installed


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where answers are kept, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    return tmp_path / "kept"


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _ask(value: list[int], question: str = "q") -> list[int]:
    return answers.answer([question], list[int], lambda: value)


def test_a_question_is_asked_once(folder: Path) -> None:
    assert _ask([1]) == [1]
    assert _ask([2]) == [1]
    assert _ask([2], "another") == [2]


@pytest.mark.parametrize("place", [0, 39, 40, -1])
def test_a_damaged_answer_is_asked_for_again(folder: Path, place: int) -> None:
    _ask([1])
    (entry,) = _entries(folder)
    content = bytearray(entry.read_bytes())
    content[place] ^= 4
    entry.write_bytes(content)
    assert _ask([2]) == [2]
    assert _ask([3]) == [2]


def test_an_answer_of_another_type_or_to_another_question_is_not_used(folder: Path) -> None:
    _ask([1])
    (entry,) = _entries(folder)
    assert answers.answer(["q"], dict[str, int], lambda: {"a": 1}) == {"a": 1}
    _ask([2], "another")
    other = next(path for path in _entries(folder) if path != entry)
    other.write_bytes(entry.read_bytes())
    assert _ask([3], "another") == [3]


def test_another_version_of_the_game_is_asked_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ask([1])
    monkeypatch.setattr(answers, "game_code", lambda: "another version")
    assert _ask([2]) == [2]


def test_an_answer_that_may_change_is_not_kept(folder: Path) -> None:
    answers.answer(["q"], list[int], lambda: [1], lasting=lambda _: False)
    assert _ask([2]) == [2]


def test_where_nothing_can_be_kept_questions_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert _ask([1]) == [1]
    assert _ask([2]) == [2]


def test_the_oldest_answers_are_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_ENTRIES", 8)
    for number in range(12):
        _ask([number], str(number))
        for place, entry in enumerate(sorted(_entries(folder), key=lambda path: path.stat().st_mtime_ns)):
            os.utime(entry, ns=(place, place))
    assert len(_entries(folder)) <= 8
    assert _ask([99], "11") == [11]
    assert _ask([99], "0") == [99]


def test_an_edited_file_of_a_package_changes_its_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "some_package"
    package.mkdir()
    (package / "__init__.py").write_text("A = 1\n")
    found = set()
    for text in ("A = 1\n", "A = 22\n"):
        (package / "__init__.py").write_text(text)
        installed.fingerprint.cache_clear()
        found.add(installed.fingerprint("some_package"))
    assert len(found) == 2
    assert "some_package" not in sys.modules


@pytest.mark.parametrize(
    "text", ["arena,cogs=4,max_steps=50,variants=no_clips", "tutorial.*", "evals.energy_starved", "cogsguard_arena"]
)
def test_a_mission_that_is_looked_up_is_the_one_that_is_resolved(
    folder: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "daf")
    first = missions.resolve(text)
    said = caplog.messages.copy()
    caplog.clear()
    second = missions.resolve(text)
    assert caplog.messages == said
    assert second == first
    assert [mission.config_json for mission in second] == [mission.config_json for mission in first]
    assert [mission.config for mission in second] == [mission.config for mission in first]
    assert [mission.map_size for mission in second] == [mission.map_size for mission in first]


def test_a_mission_file_is_looked_up_by_its_content(folder: Path, tmp_path: Path) -> None:
    (one,) = missions.resolve("training_facility_1,max_steps=5")
    file = tmp_path / "mine.json"
    file.write_bytes(one.config_json)
    (before,) = missions.resolve(str(file))
    assert missions.resolve(str(file)) == [before]
    file.write_bytes(missions.with_max_steps(one, 7).config_json)
    (after,) = missions.resolve(str(file))
    assert (before.max_steps, after.max_steps) == (5, 7)


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_mission_file_that_names_other_code_is_always_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    (one,) = missions.resolve("training_facility_1,max_steps=5")
    kept = _entries(folder)
    config = json.loads(one.config_json)
    module, _, name = config["game"]["map_builder"]["type"].removesuffix(".Config").rpartition(".")
    (tmp_path / "my_maps.py").write_text(f"from {module} import {name} as Mine\n")
    config["game"]["map_builder"]["type"] = "my_maps.Mine.Config"
    file = tmp_path / f"mine.{suffix}"
    file.write_text(json.dumps(config) if suffix == "json" else yaml.safe_dump(config, sort_keys=False))
    monkeypatch.syspath_prepend(tmp_path)
    (mission,) = missions.resolve(str(file))
    assert mission.config_hash == one.config_hash
    assert _entries(folder) == kept


IMPORTS = """
import sys
from pathlib import Path
from daf.game import missions, policies
{code}
print("mettagrid" in sys.modules or "cogames" in sys.modules)
"""


def _imports_the_game(code: str, folder: Path) -> bool:
    run = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(code=code)], capture_output=True, text=True, check=True, cwd=folder,
        env=os.environ | {"XDG_CACHE_HOME": str(folder / "kept")},
    )  # fmt: skip
    return run.stdout.splitlines()[-1] == "True"


def test_the_second_look_at_missions_and_policies_does_not_import_the_game(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from mettagrid.policy.noop import NoopPolicy\nclass Mine(NoopPolicy): pass\n")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "packed.py").write_text("from mettagrid.policy.noop import NoopPolicy\nclass Packed(NoopPolicy): pass\n")
    (bundle / "policy_spec.json").write_text('{"class_path": "packed.Packed"}')
    code = """
missions.resolve(["arena,cogs=4", "tutorial.*"]), missions.catalogue(), missions.variants()
for text in ("starter", "cartographer", "mine.py", "mine.Mine", "bundle", "class=random,kw.vibe_action_p=0.1"):
    policies.resolve(text, cache=Path("cache"))
"""
    assert _imports_the_game(code, tmp_path)
    assert not _imports_the_game(code, tmp_path)
