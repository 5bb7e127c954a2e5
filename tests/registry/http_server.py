"""A local registry endpoint, as docs/shipping.md describes it, on top of a registry in a directory.

`faults` holds what happens to the next requests, in order: a status, "cut" (the connection ends before the request has
an effect) or "cut after" (it ends after that).
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from daf.errors import DataError, LockedError, ReleaseError
from daf.registry import FolderRegistry


@dataclass
class Endpoint:
    """token: that requests must bring, if any. requests: "METHOD path" of all. tampered: bundles are changed."""

    root: Path
    token: str | None = None
    faults: list[int | str] = field(default_factory=list)
    retry_after: str | None = None
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    tampered: bool = False
    answer: bytes | None = None
    url: str = ""

    @property
    def registry(self) -> FolderRegistry:
        return FolderRegistry(self.root / "registry")


class _Handler(BaseHTTPRequestHandler):
    endpoint: Endpoint

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        there = self.endpoint
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        there.requests.append(f"{self.command} {self.path}")
        there.headers.append(dict(self.headers))
        fault = there.faults.pop(0) if there.faults else None
        if fault == "cut":
            self.connection.close()
            return
        if isinstance(fault, int):
            self._send(fault, {"error": "not now."}, there.retry_after)
            return
        if there.answer is not None:
            self._send(200, there.answer)
            return
        if there.token is not None and self.headers.get("Authorization") != f"Bearer {there.token}":
            self._send(401, {"error": "no"})
            return
        try:
            status, answer = self._answer([unquote(part) for part in self.path.strip("/").split("/")], body)
        except LockedError as error:
            status, answer = 412, {"error": str(error)}
        except ReleaseError as error:
            status = 404 if "is not in the registry" in str(error) else 409
            answer = {"error": str(error)}
        except DataError as error:
            status, answer = 500, {"error": str(error)}
        if fault == "cut after":
            self.connection.close()
            return
        self._send(status, answer)

    def _answer(self, path: list[str], body: bytes) -> tuple[int, object]:
        there, registry = self.endpoint, self.endpoint.registry
        match self.command, path:
            case "GET", ["api", "policies"]:
                return 200, {"policies": registry.names()}
            case "GET", ["api", "policies", name]:
                policy = registry.policy(name)
                if not policy.releases:
                    return 404, {"error": "no such policy"}
                releases = [{"release": one.release, "kept": one.kept} for one in policy.releases]
                return 200, {"name": name, "live": policy.live, "releases": releases, "events": policy.events}
            case "PUT", ["api", "bundles", sha256]:
                if hashlib.sha256(body).hexdigest() != sha256:
                    return 400, {"error": "the bytes have another SHA-256"}
                (there.root / sha256).write_bytes(body)
                return 200, {}
            case "PUT", ["api", "policies", _, "releases", _]:
                release = json.loads(body)
                return (201 if registry.add(release, there.root / release["sha256"]) else 200), {}
            case "PUT", ["api", "policies", name, "live"]:
                asked = json.loads(body)
                registry.switch(name, asked["event"], expected=asked["expected"])
                return 200, {}
            case "DELETE", ["api", "policies", name, "releases", version, "bundle"]:
                registry.remove(name, version)
                return 200, {}
            case "GET", ["api", "policies", name, "releases", version, "bundle"]:
                found = registry.policy(name).find(version).release
                content = registry.fetch(found, there.root).read_bytes()
                return 200, content[:-1] + b"?" if there.tampered else content
        return 400, {"error": f"{self.command} {self.path} is not a request of the interface"}

    def _send(self, status: int, answer: object, retry_after: str | None = None) -> None:
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def running(endpoint: Endpoint) -> Iterator[Endpoint]:
    """The endpoint, while it serves."""
    handler = type("Handler", (_Handler,), {"endpoint": endpoint})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/api"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
