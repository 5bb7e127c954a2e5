"""Whatever a sweep's files hold, reading it works or names the file, and hinders no other sweep."""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from daf.errors import DAFError, DamagedFileError
from daf.reporting import daf_report
from daf.storage import journal
from daf.sweeps.result import SweepResult
from tests.damage import ABSENT, WRONG, changed, places
from tests.render.sweep_runs import search_hill


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep that ended."""
    return search_hill(tmp_path_factory.mktemp("sweep"))


@pytest.fixture
def sweep(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / made.parent.name / made.name)


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("cases", [5, pytest.param(25, marks=pytest.mark.thorough)])
def test_a_changed_value_in_the_configuration_or_the_journal_is_named_or_harmless(sweep: Path, cases: int) -> None:
    draw = random.Random(5)
    for name in ("sweep.json", "trials.jsonl"):
        file = sweep / name
        whole = file.read_bytes()
        lines = lines_of(file) if name.endswith("l") else [json.loads(whole)]
        for number in {0, len(lines) // 2, len(lines) - 1}:
            every = [(at, new) for at in places(lines[number]) for new in (*WRONG, ABSENT) if at or new is not ABSENT]
            for at, new in draw.sample(every, cases):
                wrong = [*lines[:number], changed(lines[number], at, new), *lines[number + 1 :]]
                file.write_text("".join(json.dumps(line) + "\n" for line in wrong))
                for read in (SweepResult.load, daf_report):
                    try:
                        read(sweep)
                    except DAFError:
                        pass
                    except Exception as error:
                        error.add_note(f"{name}:{number} with {at} = {'nothing' if new is ABSENT else new!r}")
                        raise
        file.write_bytes(whole)


def test_a_line_of_another_shape_is_named_with_its_number_and_field(sweep: Path) -> None:
    lines = lines_of(sweep / "trials.jsonl")
    number = next(index for index, line in enumerate(lines) if line["event"] == "finished")
    lines[number]["result"]["values"] = "many"
    (sweep / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DamagedFileError, match=rf"trials\.jsonl:{number + 1} is damaged: Expected `array`, got `str`"):
        SweepResult.load(sweep)


@pytest.mark.parametrize("name", ["sweep.json", "trials.jsonl"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(sweep: Path, name: str) -> None:
    (sweep / name).unlink()
    os.mkfifo(sweep / name)
    with pytest.raises(DamagedFileError, match=r"not a regular file"):
        SweepResult.load(sweep)


def test_a_journal_without_an_end_of_line_is_read_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LONGEST_LINE", 1000)
    (tmp_path / "long.jsonl").write_bytes(b'{"a": 1}\n{"a": "' + b"x" * 2000)
    read = journal.read(tmp_path / "long.jsonl")
    assert next(read) == {"a": 1}
    with pytest.raises(DamagedFileError, match=r"long\.jsonl:2 is damaged: longer than 1,000 bytes"):
        next(read)
