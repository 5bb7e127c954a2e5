"""The dashboard's routes.

    /                       the page; all of its views are in the fragment (#/run/…)
    /static/NAME            its scripts and styles, /theme.css the theme's colours
    /api/events             events, as they happen
    /api/runs /api/run /api/sweep /api/trial /api/compare /api/log      JSON
    /api/report /report     whether a run's report can be made, and the report
    /file /replay           a file in a run directory, and the player of a replay in one

An unknown name is answered with 404 and the error message, as JSON {"error"}.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse

from daf.dashboard._comparing import compared
from daf.dashboard._events import Watch, stream
from daf.dashboard._guard import FOREIGN_POLICY, Guard
from daf.dashboard._json_files import JsonFiles
from daf.dashboard._log_lines import page_before
from daf.dashboard._parts import Parts
from daf.dashboard._replay_pages import ReplayPages
from daf.dashboard._reports import Reports
from daf.dashboard._run_files import inside, kind_of, media_type
from daf.dashboard._run_page import run_page
from daf.dashboard._sweep_page import Sweeps
from daf.dashboard.curves import Curves
from daf.dashboard.machine import Machine
from daf.dashboard.run_index import RunIndex
from daf.errors import DAFError, UsageError
from daf.render.pages.html import palette_css, shared_script

STATIC_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
SCALES = "scales.js"
"""The module of ticks and number formats that the dashboard shares with the pages."""
MOST_WATCHED = 12
"""Maximum number of runs that one page may watch or compare."""

RunKeys = Annotated[list[str], Query()]


def make_app(index: RunIndex, *, token: str, port: int, closing: Callable[[], asyncio.Event]) -> Guard:
    """The ASGI application over the runs of `index`, guarded. closing: set when streams must end."""
    curves, files, parts, sweeps = Curves(), JsonFiles(), Parts(), Sweeps()
    replays, reports = ReplayPages(), Reports()
    machine = Machine(index.base, index.running)
    boot = secrets.token_hex(4)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        machine.start()
        looking = asyncio.create_task(asyncio.to_thread(index.refresh))  # so that the first page does not wait for it
        yield
        await looking
        await asyncio.to_thread(machine.stop)

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=life)

    @app.exception_handler(DAFError)
    def wrong(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 404)

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(_static("index.html"))

    @app.get("/theme.css")
    async def theme() -> Response:
        return Response(str(palette_css()), media_type=STATIC_TYPES[".css"])

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        kind = STATIC_TYPES.get(Path(name).suffix)
        if kind is None or name not in _names():
            raise UsageError(f'no file "{name}".')
        return Response(_static(name), media_type=kind)

    @app.get("/api/events")
    async def events(
        watch: RunKeys = [],  # noqa: B006  (FastAPI's way to say "none")
        since: str = "",
        sampled: float = 0.0,
        log: str = "",
        log_key: str = "",
        log_from: int = 0,
    ) -> StreamingResponse:
        version = _version(since, boot)
        keys = list(dict.fromkeys(watch))[:MOST_WATCHED]
        wanted = Watch(
            index, curves, machine, boot=boot, since=version, sampled=sampled,
            keys=keys, log=(log_key, log, max(0, log_from)) if log else None,
        )  # fmt: skip
        return StreamingResponse(stream(wanted, closing()), media_type="text/event-stream")

    @app.get("/api/runs")
    def runs() -> JSONResponse:
        version = index.refresh()
        rows, _ = index.since(0)
        return JSONResponse({"rows": [row.to_data() for row in rows], "version": version})

    @app.get("/api/run")
    def run(key: str) -> JSONResponse:
        return JSONResponse(run_page(index, files, parts, key))

    @app.get("/api/sweep")
    def sweep(key: str) -> JSONResponse:
        return JSONResponse(sweeps.page(index.folder(key)))

    @app.get("/api/trial")
    def trial(key: str, trial: int) -> JSONResponse:
        return JSONResponse(sweeps.trial(key, index.folder(key), trial))

    @app.get("/api/report")
    def report_made(key: str) -> JSONResponse:
        return JSONResponse({"characters": len(reports.page(index.folder(key)))})

    @app.get("/report")
    def report(key: str) -> HTMLResponse:
        return HTMLResponse(reports.page(index.folder(key)), headers={"content-security-policy": FOREIGN_POLICY})

    @app.get("/api/compare")
    def compare(run: RunKeys) -> JSONResponse:
        keys = list(dict.fromkeys(run))
        if len(keys) > MOST_WATCHED:
            raise UsageError(f"at most {MOST_WATCHED} runs can be compared, got {len(keys)}.")
        return JSONResponse(compared({key: index.folder(key) for key in keys}, files))

    @app.get("/api/log")
    def log(key: str, file: str, before: int | None = None) -> JSONResponse:
        return JSONResponse(page_before(inside(index.folder(key), file), before))

    @app.get("/file")
    def file(key: str, file: str) -> Response:
        path = inside(index.folder(key), file)
        kept = kind_of(file) in ("replay", "other", "pdf")  # a sandbox has no PDF viewer
        return FileResponse(
            path,
            media_type=media_type(file),
            filename=path.name if kept else None,
            headers={"content-security-policy": FOREIGN_POLICY},
        )

    @app.get("/replay")
    def replay(key: str, file: str) -> HTMLResponse:
        text = replays.page(inside(index.folder(key), file))
        return HTMLResponse(text, headers={"content-security-policy": FOREIGN_POLICY})

    return Guard(app, token=token, port=port)


def _version(given: str, boot: str) -> int:
    """The version of the runs that a page has; 0 if another server issued it, or if there is none."""
    server, _, version = given.partition(".")
    return int(version) if server == boot and version.isdecimal() and len(version) <= 18 else 0


@cache
def _names() -> set[str]:
    return {entry.name for entry in resources.files("daf.dashboard").joinpath("static").iterdir()} | {SCALES}


@cache
def _static(name: str) -> str:
    if name == SCALES:
        return shared_script(SCALES)
    return resources.files("daf.dashboard").joinpath("static", name).read_text(encoding="utf-8")
