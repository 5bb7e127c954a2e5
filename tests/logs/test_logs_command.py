"""`daf logs` as it is used: what goes to stdout, what to stderr, and the exit codes."""

import json
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import DafCall


@pytest.fixture
def daf(daf_call: DafCall) -> DafCall:
    return partial(daf_call, "logs")


def test_json_is_one_object_on_stdout_and_progress_is_on_stderr(daf: DafCall, experiments: Path) -> None:
    done = daf("--variant", "v1", "--format", "html", "--json", "--verbose", cwd=experiments.parent)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["run_id"], result["status"]) == ("v1_20250102_120000", "ok")
    assert result["run_dir"] == "experiments/v1/20250102_120000/plots"
    assert result["summary"]["records"] == 360
    assert "file 3 of 3, 360 records" in done.stderr
    assert "MB memory" in done.stderr


def test_the_end_says_counts_sample_steps_gaps_damage_and_memory(daf: DafCall, experiments: Path) -> None:
    run = experiments / "v1" / "20250102_120000"
    done = daf(run, "--format", "html", "--jobs", "2", cwd=experiments)
    assert done.returncode == 0, done.stderr
    for said in (
        "360 records in 3 files",
        "sample: 360 records",
        "steps: 0 to 119, no gaps",
        "damage: none",
        "memory:",
    ):
        assert said in done.stderr, done.stderr
    written = done.stdout.split()
    assert all(Path(path).is_file() for path in written)
    assert [Path(path).name.rpartition("_")[2] for path in written] == ["summary.json", "report.html"]
    quiet = daf(run, "--format", "html", "--quiet", cwd=experiments)
    assert quiet.stderr == ""


def test_two_variants_are_compared(daf: DafCall, experiments: Path) -> None:
    done = daf("--compare", "v1", "v2", "--format", "html", "--json", cwd=experiments.parent)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [log["summary"]["records"] for log in result["logs"]] == [360, 200]
    assert result["run_dir"] == "experiments/plots"


def test_a_file_of_options_is_read_and_flags_win(daf: DafCall, experiments: Path, tmp_path: Path) -> None:
    config = tmp_path / "logs.yaml"
    config.write_text("variant: v2\nformat: [html]\nseed: 3\nsmooth-window: 5\n")
    done = daf("--config", config, "--json", cwd=experiments.parent)
    assert json.loads(done.stdout)["run_id"] == "v2_20250103_120000"
    done = daf("--config", config, "--variant", "v1", "--json", cwd=experiments.parent)
    assert json.loads(done.stdout)["run_id"] == "v1_20250102_120000"
    config.write_text("varint: v2\n")
    done = daf("--config", config, cwd=experiments.parent)
    assert done.returncode == 2
    assert "Nearest: variant" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--variant", "v9"), 2, 'no variant "v9"'),
        ((), 2, "no logs given"),
        (("--variant", "v1", "--format", "bmp"), 2, 'no format "bmp"'),
        (("--variant", "v1", "--jobs", "0"), 2, '--jobs must be a number from 1 to 9999, or auto; got "0"'),
        (("foreign.json",), 1, "keys loss"),
        (("--compare", "v1", "v2", "--variant", "v1"), 2, "Leave out"),
    ],
)
def test_wrong_use_exits_with_2_and_failure_with_1(
    daf: DafCall, experiments: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (experiments.parent / "foreign.json").write_text('[{"loss": 1.0}]')
    done = daf(*arguments, "--json", cwd=experiments.parent)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["status"] == "failed"


def test_a_log_without_rewards_that_are_read_ends_with_a_sentence(daf: DafCall, tmp_path: Path) -> None:
    records = [json.dumps({"step": step, "rewards": {"0": 1.0}}) + "\n" for step in range(20)]
    (tmp_path / "log.jsonl").write_text("".join(records))
    done = daf(tmp_path / "log.jsonl", "--output-dir", tmp_path / "plots")
    assert done.returncode == 1
    assert "DataError: there is nothing to draw: no values were recorded." in done.stderr
