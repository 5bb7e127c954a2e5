"""Serve a policy over CoGames' policy-server protocol, to any number of episodes at once.

One WebSocket is one episode: a JSON prepare request, then protobuf batches. Episodes are keyed by their connection and
end with it, since CoGames' client gives all of them one id. The server survives clients that disconnect, break the
protocol, or make the policy fail. If the policy string is `release:NAME`, or a file that is replaced, new episodes get
the new version while running ones end on the old one. `/health` and `/metrics` answer over HTTP on the same port.

Every episode is recorded in the run directory: see `serving_records`.

Not guaranteed: survival of a policy that ends its process or exhausts memory, because it is played in this one; and
that code which imports its own modules only while it plays gets those of its version after a reload.
"""

import contextlib
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from time import monotonic, perf_counter
from types import FrameType
from typing import TYPE_CHECKING, Any

from daf.deployment import serving_access as access
from daf.deployment import serving_records as records
from daf.deployment._serving_metrics import CONTENT_TYPE, Metrics
from daf.deployment._serving_source import Served, Source
from daf.errors import DAFError, UsageError
from daf.playing.planning import cache_of
from daf.playing.settings import Settings
from daf.stats.sentences import counted
from daf.storage import journal

if TYPE_CHECKING:
    from websockets.http11 import Request, Response
    from websockets.sync.server import ServerConnection

    from daf.output_manager import OutputManager

logger = logging.getLogger(__name__)

