"""Serving the dashboard: address, port, token, browser, and a clean shutdown."""

import asyncio
import errno
import ipaddress
import os
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from daf.dashboard.run_index import ELSEWHERE, RunIndex, is_run_key, run_in
from daf.errors import StorageError, UsageError
from daf.output_manager.layout import base_folder

if TYPE_CHECKING:
    import uvicorn

DEFAULT_PORT = 8765
PORTS_TRIED = 50
GRACE_SECONDS = 3
"""How long responses in progress may take when the dashboard stops."""


class Dashboard:
    """A dashboard over `folder` (an output directory, or a run directory), listening as soon as it is created.

    port: None for the first free one from 8765 on, 0 for any. Raises `UsageError` for an invalid folder or host,
    `StorageError` for a port that is in use.
    """

    def __init__(self, folder: str | Path | None = None, *, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.base, self.only, self._also = _place(folder)
        self.token = secrets.token_urlsafe(32)
        self._socket = _listen(_loopback(host), port)
        self.port: int = self._socket.getsockname()[1]
        self.host = f"[{host}]" if ":" in host else host
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._way_in: Path | None = None

    @property
    def url(self) -> str:
        """The URL to open: it contains the token, so keep it private."""
        view = "" if self.only is None else f"#/run/{self.only}"
        return f"http://{self.host}:{self.port}/?token={self.token}{view}"

    def serve(self) -> None:
        """Serve until SIGINT or SIGTERM. Returns after SIGINT; SIGTERM then has its usual effect."""
        try:
            self._made().run(sockets=[self._socket])
        except KeyboardInterrupt:  # Ctrl-C is the normal way to stop a dashboard
            return
        finally:
            self._end()

    def start(self) -> None:
        """Serve in a thread, until `stop`."""
        server = self._made()
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [self._socket]}, name="daf-dashboard")
        self._thread.start()

    def stop(self) -> None:
        """Stop what `start` began; returns when it has stopped."""
        if self._server is not None and self._thread is not None:
            self._server.handle_exit(signal.SIGTERM, None)
            self._thread.join()
            self._thread = None
        self._end()

    def open_browser(self) -> bool:
        """Open the page in the user's browser; False if there is no screen or no browser to show it.

        The URL is passed in a private file, because all users can see the arguments of a process.
        """
        import webbrowser

        if not _has_screen():
            return False
        descriptor, name = tempfile.mkstemp(prefix="daf-dashboard-", suffix=".html")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(self.url)}">')
        self._way_in = Path(name)
        return webbrowser.open(self._way_in.as_uri())

    def _end(self) -> None:
        self._socket.close()
        if self._way_in is not None:
            self._way_in.unlink(missing_ok=True)

    def _made(self) -> "uvicorn.Server":
        import uvicorn

        from daf.dashboard._app import make_app
        from daf.dashboard._connections import MOST_HEADER_BYTES, BoundedConnection

        closing = _Closing()
        index = RunIndex(self.base, self._also)
        app = make_app(index, token=self.token, port=self.port, closing=closing.event)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ws="none",
            http=BoundedConnection,
            h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        )

        class Server(uvicorn.Server):
            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                closing.set()
                super().handle_exit(sig, frame)

        self._server = Server(config)
        return self._server


def daf_serve_dashboard(
    folder: str | Path | None = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    on_ready: Callable[[Dashboard], Any] | None = None,
) -> None:
    """Serve the dashboard over `folder` until Ctrl-C.

    folder: an output directory or a run directory (default: `DAF_OUTPUT_DIR` or ./daf_output). on_ready: called with
    the dashboard once it listens; its `url` is what to open. Raises `UsageError`, `StorageError`.
    """
    dashboard = Dashboard(folder, host=host, port=port)
    if on_ready is not None:
        on_ready(dashboard)
    dashboard.serve()


class _Closing:
    """An event of the server's loop that may be set from any thread, or from a signal handler."""

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def event(self) -> asyncio.Event:
        if self._event is None:
            self._loop, self._event = asyncio.get_running_loop(), asyncio.Event()
            if self._closed:
                self._event.set()
        return self._event

    def set(self) -> None:
        self._closed = True
        if self._loop is not None and self._event is not None:
            self._loop.call_soon_threadsafe(self._event.set)


def _place(folder: str | Path | None) -> tuple[Path, str | None, tuple[Path, ...]]:
    """The output directory to show, the key of the one run requested, and run directories that are elsewhere."""
    if folder is None:
        return base_folder(None).absolute(), None, ()
    place = Path(folder).expanduser().absolute()
    if not place.is_dir():
        raise UsageError(f"no directory {place}. `daf dashboard` without an argument shows {base_folder(None)}.")
    run = run_in(place)
    if run is None:
        return place, None, ()
    key = f"{place.parent.name}/{place.name}"
    base = place.parent.parent
    if is_run_key(key):
        return base, key, ()
    return place.parent, f"{ELSEWHERE}/{place.name}", (place,)


def _loopback(host: str) -> str:
    """`host` as an address of the loopback interface. Raises `UsageError` for any other."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError as error:
        raise UsageError(f'--host must be an address of this machine, got "{host}". {_ONLY_HERE}') from error
    if str(address) not in ("127.0.0.1", "::1"):
        raise UsageError(f"--host {host} would let other machines read your runs. {_ONLY_HERE}")
    return str(address)


_ONLY_HERE = (
    "The dashboard listens only on 127.0.0.1, localhost or ::1. To open it from another machine, forward the port: "
    "ssh -L 8765:127.0.0.1:8765 HOST."
)


def _listen(host: str, port: int | None) -> socket.socket:
    if port is not None and not 0 <= port <= 65535:
        raise UsageError(f"--port must be from 0 (any free port) to 65535, got {port}.")
    tried = [port] if port is not None else [*range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED), 0]
    for number in tried:
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
            listening.listen(128)
        except OSError as error:
            listening.close()
            if port is None and error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise StorageError(_not_listening(error, host, number)) from error
        return listening
    raise StorageError(f"no free port on {host}.")


def _not_listening(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use. Choose another with --port, or omit it for the first free port."
    return f"cannot listen on {host}, port {port}: {error.strerror}. Choose another with --port."


def _has_screen() -> bool:
    """Whether a browser has a screen to appear on; without one, a text browser would take over the terminal."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
