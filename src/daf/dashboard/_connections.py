"""Connections that cannot crowd out the user's browser.

A connection whose request is not complete after `REQUEST_SECONDS` is closed, even if its bytes trickle in. Beyond
`MOST_CONNECTIONS`, the connection that has waited longest for a request makes room for the newest. Connections with a
response in progress, such as a page's stream of events, are left alone: their requests had the token.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0
MOST_CONNECTIONS = 128
MOST_HEADER_BYTES = 16 * 1024
"""Limit for a request's first line and headers together; larger requests are answered with 400."""


class BoundedConnection(H11Protocol):
    """uvicorn's HTTP/1.1 connection with a deadline per request; uvicorn itself only times out between two requests."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > MOST_CONNECTIONS:
            waiting = [one for one in self.connections if isinstance(one, BoundedConnection) and one._deadline]
            if waiting:
                min(waiting, key=lambda one: one._deadline.when() if one._deadline else 0.0)._close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Run the deadline exactly while no response is in progress."""
        if self.transport.is_closing() or (self.cycle is not None and not self.cycle.response_complete):
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self._close)

    def _close(self) -> None:
        self._forget()
        self.transport.abort()

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
