"""`daf` with its output, its cache and its sources at a URL, on two machines that share nothing else."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daf.errors import StorageError
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager, list_runs
from daf.output_manager.publication import publish_runs
from tests.conftest import SMALLEST, DafCall
from tests.remote.s3 import BUCKET, KEY, S3, SECRET

OUT = f"s3://{BUCKET}/runs"
PLAY = ("evaluate", "-p", "noop", "-m", SMALLEST, "-e", "2", "--executor", "serial", "--no-report")


@pytest.fixture
def there(tmp_path: Path) -> dict[str, str]:
    """The environment of a second machine."""
    return {"DAF_REMOTE_DIR": str(tmp_path / "second machine")}


def test_another_machine_lists_shows_and_reports_a_run(s3: S3, daf_call: DafCall, there: dict[str, str]) -> None:
    played = daf_call(*PLAY, "--output-dir", OUT, "--name", "first", "--json")
    assert played.returncode == 0, played.stderr
    run = json.loads(played.stdout)["run_id"]
    assert re.fullmatch(rf"published \d+ files \(1\.\d MB\) to {OUT}/evaluations/{run}", played.stderr.splitlines()[-1])
    (listed,) = json.loads(daf_call("runs", "list", "--output-dir", OUT, "--json", **there).stdout)["runs"]
    assert (listed["run_id"], listed["name"], listed["kind"]) == (run, "first", "evaluation")
    assert (listed["url"], listed["published"]) == (f"{OUT}/evaluations/{run}", True)
    size = sum(len(data) for key, data in s3.objects().items() if run in key and "/.daf-" not in key)
    assert listed["size_bytes"] == size - len(s3.objects()[f"runs/.sessions/{run}.json"])
    shown = json.loads(daf_call("runs", "show", "first", "--json", **there, DAF_OUTPUT_DIR=OUT).stdout)
    assert shown["results"]["ranking"][0]["policy"] == "noop"
    report = daf_call("report", f"{OUT}/evaluations/{run}", "--json", **there)
    assert report.returncode == 0, report.stderr
    assert "noop" in Path(json.loads(report.stdout)["reports"][0]["html"]).read_text()


def test_reading_needs_no_permission_to_write(s3: S3, daf_call: DafCall, there: dict[str, str]) -> None:
    run = json.loads(daf_call(*PLAY, "--output-dir", OUT, "--json").stdout)["run_id"]
    s3.rule = lambda method, _path: (403, "AccessDenied") if method in ("PUT", "POST", "DELETE") else None
    for words in (("runs", "list"), ("runs", "show", run), ("report", run)):
        ended = daf_call(*words, "--output-dir", OUT, **there)
        assert ended.returncode == 0, (words, ended.stderr)


def test_what_one_machine_played_another_does_not_play(s3: S3, daf_call: DafCall, there: dict[str, str]) -> None:
    cache = ("--cache-dir", f"s3://{BUCKET}/cache")
    first = json.loads(daf_call(*PLAY, *cache, "--save-replays", "all", "--json").stdout)
    second = json.loads(daf_call(*PLAY, *cache, "--save-replays", "all", "--json", **there).stdout)
    assert (first["summary"]["played"], first["summary"]["cached"]) == (2, 0)
    assert (second["summary"]["played"], second["summary"]["cached"]) == (0, 2)
    assert [one["rewards"] for one in second["episodes"]] == [one["rewards"] for one in first["episodes"]]
    assert all(Path(one["replay"]).is_file() for one in second["episodes"])


def test_a_damaged_shared_record_is_played_again_and_replaced(
    s3: S3, daf_call: DafCall, there: dict[str, str], tmp_path: Path
) -> None:
    cache = ("--cache-dir", f"s3://{BUCKET}/cache")
    daf_call(*PLAY, *cache)
    records = [key for key in s3.names() if "/episodes/" in key]
    s3.put(records[0], b"{}")
    again = json.loads(daf_call(*PLAY, *cache, "--json", **there).stdout)
    assert (again["summary"]["played"], again["summary"]["cached"]) == (1, 1)
    third = json.loads(daf_call(*PLAY, *cache, "--json", DAF_REMOTE_DIR=str(tmp_path / "third")).stdout)
    assert (third["summary"]["played"], third["summary"]["cached"]) == (0, 2)


def test_records_that_could_not_be_shared_are_shared_by_the_same_command(
    s3: S3, daf_call: DafCall, there: dict[str, str]
) -> None:
    cache = ("--cache-dir", f"s3://{BUCKET}/cache")
    s3.rule = lambda method, path: (403, "AccessDenied") if method == "PUT" and "/episodes/" in path else None
    failed = daf_call(*PLAY, *cache)
    assert failed.returncode == 1
    assert "2 files of the cache could not be shared" in failed.stderr
    assert "the same command shares them without playing again" in failed.stderr
    s3.rule = lambda _method, _path: None
    assert json.loads(daf_call(*PLAY, *cache, "--json").stdout)["summary"]["cached"] == 2
    assert json.loads(daf_call(*PLAY, *cache, "--json", **there).stdout)["summary"]["cached"] == 2


@pytest.mark.parametrize("option", ["--output-dir", "--cache-dir"])
@pytest.mark.parametrize(
    ("url", "fault", "code", "words"),
    [
        ("s9://bucket/x", None, 2, '"s9://" is not a kind of URL'),
        ("s3://", None, 2, "s3:// names no bucket"),
        ("s3://daf-no-such-bucket/x", None, 1, "there is no such bucket"),
        (OUT, (403, "AccessDenied"), 1, "the store denied access"),
        (OUT, (403, "InvalidAccessKeyId"), 1, "does not accept the credentials"),
    ],
)
def test_a_place_that_cannot_be_used_ends_the_command_before_it_plays(
    option: str, url: str, fault: tuple[int, str] | None, code: int, words: str, s3: S3, daf_call: DafCall
) -> None:
    s3.rule = lambda method, _path: fault if method == "PUT" else None
    ended = daf_call(*PLAY, option, url, "-v")
    assert ended.returncode == code
    assert words in ended.stderr
    assert "episodes" not in ended.stdout
    assert KEY not in ended.stdout + ended.stderr
    assert SECRET not in ended.stdout + ended.stderr


def test_a_run_that_could_not_be_published_is_whole_here_and_published_by_the_named_command(
    s3: S3, daf_call: DafCall, there: dict[str, str]
) -> None:
    s3.rule = lambda method, path: (503, "ServiceUnavailable") if method == "PUT" and "/stats/" in path else None
    failed = daf_call(*PLAY, "--output-dir", OUT)
    assert failed.returncode == 1
    assert "is whole, but it is not published" in failed.stderr
    command = f"daf runs publish --output-dir {OUT}"
    assert f"`{command}` resumes" in failed.stderr
    assert json.loads(daf_call("runs", "--output-dir", OUT, "--json", **there).stdout)["runs"] == []
    (here,) = json.loads(daf_call("runs", "--output-dir", OUT, "--json").stdout)["runs"]
    assert (here["status"], here["published"]) == ("completed", False)
    s3.rule = lambda _method, _path: None
    assert daf_call(*command.split()[1:]).returncode == 0
    (published,) = json.loads(daf_call("runs", "--output-dir", OUT, "--json", **there).stdout)["runs"]
    assert published["run_id"] == here["run_id"]
    assert daf_call("runs", "publish", "latest", "--verify", "--output-dir", OUT).returncode == 0


def test_the_next_run_publishes_what_an_earlier_one_could_not(s3: S3, daf_call: DafCall, there: dict[str, str]) -> None:
    s3.rule = lambda method, path: (403, "AccessDenied") if method == "PUT" and "/stats/" in path else None
    assert daf_call(*PLAY, "--output-dir", OUT).returncode == 1
    s3.rule = lambda _method, _path: None
    assert daf_call(*PLAY, "--output-dir", OUT).returncode == 0
    runs = json.loads(daf_call("runs", "--output-dir", OUT, "--json", **there).stdout)["runs"]
    assert len(runs) == 2


def test_two_machines_that_start_in_the_same_second_get_different_ids(
    s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ids = []
    for machine in ("one", "two"):
        monkeypatch.setenv("DAF_REMOTE_DIR", str(tmp_path / machine))
        output = OutputManager(OUT)
        output._session = "20260101_000000"
        output.save_text_results("x", "reports")
        ids.append(output.session_id)
    assert ids == ["20260101_000000", "20260101_000000_2"]


def published_files(s3: S3, run: str) -> set[str]:
    """The files that the manifest of the run lists."""
    (manifest,) = (key for key in s3.names() if f"/{run}/.daf-manifest.json" in key)
    return set(json.loads(s3.objects()[manifest])["files"])


def test_what_an_operation_adds_after_its_episodes_is_published(s3: S3, daf_call: DafCall) -> None:
    done = daf_call(
        "metrics", "-m", SMALLEST, "-p", "noop", "-e", "2", "--executor", "serial", "--output-dir", OUT, "--json"
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert {"metrics.json", "metrics.html"} <= published_files(s3, run["run_id"])
    there = {path.relative_to(run["run_dir"]).as_posix() for path in Path(run["run_dir"]).rglob("*") if path.is_file()}
    assert {name for name in there if not name.rpartition("/")[2].startswith(".daf-")} == published_files(
        s3, run["run_id"]
    )


def test_a_part_of_a_run_is_published_with_the_run(s3: S3) -> None:
    output = OutputManager(OUT)
    with output.operation("sweeps", title="outer") as folder:
        with OutputManager(folder / "runs").operation("evaluations", title="inner") as inner:
            (inner / "x").write_bytes(b"x")
        assert not any(key.endswith("/x") for key in s3.names())
    assert [key for key in s3.names() if key.endswith(".daf-manifest.json")] == [
        f"runs/sweeps/{output.session_id}/.daf-manifest.json"
    ]
    assert (inner / "x").relative_to(folder).as_posix() in published_files(s3, output.session_id)


def test_labels_of_a_published_run_are_published(s3: S3, daf_call: DafCall, there: dict[str, str]) -> None:
    daf_call(*PLAY, "--output-dir", OUT)
    assert daf_call("runs", "tag", "latest", "good", "--output-dir", OUT, **there).returncode == 0
    (listed,) = json.loads(daf_call("runs", "--output-dir", OUT, "--json").stdout)["runs"]
    assert listed["tags"] == ["good"]


def test_replays_and_logs_are_read_from_urls(s3: S3, daf_call: DafCall, there: dict[str, str]) -> None:
    run = json.loads(daf_call(*PLAY, "--save-replays", "best", "--output-dir", OUT, "--json").stdout)
    replay = (
        f"{OUT}/evaluations/{run['run_id']}/replays/"
        + Path(next(one["replay"] for one in run["episodes"] if one["replay"])).name
    )
    info = json.loads(daf_call("replay", "info", replay, "--json", **there).stdout)
    assert info["replay"]["steps"] == 20
    drawn = daf_call("replay", "html", replay, "--output-dir", f"s3://{BUCKET}/drawings", **there)
    assert drawn.returncode == 0, drawn.stderr
    assert [key for key in s3.names() if key.startswith("drawings/")] == [
        f"drawings/{replay.rpartition('/')[2].removesuffix('.json.z')}.html"
    ]
    lines = b"".join(
        b'{"step": %d, "rewards": {"total": 1.0}, "position": {"x": 1, "y": 1, "map": 1}}\n' % step
        for step in range(50)
    )
    s3.put("logs/v4/20260101_000000/json_logs/a.jsonl", lines)
    logs = daf_call(
        "logs", f"s3://{BUCKET}/logs/v4/20260101_000000", "--format", "png", "--output-dir", f"s3://{BUCKET}/plots",
        **there,
    )  # fmt: skip
    assert logs.returncode == 0, logs.stderr
    assert any(key.startswith("plots/") and key.endswith(".png") for key in s3.names())


def test_a_url_at_which_nothing_is_says_so(s3: S3, daf_call: DafCall) -> None:
    for words in (("replay", "info"), ("logs",), ("report",), ("runs", "show")):
        ended = daf_call(*words, f"{OUT}/evaluations/20260101_000000")
        assert ended.returncode == 2, (words, ended.stderr)
        assert OUT in ended.stderr, words


def test_an_evaluation_from_python_is_published_too(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(episodes=1, executor="serial", report=False, cache_dir=f"s3://{BUCKET}/cache")  # type: ignore[arg-type]
    done = evaluate(["noop"], [SMALLEST], settings=settings, output=OutputManager(OUT))
    monkeypatch.setenv("DAF_REMOTE_DIR", str(tmp_path / "elsewhere"))
    (run,) = list_runs(OUT)
    assert (run.run_id, run.url) == (done.run_id, f"{OUT}/evaluations/{done.run_id}")
    stored = json.loads(s3.objects()[f"runs/evaluations/{done.run_id}/experiment_config.json"])
    assert stored["cache_dir"] == f"s3://{BUCKET}/cache"


def test_memory_urls_work_within_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAF_REMOTE_DIR", str(tmp_path / "machine"))
    output = OutputManager("memory://daf-tests/runs")
    output.save_text_results("x", "reports", "x.txt")
    assert output.publish("reports")
    monkeypatch.setenv("DAF_REMOTE_DIR", str(tmp_path / "other machine"))
    (run,) = list_runs("memory://daf-tests/runs")
    assert run.run_id == output.session_id


def test_checkpoints_go_to_their_own_url(s3: S3) -> None:
    output = OutputManager(OUT, checkpoint_dir=f"s3://{BUCKET}/checkpoints")
    with output.operation("training", title="x"):
        (output.get_checkpoint_dir() / "weights").write_bytes(b"w")
    assert s3.objects()[f"checkpoints/{output.session_id}/weights"] == b"w"


def test_publishing_a_local_directory_names_the_option(daf_call: DafCall, tmp_path: Path) -> None:
    ended = daf_call("runs", "publish", "--output-dir", tmp_path)
    assert ended.returncode == 2
    assert "--output-dir s3://bucket/runs" in ended.stderr


def test_published_runs_are_not_cleaned(s3: S3, daf_call: DafCall) -> None:
    daf_call(*PLAY, "--output-dir", OUT)
    ended = daf_call("runs", "clean", "--older-than", "0d", "--yes", "--output-dir", OUT)
    assert ended.returncode == 2
    assert "DAF deletes no published runs" in ended.stderr


PUBLISHING = """
import sys
from daf.output_manager import OutputManager
output = OutputManager(sys.argv[1])
with output.operation("reports", title="many files") as folder:
    for number in range(60):
        (folder / f"{number:03d}").write_bytes(bytes([number]) * 1000)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_publication_that_was_stopped_is_resumed_by_one_command(number: int, s3: S3, tmp_path: Path) -> None:
    reached = []

    def stop_at_40(method: str, path: str) -> None:
        if method == "PUT" and "/reports/" in path:
            reached.append(path)
            if len(reached) == 40:
                process.send_signal(number)

    s3.rule = stop_at_40
    process = subprocess.Popen(
        [sys.executable, "-c", PUBLISHING, OUT], stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    if number == signal.SIGINT:
        assert f"`daf runs publish --output-dir {OUT}` resumes" in said
    s3.rule = lambda _method, _path: None
    assert not any(key.endswith(".daf-manifest.json") for key in s3.names())
    s3.requests.clear()
    (run,) = publish_runs(base_dir=OUT)
    uploaded = [path for method, path in s3.requests if method == "PUT" and path[-3:].isdecimal()]
    assert 0 < len(uploaded) <= 55
    assert run.status == "completed"
    assert sum(key.rpartition("/")[2].isdecimal() for key in s3.names()) == 60


def test_a_store_error_is_raised_before_python_code_works(s3: S3) -> None:
    s3.rule = lambda method, _path: (403, "AccessDenied") if method == "PUT" else None
    worked = False
    with pytest.raises(StorageError, match="denied access"), OutputManager(OUT).operation("reports"):
        worked = True
    assert not worked
