"""Whatever a run's file holds, reading the run works or says what is damaged, and never ends in a traceback."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daf.crossplay.operation import daf_crossplay
from daf.episodes.plan_file import read_plan
from daf.episodes.stored import read_result
from daf.errors import DAFError, DamagedFileError
from daf.evaluation import Settings, evaluate
from daf.evaluation.keeping import rebuild
from daf.output_manager import OutputManager, find_run
from daf.reporting import daf_report
from daf.reporting._leaderboard import daf_generate_leaderboard
from daf.scoring_analysis.operation import daf_score
from daf.visualization.returns import returns_of
from tests.damage import ABSENT, WRONG, changed, places

MISSION = "training_facility_1,max_steps=10"
FILES = ("results.json", "plan.json", "experiment_config.json", "execution_log.json", "record")
READERS: dict[str, Callable[[Path], object]] = {
    "report": daf_report,
    "returns": returns_of,
    "leaderboard": lambda run: daf_generate_leaderboard([run], format="json"),
    "rebuild": lambda run: rebuild(find_run(str(run))),
}


SETTINGS = Settings(episodes=2, jobs=1)
MAKERS: dict[str, Callable[[OutputManager], object]] = {
    "evaluation": lambda output: evaluate(["starter", "noop"], MISSION, settings=SETTINGS, output=output),
    "score": lambda output: daf_score("starter", ["noop"], MISSION, settings=SETTINGS, output=output),
    "crossplay": lambda output: daf_crossplay(["starter", "noop"], MISSION, settings=SETTINGS, output=output),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of an evaluation."""
    base = tmp_path_factory.mktemp("runs")
    MAKERS["evaluation"](OutputManager(base))
    return base


def sealed(value: Any) -> bytes:
    """A record file whose checksum matches."""
    line = json.dumps(value).encode()
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"


def try_all(run: Path, kind: str, cases: int) -> None:
    """Change `cases` values of each file of the run, one at a time, and read the run in every way."""
    draw = random.Random(kind)
    for name in FILES:
        file = run / name if name != "record" else min((run / "records").iterdir())
        whole = file.read_bytes()
        value = json.loads(whole.split(b"\n")[0] if name == "record" else whole)
        every = [(at, new) for at in places(value) for new in (*WRONG, ABSENT) if at or new is not ABSENT]
        for at, new in draw.sample(every, min(cases, len(every))):
            wrong = changed(value, at, new)
            before = {path: path.read_bytes() for path in run.glob("*.json")}
            file.unlink()  # records are links into the cache
            file.write_bytes(sealed(wrong) if name == "record" else json.dumps(wrong).encode())
            for way, read in READERS.items():
                try:
                    read(run)
                except DAFError:
                    pass
                except Exception as error:
                    error.add_note(f"{way} of {kind}: {name} with {at} = {'nothing' if new is ABSENT else new!r}")
                    raise
            for path, content in before.items():
                path.write_bytes(content)
            file.write_bytes(whole)


def test_a_changed_value_in_any_file_is_named_or_harmless(run: Path) -> None:
    try_all(run, "evaluation", 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MAKERS)
def test_hundreds_of_changed_values_are_named_or_harmless(tmp_path: Path, kind: str) -> None:
    MAKERS[kind](OutputManager(tmp_path))
    try_all(find_run("latest", tmp_path).path, kind, 60)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "out")
    return find_run("latest", tmp_path / "out").path


def test_a_sealed_record_of_another_shape_is_named_in_the_report(run: Path) -> None:
    record = min((run / "records").iterdir())
    body = json.loads(record.read_bytes().split(b"\n")[0])
    body["result"]["rewards"] = ["many"]
    record.unlink()
    record.write_bytes(sealed(body))
    with pytest.raises(DamagedFileError, match=rf"{record.name} is damaged: Expected `float`, got `str`"):
        read_result(run)
    assert f"{record.name} is damaged" in (daf_report(run).html.read_text())


def test_a_record_of_fewer_agents_than_the_episode_had_is_damaged(run: Path) -> None:
    record = min((run / "records").iterdir())
    body = json.loads(record.read_bytes().split(b"\n")[0])
    body["result"]["rewards"] = body["result"]["rewards"][:-1]
    record.unlink()
    record.write_bytes(sealed(body))
    with pytest.raises(DamagedFileError, match=r"does not hold rewards, stats and time-outs of"):
        read_result(run)


@pytest.mark.parametrize("key", ["../../../etc/passwd", "/etc/passwd", "a/b", "", "a\nb"])
@pytest.mark.parametrize("place", ["key", "config_hash"])
def test_a_plan_names_no_file_outside_its_run(run: Path, place: str, key: str) -> None:
    plan = json.loads((run / "plan.json").read_text())
    plan["episodes"][0][place] = key
    (run / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(DamagedFileError, match=place):
        read_plan(run)


def test_damaged_results_are_named_by_every_reader_and_change_no_other_run(run: Path) -> None:
    base = run.parent.parent
    other = evaluate(["noop"], MISSION, settings=Settings(episodes=1, jobs=1), output=OutputManager(base)).run_dir
    (run / "results.json").write_text('{"episodes": [1, 2]}')
    for read in (returns_of, lambda path: daf_generate_leaderboard([path]), lambda path: rebuild(find_run(str(path)))):
        with pytest.raises(DamagedFileError, match=r"results\.json is damaged"):
            read(run)
    for read in READERS.values():
        read(other)


def test_the_report_of_a_run_names_a_file_that_is_no_json(run: Path) -> None:
    (run / "results.json").write_bytes(b"{")
    assert "results.json is damaged: Input data was truncated" in daf_report(run).html.read_text()
