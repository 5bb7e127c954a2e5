"""An S3 store on this machine (moto's server), and a proxy in front of it that fails on purpose."""

import contextlib
import http.client
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

BUCKET = "daf-runs"
KEY = "AKIACANARYCANARYKEYS"
SECRET = "canarySecretOfTheTests/1234567890abcdefgh"

Fault = tuple[int, str] | str
"""The HTTP status and S3's code of an answer, or "cut": the connection is closed in the middle of the answer."""
Rule = Callable[[str, str], Fault | None]


@dataclass
class S3:
    """The store. rule: the fault for a method and path; None lets the request through. requests: those that came."""

    url: str
    environment: dict[str, str]
    rule: Rule = lambda _method, _path: None
    requests: list[tuple[str, str]] = field(default_factory=list)

    def objects(self) -> dict[str, bytes]:
        """Every object in the bucket."""
        client = self.client()
        return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in self.names()}

    def names(self) -> list[str]:
        """The names of the objects in the bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def put(self, key: str, data: bytes) -> None:
        """Write an object, past the proxy."""
        self.client().put_object(Bucket=BUCKET, Key=key, Body=data)

    def client(self):  # type: ignore[no-untyped-def]
        """A client of the server itself."""
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1"
        )

    def empty(self) -> None:
        """Delete everything."""
        keys = self.names()
        for start in range(0, len(keys), 1000):
            some = [{"Key": key} for key in keys[start : start + 1000]]
            self.client().delete_objects(Bucket=BUCKET, Delete={"Objects": some})


@contextlib.contextmanager
def serving() -> Iterator[S3]:
    """The store with an empty bucket, behind its proxy."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    store = S3(f"http://{host}:{port}", {})
    store.client().create_bucket(Bucket=BUCKET)
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), _handler(store, port))
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    store.environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_address[1]}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    try:
        yield store
    finally:
        proxy.shutdown()
        server.stop()


def _handler(store: S3, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = urlsplit(self.path).path
            store.requests.append((self.command, path))
            fault = store.rule(self.command, path)
            if isinstance(fault, tuple):
                self._answer(
                    fault[0],
                    {"Content-Type": "application/xml"},
                    f"<Error><Code>{fault[1]}</Code><Message>{KEY} {SECRET}</Message></Error>".encode(),
                )
                return
            upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            upstream.request(self.command, self.path, body=body, headers=dict(self.headers.items()))
            answer = upstream.getresponse()
            content = answer.read()
            if fault == "cut":
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(content) + 100))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
                return
            self._answer(answer.status, dict(answer.getheaders()), content)

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            length = len(content)
            for name, value in headers.items():
                if self.command == "HEAD" and name.lower() == "content-length":
                    length = int(value)
                elif name.lower() not in ("content-length", "transfer-encoding", "connection", "server", "date"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815 (names that http.server calls)

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler
