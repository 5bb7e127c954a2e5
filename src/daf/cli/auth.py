"""`daf auth`: the login at CoGames' servers, and at others that speak as they do."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from daf.cli._help import CommandGroup
from daf.cli._options import JsonOption

if TYPE_CHECKING:
    from daf.auth_integration import AuthStatus

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Log in at a tournament server, and show the login. Logins lie where CoGames' client keeps them.",
)

ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="Tournament server (default: CoGames', which is retired).")
]
LoginServerOption = Annotated[
    str | None,
    typer.Option("--login-server", metavar="URL", help="Server whose login is used (default: the tournament server)."),
]
_LONGEST_TOKEN = 64 * 1024


@app.command()
def login(
    server: ServerOption = None,
    login_server: LoginServerOption = None,
    with_token: Annotated[bool, typer.Option("--with-token", help="Read the token from stdin.")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser; only print the address.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Log in again, even if the login is valid.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Log in with CoGames' client: in the browser, or with a token from stdin.

    A token is never an argument, where other users of the machine could read it.

    \b
        daf auth login --server https://tournament.example.org
        daf auth login --server https://tournament.example.org --with-token < token.txt
    """
    from daf.auth_integration import log_in

    token = sys.stdin.read(_LONGEST_TOKEN) if with_token else None
    found = log_in(server, login_server=login_server, token=token, open_browser=not no_browser, force=force)
    _show(found, as_json=as_json)


@app.command()
def status(
    server: ServerOption = None,
    login_server: LoginServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show whether a login is saved and the server accepts it; exits with 1 if not.

    \b
        daf auth status
    """
    from daf.auth_integration import status as status_at

    found = status_at(server, login_server=login_server)
    _show(found, as_json=as_json)
    if found.state != "logged in":
        raise typer.Exit(1)


@app.command()
def logout(
    server: ServerOption = None,
    login_server: LoginServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete the saved login. The token stays valid at the server until it expires.

    \b
        daf auth logout
    """
    from daf.auth_integration import log_out, servers
    from daf.cli.show import emit, out

    deleted = log_out(server, login_server=login_server)
    where = servers(server, login_server).login_server
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "login_server": where, "deleted": deleted})
    else:
        text = f"logged out from {where}." if deleted else f"no login was saved for {where}."
        out.print(text, markup=False, soft_wrap=True)


@app.command()
def token(
    server: ServerOption = None,
    login_server: LoginServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the saved token on stdout, for scripts.

    \b
        daf auth token
    """
    from daf.auth_integration import servers, token_for
    from daf.cli.show import emit

    found = token_for(servers(server, login_server))
    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "token": found})
    else:
        print(found)


def _show(found: "AuthStatus", *, as_json: bool) -> None:
    from daf.cli.show import emit, out
    from daf.storage.jsonable import jsonable

    if as_json:
        good = found.state in ("logged in", "unverified")
        emit({"run_id": None, "run_dir": None, "status": "ok" if good else "failed", "login": jsonable(found)})
    else:
        out.print(found.message, markup=False, soft_wrap=True)
