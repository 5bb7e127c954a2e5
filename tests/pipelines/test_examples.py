"""Examples: how they are found and run, and that the quick ones run as they stand."""

import json
from pathlib import Path
from typing import Any

import pytest

from daf.errors import UsageError
from daf.operations.examples import discover_examples, run_examples
from daf.output_manager import OutputManager


def folder(base: Path, **sources: str) -> Path:
    place = base / "examples"
    place.mkdir()
    for name, text in sources.items():
        (place / f"{name}.py").write_text(text)
    return place


def test_examples_run_in_directories_of_their_own(tmp_path: Path) -> None:
    writes = '"""Writes.\n\nTime: 3 s\n"""\nimport os; open("here.txt", "w"); print(os.environ["DAF_OUTPUT_DIR"])'
    place = folder(tmp_path, writes=writes, fails="raise SystemExit('no luck')", hangs="import time; time.sleep(600)")
    output = OutputManager(tmp_path / "out")
    results = {r.script.stem: r for r in run_examples(folder=place, timeout=4, jobs_at_once=3, output=output)}
    good = results["writes"]
    assert good.success
    assert (good.output_dir / "here.txt").is_file()
    assert good.stdout.strip() == str(good.output_dir)
    assert {"replays", "stats", "checkpoints", "visualizations", "logs"} <= {p.name for p in good.output_dir.iterdir()}
    assert json.loads((good.output_dir / "execution_log.json").read_text())["returncode"] == 0
    assert (results["fails"].returncode, results["fails"].success) == (1, False)
    assert "no luck" in results["fails"].stderr
    assert not results["hangs"].success
    assert "took longer than 4 seconds and was ended" in results["hangs"].stderr


def test_unknown_names_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'no example "quick_strat"\. Nearest: quick_start'):
        run_examples(["quick_strat"], output=OutputManager(tmp_path / "out"))
    with pytest.raises(UsageError, match='"cu" is the beginning of several examples: curriculum, custom_mission'):
        run_examples(["cu"], output=OutputManager(tmp_path / "out"))
    with pytest.raises(UsageError, match="no examples in"):
        discover_examples(tmp_path)
    assert not (tmp_path / "out").exists()


def test_every_example_says_what_it_shows_and_how_long_it_takes() -> None:
    found = discover_examples()
    assert {"quick_start", "pipeline", "sweep", "training"} <= {example.name for example in found}
    for example in found:
        assert example.title.endswith("."), example.name
        assert example.seconds < float("inf"), example.name


def test_daf_examples_lists_and_runs(tmp_path: Path, daf_call: Any) -> None:
    listed = json.loads(daf_call("examples", "list", "--json").stdout)
    assert "curriculum" in [example["name"] for example in listed["examples"]]
    done = daf_call("examples", "run", "curriculum", "--output-dir", tmp_path, "--json")
    assert done.returncode == 0, done.stdout
    assert "drawn with probability" in json.loads(done.stdout)["examples"][0]["stdout"]


@pytest.mark.thorough
def test_the_quick_examples_run_as_they_stand(tmp_path: Path) -> None:
    names = [example.name for example in discover_examples() if example.quick]
    results = run_examples(names, jobs_at_once=2, output=OutputManager(tmp_path))
    assert {result.script.stem: result.stderr for result in results if not result.success} == {}


@pytest.mark.slow
def test_the_longer_examples_run_as_they_stand(tmp_path: Path) -> None:
    names = [example.name for example in discover_examples() if not example.quick]
    results = run_examples(names, output=OutputManager(tmp_path))
    assert {result.script.stem: result.stderr for result in results if not result.success} == {}
