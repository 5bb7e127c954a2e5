"""Hostile requests to the dashboard, over runs that are damaged too."""

import http.client
import shutil
from collections.abc import Iterator
from urllib.parse import quote

from tests.hostile.corpus import NOT_FILES, NOT_JSON, Input, Place, Spoiler

NAMES = {
    "climbing": "../../../../precious/data.txt",
    "absolute": "/etc/passwd",
    "climbing by percent": "..%2f..%2fprecious%2fdata.txt",
    "backslashes": "..\\..\\precious",
    "NUL": "a\0b",
    "a surrogate": "\udcff",
    "20,000 characters": "x" * 20_000,
    "empty": "",
    "a dot": ".",
    "an array": "[]",
    "escapes": "\x1b[31m\r\nset-cookie: a=b",
    "markup": "<script>alert(1)</script>",
    "a number": "9" * 5_000,
}


def inputs() -> Iterator[Input]:
    """All of them: (method, address, headers as "name: value"…); KEY stands for a run's key."""
    for name, text in NAMES.items():
        word = quote(text, safe="", errors="surrogateescape")
        yield _ask(f"a file {name}", ["GET", f"/file?key=KEY&file={word}"], (404, 422))
        yield _ask(f"a log {name}", ["GET", f"/api/log?key=KEY&file={word}"], (404, 422))
        yield _ask(f"a run {name}", ["GET", f"/api/run?key={word}"], (404, 422))
        yield _ask(f"a sweep {name}", ["GET", f"/api/sweep?key={word}"], (404, 422))
        yield _ask(f"a replay {name}", ["GET", f"/replay?key=KEY&file={word}"], (404, 422))
        yield _ask(f"a static file {name}", ["GET", f"/static/{word}"], (404, 405))
    for name, request, statuses in (
        ("another host", ["GET", "/", "host: evil.example"], (421,)),
        ("no token", ["GET", "/api/runs", "cookie: x=y"], (401,)),
        ("a token of 50,000 characters", ["GET", "/?token=" + "x" * 50_000, "cookie: x=y"], (401, 400, 414)),
        ("a broken cookie", ["GET", "/api/runs", 'cookie: "=;;,=='], (401,)),
        ("another site", ["GET", "/api/runs", "sec-fetch-site: cross-site"], (403,)),
        ("POST", ["POST", "/api/runs"], (405,)),
        ("DELETE", ["DELETE", "/api/run?key=KEY"], (405,)),
        ("TRACE", ["TRACE", "/"], (405,)),
        ("a line before the beginning of a log", ["GET", "/api/log?key=KEY&file=README.md&before=-5"], (200, 404, 422)),
        ("a line of 10^30", ["GET", "/api/log?key=KEY&file=README.md&before=" + "9" * 30], (200, 404, 422)),
        ("a line of 5,000 digits", ["GET", "/api/log?key=KEY&file=README.md&before=" + "9" * 5_000], (200, 404, 422)),
        ("2,000 runs to compare", ["GET", "/api/compare?" + "&".join(f"run={i}" for i in range(2_000))], (404, 422)),
        ("no runs to compare", ["GET", "/api/compare"], (200, 404, 422)),
        ("a path of 60,000 characters", ["GET", "/" + "x" * 60_000], (404, 400, 414)),
        ("a path with 5,000 levels", ["GET", "/a" * 5_000], (404,)),
        ("a run folder as a file", ["GET", "/file?key=KEY&file=stats"], (404, 422)),
    ):
        yield _ask(name, request, statuses)
    for name, spoiler in {**NOT_FILES, **NOT_JSON}.items():
        for file, address in (
            ("execution_log.json", "/api/runs"),
            ("results.json", "/api/compare?run=KEY"),
            ("execution_log.json", "/api/run?key=KEY"),
        ):
            yield _ask(f"{file}: {name}: {address}", ["GET", address], (200, 404), file, spoiler)


def _ask(
    name: str, request: list[str], statuses: tuple[int, ...], file: str | None = None, spoiler: Spoiler | None = None
) -> Input:
    def make(place: Place) -> list[str]:
        shutil.copytree(place.made / "output", place.work / "output", symlinks=True)
        run = next(path for path in (place.work / "output" / "evaluations").iterdir() if path.is_dir())
        if file is not None and spoiler is not None:
            spoiler(run / file)
        return [part.replace("KEY", f"evaluations/{run.name}") for part in request]

    return Input(name, make, r"(?s).", statuses)


def drive(given: list[str], place: Place) -> tuple[int | None, str]:
    """Send the request to a dashboard over the folder, and return the status and the answer."""
    from daf.dashboard import Dashboard

    dashboard = Dashboard(place.work / "output", port=0)
    dashboard.start()
    try:
        method, address, *lines = given
        headers = {
            "host": f"127.0.0.1:{dashboard.port}",
            "cookie": f"daf_dashboard_{dashboard.port}={dashboard.token}",
        } | dict(line.split(": ", 1) for line in lines)
        connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=30)
        connection.putrequest(method, address, skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        connection.close()
    finally:
        dashboard.stop()
    return answer.status, body or str(answer.status)
