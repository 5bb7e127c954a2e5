"""Pipelines of programs: order, what runs again, failures, retries, time limits, and what is refused beforehand."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from daf.config import DAFPipelineConfig
from daf.errors import ConfigError, UsageError
from daf.orchestrators import PipelineResult, daf_run_pipeline, read_pipeline
from daf.orchestrators._plan import plan_pipeline
from tests.conftest import SMALLEST

APPEND = "import sys; open(sys.argv[1].removeprefix('log@'), 'a').write(sys.argv[2] + '\\n')"
"""The log's name has a prefix, so that it does not count among the files that a stage depends on."""


def step(name: str, log: Path, *words: str, **fields: Any) -> dict[str, Any]:
    """A stage that writes its name and words as a line of `log`."""
    line = " ".join([name, *words])
    return {"use": "command", "name": name, "run": [sys.executable, "-c", APPEND, f"log@{log}", line], **fields}


def program(name: str, code: str, **fields: Any) -> dict[str, Any]:
    return {"use": "command", "name": name, "run": [sys.executable, "-c", code], **fields}


def run(
    base: Path, stages: list[dict[str, Any]], *, fields: dict[str, Any] | None = None, **chosen: Any
) -> PipelineResult:
    return daf_run_pipeline({"name": "p", "stages": stages, **(fields or {})}, output_dir=base / "out", **chosen)


def test_stages_run_after_what_they_need_and_get_its_outputs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    printed = program("first", 'print(\'{"value": {"deep": [1, 42]}, "word": "w"}\')')
    result = run(
        tmp_path,
        [
            step("last", log, "${stages.first.result.word}-${stages.first.result.value.deep.1}", needs=["middle"]),
            step("middle", log, needs=["first"]),
            printed,
        ],
    )
    assert result.is_success()
    assert result.stages_completed == ["first", "middle", "last"]
    assert log.read_text() == "middle\nlast w-42\n"
    assert result.run_dir is not None
    assert read_pipeline(result.run_dir)["status"] == "ok"


def test_a_changed_stage_runs_again_with_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    log, data = tmp_path / "log", tmp_path / "data.txt"
    data.write_text("1")

    def stages(word: str) -> list[dict[str, Any]]:
        return [
            step("a", log),
            step("b", log, word, needs=["a"]),
            step("c", log, needs=["b"]),
            {"use": "command", "name": "d", "run": [*step("d", log)["run"], str(data)]},
        ]

    def ran() -> str:
        lines = log.read_text().split("\n")
        log.write_text("")
        return "".join(line[:1] for line in lines)

    run(tmp_path, stages("x"))
    assert ran() == "abcd"
    again = run(tmp_path, stages("x"))
    assert ran() == ""
    assert [stage.status for stage in again.stages] == ["cached"] * 4
    run(tmp_path, stages("y"))
    assert ran() == "bc"
    data.write_text("2")
    run(tmp_path, stages("y"))
    assert ran() == "d"
    run(tmp_path, stages("y"), from_stage="b")
    assert ran() == "bc"
    run(tmp_path, stages("y"), only="a")
    assert ran() == "a"
    run(tmp_path, stages("x"), dry_run=True)
    assert ran() == ""
    with pytest.raises(UsageError, match=r"--only c needs results of b"):
        run(tmp_path, stages("z"), only="c")


def test_a_file_that_a_stage_writes_does_not_make_it_run_again_until_somebody_changes_it(tmp_path: Path) -> None:
    made, log = tmp_path / "made.txt", tmp_path / "log"
    write = "import sys, time; open(sys.argv[1], 'w').write('1')"
    stages = [
        {"use": "command", "name": "a", "run": [sys.executable, "-c", write, str(made)]},
        {"use": "command", "name": "b", "run": [*step("b", log)["run"], str(made)], "needs": ["a"]},
    ]
    assert [stage.status for stage in run(tmp_path, stages).stages] == ["done", "done"]
    assert [stage.status for stage in run(tmp_path, stages).stages] == ["cached", "cached"]
    made.write_text("2")
    assert [stage.status for stage in run(tmp_path, stages).stages] == ["done", "cached"]


def test_code_behind_a_class_path_counts_with_what_it_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_walker.py").write_text("from my_helper import STEP\nclass Walker: pass\n")
    (tmp_path / "my_helper.py").write_text("STEP = 1\n")
    code = "print('{}')"
    stages = [{"use": "command", "name": "a", "run": [sys.executable, "-c", code, "my_walker.Walker"]}]
    assert [run(tmp_path, stages).stages[0].status for _ in range(2)] == ["done", "cached"]
    (tmp_path / "my_helper.py").write_text("STEP = 2\n")
    assert run(tmp_path, stages).stages[0].status == "done"


