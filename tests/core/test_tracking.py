"""Every tracker keeps one meaning; the files and databases they write are read back with their own readers."""

import json
import logging
import math
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from daf.core.tracking import NAMES, TrackedRun, Trackers, trackers
from daf.core.tracking._json_lines import JsonLines
from daf.core.tracking._names import Names
from daf.core.tracking._tensorboard_events import TensorBoardEvents
from daf.errors import StorageError, UsageError
from tests.core.tracked import READERS, Points

ROOT = Path(__file__).parents[2]
RUN = TrackedRun("20261120_101500", "arena", "lstm", 7, 100, {"learning_rate": 0.001, "network.hidden_size": 64})


def record(step: int) -> dict[str, object]:
    return {"step": step, "missions": {"arena,cogs=4": {"mean": 1.0, "low": None, "high": None, "n": 2}}, "mean": step}


@pytest.fixture(scope="module", autouse=True)
def _one_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow makes a database in seconds; it is made once here, and copied."""
    folder = tmp_path_factory.mktemp("database")
    found = trackers(["mlflow"], folder)
    found.start(RUN)
    found.close("done")
    with sqlite3.connect(folder / "mlflow.db") as made:
        for table in ("runs", "params", "metrics", "latest_metrics", "tags"):
            made.execute(f"delete from {table}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAF_TEST_MLFLOW_DATABASE", str(folder / "mlflow.db"))
        yield


def started(name: str, folder: Path, resumed_at: int | None = None) -> Trackers:
    if name == "mlflow" and not (folder / "mlflow.db").exists():
        shutil.copy(os.environ["DAF_TEST_MLFLOW_DATABASE"], folder / "mlflow.db")
    options = {"wandb": {"mode": "offline"}} if name == "wandb" else {}
    found = trackers([name], folder, options)
    found.start(RUN, resumed_at)
    return found


def train(tracker: Trackers, steps: range) -> None:
    """What a run logs: every update's metrics, an evaluation at every 40th step, a checkpoint there."""
    for step in steps:
        tracker.log(step, {"update": step // 10, "loss/policy": 1 / (1 + step), "reward/per_step": -0.25})
        if step % 40 == 0 and not tracker.evaluated(step):
            tracker.evaluation(step, record(step))
        tracker.sync()


def points(name: str, folder: Path) -> Points:
    """What the tracker holds, values rounded to what TensorBoard keeps of them."""
    found = READERS[name](folder)
    return {key: [(step, round(value, 6)) for step, value in series] for key, series in found.items()}


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def uninterrupted(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    tracker = started(name, folder)
    train(tracker, range(10, 101, 10))
    tracker.close("done")
    return folder


def test_a_tracker_holds_every_metric_and_evaluation_under_its_step(name: str, uninterrupted: Path) -> None:
    found = points(name, uninterrupted)
    assert found["loss/policy"] == [(step, round(1 / (1 + step), 6)) for step in range(10, 101, 10)]
    assert found["update"] == [(step, step // 10) for step in range(10, 101, 10)]
    assert found["evaluation/mean"] == [(40, 40), (80, 80)]


FOREIGN = [
    "/tmp/runs/take:2/my mission.yaml,max_steps=40",
    "../up/./here//mission.json",
    "a?b", "a#b", "a%b", "100 % [x] {y}", "$\u0394$", "line\nbreak", "raw\udcff",
    "long/" * 70 + "one", "long/" * 70 + "two",
]  # fmt: skip
"""Missions as files are called; the fourth to sixth differ in characters that a service may replace alike."""


def test_no_metrics_name_costs_a_run_its_tracker(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "a?b%20c#d{e} 'f"
    folder.mkdir()
    tracker = started(name, folder)
    missions = {mission: {"mean": float(place), "n": 2} for place, mission in enumerate(FOREIGN)}
    tracker.log(10, {"loss/policy": 0.5, **{f"stats/{mission}": place for place, mission in enumerate(FOREIGN)}})
    tracker.evaluation(10, {"step": 10, "missions": missions, "mean": 1.0})
    tracker.sync()
    tracker.close("done")
    assert tracker.lost == {}
    if name == "jsonl":
        return
    found = READERS[name](folder)
    assert found["loss/policy"] == [(10, 0.5)]
    for head, tail in (("stats/", ""), ("evaluation/", "/mean")):
        values = [series[0][1] for key, series in found.items() if key.startswith(head) and tail in key]
        assert set(range(len(FOREIGN))) <= set(values)
    assert any("my mission.yaml" in key for key in found)


def test_names_are_distinct_bounded_and_the_same_again() -> None:
    import re

    made = [Names(replaced=re.compile(r"[^\w\-. :/]"), longest=250, paths=True) for _ in range(2)]
    first, again = ([names.of(name) for name in FOREIGN] for names in made)
    assert first == again
    assert len(set(first)) == len(FOREIGN)
    assert max(map(len, first)) in (249, 250)
    assert first[2] == "a_b"
    assert first[3].startswith("a_b-")
    assert all(re.fullmatch(r"[\w\-. :/]+", name) and not name.startswith("/") and "//" not in name for name in first)
    assert first[-2][:100] == first[-1][:100]
    assert Names().of("loss/policy") == "loss/policy"


def test_a_killed_and_resumed_run_holds_what_an_uninterrupted_one_holds(
    name: str, uninterrupted: Path, tmp_path: Path
) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from tests.core.test_tracking import started, train\n"
        f"train(started({name!r}, Path({str(tmp_path)!r})), range(10, 71, 10))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == -9
    again = started(name, tmp_path, resumed_at=50)  # the last checkpoint: 60 and 70 are trained again
    train(again, range(60, 91, 10))
    again.close("interrupted")
    last = started(name, tmp_path, resumed_at=90)
    train(last, range(100, 101))
    last.close("done")
    assert points(name, tmp_path) == points(name, uninterrupted)


def test_a_tracker_that_is_new_to_a_resumed_run_holds_its_beginning_too(
    name: str, uninterrupted: Path, tmp_path: Path
) -> None:
    first = started("jsonl", tmp_path)
    train(first, range(10, 71, 10))
    first.close("interrupted")
    again = started(name, tmp_path, resumed_at=50)
    train(again, range(60, 101, 10))
    again.close("done")
    assert points(name, tmp_path) == points(name, uninterrupted)


def test_numbers_that_are_none_are_left_out_and_said_once(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = started(name, tmp_path)
    with caplog.at_level(logging.WARNING, logger="daf"):
        for step in (10, 20):
            tracker.log(step, {"loss/policy": math.nan, "loss/value": -math.inf, "stats/odd": None, "loss/total": 2.0})
    tracker.close("failed")
    assert points(name, tmp_path) == {"loss/total": [(10, 2.0), (20, 2.0)]}
    assert [line.getMessage() for line in caplog.records if line.name.startswith("daf.")] == [
        "step 10: loss/policy is nan; it is left out of the metrics",
        "step 10: loss/value is -inf; it is left out of the metrics",
    ]


def test_a_run_restarted_in_a_directory_leaves_nothing_of_the_earlier_one(tmp_path: Path) -> None:
    for steps in (range(10, 101, 10), range(10, 31, 10)):
        tracker = trackers(["tensorboard"], tmp_path)
        tracker.start(RUN, None)
        train(tracker, steps)
        tracker.close("done")
    for name in ("jsonl", "tensorboard"):
        assert [step for step, _ in points(name, tmp_path)["update"]] == [10, 20, 30]


def test_a_torn_line_is_cut_and_what_was_whole_before_stays(tmp_path: Path) -> None:
    first = started("jsonl", tmp_path)
    train(first, range(10, 51, 10))
    first.close("interrupted")
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(whole + b'{"step": 60, "loss/pol')
    again = started("jsonl", tmp_path, resumed_at=60)
    again.close("done")
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole


def test_events_that_a_power_cut_took_come_back_from_the_json_lines(tmp_path: Path) -> None:
    first = started("tensorboard", tmp_path)
    train(first, range(10, 51, 10))
    first.close("interrupted")
    (path,) = (tmp_path / "tensorboard").iterdir()
    path.write_bytes(path.read_bytes()[:-300])
    again = started("tensorboard", tmp_path, resumed_at=50)
    train(again, range(60, 71, 10))
    again.close("done")
    found = points("tensorboard", tmp_path)
    assert [step for step, _ in found["update"]] == [10, 20, 30, 40, 50, 60, 70]
    assert found["evaluation/mean"] == [(40, 40)]


def test_lines_are_there_when_the_process_is_killed_after_them(tmp_path: Path) -> None:
    code = (
        "import os, signal; from daf.core.tracking import TrackedRun, trackers\n"
        f"t = trackers(['tensorboard'], {str(tmp_path)!r}); t.start(TrackedRun('r', 'm', 'p', 0, 9))\n"
        "for step in range(1, 301): t.log(step, {'update': step})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": step, "update": step} for step in range(1, 301)]
    assert len(points("tensorboard", tmp_path)["update"]) == 300


class Unreachable:
    """A tracker whose service goes away at step 20."""

    name = "elsewhere"

    def start(self, run: TrackedRun, resumed_at: int | None) -> None: ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step >= 20:
            raise ConnectionError("the server is gone")

    def evaluation(self, step: int, record: Mapping[str, object]) -> None: ...

    def sync(self) -> None: ...

    def close(self, status: str) -> None: ...


def test_a_tracker_that_fails_on_the_way_is_dropped_and_named_and_the_others_continue(tmp_path: Path) -> None:
    tracker = Trackers(JsonLines(tmp_path), [Unreachable(), TensorBoardEvents(tmp_path)])
    tracker.start(RUN)
    train(tracker, range(10, 31, 10))
    tracker.close("done")
    assert tracker.lost == {"elsewhere": "ConnectionError: the server is gone"}
    for name in ("jsonl", "tensorboard"):
        assert [step for step, _ in points(name, tmp_path)["update"]] == [10, 20, 30]


def test_json_lines_that_cannot_be_written_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(StorageError, match=r"metrics\.jsonl"):
        started("jsonl", tmp_path)


def test_wrong_names_and_options_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Nearest: tensorboard"):
        trackers(["tensorbord"], tmp_path)
    with pytest.raises(UsageError, match="Nearest: project"):
        trackers(["wandb"], tmp_path, {"wandb": {"projekt": "x"}})
    with pytest.raises(UsageError, match="not among the trackers"):
        trackers(["tensorboard"], tmp_path, {"wandb": {"project": "x"}})
    tracker = trackers(["wandb"], tmp_path, {"wandb": {"mode": "ofline"}})
    with pytest.raises(UsageError, match="Nearest: offline"):
        tracker.start(RUN)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(tmp_path: Path) -> None:
    code = (
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'wandb' else real(name, package)\n"
        "from daf.core.tracking import trackers\n"
        f"trackers(['wandb'], {str(tmp_path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "daf[track]"' in done.stderr


@pytest.mark.parametrize("variable", ["TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"])
def test_trackio_that_would_send_runs_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    with pytest.raises(UsageError, match=f"{variable} is set"):
        started("trackio", tmp_path)


def test_trackio_prints_nothing_where_results_go(tmp_path: Path) -> None:
    code = (
        "from daf.core.tracking import TrackedRun, trackers\n"
        f"found = trackers(['trackio'], {str(tmp_path)!r})\n"
        "found.start(TrackedRun('20261120_101500', 'arena', 'lstm', 7, 100, {}))\n"
        "found.log(10, {'loss/policy': 0.5})\n"
        "found.close('done')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == ""


def test_wandb_without_a_login_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    tracker = trackers(["wandb"], tmp_path)
    with pytest.raises(UsageError, match="wandb login"):
        tracker.start(RUN)
