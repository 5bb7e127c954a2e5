"""`daf leaderboard`: the ranking of a season."""

from typing import Annotated

import typer
from rich.markup import escape

from daf.cli._options import JsonOption
from daf.cli.auth import LoginServerOption, ServerOption
from daf.cli.submissions import PolicyFilterOption
from daf.cli.submit import TimeoutOption

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def leaderboard(
    season: Annotated[str | None, typer.Argument(help="The season (default: the server's).")] = None,
    policy: PolicyFilterOption = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only your own policies; needs a login.")] = False,
    server: ServerOption = None,
    login_server: LoginServerOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the ranking of SEASON at a tournament server.

    CoGames' public tournament is retired: name another server with --server.

    \b
        daf leaderboard --server https://tournament.example.org
    """
    from daf.cli.show import emit, out, plain_table
    from daf.deployment.submission_lists import leaderboard as ranking
    from daf.storage.jsonable import jsonable

    found = ranking(season, policy, mine=mine, server_url=server, login_server=login_server, timeout=timeout)
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "leaderboard": jsonable(found)})
        return
    if not found.rows:
        out.print(f"No policy is ranked in {found.season} of {found.server}.", markup=False, soft_wrap=True)
        return
    table = plain_table(f"{found.season} of {found.server}")
    table.add_column("#", justify="right")
    table.add_column("policy", overflow="fold")
    for column in ("score", "sd", "matches"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.rows:
        version = "" if row.version is None else f":v{row.version}"
        spread = "" if row.score_stddev is None else f"{row.score_stddev:.2f}"
        name = escape(f"{row.policy or '?'}{version}")
        table.add_row(str(row.rank), name, f"{row.score:.2f}", spread, str(row.matches))
    out.print(table)
