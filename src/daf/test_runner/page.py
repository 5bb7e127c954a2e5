"""The page about a run of tests: failures with their output first, then flaky tests, suites, durations, every test."""

from collections.abc import Sequence

from daf.render.pages.parts import Alert, Cell, Code, Column, Facts, Part, RunPage, Section, Table, cell
from daf.render.text import duration, printable
from daf.stats.sentences import counted
from daf.storage.printable import printable_lines
from daf.test_runner.history import FlakyTest
from daf.test_runner.result import CaseResult, Coverage, RecordedTests, TestResult

SLOWEST = 25
_TAGS = {"passed": "ok", "failed": "failed", "error": "failed", "timeout": "failed", "crashed": "failed"}
_MARKS = {"passed": "✓", "failed": "✗", "error": "✗", "timeout": "✗"}
READING = (
    ("Error", "A test whose setup or teardown failed, or that could not be collected."),
    ("Timeout", "A test that was still running when its suite exceeded its limit and was killed."),
    ("Xfailed, xpassed", "A test that is expected to fail: it did, or it passed."),
    ("Flaky", "Passed and failed at one commit, needed another attempt, or changed its outcome twice or more."),
)


def page_of_tests(
    tests: RecordedTests,
    flaky: Sequence[FlakyTest],
    *,
    runs: int = 1,
    alerts: Sequence[Alert] = (),
) -> RunPage:
    """The page. runs: how many runs count for flaky tests. alerts: in addition to those of the suites."""
    failed = [(suite, case) for suite in tests.suites for case in suite.failures]
    own = [Section("suites", "Suites", [_suites(tests)]), Section("slowest", "Slowest tests", [_slowest(tests)])]
    if failed:
        own.insert(0, Section("failures", "Failures", _failures(failed)))
    if runs > 1:
        history: list[Part] = [_flaky(flaky)] if flaky else [Facts([("Flaky tests", "none")])]
        own.insert(1 if failed else 0, Section("flaky", f"Flaky tests over {runs} runs", history))
    if tests.coverage is not None:
        own.append(Section("coverage", "Coverage", _coverage(tests.coverage)))
    own.append(Section("tests", "Tests", [_tests(tests)]))
    return RunPage(
        title="Tests",
        subtitle=printable(f"Run {tests.run_id} · {tests.started_at[:19].replace('T', ' ')}"),
        chips=[f"{count:,} {outcome}" for outcome, count in sorted(tests.counts.items())],
        alerts=[*_alerts(tests), *alerts],
        finding=finding_of(tests),
        sections=own,
        reading=READING,
    )


def finding_of(tests: RecordedTests) -> str:
    """The outcome in one sentence."""
    total, bad = sum(tests.counts.values()), sum(len(suite.failures) for suite in tests.suites)
    where = counted(len(tests.suites), "suite")
    if not total:
        return f"No test ran in {where}."
    if bad:
        return f"{bad:,} of {counted(total, 'test')} in {where} failed."
    if not tests.success:
        ended = [suite for suite in tests.suites if not suite.success]
        return f"No test failed, but {counted(len(ended), 'suite')} did not end by itself or could not run."
    return f"None of {counted(total, 'test')} in {where} failed."


def _alerts(tests: RecordedTests) -> list[Alert]:
    return [
        Alert(printable(f"{suite.name}: {suite.error}."), bad=not suite.success)
        for suite in tests.suites
        if suite.error
    ]


def _failures(failed: Sequence[tuple[TestResult, CaseResult]]) -> list[Part]:
    rows = [
        [cell(suite.name), _outcome(case.outcome), cell(case.id, code=True), cell(case.message)]
        for suite, case in failed
    ]
    columns = [Column("Suite", choice=True), Column("Outcome", choice=True), Column("Test"), Column("Why", prose=True)]
    outputs = [
        Code(printable_lines(case.output), folded=printable(f"{case.id}: traceback and output"))
        for _, case in failed
        if case.output.strip()
    ]
    return [Table(columns, rows), *outputs]


def _flaky(flaky: Sequence[FlakyTest]) -> Table:
    rows = []
    for test in flaky:
        marks = "".join(_MARKS.get(outcome, "·") for outcome in test.outcomes)
        rows.append([cell(test.id, code=True), cell(marks), cell(test.why)])
    columns = [Column("Test"), Column("Outcomes"), Column("Why", prose=True)]
    return Table(columns, rows, note="Outcomes from the oldest run to this one: ✓ passed, ✗ failed, · neither.")


def _suites(tests: RecordedTests) -> Table:
    outcomes = sorted(tests.counts)
    rows = [
        [
            cell(suite.name, strong=True),
            cell(suite.category),
            Cell(suite.status, tag=_TAGS.get(suite.status)),
            *(cell(suite.counts[outcome]) for outcome in outcomes),
            cell(f"{suite.duration:.1f}"),
            Cell("log" if suite.log else "–", link=suite.log),
            Cell("JUnit XML" if suite.junit else "–", link=suite.junit),
        ]
        for suite in tests.suites
    ]
    columns = [
        Column("Suite"), Column("Category", choice=True), Column("Status", choice=True),
        *(Column(outcome.capitalize(), number=True) for outcome in outcomes), Column("Seconds", number=True),
        Column("Output"), Column("Results"),
    ]  # fmt: skip
    return Table(columns, rows)


def _slowest(tests: RecordedTests) -> Table:
    cases = [(suite, case) for suite in tests.suites for case in suite.cases]
    slowest = sorted(cases, key=lambda pair: -pair[1].seconds)[:SLOWEST]
    rows = [[cell(case.id, code=True), cell(suite.name), cell(f"{case.seconds:.3f}")] for suite, case in slowest]
    total = duration(sum(case.seconds for _, case in cases))
    columns = [Column("Test"), Column("Suite", choice=True), Column("Seconds", number=True)]
    return Table(columns, rows, note=f"All tests together took {total}, set-up and teardown included.")


def _tests(tests: RecordedTests) -> Table:
    rows = [
        [
            cell(suite.name),
            _outcome(case.outcome),
            cell(case.id, code=True),
            cell(f"{case.seconds:.3f}"),
            cell(case.message),
        ]
        for suite in tests.suites
        for case in suite.cases
    ]
    columns = [
        Column("Suite", choice=True), Column("Outcome", choice=True), Column("Test"), Column("Seconds", number=True),
        Column("Message", prose=True),
    ]  # fmt: skip
    return Table(columns, rows, folded=counted(len(rows), "test"))


def _coverage(coverage: Coverage) -> list[Part]:
    percent = coverage.percent
    lines = sum(each.lines for each in coverage.files)
    covered = sum(each.covered for each in coverage.files)
    rows = [
        [
            cell(each.file, code=True),
            cell(f"{each.lines:,}"),
            cell(f"{each.lines - each.covered:,}"),
            cell(f"{100 * each.covered / each.lines:.1f}" if each.lines else None),
        ]
        for each in coverage.files
    ]
    columns = [
        Column("File"), Column("Lines", number=True), Column("Not run", number=True), Column("Covered, %", number=True),
    ]  # fmt: skip
    total = "no lines" if percent is None else f"{percent:.1f} % ({covered:,} of {lines:,} lines)"
    return [Facts([("Sources", ", ".join(map(printable, coverage.sources))), ("Covered", total)]), Table(columns, rows)]


def _outcome(outcome: str) -> Cell:
    return Cell(outcome, tag=_TAGS.get(outcome))
