"""`TestRunner`: suites run in parallel processes, their results in one run directory.

`tests.json` is rewritten after every batch and holds all results so far; the JUnit XML and the log of each suite lie in
`tests/`. Ctrl-C kills the suites, and the results of those that had ended are kept.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from daf.compute.executor import job_count
from daf.config import extras
from daf.errors import Interrupted, UsageError
from daf.output_manager import OutputManager
from daf.output_manager.publication import adding_to
from daf.processes.answers import answer_of
from daf.stats.sentences import counted
from daf.storage.printable import terminal_text
from daf.test_runner import _coverage, history
from daf.test_runner._running import HowToRun, remove_events, run
from daf.test_runner.history import FlakyTest
from daf.test_runner.result import FILE, Coverage, RecordedTests, TestResult
from daf.test_runner.suites import Suite, suite_of

if TYPE_CHECKING:
    from rich.console import Console

OPERATION, FOLDER = "evaluations", "tests"
TIMEOUT_SECONDS = 900.0

GivenSuite = Suite | str | Path | tuple[str | Path, str, str]


class TestRunner:
    """Runs suites of tests, several at a time, and keeps their results.

    output_base_dir: where the run directory goes (default: `DAF_OUTPUT_DIR`, else ./daf_output). jobs: suites at a
    time, or "auto" for one per core. timeout: seconds for each suite, None for no limit. pytest_args: further arguments
    for pytest. coverage: packages or directories whose coverage is measured, which needs coverage.py. Raises
    `UsageError`.
    """

    __test__ = False

    def __init__(
        self,
        output_base_dir: str | Path | None = None,
        *,
        jobs: int | str = "auto",
        timeout: float | None = TIMEOUT_SECONDS,
        pytest_args: Sequence[str] = (),
        coverage: Sequence[str] = (),
        output_manager: OutputManager | None = None,
    ) -> None:
        extras.require("test", "running tests", "pytest")
        if coverage:
            extras.require("test", "measuring coverage", "coverage")
        if timeout is not None and not timeout > 0:
            raise UsageError(f"timeout must be above 0 seconds, got {timeout:g}.")
        self.output = output_manager or OutputManager(output_base_dir)
        self.results: list[TestResult] = []
        self._how = HowToRun(job_count(jobs), timeout, tuple(pytest_args), tuple(coverage))
        self._coverage: Coverage | None = None
        self._started_at = datetime.now().astimezone().isoformat(timespec="seconds")

    @property
    def run_dir(self) -> Path:
        """The run directory, which exists once a suite has run."""
        return self.output.run_dir(OPERATION)

    def run_test_suite(
        self,
        path: str | Path,
        category: str | None = None,
        name: str | None = None,
        *,
        console: "Console | None" = None,
    ) -> TestResult:
        """Run the suite at `path`: a directory, a file, or one test of a file (`FILE::NAME`). Raises `UsageError`."""
        return self.run_test_batch([suite_of(path, category, name)], console=console)[0]

    def run_test_batch(
        self,
        suites: Iterable[GivenSuite],
        *,
        console: "Console | None" = None,
        on_result: Callable[[TestResult], None] | None = None,
    ) -> list[TestResult]:
        """Run suites, each a path or (path, category, name), and return their results in this order.

        A suite that fails, hangs or crashes is a result. on_result: called as suites end. Raises `UsageError` before
        anything runs if a suite does not exist, `Interrupted` after Ctrl-C.
        """
        chosen = [_suite(each) for each in suites]
        if not chosen:
            raise UsageError("no test suite is given.")
        _coverage.check_sources(self._how.coverage)
        ended: list[TestResult] = []

        def heard(result: TestResult) -> None:
            ended.append(result)
            if console is not None:
                console.print(terminal_text(line_of(result)), soft_wrap=True)
            if on_result is not None:
                on_result(result)

        title = f"tests: {', '.join(suite.name for suite in chosen)}"
        config = {"suites": chosen, "timeout": self._how.timeout, "jobs": self._how.jobs}
        with self.output.operation(OPERATION, title=title, config=config) as folder:
            work = self.output.get_operation_dir(OPERATION, FOLDER)
            try:
                results = list(run(chosen, work, self._how, heard))
            except KeyboardInterrupt:
                self.results += ended
                self._write(folder)
                kept = f"{len(ended)} of {counted(len(chosen), 'suite')} had ended; their results are in {folder}"
                raise Interrupted(f"stopped. {kept}.") from None
            self.results += results
            if self._how.coverage:
                self._coverage = _coverage.combined(work, self._how.coverage)
            self._write(folder)
            remove_events(work)
            failed = [result.name for result in results if not result.success]
            if failed:
                error = f"{counted(len(failed), 'suite')} failed: {', '.join(failed)}"
                self.output.log_operation_complete(OPERATION, "failed", error=error)
        return results

    def recorded(self) -> RecordedTests:
        """All results so far, as `tests.json` holds them."""
        commit = answer_of("git", "rev-parse", "HEAD")
        changes = answer_of("git", "status", "--porcelain")
        return RecordedTests(
            run_id=self.output.session_id,
            started_at=self._started_at,
            suites=tuple(self.results),
            commit=commit.strip() if commit else None,
            clean=None if changes is None else not changes.strip(),
            coverage=self._coverage,
        )

    def save_test_report(self, json_path: str | Path | None = None, html_path: str | Path | None = None) -> Path:
        """Write the report as JSON and HTML, by default into the run directory, and return the HTML file's path.

        Raises `UsageError` if nothing was run, `StorageError`.
        """
        from daf.test_runner.report import TestReportGenerator

        if not self.results:
            raise UsageError("no test suite was run, so there is nothing to report.")
        generator = TestReportGenerator(self.run_dir)
        if json_path is not None:
            generator.save_json(json_path)
        with adding_to(self.run_dir):
            return generator.save_html(html_path)

    def flaky_tests(self) -> list[FlakyTest]:
        """The tests of this run that are flaky over the earlier runs of this output directory; once it is written."""
        earlier, _ = history.earlier_runs(self.output.base_dir, self.recorded())
        return history.flaky_tests([*earlier, self.recorded()])

    def print_test_summary(self, console: "Console | None" = None) -> None:
        """Print a line per suite and the total; nothing without a console."""
        if console is None:
            return
        for result in self.results:
            console.print(terminal_text(line_of(result)), soft_wrap=True)
        console.print(terminal_text(total_of(self.results)), soft_wrap=True)

    def print_failed_tests(self, console: "Console | None" = None) -> None:
        """Print every test that failed, with its message, and every flaky one; nothing without a console."""
        if console is None:
            return
        for result in self.results:
            if result.error and not result.success:
                console.print(terminal_text(f"{result.name}: {result.error}"), soft_wrap=True)
            for case in result.failures:
                console.print(terminal_text(f"{case.outcome}  {case.id}  {case.message}".rstrip()), soft_wrap=True)
        for test in self.flaky_tests():
            console.print(terminal_text(f"flaky   {test.id}  {test.why}"), soft_wrap=True)

    def _write(self, folder: Path) -> None:
        self.recorded().write(folder / FILE)


def line_of(result: TestResult) -> str:
    """ "passed   cli: 43 passed, 1 skipped, 12.3 s"."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(result.counts.items())) or "no tests"
    why = f"; {result.error}" if result.error else ""
    return f"{result.status:8} {result.name}: {counts}, {result.duration:.1f} s{why}"


def total_of(results: Sequence[TestResult]) -> str:
    """ "3 suites, 120 tests: 118 passed, 2 failed"."""
    recorded = RecordedTests("", "", tuple(results))
    total = sum(recorded.counts.values())
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(recorded.counts.items()))
    return f"{counted(len(results), 'suite')}, {counted(total, 'test')}" + (f": {counts}" if counts else "")


def _suite(given: GivenSuite) -> Suite:
    if isinstance(given, Suite):
        return given
    return suite_of(*given) if isinstance(given, tuple) else suite_of(given)