DEFAULT_PORT = 8770
PREPARE_SECONDS = 60.0
"""How long a new connection may take to send its first message."""
_LONGEST_REASON = 120
"""Bytes of the reason in a closing message; the protocol allows 123."""
_CLOSE = {"refused": 1008, "failed": 1011, "stopped": 1001, "full": 1013}
"""Closing codes of RFC 6455."""


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """How a policy is served. token: required from clients; None only on loopback.

    max_sessions: at the same time. max_message_mib: of a message. idle_seconds: of silence, after which a session is
    closed. grace_seconds: that running episodes get when the server stops. reload_seconds: between two looks for
    another version; 0 for none. device: where networks run.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    max_sessions: int = 64
    max_message_mib: int = 16
    idle_seconds: float = 600.0
    grace_seconds: float = 30.0
    reload_seconds: float = 5.0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least in (("max_sessions", 1), ("max_message_mib", 1), ("grace_seconds", 0), ("reload_seconds", 0)):
            if getattr(self, name) < least:
                option = f"--{name.removesuffix('_seconds').removesuffix('_mib').replace('_', '-')}"
                raise UsageError(f"{option} must be at least {least}, got {getattr(self, name)}.")
        if not self.idle_seconds > 0:
            raise UsageError(f"--idle must be above 0, got {self.idle_seconds:g}.")
        if self.token is None and not access.is_loopback(self.host):
            raise UsageError(f"other machines reach {self.host}, so clients must have a token.")


class PolicyServer:
    """A server of `policy`, listening as soon as it is created; `serve` or `start` answers.

    policy: a policy string. run_dir: where episodes are recorded. runs, cache: as `daf.game.policies.resolve` takes
    them. Raises `PolicyError`, `UsageError`, `StorageError`.
    """

    def __init__(self, policy: str | Path, settings: ServeSettings, *, run_dir: Path, runs: Path, cache: Path) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.journal = run_dir / records.FILE
        self._source = Source(str(policy), cache=cache, runs=runs)
        self._mark = self._source.mark()
        self.served = self._source.load()
        self._socket = access.listen(settings.host, settings.port)
        self.port: int = self._socket.getsockname()[1]
        self._stopping = threading.Event()
        self._look = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server = self._made()

    @property
    def address(self) -> str:
        """The URL without the token, for logs."""
        return f"ws://{access.address_of(self.settings.host, self.port)}"

    @property
    def url(self) -> str:
        """The URL for clients; it holds the token, if there is one."""
        if self.settings.token is None:
            return self.address
        return self.address.replace("://", f"://{access.USER}:{self.settings.token}@", 1)

    def start(self) -> None:
        """Answer in other threads until `stop`."""
        for target, name in ((self._server.serve_forever, "daf-serve"), (self._reload_forever, "daf-serve-reload")):
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, *, grace_seconds: float | None = None) -> None:
        """Refuse new episodes, let the running ones end, and close those that don't within the grace period."""
        self._stopping.set()
        self._look.set()
        if not self._threads:
            self._socket.close()
            return
        ends = monotonic() + (self.settings.grace_seconds if grace_seconds is None else grace_seconds)
        while self.metrics.sessions and monotonic() < ends:
            threading.Event().wait(0.05)
        self._server.shutdown(reason="the server stops")
        for thread in self._threads:
            thread.join()

    def serve(self, on_ready: "Callable[[PolicyServer], Any] | None" = None) -> None:
        """Answer until SIGINT or SIGTERM, then stop with grace; a second signal ends the episodes at once.

        SIGHUP looks for another version of the policy now. on_ready: called when signals have this effect.
        """
        signals: list[int] = []
        woken = threading.Event()

        def received(number: int, _: FrameType | None) -> None:
            signals.append(number)
            woken.set()

        with (
            _handling((signal.SIGINT, signal.SIGTERM), received),
            _handling((signal.SIGHUP,), lambda *_: self._look.set()),
        ):
            self.start()
            if on_ready is not None:
                on_ready(self)
            while not woken.wait(1.0):  # a wait without end would not let signal handlers run on every platform
                pass
            running = self.metrics.sessions
            waiting = f"Waiting for {counted(running, 'open session')} to end." if running else "No session is open."
            logger.info("Stopping. %s", waiting)
            stopping = threading.Thread(target=self.stop, name="daf-serve-stop")
            stopping.start()
            while stopping.is_alive():
                stopping.join(0.2)
                if len(signals) > 1:
                    self._server.shutdown(reason="the server stops")

    def reload(self) -> bool:
        """Give new sessions what the policy string names now; False if that can't be loaded, and the old one stays."""
        try:
            self._mark = self._source.mark()
            self.served = self._source.load()
        except (DAFError, OSError) as error:
            logger.error("%s can't be reloaded, so %s stays: %s", self._source.text, _name(self.served), error)
            self.metrics.reloaded("failed")
            return False
        logger.info("New sessions get %s.", _name(self.served))
        self.metrics.reloaded("done")
        return True

    def _reload_forever(self) -> None:
        while not self._stopping.is_set():
            asked = self._look.wait(self.settings.reload_seconds or None)
            self._look.clear()
            if self._stopping.is_set():
                return
            try:
                changed = self._source.mark() != self._mark
            except (DAFError, OSError) as error:
                logger.warning("%s: %s", self._source.text, error)
                continue
            if changed or asked:
                self.reload()

    def _made(self) -> Any:
        from websockets.sync.server import serve

        quiet = logging.getLogger("daf.deployment.serving.websockets")
        quiet.setLevel(logging.CRITICAL)  # below, it logs headers, and with them the token
        return serve(
            self._session,
            sock=self._socket,
            origins=[None],  # a page in a browser names its origin
            compression=None,
            process_request=self._answer,
            max_size=self.settings.max_message_mib * 2**20,
            logger=quiet,
            server_header=None,
        )

    def _answer(self, connection: "ServerConnection", request: "Request") -> "Response | None":
        """The response to a plain HTTP request, or to one that may not become a session."""
        path = request.path.partition("?")[0]
        stopping = self._stopping.is_set()
        if path == "/health":
            state = "stopping" if stopping else "ok"
            status = HTTPStatus.SERVICE_UNAVAILABLE if stopping else HTTPStatus.OK
            return _response(connection, status, json.dumps({"status": state}), "application/json")
        token = self.settings.token
        if token is not None and not access.allows(request.headers.get("Authorization"), token):
            self.metrics.turned_away("token")
            answer = _response(connection, HTTPStatus.UNAUTHORIZED, "The token is missing or wrong.\n")
            answer.headers["WWW-Authenticate"] = 'Basic realm="daf serve"'
            return answer
        if path == "/metrics":
            return _response(connection, HTTPStatus.OK, self.metrics.text(_info(self.served)), CONTENT_TYPE)
        if path != "/":
            return _response(connection, HTTPStatus.NOT_FOUND, "There are /, /health and /metrics.\n")
        if stopping:
            self.metrics.turned_away("stopping")
            return _response(connection, HTTPStatus.SERVICE_UNAVAILABLE, "The server stops.\n")
        return None

    def _session(self, websocket: "ServerConnection") -> None:
        """One connection, from its first message to its end."""
        if not self.metrics.entered(self.settings.max_sessions):
            websocket.close(_CLOSE["full"], f"the server has {self.settings.max_sessions} sessions: try again later")
            return
        episode = _Episode(self.served)
        try:
            self._play(websocket, episode)
        except BaseException as error:  # a policy may raise anything, and one episode must not end the server
            self._ended(websocket, episode, error)
        finally:
            self.metrics.left(episode.end)
            try:
                journal.append(self.journal, dict(episode.record()), sync=False)
            except DAFError as error:
                logger.error("An episode was not recorded: %s", error)

    def _play(self, websocket: "ServerConnection", episode: "_Episode") -> None:
        from daf.game.policy_session import PolicySession, ProtocolError

        text = websocket.recv(timeout=PREPARE_SECONDS)
        if not isinstance(text, str):
            raise ProtocolError("the first message must be a PreparePolicyRequest as JSON text")
        started = perf_counter()
        session = PolicySession(episode.served.policy, text, device=self.settings.device)
        episode.agents, episode.prepare_ms = len(session.agents), (perf_counter() - started) * 1e3
        websocket.send("{}")
        while True:
            message = websocket.recv(timeout=self.settings.idle_seconds)
            started = perf_counter()
            if not isinstance(message, bytes):
                raise ProtocolError("batches must be binary messages")
            websocket.send(session.step(message))
            milliseconds = (perf_counter() - started) * 1e3
            episode.stepped(milliseconds)
            self.metrics.stepped(milliseconds)

    def _ended(self, websocket: "ServerConnection", episode: "_Episode", error: BaseException) -> None:
        """Note how the episode ended, and close the connection with the reason."""
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

        from daf.game.policy_session import ProtocolError

        if isinstance(error, ConnectionClosed):
            sent = error.sent.code if error.sent is not None and not error.rcvd_then_sent else None
            if sent in (1002, 1007, 1009):  # the library's own limits
                episode.end, episode.error = "refused", error.sent.reason if error.sent is not None else None
            elif sent == _CLOSE["stopped"]:
                episode.end = "stopped"
            else:
                episode.end = "closed" if isinstance(error, ConnectionClosedOK) else "lost"
            return
        if isinstance(error, TimeoutError):
            waited = PREPARE_SECONDS if episode.prepare_ms is None else self.settings.idle_seconds
            episode.end, episode.error = "stopped", f"the client was silent for {waited:g} s"
        elif isinstance(error, ProtocolError):
            episode.end, episode.error = "refused", str(error)
        else:
            text = str(error) if isinstance(error, DAFError) else f"{type(error).__name__}: {error}"
            episode.end, episode.error = "failed", text
            logger.error("An episode of %s failed: %s", _name(episode.served), text, exc_info=error)
        websocket.close(_CLOSE[episode.end], _short(episode.error))


