"""`daf doctor`: check that this machine meets the requirements."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from daf.cli._options import AddressOption, JsonOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def doctor(
    missions: Annotated[
        list[str] | None, typer.Option("--missions", "-m", help="Also build this mission. Repeatable.")
    ] = None,
    checkpoint_dir: Annotated[
        Path | None,
        typer.Option("--checkpoint-dir", help="Where to check the free space (default: the output directory)."),
    ] = None,
    server: Annotated[str | None, typer.Option("--server", help="Also check that this server responds.")] = None,
    executor: Annotated[
        str | None, typer.Option("--executor", help="ray: also check a Ray cluster by running a task on each node.")
    ] = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine: Python, dependencies, disk, GPU, and on request missions, a server and a cluster.

    Exits with 1 if a requirement is not met. A missing optional dependency is a warning.

    \b
        daf doctor
        daf doctor -m arena
    """
    from daf.cli.show import emit, out, plain_table
    from daf.environment_checks import daf_check_auth, daf_check_environment, daf_check_executor

    result = daf_check_environment(checkpoint_dir=checkpoint_dir, missions=missions)
    if executor is not None or address is not None:
        result.include(daf_check_executor(executor or "ray", address))
    if server is not None:
        result.include(daf_check_auth(server))
    checks = result.to_data()
    recommendations = result.get_recommendations()
    if as_json:
        emit(
            {
                "run_id": None,
                "run_dir": None,
                "status": "ok" if result.is_healthy() else "failed",
                "checks": checks,
                "warnings": result.warnings,
                "errors": result.errors,
                "recommendations": recommendations,
            }
        )
    else:
        table = plain_table("This machine")
        for column in ("check", "status"):
            table.add_column(column, no_wrap=True)
        table.add_column("found", overflow="fold")
        colours = {"ok": "green", "warning": "yellow", "error": "red"}
        for check in checks:
            status = f"[{colours[check['status']]}]{check['status']}[/]"
            table.add_row(escape(check["name"]), status, escape(check["found"] or ""))
        out.print(table)
        for recommendation in recommendations:
            out.print(f"- {recommendation}", markup=False)
        out.print(result.summary(), markup=False)
    if not result.is_healthy():
        raise typer.Exit(1)
