"""Reports on the tests of a run directory, as JSON and as one HTML page, from its `tests.json`.

An output directory, which holds many runs, stands for its last run of tests.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from daf.errors import UsageError
from daf.output_manager import list_runs
from daf.output_manager.layout import place_of
from daf.output_manager.runs import read_run
from daf.render.pages.parts import Alert, RunPage, run_html
from daf.render.pages.run_facts import RunFacts, ending_alerts, facts_of, subtitle_of, what_was_run
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable
from daf.test_runner.history import FlakyTest, earlier_runs, flaky_tests
from daf.test_runner.page import finding_of, page_of_tests
from daf.test_runner.result import FILE, RecordedTests

HTML = "report.html"


class TestReportGenerator:
    """Reports on the tests in `directory`: a run directory, or an output directory for its last run of tests.

    tests: what was run. flaky: its flaky tests, over the last `runs` runs of the output directory. Raises `UsageError`
    if there are no results, `DamagedFileError`, `StorageError`.
    """

    __test__ = False

    def __init__(self, directory: str | Path) -> None:
        self.run_dir = _run_directory(Path(directory).expanduser())
        tests = RecordedTests.read(self.run_dir / FILE)
        assert tests is not None, "the directory was chosen because it has the file"
        self.tests = tests
        place = place_of(self.run_dir)  # None for a copy elsewhere, which has no history
        before, self.notes = earlier_runs(place[0], tests) if place is not None else ([], [])
        self.runs = len(before) + 1
        self.flaky: list[FlakyTest] = flaky_tests([*before, tests])

    def to_data(self) -> dict[str, Any]:
        """The report as JSON data: `tests.json`, with the finding and the flaky tests."""
        data = jsonable(self.tests)
        extra = {"finding": finding_of(self.tests), "success": self.tests.success, "counts": dict(self.tests.counts)}
        percent = self.tests.coverage.percent if self.tests.coverage else None
        return {**data, **extra, "coverage_percent": percent, "runs": self.runs, "flaky": jsonable(self.flaky)}

    def page(self, facts: RunFacts | None = None) -> RunPage:
        """The page, with links relative to the run directory. facts: of the run, to show how it ended and was started.

        A report on any run passes them; a copy of the results alone has none.
        """
        page = self._page(self.tests)
        if facts is None:
            return page
        return replace(
            page,
            subtitle=subtitle_of(facts.info),
            alerts=[*page.alerts, *(alert for alert in ending_alerts(facts) if not self.tests.suites)],
            sections=[*page.sections, what_was_run(facts)],
        )

    def save_json(self, path: str | Path) -> Path:
        """Write the report as JSON and return its path. Raises `StorageError`."""
        target = Path(path).expanduser()
        write_json(target, self.to_data())
        return target

    def save_html(self, path: str | Path | None = None) -> Path:
        """Write the page, by default as `report.html` of the run directory, and return its path.

        Elsewhere it has no links to the logs of the suites, which would not lead anywhere.
        """
        target = self.run_dir / HTML if path is None else Path(path).expanduser()
        if target.parent.resolve() == self.run_dir.resolve():
            info = read_run(self.run_dir)
            page = self.page(None if info is None else facts_of(info))
        else:
            page = self._page(_without_links(self.tests))
        write_text(target, run_html(page))
        return target

    def _page(self, tests: RecordedTests) -> RunPage:
        return page_of_tests(tests, self.flaky, runs=self.runs, alerts=[Alert(note) for note in self.notes])


def _without_links(tests: RecordedTests) -> RecordedTests:
    return replace(tests, suites=tuple(replace(suite, log=None, junit=None) for suite in tests.suites))


def _run_directory(directory: Path) -> Path:
    if (directory / FILE).is_file():
        return directory
    if not directory.is_dir():
        raise UsageError(
            f"there is no directory {directory}. Give a run directory of `daf test`, or its output directory."
        )
    runs = [run for run in list_runs(directory, "evaluations") if (run.path / FILE).is_file()]
    if not runs:
        raise UsageError(f"{directory} has no test results ({FILE}). `daf test` writes them.")
    return runs[0].path
