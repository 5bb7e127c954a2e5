"""`daf submissions`: what the user has uploaded to a tournament server, and where it plays."""

from typing import Annotated

import typer
from rich.markup import escape

from daf.cli._options import JsonOption
from daf.cli.auth import LoginServerOption, ServerOption
from daf.cli.submit import TimeoutOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)

PolicyFilterOption = Annotated[
    str | None, typer.Option("--policy", "-p", metavar="NAME[:vN]", help="Only this policy, or this version of it.")
]


@app.command()
def submissions(
    season: Annotated[str | None, typer.Option("--season", "-s", help="Only this season, with its matches.")] = None,
    policy: PolicyFilterOption = None,
    server: ServerOption = None,
    login_server: LoginServerOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """List your uploads at a tournament server, and the seasons that they are in.

    CoGames' public tournament is retired: name another server with --server.

    \b
        daf submissions --server https://tournament.example.org
    """
    from daf.cli.show import emit, out, plain_table
    from daf.deployment.submission_lists import submissions as listed
    from daf.storage.jsonable import jsonable

    found = listed(season, policy, server_url=server, login_server=login_server, timeout=timeout)
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "submissions": jsonable(found)})
        return
    if not found:
        out.print("There are none.", markup=False)
        return
    table = plain_table("Submissions" if season is not None else "Uploads")
    table.add_column("policy", overflow="fold")
    table.add_column("entered" if season is not None else "uploaded", no_wrap=True)
    table.add_column("matches" if season is not None else "seasons", overflow="fold")
    for row in found:
        version = "" if row.version is None else f":v{row.version}"
        rest = "; ".join(row.matches) if season is not None else ", ".join(row.seasons)
        table.add_row(escape(row.policy + version), escape((row.at or "")[:16].replace("T", " ")), escape(rest))
    out.print(table)
