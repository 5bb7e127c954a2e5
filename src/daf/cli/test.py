"""`daf test`: run suites of tests in parallel, and report on them."""

import shlex
from typing import Annotated

import typer

from daf.cli._grouped import options
from daf.cli._options import JobsOption, RunOptions
from daf.errors import UsageError

app = typer.Typer(rich_markup_mode=None, add_completion=False)

SuitesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SUITES]...", help="Directories, files or names in tests/ (default: all of tests/)."),
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", metavar="S", help="Kill a suite that takes longer than S seconds; 0 for no limit.")
]
KeywordOption = Annotated[
    str | None, typer.Option("--keyword", "-k", metavar="EXPR", help="Only tests that match, as pytest -k.")
]
PytestOption = Annotated[
    str, typer.Option("--pytest-args", metavar="ARGS", help='Further arguments for pytest: "-x -m slow".')
]
CoverageOption = Annotated[
    list[str] | None,
    typer.Option("--coverage", metavar="PACKAGE", help="Measure coverage of a package or directory. Repeatable."),
]
ListOption = Annotated[bool, typer.Option("--list", help="List the suites instead of running them.")]


@app.command()
@options
def run_tests(
    suites: SuitesArgument = None,
    timeout: TimeoutOption = 900.0,
    jobs: JobsOption = "auto",
    keyword: KeywordOption = None,
    pytest_args: PytestOption = "",
    coverage: CoverageOption = None,
    list_: ListOption = False,
    *,
    output: RunOptions,
) -> None:
    """Run suites of tests, several at a time, and write a report: failures, durations, flaky tests, coverage.

    A suite is a directory or file of tests. Each runs in its own process; one that hangs is killed with its children
    and reported with the test that was running. Exits with 1 if a test failed.

    \b
        daf test
        daf test tests/test_policy.py --timeout 60
        daf test --list
        daf test -k returns --coverage my_package
    """
    from daf.cli import _playing as playing
    from daf.cli.show import emit, out, say
    from daf.storage.jsonable import jsonable
    from daf.test_runner import TestRunner, find_suites
    from daf.test_runner.runner import line_of, total_of

    chosen = find_suites(suites or [])
    if list_:
        if output.as_json:
            emit({"run_id": None, "run_dir": None, "status": "ok", "suites": jsonable(chosen)})
        for suite in [] if output.as_json else chosen:
            out.print(f"{suite.name}  {suite.path}", markup=False, soft_wrap=True)
        return
    if timeout < 0:
        raise UsageError(f"--timeout must be at least 0, got {timeout:g}.")
    try:
        arguments = shlex.split(pytest_args)
    except ValueError as error:
        raise UsageError(f'--pytest-args "{pytest_args}" can\'t be split into arguments: {error}.') from error
    manager, _ = playing.open_output(output)
    runner = TestRunner(
        jobs=jobs,
        timeout=timeout or None,
        pytest_args=[*(["-k", keyword] if keyword else []), *arguments],
        coverage=coverage or (),
        output_manager=manager,
    )
    runner.run_test_batch(chosen, on_result=None if output.quiet else lambda result: say(line_of(result)))
    page = runner.save_test_report()
    recorded = runner.recorded()
    if output.as_json:
        status = "ok" if recorded.success else "failed"
        head = {"run_id": recorded.run_id, "run_dir": str(runner.run_dir), "status": status, "report": str(page)}
        emit(
            head
            | {
                "counts": dict(recorded.counts),
                "suites": jsonable(recorded.suites),
                "flaky": jsonable(runner.flaky_tests()),
            }
        )
    else:
        runner.print_failed_tests(out)
        out.print(total_of(runner.results), markup=False, soft_wrap=True)
        if recorded.coverage is not None and recorded.coverage.percent is not None:
            out.print(f"coverage: {recorded.coverage.percent:.1f} %", markup=False)
        out.print(f"report: {page}\nrun:    {runner.run_dir}", markup=False, soft_wrap=True)
    if not recorded.success:
        raise typer.Exit(1)
