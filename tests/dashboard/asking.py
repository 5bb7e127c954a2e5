"""Requests as a browser or an attacker would send them, with every header in hand."""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from daf.dashboard import Dashboard


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Asker:
    def __init__(self, dashboard: Dashboard) -> None:
        self.port = dashboard.port
        self.token = dashboard.token
        self.cookie = f"daf_dashboard_{dashboard.port}={dashboard.token}"

    def __call__(self, path: str, parameters: Any = (), *, method: str = "GET", **headers: str | None) -> Answer:
        """headers: by their names with _ for -; None leaves one out. The cookie is sent unless told otherwise."""
        sent = {"host": f"127.0.0.1:{self.port}", "cookie": self.cookie} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        query = urlencode(parameters, doseq=True)
        connection.putrequest(method, f"{path}?{query}" if query else path, skip_host=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def events(self, parameters: Any = ()) -> Iterator[tuple[str, Any]]:
        """The stream: (event, data). Closed with the generator."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", f"/api/events?{urlencode(parameters, doseq=True)}", headers={"cookie": self.cookie})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        try:
            name = ""
            while line := answer.readline():
                kind, _, rest = line.decode().rstrip("\n").partition(": ")
                if kind == "event":
                    name = rest
                elif kind == "data":
                    yield name, json.loads(rest)
        finally:
            connection.close()