class _Episode:
    """The record of one session in progress."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.end: records.EpisodeEnd = "lost"
        self.error: str | None = None
        self.agents = 0
        self.prepare_ms: float | None = None
        self._started, self._at = perf_counter(), datetime.now(UTC)
        self._counts: dict[int, int] = {}
        self._longest = 0.0

    def stepped(self, milliseconds: float) -> None:
        place = records.place_of(milliseconds)
        self._counts[place] = self._counts.get(place, 0) + 1
        self._longest = max(self._longest, milliseconds)

    def record(self) -> records.ServedEpisode:
        quantiles = {f"p{share}": records.quantile(self._counts, share / 100) for share in (50, 90, 99)}
        times = {name: round(value, 4) for name, value in quantiles.items() if value is not None}
        return {
            "policy": self.served.policy.name,
            "release": self.served.release,
            "sha256": self.served.sha256,
            "identity": self.served.policy.identity,
            "started_at": self._at.isoformat(timespec="milliseconds"),
            "seconds": round(perf_counter() - self._started, 4),
            "agents": self.agents,
            "end": self.end,
            "error": self.error,
            "prepare_ms": None if self.prepare_ms is None else round(self.prepare_ms, 3),
            "steps": sum(self._counts.values()),
            "step_ms": times | ({"max": round(self._longest, 4)} if times else {}),
            "counts": {str(place): self._counts[place] for place in sorted(self._counts)},
        }


def serve(
    policy: str | Path,
    settings: ServeSettings | None = None,
    *,
    output: "OutputManager | None" = None,
    on_ready: Callable[[PolicyServer], Any] | None = None,
) -> Path:
    """Serve a policy string until SIGINT or SIGTERM; return the run directory with the records of its episodes.

    on_ready: called with the server once it listens. Raises `PolicyError`, `UsageError`, `StorageError`.
    """
    from daf.output_manager import OutputManager

    chosen = settings or ServeSettings()
    where = output or OutputManager()
    cache = cache_of(Settings(), where.base_dir).bundles
    run_dir = where.run_dir("deployment")
    server = PolicyServer(policy, chosen, run_dir=run_dir, runs=where.base_dir, cache=cache)
    config = {"policy": str(policy), "host": chosen.host, "port": server.port, "max_sessions": chosen.max_sessions}
    with where.operation("deployment", title=f"{server.served.policy.name} served", config=config):
        server.serve(on_ready)
    return run_dir


@contextlib.contextmanager
def _handling(numbers: tuple[int, ...], handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _response(
    connection: "ServerConnection", status: HTTPStatus, text: str, kind: str = "text/plain; charset=utf-8"
) -> "Response":
    answer = connection.respond(status, text)
    del answer.headers["Content-Type"]
    answer.headers["Content-Type"] = kind
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _info(served: Served) -> dict[str, str]:
    return {"policy": served.policy.name, "release": served.release or "", "sha256": served.sha256 or ""}


def _name(served: Served) -> str:
    return served.release or served.policy.name


def _short(reason: str | None) -> str:
    return (reason or "").encode()[:_LONGEST_REASON].decode("utf-8", errors="ignore")
