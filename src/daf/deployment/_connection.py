"""A connection to a tournament server; where CoGames' own one is gone, its errors say so, and the way on."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from daf.auth_integration import Servers
from daf.errors import ServerError
from daf.game import account, compat

if TYPE_CHECKING:
    compat.install()
    from daf.game.tournament import TournamentServer


@contextlib.contextmanager
def connected(there: Servers, token: str | None, timeout: float | None) -> "Iterator[TournamentServer]":
    """The server of `there`. timeout: seconds to wait for an answer (None: as CoGames' client)."""
    from daf.game.tournament import TIMEOUT_SECONDS, TournamentServer

    seconds = TIMEOUT_SECONDS if timeout is None else timeout
    try:
        with TournamentServer(there.server, token, login_command=there.login_command(), timeout=seconds) as server:
            yield server
    except ServerError as error:
        hint = account.retired(there.server)
        gone = error.status is None or error.status in (404, 410) or error.status >= 500
        if not hint or not gone:
            raise
        raise ServerError(f"{error} {hint}", status=error.status, wait=error.wait) from None