def test_a_failure_stops_the_pipeline_or_only_what_depends_on_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stages = [
        program("bad", "import sys; print('no disk', file=sys.stderr); sys.exit(3)"),
        step("after", log, needs=["bad"]),
        step("other", log),
    ]
    stopped = run(tmp_path, stages)
    assert (stopped.status, stopped.stages_completed, stopped.stages_failed) == ("failed", [], ["bad"])
    assert stopped.errors["bad"] == "no disk (exit code 3)"
    assert stopped.errors["other"] == "not started, because bad failed"
    going = run(tmp_path, stages, fields={"stop_on_failure": False})
    assert going.stages_completed == ["other"]
    assert going.errors["after"] == "needs bad, which did not end well"


def test_a_stage_is_retried_and_has_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daf.orchestrators.run._RETRY_SECONDS", 0.0)
    log = tmp_path / "log"
    fails_twice = (
        f"import pathlib, sys; p = pathlib.Path({str(log)!r}); n = len(p.read_text()) if p.exists() else 0\n"
        "p.write_text('x' * (n + 1)); sys.exit(n < 2)"
    )
    retried = run(tmp_path, [program("flaky", fails_twice, retries=2)])
    assert retried.is_success()
    assert retried.stages[0].attempts == 3
    slow = run(tmp_path, [program("slow", "import time; time.sleep(600)", timeout_seconds=0.5)])
    assert "longer than its limit of 0.5 seconds" in slow.errors["slow"]


def test_stages_that_do_not_need_each_other_run_at_the_same_time(tmp_path: Path) -> None:
    waits = (
        "import pathlib, sys, time; here, other = map(pathlib.Path, sys.argv[1:]); here.touch()\n"
        "end = time.time() + 60\nwhile not other.exists():\n  time.sleep(0.02)\n  assert time.time() < end"
    )
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    stages = [
        {"use": "command", "name": "a", "run": [sys.executable, "-c", waits, a, b]},
        {"use": "command", "name": "b", "run": [sys.executable, "-c", waits, b, a]},
    ]
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one core runs one stage at a time")
    assert run(tmp_path, stages, fields={"parallel_stages": True}).is_success()


