"""A local HTTP server that speaks the calls of CoGames' tournament server, as the installed client makes them.

`Tournament` holds the state and a list of faults: each request takes the first fault whose path it has. Requests are
recorded with their headers, so that tests can compare what was sent.
"""

import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "canary-4f9c2ab1e07d4c55a1"
SIGNATURE = "canary-signature-77aa31"
EMAIL = "ada@example.org"


@dataclass
class Fault:
    """What happens to the next request whose path begins with `path`.

    status: the answer. cut: "before" the request counts, or "after" it did. seconds: how late the answer is.
    """

    path: str
    status: int | None = None
    cut: str | None = None
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    detail: str = "something is wrong"
    body: bytes | None = None


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Tournament:
    """The state of a server. most_bytes: of a bundle. seasons: their names; the first is the default one."""

    def __init__(self, seasons: tuple[str, ...] = ("beta",), most_bytes: int = 10_000_000) -> None:
        self.seasons = seasons
        self.most_bytes = most_bytes
        self.compat: str | None = None
        self.tokens = {TOKEN}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.uploads: dict[str, bytes] = {}
        self.done: dict[str, dict[str, Any]] = {}
        self.versions: list[dict[str, Any]] = []
        self.entered: dict[str, list[str]] = {name: [] for name in seasons}
        self.leaderboard: list[dict[str, Any]] = []
        self.url = ""
        self._lock = threading.Lock()

    def calls(self, path: str = "") -> list[str]:
        """The requests so far, as "METHOD path"."""
        return [f"{each.method} {each.path}" for each in self.requests if path in each.path]

    def fault(self, path: str) -> Fault | None:
        with self._lock:
            for each in self.faults:
                if path.startswith(each.path):
                    self.faults.remove(each)
                    return each
        return None

    def answer(self, request: Request) -> tuple[int, Any]:
        with self._lock:
            return self._answer(request)

    def _answer(self, request: Request) -> tuple[int, Any]:
        method, path = request.method, request.path
        if path == "/whoami":
            if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
                return 401, {"detail": "unknown token"}
            return 200, {"user_email": EMAIL, "subject_id": "u1"}
        if method == "GET" and path == "/tournament/seasons":
            return 200, [self._season(name) for name in self.seasons]
        named = re.fullmatch(r"/tournament/seasons/([^/]+)(/.*)?", path)
        if named is not None and named[1] not in self.seasons:
            return 404, {"detail": "Season not found"}
        if named is not None and method == "GET" and named[2] is None:
            return 200, self._season(named[1])
        if named is not None and named[2] == "/leaderboard":
            return 200, self.leaderboard
        if path.startswith("/storage/"):
            return self._stored(request)
        if request.headers.get("x-auth-token") not in self.tokens:
            return 401, {"detail": "Not authenticated"}
        if named is not None and named[2] == "/policies":
            return 200, [self._entry(pid) for pid in self.entered[named[1]]]
        if named is not None and named[2] == "/submissions":
            wanted = json.loads(request.body)["policy_version_id"]
            if wanted not in [each["id"] for each in self.versions]:
                return 404, {"detail": "Policy version not found"}
            if wanted in self.entered[named[1]]:
                return 409, {"detail": "Policy already submitted"}
            self.entered[named[1]].append(wanted)
            return 200, {"pools": ["qualifying"]}
        if path == "/stats/policies/submit/presigned-url":
            upload = str(uuid.uuid4())
            address = f"{self.url}/storage/{upload}?X-Amz-Signature={SIGNATURE}"
            return 200, {"upload_url": address, "s3_key": upload, "upload_id": upload}
        if path == "/stats/policies/submit/complete":
            return self._completed(json.loads(request.body))
        if path == "/stats/policy-versions":
            names = request.query.get("name_exact")
            found = [each for each in reversed(self.versions) if names is None or each["name"] in names]
            return 200, {"entries": found, "total_count": len(found)}
        if path == "/tournament/my-memberships":
            return 200, {v["id"]: [s for s in self.seasons if v["id"] in self.entered[s]] for v in self.versions}
        return 404, {"detail": f"no {method} {path}"}

    def _stored(self, request: Request) -> tuple[int, Any]:
        if request.query.get("X-Amz-Signature") != [SIGNATURE] or "x-auth-token" in request.headers:
            return 403, {"detail": "SignatureDoesNotMatch"}
        if request.headers.get("content-type") != "application/zip" or "content-length" not in request.headers:
            return 400, {"detail": "bad headers"}
        self.uploads[request.path.removeprefix("/storage/")] = request.body
        return 200, {}

    def _completed(self, asked: dict[str, Any]) -> tuple[int, Any]:
        upload = asked["upload_id"]
        if upload not in self.uploads:
            return 400, {"detail": "nothing was uploaded"}
        if len(self.uploads[upload]) > self.most_bytes:
            return 413, {"detail": f"Policy is larger than {self.most_bytes} bytes"}
        if upload in self.done:
            return 409, {"detail": "this upload is complete"}
        number = 1 + sum(each["name"] == asked["name"] for each in self.versions)
        made = {"id": str(uuid.uuid4()), "name": asked["name"], "version": number}
        self.versions.append(version_row(**made))
        self.done[upload] = made
        if "season" in asked:
            self.entered[asked["season"]].append(made["id"])
        return 200, {**made, "pools": ["qualifying"] if "season" in asked else None}

    def _season(self, name: str) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), "name": name, "display_name": name.title(), "version": 1,
            "canonical": True, "summary": "a season", "is_default": name == self.seasons[0], "status": "in_progress",
            "compat_version": self.compat, "created_at": "2026-01-01T00:00:00Z", "public": True,
            "tournament_type": "freeplay", "pools": [], "entrant_count": 1, "active_entrant_count": 1,
            "match_count": 0, "stage_count": 1, "started_at": None,
        }  # fmt: skip

    def _entry(self, version_id: str) -> dict[str, Any]:
        row = next(each for each in self.versions if each["id"] == version_id)
        return {
            "policy": {"id": row["id"], "name": row["name"], "version": row["version"]},
            "pools": [{"pool_name": "qualifying", "active": True, "completed": 3, "failed": 1, "pending": 2}],
            "entered_at": row["created_at"],
        }


def version_row(**fields: Any) -> dict[str, Any]:
    """A version as the server lists it."""
    now = datetime.now(UTC).isoformat()
    return {**fields, "user_id": "u1", "policy_id": str(uuid.uuid4()), "created_at": now, "policy_created_at": now}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tournament: Tournament

    def _serve(self) -> None:
        there = type(self).tournament
        parts = urlsplit(self.path)
        fault = there.fault(parts.path)
        if fault is not None and fault.cut == "early":
            self._cut()
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, parse_qs(parts.query), headers, body)
        there.requests.append(request)
        if fault is not None and fault.seconds:
            time.sleep(fault.seconds)
        if fault is not None and fault.cut == "before":
            self._cut()
            return
        if fault is not None and (fault.status is not None or fault.body is not None):
            self._send(fault.status or 200, {"detail": fault.detail}, fault.headers, fault.body)
            return
        status, data = there.answer(request)
        if fault is not None and fault.cut == "after":
            self._cut()
            return
        self._send(status, data, {}, None)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status: int, data: Any, headers: dict[str, str], body: bytes | None) -> None:
        content = json.dumps(data).encode() if body is None else body
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@contextmanager
def running(tournament: Tournament) -> Iterator[Tournament]:
    """`tournament`, served on the loopback interface; its `url` is set."""
    handler = type("Handler", (_Handler,), {"tournament": tournament})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        tournament.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield tournament
        finally:
            server.shutdown()
            thread.join()
