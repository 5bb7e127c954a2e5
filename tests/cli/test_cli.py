"""The command line, as a user meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import BAD_POLICIES, SMALL, SMALLEST, Called, DafCall

Run = Callable[..., Called]


def environment(folder: Path) -> dict[str, str]:
    return {"DAF_OUTPUT_DIR": str(folder / "out"), "PYTHONPATH": str(folder)}


@pytest.fixture
def daf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daf_call: DafCall) -> Run:
    """`daf` in a folder that Python finds modules in. code: which it must exit with."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bad_ones", raising=False)

    def run(*arguments: str, code: int = 0) -> Called:
        done = daf_call(*arguments, cwd=tmp_path, **environment(tmp_path))
        assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-3000:])
        return done

    return run


@pytest.fixture
def daf_process(tmp_path: Path) -> Run:
    """`daf` in a separate process."""

    def run(*arguments: str, code: int = 0) -> Called:
        done = subprocess.run(
            [sys.executable, "-m", "daf", *arguments], capture_output=True, text=True, cwd=tmp_path,
            env=os.environ | environment(tmp_path), stdin=subprocess.DEVNULL, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == code, (done.returncode, done.stdout[-2000:], done.stderr[-3000:])
        return Called(done.returncode, done.stdout, done.stderr)

    return run


def imported_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*sorted(m.split('.')[0] for m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


@pytest.fixture
def refused(daf: Run) -> Callable[..., str]:
    """What `daf` says on stderr when it refuses a command, which it must with exit code 2."""
    return lambda *arguments: daf(*arguments, code=2).stderr


HEAVY = {"torch", "cogames", "mettagrid", "numpy", "pandas", "duckdb", "matplotlib", "pydantic", "rich"}


def test_importing_daf_imports_nothing_heavy() -> None:
    assert not HEAVY & imported_by("import daf")


def test_help_imports_nothing_heavy() -> None:
    code = "sys.argv = ['daf', '--help']\nfrom daf.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert not HEAVY & imported_by(code)


def test_evaluating_scripted_policies_imports_no_torch(tmp_path: Path) -> None:
    arguments = ["daf", "evaluate", "-p", "starter", "-m", SMALL, "-e", "1", "--executor", "serial", "--quiet"]
    arguments += ["--output-dir", str(tmp_path)]
    code = f"sys.argv = {arguments!r}\nfrom daf.cli import main\ntry: main()\nexcept SystemExit: pass"
    assert "torch" not in imported_by(code)


def test_every_public_name_is_there() -> None:
    import daf

    for name in daf.__all__:
        assert getattr(daf, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        daf.no_such_name  # noqa: B018


def test_every_command_answers_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from daf.cli import main
    from daf.cli.main import COMMANDS

    def helped(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["daf", *arguments, "--help"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    listed = helped()
    for name in COMMANDS:
        assert name in listed
        assert f"Usage: daf {name}" in helped(name)


def test_bench_checks_that_both_engines_agree(daf: Run) -> None:
    command = ("bench", "evaluate", "-p", "starter", "-p", "lstm", "-m", SMALL, "-e", "2", "--rounds", "1", "--json")
    starter, lstm = json.loads(daf(*command).stdout)["benchmarks"]
    assert (starter["checked"], starter["daf"]["engine"], lstm["daf"]["engine"]) == ("equal", "object", "batch")
    assert starter["agents"] * starter["steps"] == 4 * 40
    assert all(seconds >= 0 for seconds in starter["shares"].values())
    assert "steps/s" in daf("bench", "evaluate", "-p", "noop", "-m", SMALL, "-e", "1", "--rounds", "1").stdout


def test_evaluate_prints_one_json_object_and_plays_nothing_twice(daf_process: Run) -> None:
    command = (
        "evaluate",
        "-p",
        "starter",
        "-p",
        "noop",
        "-m",
        SMALL,
        "-m",
        SMALLEST,
        "-e",
        "2",
        "--seed",
        "7",
        "--json",
    )
    first, second = json.loads(daf_process(*command).stdout), json.loads(daf_process(*command).stdout)
    assert first["status"] == second["status"] == "ok"
    assert [e["cached"] for e in first["episodes"]] == [False] * 8
    assert [e["cached"] for e in second["episodes"]] == [True] * 8
    assert first["run_id"] == second["run_id"]
    assert (first["cached"], second["cached"]) == (False, True)
    for key in ("mission", "seed", "index", "policies", "assignment", "rewards", "steps", "status", "key"):
        assert [e[key] for e in first["episodes"]] == [e[key] for e in second["episodes"]]
    assert first["ranking"] == second["ranking"]
    assert first["pairs"] == second["pairs"]
    assert {"policy", "mean", "ci", "iqm", "iqm_ci", "n"} <= first["ranking"][0].keys()
    wanted = {"a", "b", "mission", "difference", "ci", "p", "p_adjusted", "effect_size", "verdict", "sentence"}
    assert wanted <= first["pairs"][0].keys()
    assert [e["seed"] for e in first["episodes"] if e["policies"] == ["noop"]] == [7, 8, 7, 8]


def test_a_run_leaves_what_it_promises(daf: Run) -> None:
    result = json.loads(
        daf("evaluate", "-p", "starter", "-m", SMALL, "-e", "2", "--save-replays", "best", "--json").stdout
    )
    folder = Path(result["run_dir"])
    found = {path.name for path in folder.iterdir()}
    assert found >= {
        "README.md",
        "experiment_config.json",
        "execution_log.json",
        "records",
        "stats",
        "replays",
        "report.html",
    }
    assert len(list((folder / "records").iterdir())) == 2
    replays = sorted(path.suffixes[-1] for path in (folder / "replays").iterdir())
    assert replays == [".html", ".z"]  # one episode, and its player
    assert json.loads((folder / "execution_log.json").read_text())["status"] == "completed"
    assert "starter" in (folder / "report.html").read_text()
    assert json.loads((folder / "results.json").read_text())["run_id"] == result["run_id"]
    assert not [path for path in folder.rglob("*") if ".daf-tmp-" in path.name]


def test_a_mixed_team_is_evaluated(daf: Run) -> None:
    result = json.loads(daf("evaluate", "--team", "starter=1,random=3", "-m", SMALL, "-e", "3", "--json").stdout)
    assert [sorted(e["assignment"]) for e in result["episodes"]] == [[0, 1, 1, 1]] * 3
    assert len({tuple(e["assignment"]) for e in result["episodes"]}) > 1
    assert result["episodes"][0]["policies"] == ["starter", "random"]
    assert result["ranking"][0]["policy"] == "starter=1+random=3"


def test_compare_says_a_sentence_for_every_pair(daf: Run) -> None:
    shown = daf("compare", "-p", "starter", "-p", "noop", "-p", "random", "-m", SMALL, "-e", "3").stdout
    assert shown.count("no test can reach p < 0.05") + shown.count("exactly the same") == 3
    assert "report:" in shown


def test_settings_come_from_a_file_and_flags_win(daf: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "kind: comparison\nname: my comparison\npolicies: [noop, random]\nmissions: [memory_mystery_path_easy]\n"
        "episodes_per_mission: 3\nmax_steps_per_episode: 9\nseed: 5\ngenerate_html_report: false\n"
    )
    result = json.loads(daf("compare", "--config", "mine.yaml", "--seed", "8", "--json").stdout)
    assert result["title"] == "my comparison"
    assert [e["seed"] for e in result["episodes"]] == [8, 8, 9, 9, 10, 10]
    assert {e["steps"] for e in result["episodes"]} == {9}
    assert result["report"] is None


def test_a_file_leaves_alone_what_it_does_not_set_and_a_mission_keeps_its_own_steps(daf: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "kind: comparison\nname: mine\npolicies: [noop, random]\n"
        "missions: ['tutorial.miner,max_steps=7', memory_mystery_path_easy]\nepisodes_per_mission: 1\n"
    )
    result = json.loads(daf("compare", "--config", "mine.yaml", "--json").stdout)
    assert [e["steps"] for e in result["episodes"]] == [7, 7, 96, 96]
    assert result["settings"]["resamples"] == 10_000
    limited = json.loads(daf("compare", "--config", "mine.yaml", "--max-steps", "11", "--json").stdout)
    assert [e["steps"] for e in limited["episodes"]] == [7, 7, 11, 11]


def test_serial_keeps_stdout_for_the_result(daf_process: Run, tmp_path: Path) -> None:
    (tmp_path / "bad_ones.py").write_text(BAD_POLICIES)
    command = ("evaluate", "-p", "bad_ones.Prints", "-m", SMALLEST, "-e", "1", "--executor", "serial", "--json")
    assert json.loads(daf_process(*command).stdout)["status"] == "ok"


def test_a_failing_policy_is_reported_and_exits_with_1(daf: Run, tmp_path: Path) -> None:
    (tmp_path / "bad_ones.py").write_text(BAD_POLICIES)
    command = ("evaluate", "-p", "noop", "-p", "bad_ones.Raises", "-m", SMALLEST, "-e", "2")
    done = daf(*command, code=1)
    assert "I give up" in done.stdout
    assert "bad_ones.py:" in done.stdout
    assert "2 of 4 episodes failed" in done.stdout
    result = json.loads(daf(*command, "--json", code=1).stdout)
    assert result["status"] == "failed"
    assert [e["cached"] for e in result["episodes"]] == [True, False, True, False]
    assert [e["rewards"] is None for e in result["episodes"]] == [False, True, False, True]
    assert result["ranking"][0]["policy"] == "noop"
    assert len(result["ranking"]) == 1
    log = json.loads((Path(result["run_dir"]) / "execution_log.json").read_text())
    assert log["status"] == "failed"


@pytest.mark.parametrize(("arguments", "says"), [
    (("evaluate", "-p", "startr", "-m", SMALL), "Nearest: starter"),
    (("evaluate", "-p", "starter", "-m", "arenna"), "Nearest: arena"),
    (("evaluate", "-p", "starter", "-m", "arena,variants=smal_50"), "Nearest: small_50"),
    (("evaluate", "-p", "starter"), "no mission is given"),
    (("evaluate", "-m", SMALL), "no policy is given"),
    (("evaluate", "-p", "starter", "-m", SMALL, "-e", "0"), "must be at least 1"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--jobs", "x"), "must be a number or auto"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--save-replays", "bets"), "Nearest: best"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--engine", "objct"), "Nearest: object"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--alpha", "5"), "--alpha must be between 0 and 1, got 5"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--series", "5"), "--series-stat"),
    (("evaluate", "-p", "starter", "-m", "diagnostic_memory"), "4 spawn points"),
    (("evaluate", "-p", "starter,kw.devise=3", "-m", SMALL), "Nearest: device"),
    (("evaluate", "--team", "starter=4;random=4", "-m", SMALL), "starter=4,random=4"),
    (("evaluate", "--team", "starter=3,random=4", "-m", SMALL), "has 4 agents"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--device", "tpu"), "Known: auto"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--episode-timeout", "-1"), "not above 0"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--enforce-timeouts", "0"), "not above 0"),
    (("evaluate", "-p", "starter", "-m", SMALL, "--max-failures", "0"), "not above 0"),
    (("evaluate", "-p", "starter", "-m", "arena,variants=no_clips+no_clips"), "given twice"),
    (("compare", "--config", "nowhere.yaml"), "no such file"),
    (("score", "starter", "--pool", "noop", "-m", SMALL, "--episode-timeout", "-1"), "not above 0"),
    (("crossplay", "-p", "starter", "-p", "noop", "-m", SMALL, "--device", "tpu"), "Known: auto"),
    (("compare", "-p", "starter", "-p", "noop", "-m", SMALL, "--until-decided", "--max-failures", "0"), "not above 0"),
    (("evaluate", "--episods", "3"), "No such option"),
    (("compare", "-p", "starter", "-m", SMALL), "two policies"),
    (("compare", "-p", "starter", "-p", "run:2099", "-m", SMALL), "2099"),
    (("evaluat",), "Nearest: evaluate"),
    (("runs", "show", "2099"), "no run"),
    (("runs", "clean"), "--older-than"),
    (("missions", "arenna"), "Nearest: arena"),
    (("policies", "startr"), "Nearest: starter"),
])  # fmt: skip
def test_what_is_wrong_is_reported_with_a_way_out_and_nothing_is_left(
    refused: Callable[..., str], tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    said = refused(*arguments)
    assert says in said
    assert "Traceback" not in said
    assert not list((tmp_path / "out").glob("evaluations/*/records"))


@pytest.mark.parametrize(("text", "says"), [
    ("policies: [noop]\n\tmissions: x\n", "tab"),
    ("kind: comparison\nname: a\nname: b\n", "name"),
    ("!!python/object/apply:os.system ['true']\n", "python"),
    ("kind: comparison\nname: a\npolices: [noop]\nmissions: [arena]\n", "Nearest: policies"),
    ("kind: comparison\nname: a\npolicies: [noop]\nmissions: [m]\nsignificance_level: '1e-4'\n", "significance_level"),
    ("kind: sweep\nname: a\nmissions: [arena]\npolicy_class_path: x\nsearch_space: {a: [1]}\n", "kind: comparison"),
])  # fmt: skip
def test_a_wrong_file_is_reported_with_line(refused: Callable[..., str], tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    said = refused("compare", "--config", "wrong.yaml")
    assert "wrong.yaml" in said
    assert says in said


def test_an_error_is_one_json_object_too(daf: Run) -> None:
    done = daf("evaluate", "-p", "startr", "-m", SMALL, "--json", code=2)
    answer = json.loads(done.stdout)
    assert answer["status"] == "failed"
    assert "Nearest: starter" in answer["error"]["message"]


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(daf: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = daf("evaluate", "-p", "noop", "-m", SMALLEST, "--output-dir", str(tmp_path / "file" / "out"), code=1)
    assert "StorageError" in done.stderr


LONG = ("evaluate", "-p", "starter", "-m", "tutorial.miner,max_steps=800", "-e", "20", "--jobs", "2", "--json")


def started(tmp_path: Path, at_least: int) -> subprocess.Popen[str]:
    """`LONG`, once `at_least` of its records are in the cache."""
    process = subprocess.Popen(
        [sys.executable, "-m", "daf", *LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=os.environ | environment(tmp_path),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "out" / "cache").glob("episodes/*/*.json"))) < at_least:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


@pytest.mark.thorough
def test_ctrl_c_keeps_finished_episodes_and_says_how_to_resume(daf: Run, tmp_path: Path) -> None:
    process = started(tmp_path, at_least=3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "The same command plays the rest" in err
    assert json.loads(out)["status"] == "interrupted"
    kept = len(list((tmp_path / "out" / "cache").glob("episodes/*/*.json")))
    assert 3 <= kept < 20
    run = next((tmp_path / "out" / "evaluations").iterdir())
    assert json.loads((run / "execution_log.json").read_text())["status"] == "interrupted"
    result = json.loads(daf(*LONG).stdout)
    assert sum(e["cached"] for e in result["episodes"]) == kept
    assert len(result["episodes"]) == 20


@pytest.mark.thorough
def test_after_sigkill_the_same_command_plays_only_missing_episodes(daf: Run, tmp_path: Path) -> None:
    process = started(tmp_path, at_least=5)
    process.kill()
    process.communicate(timeout=60)
    kept = len(list((tmp_path / "out" / "cache").glob("episodes/*/*.json")))
    result = json.loads(daf(*LONG).stdout)
    assert sum(e["cached"] for e in result["episodes"]) >= kept >= 5
    assert {e["status"] for e in result["episodes"]} == {"ok"}


def test_runs_are_listed_shown_queried_exported_and_cleaned(daf: Run, tmp_path: Path) -> None:
    run = json.loads(daf("evaluate", "-p", "noop", "-p", "random", "-m", SMALLEST, "-e", "2", "--json").stdout)
    listed = json.loads(daf("runs", "--json").stdout)["runs"]
    assert [r["run_id"] for r in listed] == [run["run_id"]]
    assert run["run_id"] in daf("runs", "list").stdout
    shown = daf("runs", "show", "latest").stdout
    assert "noop" in shown
    rows = json.loads(daf("runs", "show", "latest", "--sql", "select count(*) as n from episodes", "--json").stdout)[
        "rows"
    ]
    assert rows == [{"n": 4}]
    archive = tmp_path / "mine.tar.gz"
    daf("runs", "export", run["run_id"], "--to", str(archive))
    assert archive.stat().st_size > 0
    assert "1 run would be deleted" in daf("runs", "clean", "--older-than", "0d", "--dry-run").stdout
    assert Path(run["run_dir"]).is_dir()
    daf("runs", "clean", "--cache", "--yes")
    assert len(list((Path(run["run_dir"]) / "records").iterdir())) == 4
    daf("runs", "clean", "--older-than", "0d", "--yes")
    assert not Path(run["run_dir"]).exists()
    assert "No runs yet" in daf("runs").stdout


def test_missions_and_policies_are_listed_and_described(daf: Run) -> None:
    missions = json.loads(daf("missions", "--evals", "--json").stdout)["missions"]
    assert next(m for m in missions if m["name"] == "diagnostic_memory")["problem"]
    assert "cannot run" in daf("missions", "--evals").stdout
    assert "no_clips" in daf("missions", "--variants").stdout
    arena = json.loads(daf("missions", "arena,cogs=3", "--json").stdout)["missions"][0]
    assert (arena["agents"], arena["problem"]) == (3, None)
    assert "starter" in daf("policies").stdout
    lstm = json.loads(daf("policies", "lstm", "--json").stdout)["policy"]
    assert lstm["network"] is True


@pytest.mark.thorough
@pytest.mark.timeout(900)
def test_quickstart_ranks_starter_first_and_has_nothing_left_to_do_the_second_time(daf: Run) -> None:
    first = json.loads(daf("quickstart", "--json").stdout)
    assert first["ranking"][0]["policy"] == "starter"
    assert any(pair["verdict"] == "better" and pair["mission"] is None for pair in first["pairs"])
    assert {e["status"] for e in first["episodes"]} == {"ok"}
    assert len({e["mission"] for e in first["episodes"]}) == 2
    assert len([e for e in first["episodes"] if e["replay"]]) == 2
    second = json.loads(daf("quickstart", "--json").stdout)
    assert all(e["cached"] for e in second["episodes"])
    assert second["ranking"] == first["ranking"]


def test_tables_results_and_report_are_rebuilt_from_the_records(daf: Run, tmp_path: Path) -> None:
    (tmp_path / "bad_ones.py").write_text(BAD_POLICIES)
    command = (
        "evaluate",
        "-p",
        "starter",
        "-p",
        "bad_ones.Raises",
        "--team",
        "starter=2,noop=2",
        "-m",
        SMALL,
        "-e",
        "3",
    )
    first = json.loads(daf(*command, "--save-replays", "best", "--json", code=1).stdout)
    folder = Path(first["run_dir"])
    before = {name: (folder / name).read_bytes() for name in ("results.json", "report.html", "REPORT.md")}
    sql = "select contender, metric, sum(value) from agent_metrics join episodes using (episode) group by all "
    sql += "order by all"
    asked = ("runs", "show", "latest", "--json", "--sql", sql)
    rows = json.loads(daf(*asked).stdout)["rows"]
    for path in [*(folder / "stats").glob("*.duckdb"), *(folder / "stats").glob("*.parquet")]:
        path.unlink()
    assert json.loads(daf(*asked).stdout)["rows"] == rows
    (folder / "report.html").unlink()
    (folder / "REPORT.md").unlink()
    daf("runs", "clean", "--cache", "--yes")
    daf("runs", "rebuild", "latest")
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert json.loads(daf(*asked).stdout)["rows"] == rows