def test_a_killed_pipeline_ends_its_stages_and_resumes(tmp_path: Path) -> None:
    log, gate = tmp_path / "log", tmp_path / "gate"
    waits = (
        f"import os, pathlib, time\npathlib.Path({str(log)!r}).open('a').write(f'b {{os.getpid()}}\\n')\n"
        f"while not pathlib.Path({str(gate)!r}).exists():\n  time.sleep(0.02)"
    )
    file = tmp_path / "p.json"
    file.write_text(json.dumps({"name": "p", "stages": [step("a", log), program("b", waits, needs=["a"])]}))
    command = [sys.executable, "-m", "daf", "pipeline", "run", str(file), "--output-dir", str(tmp_path / "out")]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (log.exists() and log.read_text().count("\n") == 2):
        assert time.monotonic() < end
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    stage = int(log.read_text().split()[-1])
    while Path(f"/proc/{stage}").exists() and "zombie" not in Path(f"/proc/{stage}/status").read_text():
        assert time.monotonic() < end, "the stage outlived its pipeline"
        time.sleep(0.05)
    gate.touch()
    result = daf_run_pipeline(file, output_dir=tmp_path / "out")
    assert [stage.status for stage in result.stages] == ["cached", "done"]
    assert [line[0] for line in log.read_text().splitlines()] == ["a", "b", "b"]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"use": "train", "needs": ["check"]}, {"use": "check", "needs": ["train"]}], r"(train|check) → .* → \1"),
        ([{"use": "train"}, {"use": "check", "needs": ["trian"]}], r'check: needs: no stage "trian"\. Nearest: train'),
        ([{"use": "train"}, {"use": "evaluate", "options": {"policy": "${stages.train.polcy}"}}], r"Nearest: policy"),
        ([{"use": "evaluate", "options": {"policy": "${train.policy}"}}], r'"\$\{train.policy\}" is not a reference'),
        ([{"use": "evaluate", "options": {"mision": "arena"}}], r"stage evaluate: No such option: --mision"),
        ([{"use": "evaluate", "options": {"episodes": "many"}}], r"stage evaluate: Invalid value for '--episodes'"),
        ([{"use": "evaluate", "options": {"output_dir": "x"}}], r"the pipeline sets output_dir itself"),
        ([{"use": "evaluate", "options": {"mission": "arena"}}], r"is missing. Set options.policy or options.team"),
        ([{"use": "compare", "options": {"policy": "starter"}}], r"stage compare: an input .* Set options.mission"),
        ([{"use": "score", "options": {"candidate": "noop", "mission": "arena"}}], r"Set options.pool"),
        ([{"use": "score", "options": {"pool": "noop", "mission": "arena"}}], r"Missing argument 'CANDIDATE'"),
        ([{"use": "package", "config": {"a": 1}}], r"package has no configuration file"),
        (["comparison"], r'"comparison" has no section comparison_config, and no training or sweep comes before'),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_before_anything_runs(tmp_path: Path, stages: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run(tmp_path, stages)
    assert not (tmp_path / "out" / "artifacts").exists()


def test_a_reference_to_a_result_that_is_not_there_names_what_is(tmp_path: Path) -> None:
    result = run(
        tmp_path, [program("a", 'print(\'{"x": {"y": 1}}\')'), step("b", tmp_path / "l", "${stages.a.result.x.z}")]
    )
    assert result.errors["b"] == '${stages.a.result.x.z}: the result of a has no "z" there; it has y.'


def test_a_notification_gets_the_result(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    command = f'{sys.executable} -c \'import sys; open("{told}", "w").write(sys.stdin.read())\''
    run(tmp_path, [program("a", "pass")], fields={"notify_on_completion": command})
    assert json.loads(told.read_text())["stages_completed"] == ["a"]
    with pytest.raises(ConfigError, match=r"DAF_NOTIFY, which is not set"):
        run(tmp_path, [program("a", "pass")], fields={"notify_on_completion": True})


def test_sections_of_older_files_become_stages_that_use_each_other() -> None:
    config = DAFPipelineConfig(
        name="full",
        stages=["training", "sweep", "comparison"],
        training_config={"policy_class_path": "lstm", "num_training_steps": 1000},
        sweep_config={"missions": ["training_facility_2"], "strategy": "random", "num_trials": 10},
    )
    assert config.sweep_config is not None
    assert config.sweep_config.training is not None
    assert (config.sweep_config.policy_class_path, config.sweep_config.training.total_timesteps) == ("lstm", 1000)
    plan = plan_pipeline(config)
    assert [stage.name for stage in plan.stages] == ["training", "sweep", "comparison"]
    assert plan.stage("training").config.config == {
        "policy": "lstm", "total_timesteps": 1000, "mission": ["training_facility_2"]
    }  # fmt: skip
    assert plan.stage("comparison").needs == ("training", "sweep")
    assert plan.stage("comparison").config.options["policy"] == ["${stages.training.policy}", "${stages.sweep.best}"]


def test_commands_of_daf_hand_their_results_on_from_the_command_line(tmp_path: Path, daf_call: Any) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(
        f"""\
name: rank
stages:
  - use: compare
    options: {{policy: [noop, random], mission: "{SMALLEST}", episodes: 2, jobs: 1}}
  - use: analyze policy
    name: analyze
    options: {{policy: "${{stages.compare.best}}", mission: "{SMALLEST}", episodes: 1, jobs: 1}}
  - use: report
    options: {{run: "${{stages.compare.run_dir}}"}}
"""
    )
    shown = daf_call("pipeline", "show", file)
    assert "2. analyze  (analyze policy)  after compare" in shown.stdout
    done = daf_call("pipeline", "run", file, "--output-dir", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["stages_completed"] == ["compare", "analyze", "report"]
    assert data["outputs"]["compare"]["best"] in ("noop", "random")
    page = Path(data["report"]).read_text()
    assert "All 3 stages are done." in page
    assert 'class="figure graph' in page
    assert f'href="../../comparisons/{data["outputs"]["compare"]["run_id"]}/report.html"' in page
    status = daf_call("pipeline", "status", "--output-dir", tmp_path / "out", "--json")
    assert [stage["status"] for stage in json.loads(status.stdout)["stages"]] == ["done"] * 3
    again = daf_call("pipeline", "run", file, "--output-dir", tmp_path / "out", "--json")
    assert [stage["status"] for stage in json.loads(again.stdout)["stages"]] == ["cached"] * 3


def test_every_command_of_a_stage_takes_what_a_pipeline_gives_it(tmp_path: Path) -> None:
    from daf.cli.parse_only import error_of
    from daf.orchestrators._commands import COMMANDS

    refused = {}
    for use, command in COMMANDS.items():
        argv = [*command.words, "--json", "--output-dir", str(tmp_path)]
        argv += ["--tag", "t"] if command.labels else []
        argv += ["--executor", "serial"] if command.plays else ["--executor", "ray"] if command.trains else []
        argv += ["--config", str(tmp_path / "c.yaml")] if command.config == "--config" else []
        argv += ["--difference", "1"] if use == "power" else []
        error = error_of([*argv, *(["--policy", "noop"] if use == "package" else []), "--", *command.arguments])
        if error is not None:
            refused[use] = error
    assert refused == {}
