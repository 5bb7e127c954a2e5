"""Logins at CoGames' servers and at servers that speak as they do, in the installed client's own storage.

A token is sent only to the server that it is saved for, unless the caller names another `login_server`. Tokens appear
in no log, message, traceback or process list; `daf_get_auth_token` is the one way to get one.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from daf.errors import AuthenticationError, ServerError, UsageError, quoted
from daf.game import account
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console

State = Literal["logged in", "rejected", "unverified", "not logged in"]


@dataclass(frozen=True, slots=True)
class Servers:
    """server: where seasons and submissions are. login_server: whose saved token is sent there."""

    server: str
    login_server: str

    def login_command(self) -> str:
        """The command that logs in at them."""
        command = "daf auth login"
        if self.server != account.default_server():
            command += f" --server {self.server}"
        if self.login_server not in (self.server, account.default_login_server()):
            command += f" --login-server {self.login_server}"
        return command


@dataclass(frozen=True, slots=True)
class AuthStatus:
    """The state of the login at a server.

    state: "logged in" (the server accepts the saved token), "rejected" (it does not), "unverified" (it can't be asked),
    "not logged in" (no token is saved). account: the user's address. message: one sentence.
    """

    server: str
    login_server: str
    state: State
    account: str | None
    message: str


def servers(server_url: str | None = None, login_server: str | None = None) -> Servers:
    """The two addresses. Default: CoGames'; for another server, its own logins. Raises `UsageError`."""
    server = account.default_server() if server_url is None else _address(server_url, "server")
    if login_server is not None:
        return Servers(server, _address(login_server, "login server"))
    return Servers(server, account.default_login_server() if server == account.default_server() else server)


def status(server_url: str | None = None, *, login_server: str | None = None) -> AuthStatus:
    """Whether a login is saved, and whether the server accepts it. Raises `UsageError`, `StorageError`."""
    there = servers(server_url, login_server)
    token = account.saved_token(there.login_server)
    if token is None:
        return _status(there, "not logged in", None, f"not logged in at {there.login_server}: {there.login_command()}")
    return _verified(there, token)


def log_in(
    server_url: str | None = None,
    *,
    login_server: str | None = None,
    token: str | None = None,
    open_browser: bool = True,
    force: bool = False,
) -> AuthStatus:
    """Log in, and save the token. Without `token`, CoGames' client asks for it: in the browser, or pasted.

    A saved login that the server accepts is kept, unless `force`. A token that the server rejects is not saved.
    Raises `AuthenticationError`, `UsageError` (no terminal for the login), `StorageError`.
    """
    there = servers(server_url, login_server)
    if token is not None:
        if not account.is_token(token.strip()):
            raise AuthenticationError("a token is one line of printable characters without spaces; got something else.")
        found = _verified(there, token.strip())
        if found.state == "rejected":
            raise AuthenticationError(f"{there.server} does not accept this token, so it was not saved.")
        account.save_token(there.login_server, token.strip())
        return found
    saved = status(there.server, login_server=there.login_server)
    if not force and saved.state in ("logged in", "unverified"):
        return saved
    if not sys.stdin.isatty():
        raise UsageError(
            f"a login needs a terminal. Get a token at {account.login_address(there.login_server)} and pass it on "
            f"stdin: {there.login_command()} --with-token < FILE."
        )
    account.log_in_with_browser(there.login_server, open_browser=open_browser)
    return status(there.server, login_server=there.login_server)


def log_out(server_url: str | None = None, *, login_server: str | None = None) -> bool:
    """Delete the saved token; False if there is none. Raises `UsageError`, `StorageError`."""
    return account.delete_tokens(servers(server_url, login_server).login_server)


def token_for(there: Servers) -> str:
    """The saved token. Raises `AuthenticationError` with the way to log in, `StorageError`."""
    token = account.saved_token(there.login_server)
    if token is None:
        hint = account.retired(there.server)
        raise AuthenticationError(
            f"not logged in at {there.login_server}. Log in with `{there.login_command()}`.{' ' if hint else ''}{hint}"
        )
    return token


def daf_login(
    server_url: str | None = None,
    *,
    login_server: str | None = None,
    token: str | None = None,
    open_browser: bool = True,
    force: bool = False,
    console: "Console | None" = None,
) -> bool:
    """Log in as `log_in` does; True if a login is saved and not rejected."""
    found = log_in(server_url, login_server=login_server, token=token, open_browser=open_browser, force=force)
    show(console, "Login", found)
    return found.state in ("logged in", "unverified")


def daf_check_auth_status(
    server_url: str | None = None, *, login_server: str | None = None, console: "Console | None" = None
) -> bool:
    """Whether a login is saved that the server accepts. Raises `UsageError`, `StorageError`."""
    found = status(server_url, login_server=login_server)
    show(console, "Login", found)
    return found.state == "logged in"


def daf_get_auth_token(
    server_url: str | None = None, *, login_server: str | None = None, console: "Console | None" = None
) -> str | None:
    """The saved token, None if there is none. The console gets only whether there is one.

    Raises `UsageError`, `StorageError`.
    """
    there = servers(server_url, login_server)
    token = account.saved_token(there.login_server)
    show(console, "Token", {"login server": there.login_server, "saved": token is not None})
    return token


def daf_get_auth_config_path(*, console: "Console | None" = None) -> Path:
    """The file in which logins are saved; it need not exist."""
    path = account.token_file()
    show(console, "Logins", {"file": str(path), "exists": path.exists()})
    return path


def _verified(there: Servers, token: str) -> AuthStatus:
    hint = account.retired(there.server)
    try:
        found = account.whoami(there.server, token)
    except AuthenticationError:
        return _status(
            there,
            "rejected",
            None,
            f"{there.server} does not accept the saved login: it has expired or was revoked. Log in again with "
            f"`{there.login_command()}`.",
        )
    except ServerError as error:
        sentence = f"a login is saved for {there.login_server}, but it can't be verified: {error}"
        return _status(there, "unverified", None, f"{sentence} {hint}".strip())
    return _status(there, "logged in", found.email, f"logged in at {there.login_server} as {found.email}.")


def _status(there: Servers, state: State, who: str | None, message: str) -> AuthStatus:
    return AuthStatus(there.server, there.login_server, state, who, message)


def _address(url: str, what: str) -> str:
    """`url` without a slash at its end. Raises `UsageError` unless it is the plain address of a server."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isprintable() or " " in url:
        raise UsageError(f"the {what} must begin with http:// or https:// and name a host, got {quoted(url)}.")
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"the address of the {what} must not hold a user name or password. Log in with `daf auth`.")
    if parts.query or parts.fragment:
        raise UsageError(f'the address of the {what} must not hold "?" or "#", got {quoted(url)}.')
    return url.rstrip("/")
