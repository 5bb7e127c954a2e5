"""`daf examples`: list and run the examples."""

from typing import TYPE_CHECKING, Annotated

import typer

from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import OutputOptions

if TYPE_CHECKING:
    from daf.operations.examples import Example, ExampleResult

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List and run the examples that come with DAF.",
)

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="Examples to run (default: all).")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Only those that take less than a minute.")]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", help="Examples that run at the same time.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="S", help="Seconds after which one is ended.")]


@app.command("list")
@options
def list_command(*, output: OutputOptions) -> None:
    """List the examples, where they lie, and how long they take.

    \b
        daf examples list
    """
    from daf.cli.show import emit, out, plain_table, seconds
    from daf.operations.examples import discover_examples
    from daf.storage.jsonable import jsonable

    found = discover_examples()
    if output.as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "examples": jsonable(found)})
        return
    table = plain_table(f"Examples in {found[0].path.parent}")
    table.add_column("name", no_wrap=True)
    table.add_column("shows")
    table.add_column("time", justify="right", no_wrap=True)
    for example in found:
        table.add_row(example.name, example.title, seconds(example.seconds))
    out.print(table)


@app.command("run")
@options
def run_command(
    names: NamesArgument = None,
    quick: QuickOption = False,
    jobs: JobsOption = 1,
    timeout: TimeoutOption = 1800.0,
    *,
    output: OutputOptions,
) -> None:
    """Run examples, each in a separate timestamped directory.

    \b
        daf examples run quick_start
        daf examples run --quick --jobs 2
    """
    from daf.cli._playing import open_output
    from daf.cli.show import emit, out, plain_table, seconds
    from daf.errors import UsageError
    from daf.operations.examples import discover_examples, run_examples
    from daf.storage.jsonable import jsonable

    if quick and names:
        raise UsageError("--quick chooses the examples; leave out their names.")
    chosen = [example.name for example in discover_examples() if example.quick] if quick else names or []
    manager, _ = open_output(output)
    results = run_examples(
        chosen, jobs_at_once=jobs, timeout=timeout, output=manager, on_change=None if output.quiet else _say
    )
    failed = [result for result in results if not result.success]
    place = results[0].output_dir.parent
    if output.as_json:
        status = "failed" if failed else "ok"
        emit({"run_id": place.name, "run_dir": str(place), "status": status, "examples": jsonable(results)})
    else:
        table = plain_table("Examples")
        for column in ("example", "result", "time", "directory"):
            table.add_column(column, no_wrap=True)
        for result in results:
            ended = "ok" if result.success else f"failed ({result.returncode})"
            table.add_row(result.script.stem, ended, seconds(result.duration), result.output_dir.name)
        out.print(table)
        for result in failed:
            last = "\n".join(result.stderr.strip().splitlines()[-5:])
            out.print(f"{result.script.stem} failed:\n{last}", markup=False, soft_wrap=True)
        out.print(f"run: {place}", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


def _say(example: "Example", result: "ExampleResult | None") -> None:
    from daf.cli.show import say, seconds

    if result is None:
        about = f", about {seconds(example.seconds)}" if example.seconds < float("inf") else ""
        say(f"{example.name}: started{about}")
    else:
        say(f"{example.name}: {'done' if result.success else 'failed'} in {seconds(result.duration)}")
