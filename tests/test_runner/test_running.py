"""Suites run in separate processes: what passes, fails, hangs and dies is reported as that, and nothing survives."""

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import psutil
import pytest

from daf.errors import UsageError
from daf.generate_test_report import TestReportGenerator, generate_report_from_outputs, main
from daf.output_manager import find_run
from daf.reporting import daf_report
from daf.test_runner import RecordedTests, TestResult, TestRunner, find_suites
from tests.conftest import DafCall, made_once

MIX = """
import pytest

def test_good(): pass
def test_bad():
    print("captured <b>words</b>")
    assert 1 == 2, "one is not two"
@pytest.mark.skip(reason="later")
def test_skipped(): pass
@pytest.mark.xfail
def test_expected(): assert False
@pytest.fixture
def broken(): raise RuntimeError("setup broke")
def test_setup(broken): pass
"""
HANGS = """
import pathlib, subprocess, sys, time

def test_first(): pass
def test_hangs():
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(command, start_new_session=True)
    pathlib.Path(__file__).with_name("child.pid").write_text(str(child.pid))
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _few_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suites' pytest starts without the plugins of this environment, which take a second."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def project(folder: Path) -> None:
    """A project with suites of every kind, run once. Its child.pid is that of a process that a test left running."""
    tests = folder / "tests"
    (tests / "unit").mkdir(parents=True)
    for name, text in {
        "test_mix.py": MIX,
        "test_hang.py": HANGS,
        "test_dies.py": "import os\ndef test_dies(): os._exit(3)\n",
        "test_syntax.py": "def (\n",
        "unit/test_ok.py": "def test_ok(): pass\n",
        "test_empty.py": "",
    }.items():
        (tests / name).write_text(text)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    runner = TestRunner(folder / "out", jobs=2)
    names = ("test_mix.py", "test_dies.py", "test_syntax.py", "test_empty.py")
    runner.run_test_batch([(tests / name, "project", name[5:-3]) for name in names])
    runner.run_test_suite(tests / "unit")
    hasty = TestRunner(timeout=8.0, output_manager=runner.output)
    runner.results.append(hasty.run_test_suite(tests / "test_hang.py", "project", "hang"))
    runner.recorded().write(runner.run_dir / "tests.json")
    runner.save_test_report()


@pytest.fixture
def ran() -> Path:
    """The run directory."""
    return next((made_once("suites_of_every_kind", project) / "out" / "evaluations").glob("*_*"))


@pytest.fixture
def suites(ran: Path) -> dict[str, TestResult]:
    recorded = RecordedTests.read(ran / "tests.json")
    assert recorded is not None
    assert not recorded.success
    return {suite.name: suite for suite in recorded.suites}


def test_every_outcome_of_a_test_is_reported_as_pytest_reports_it(suites: dict[str, TestResult]) -> None:
    mix = suites["mix"]
    found = {case.id.rpartition("::")[2]: case for case in mix.cases}
    assert {name: case.outcome for name, case in found.items()} == {
        "test_good": "passed", "test_bad": "failed", "test_skipped": "skipped", "test_expected": "xfailed",
        "test_setup": "error",
    }  # fmt: skip
    assert (mix.status, mix.returncode, mix.success) == ("failed", 1, False)
    assert "one is not two" in found["test_bad"].message
    assert "captured <b>words</b>" in found["test_bad"].output
    assert found["test_setup"].message == "RuntimeError: setup broke"
    assert found["test_skipped"].message == "Skipped: later"
    assert (suites["unit"].status, suites["unit"].success) == ("passed", True)


def test_suites_that_cannot_run_say_why(suites: dict[str, TestResult]) -> None:
    (case,) = suites["syntax"].cases
    assert (case.outcome, case.message) == ("error", "SyntaxError: invalid syntax")
    assert suites["empty"].status == "empty"
    assert suites["dies"].status == "crashed"
    assert suites["dies"].error == "its process ended with exit code 3 before pytest finished"
    (case,) = suites["dies"].cases
    assert (case.id.rpartition("::")[2], case.outcome) == ("test_dies", "error")


def test_a_suite_that_hangs_is_killed_with_its_children_and_names_its_test(
    suites: dict[str, TestResult], ran: Path
) -> None:
    hang = suites["hang"]
    assert hang.status == "timeout"
    assert hang.error == "the suite exceeded its limit of 8 s and was killed"
    assert [(case.id.rpartition("::")[2], case.outcome) for case in hang.cases] == [
        ("test_first", "passed"), ("test_hangs", "timeout"),
    ]  # fmt: skip
    assert "time.sleep(600)" in hang.cases[1].output
    child = int((ran.parents[2] / "tests" / "child.pid").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_junit_xml_of_a_suite_is_pytests_own(suites: dict[str, TestResult], ran: Path) -> None:
    junit = suites["mix"].junit
    assert junit is not None
    suite = ElementTree.parse(ran / junit).getroot().find("testsuite")
    assert suite is not None
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "1", "2"]


def test_the_page_shows_failures_with_their_output(ran: Path) -> None:
    page = (ran / "report.html").read_text()
    assert "captured &lt;b&gt;words&lt;/b&gt;" in page
    assert "one is not two" in page
    assert "tests in 6 suites failed" in page


def test_a_report_on_the_run_is_the_page_of_its_tests(ran: Path) -> None:
    assert find_run(ran).status == "failed"
    written = daf_report(ran)
    assert written.kind == "tests"
    assert "one is not two" in written.html.read_text()


def test_the_program_writes_the_report_as_json_and_html(ran: Path, tmp_path: Path) -> None:
    base, json_file, html_file = ran.parents[1], tmp_path / "out.json", tmp_path / "out.html"
    assert main([str(base), str(json_file), str(html_file)]) == 0
    data = json.loads(json_file.read_text())
    assert (data["success"], data["counts"]["failed"], data["flaky"]) == (False, 1, [])
    assert data["finding"] == "5 of 10 tests in 6 suites failed."
    assert "one is not two" in html_file.read_text()
    assert 'href="./tests/' not in html_file.read_text()  # they would lead nowhere from here


def test_a_directory_without_results_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="has no test results"):
        generate_report_from_outputs(tmp_path)
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "there is no directory" in capsys.readouterr().err


def test_a_suite_that_does_not_exist_is_refused_before_any_runs(tmp_path: Path, daf_call: DafCall) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_policy.py").write_text("def test_a(): pass\n")
    called = daf_call("test", "policy", "polcy", "--output-dir", tmp_path / "out", cwd=tmp_path)
    assert called.returncode == 2
    assert 'no test suite "polcy". Nearest: policy' in called.stderr
    assert not (tmp_path / "out").exists()
    assert daf_call("test", "--list", cwd=tmp_path).stdout == "policy  tests/test_policy.py\n"
    with pytest.raises(UsageError, match=r"tests/test_polcy\.py"):
        TestRunner(tmp_path).run_test_batch([("tests/test_polcy.py", "daf", "policy")])


def test_a_project_without_tests_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tests in"):
        find_suites(root=tmp_path)


def test_a_test_that_passes_and_fails_is_flaky(tmp_path: Path, daf_call: DafCall) -> None:
    (tmp_path / "tests").mkdir()
    file = tmp_path / "tests" / "test_coin.py"
    for outcome in (True, False, True):
        file.write_text(f"def test_coin(): assert {outcome}\ndef test_sure(): pass\n")
        called = daf_call("test", "--json", "--output-dir", "out", cwd=tmp_path)
        assert called.returncode == (0 if outcome else 1)
    generator = TestReportGenerator(json.loads(called.stdout)["run_dir"])
    (flaky,) = generator.flaky
    assert [test["id"] for test in json.loads(called.stdout)["flaky"]] == [flaky.id]
    assert flaky.id.endswith("::test_coin")
    assert flaky.outcomes == ("passed", "failed", "passed")
    assert flaky.why == "changed its outcome 2 times in 3 runs"


def test_coverage_of_suites_together_is_measured(tmp_path: Path, daf_call: DafCall) -> None:
    pytest.importorskip("coverage")
    (tmp_path / "tests").mkdir()
    (tmp_path / "covered").mkdir()
    (tmp_path / "covered" / "__init__.py").write_text("def one():\n    return 1\n\ndef two():\n    return 2\n")
    for name in ("one", "two"):
        text = f"import covered\ndef test_it(): assert covered.{name}()\n"
        (tmp_path / "tests" / f"test_{name}.py").write_text(text)
    called = daf_call("test", "one", "--coverage", "covered", "--output-dir", "out", cwd=tmp_path)
    assert "coverage: 75.0 %" in called.stdout
    called = daf_call("test", "--coverage", "covered", "--output-dir", "out", cwd=tmp_path)
    assert "coverage: 100.0 %" in called.stdout
    assert not list(tmp_path.rglob("*.coverage"))
    called = daf_call("test", "--coverage", "coverd", "--output-dir", "refused", cwd=tmp_path)
    assert called.returncode == 2
    assert '--coverage "coverd": no such directory, and no package' in called.stderr
    assert not (tmp_path / "refused").exists()


def test_ctrl_c_kills_the_suites_and_keeps_the_results_of_those_that_ended(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("def test_a(): pass\n")
    (tmp_path / "tests" / "test_b.py").write_text(HANGS)
    command = [sys.executable, "-m", "daf", "test", "--jobs", "1", "--output-dir", "out"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    pid = tmp_path / "tests" / "child.pid"
    while not (pid.exists() and pid.read_text()) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "1 of 2 suites had ended" in said
    recorded = RecordedTests.read(next((tmp_path / "out" / "evaluations").glob("*/tests.json")))
    assert recorded is not None
    assert [(suite.name, suite.status) for suite in recorded.suites] == [("a", "passed")]
    child = int(pid.read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
