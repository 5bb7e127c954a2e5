"""The login of CoGames' client: its token storage, its browser login, and its check of a token.

Tokens lie where CoGames' client keeps them (`~/.metta/cogames.yaml`), so a login serves both. Its directory and file
are readable by the user only, from the first byte on: the client itself changes the file's mode only after writing.
No message and no exception of this module contains a token.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daf.errors import AuthenticationError, DamagedFileError, ServerError, StorageError
from daf.processes import lifeline
from daf.storage.atomic import explain
from daf.storage.reading import read_bytes

_LONGEST_FILE = 2**20
_ONLY_THE_USER = 0o077
INTERRUPTED = 130
"""Exit code of a login that the user stopped."""


def default_login_server() -> str:
    """The address that CoGames' client logs in at."""
    from softmax.auth import DEFAULT_COGAMES_SERVER

    return str(DEFAULT_COGAMES_SERVER)


def default_server() -> str:
    """The address of CoGames' tournament."""
    from softmax.auth import DEFAULT_COGAMES_API_SERVER

    return str(DEFAULT_COGAMES_API_SERVER)


def retired(server: str) -> str:
    """What to say where CoGames' own server doesn't serve; nothing for another server."""
    if server not in (default_server(), default_login_server()):
        return ""
    return (
        "CoGames' public tournament is retired. Use another server with --server URL, or make a player for Coworld, "
        "its successor: `daf package --format coworld -p POLICY -o DIR`."
    )


def login_address(login_server: str) -> str:
    """The page on which a person signs in at `login_server` and gets a token."""
    from softmax.auth import build_browser_login_url

    return str(build_browser_login_url(login_server))


def token_file() -> Path:
    """Where tokens lie; the file need not exist."""
    from softmax.token_storage import TokenKind, _token_file_name

    return Path.home() / ".metta" / str(_token_file_name(token_kind=TokenKind.COGAMES))


def saved_token(login_server: str) -> str | None:
    """The token that is saved for `login_server`. Creates nothing. Raises `DamagedFileError`, `StorageError`."""
    if read_bytes(token_file(), limit=_LONGEST_FILE) is None:
        return None
    from softmax.auth import load_current_cogames_token

    with _storage():
        token: str | None = load_current_cogames_token(login_server=login_server)
    if token is not None and not is_token(token):
        raise DamagedFileError(token_file(), f"what it holds for {login_server} is not a token. Log in again")
    return token


def is_token(text: str) -> bool:
    """Whether `text` can be a token. Anything else can't be sent, and the errors of HTTP libraries would quote it."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def save_token(login_server: str, token: str) -> None:
    """Save the user's token for `login_server`. Raises `DamagedFileError`, `StorageError`."""
    from softmax.auth import save_cogames_user_token

    with _storage(writes=True):
        save_cogames_user_token(login_server=login_server, token=token)


def delete_tokens(login_server: str) -> bool:
    """Delete the tokens of `login_server`; False if there are none. Raises `DamagedFileError`, `StorageError`."""
    if read_bytes(token_file(), limit=_LONGEST_FILE) is None:
        return False
    from softmax.auth import delete_cogames_tokens

    with _storage(writes=True):
        return bool(delete_cogames_tokens(login_server=login_server))


def log_in_with_browser(login_server: str, *, open_browser: bool) -> None:
    """Run the client's login: it prints an address, and waits for the browser's call or for a pasted token.

    Needs a terminal on stdin; prints on stderr. Saves the token. Raises `AuthenticationError`, `StorageError`.
    """
    # In a separate process: the client leaves a thread behind that reads stdin, and Python can't exit normally then.
    arguments = [login_server, *(["--browser"] if open_browser else [])]
    command = lifeline.command("daf.game.account_login", *arguments)
    code = subprocess.run(command, stdout=sys.stderr.fileno(), pass_fds=(lifeline.descriptor(),)).returncode
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    token = saved_token(login_server) if code == 0 else None
    if token is None:
        raise AuthenticationError(f"the login at {login_server} failed. What it printed says why.")


def run_login(login_server: str, *, open_browser: bool) -> None:
    """The login itself, in its own process. Raises `AuthenticationError`, `DamagedFileError`, `StorageError`."""
    from softmax.auth import load_cogames_user_token
    from softmax.perform_login import do_interactive_login_for_token
    from softmax.token_storage import TokenKind

    try:
        with _storage(writes=True):
            do_interactive_login_for_token(
                login_server=login_server,
                server_to_save_token_under=login_server,
                token_kind=TokenKind.COGAMES_USER,
                agent_hint=None,
                open_browser=open_browser,
            )
            token = load_cogames_user_token(login_server=login_server)
    except RuntimeError as error:  # what the client raises when the browser brings no token
        raise AuthenticationError(f"{login_server}: {error}.") from None
    if token is None or not is_token(token):
        delete_tokens(login_server)
        raise AuthenticationError(f"{login_server} brought something that is not a token.")
    save_token(login_server, token)  # also as the one in use, which a player's token may have replaced


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a server takes the holder of a token for."""

    email: str
    subject: str | None


def whoami(server: str, token: str) -> Identity:
    """Whose token it is. Raises `AuthenticationError` if `server` rejects it, `ServerError` if it can't be asked."""
    import httpx
    import pydantic
    from softmax.auth import fetch_cogames_whoami

    try:
        found = fetch_cogames_whoami(api_server=server, token=token)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise AuthenticationError(f"{server} does not accept the saved login: HTTP status {status}.") from None
        raise ServerError(f"{server} can't verify the login: HTTP status {status}.", status=status) from None
    except httpx.HTTPError as error:
        raise ServerError(f"{server} does not answer: {error or type(error).__name__}.") from None
    except (pydantic.ValidationError, ValueError):
        raise ServerError(f"{server} answered /whoami with something else than an account.") from None
    return Identity(found.user_email, found.subject_id)


@contextlib.contextmanager
def _storage(*, writes: bool = False) -> Iterator[None]:
    """Around the client's storage: only the user may read what it writes, and its errors become DAF's.

    Errors of the YAML parser quote the file, which may hold a token: their text is never passed on.
    """
    import yaml

    path = token_file()
    before = os.umask(_ONLY_THE_USER)
    try:
        if writes:
            _restrict(path)
        yield
    except (yaml.YAMLError, AssertionError, AttributeError, UnicodeDecodeError):
        raise DamagedFileError(
            path, "it does not hold tokens as CoGames' client saves them. Move it away and log in again"
        ) from None
    except OSError as error:
        raise StorageError(explain(error, f"{'writing' if writes else 'reading'} {path}")) from None
    finally:
        os.umask(before)


def _restrict(path: Path) -> None:
    """Take others' rights from a file that exists before a token is written into it."""
    with contextlib.suppress(FileNotFoundError):
        path.chmod(0o600)
