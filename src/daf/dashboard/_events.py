"""Server-sent events: the browser gets changes as they happen.

A stream starts with everything the page does not know yet and continues with what changed:

    hello    {"base", "machine", "boot"}                        once
    runs     {"rows", "gone", "version"}                        rows that changed
    page     {"key"}                                            ask for a watched run's page, at first and after changes
    curves   {"key", "restart", "series", "evaluations", …}     additions to a watched run's curves
    log      {"lines", "start", "end", "restart"}               additions to the watched log
    machine  {"samples"}                                        new samples

A page that reconnects states what it has (`since`, `sampled`), so that is not sent again. Files are examined only in
threads, every `INTERVAL_SECONDS`, and only while somebody watches.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from daf.dashboard._log_lines import page_after
from daf.dashboard._run_files import inside
from daf.dashboard._run_page import page_signature
from daf.dashboard.curves import Curves
from daf.dashboard.machine import Machine
from daf.dashboard.run_index import RunIndex
from daf.errors import DAFError

INTERVAL_SECONDS = 1.0
GONE = "gone"
BEAT_TICKS = 15
"""After this many ticks without news a comment is sent, so that a broken connection is noticed."""


class Watch:
    """What one page subscribes to. since: version of the runs it has. sampled: time of the
    last sample it has. log: (key, file, byte offset)."""

    def __init__(
        self,
        index: RunIndex,
        curves: Curves,
        machine: Machine,
        *,
        boot: str,
        since: int,
        sampled: float,
        keys: list[str],
        log: tuple[str, str, int] | None,
    ) -> None:
        self._index = index
        self._curves = curves
        self._machine = machine
        self._boot = boot
        self._version = since
        self._keys = keys
        self._log = log
        self._cursors: dict[str, dict[str, Any]] = {}
        self._signatures: dict[str, Any] = {}
        self._sampled = sampled

    def first(self) -> str:
        """The start of the stream."""
        hello = {"base": str(self._index.base), "machine": self._machine.facts(), "boot": self._boot}
        return _event("hello", hello) + self.news(first=True)

    def news(self, *, first: bool = False) -> str:
        """What happened since the last call; empty if nothing did."""
        text = self._runs(first)
        for key in self._keys:
            text += self._run(key)
        if self._log is not None:
            text += self._log_lines(*self._log)
        samples = [sample for sample in list(self._machine.samples) if sample["time"] > self._sampled]
        if samples:
            self._sampled = samples[-1]["time"]
            text += _event("machine", {"samples": samples})
        return text

    def _runs(self, first: bool) -> str:
        version = self._index.refresh()
        if version == self._version and not first:
            return ""
        rows, gone = self._index.since(self._version)
        self._version = version
        data = {"rows": [row.to_data() for row in rows], "gone": gone, "version": version}
        return _event("runs", data, f"{self._boot}.{version}")

    def _run(self, key: str) -> str:
        try:
            folder = self._index.folder(key)
        except DAFError:  # never existed, or was deleted: the page requests it once and gets an error
            known = self._signatures.get(key)
            self._signatures[key] = GONE
            return "" if known is GONE else _event("page", {"key": key})
        text = ""
        files = page_signature(folder)
        if files != self._signatures.get(key):
            self._signatures[key] = files
            text += _event("page", {"key": key})
        data, cursor = self._curves.added(folder, self._cursors.get(key))
        before = self._cursors.get(key)
        self._cursors[key] = cursor
        if before is None or data["restart"] or data["series"] or data["evaluations"]:
            text += _event("curves", {"key": key, **data})
        return text

    def _log_lines(self, key: str, name: str, start: int) -> str:
        try:
            page = page_after(inside(self._index.folder(key), name), start)
        except (DAFError, OSError):  # deleted, or not created yet
            return ""
        self._log = (key, name, page["end"])
        return _event("log", page) if page["lines"] or page["restart"] else ""


async def stream(watch: Watch, closing: asyncio.Event) -> AsyncIterator[str]:
    """The events of `watch` until the server closes or the browser disconnects."""
    yield "retry: 1000\n\n"
    yield await asyncio.to_thread(watch.first)
    quiet = 0
    while not closing.is_set():
        try:
            await asyncio.wait_for(closing.wait(), INTERVAL_SECONDS)
        except TimeoutError:
            text = await asyncio.to_thread(watch.news)
            quiet = 0 if text else quiet + 1
            if text:
                yield text
            elif quiet >= BEAT_TICKS:
                quiet = 0
                yield ": keep-alive\n\n"


def _event(name: str, data: dict[str, Any], identity: str | None = None) -> str:
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    marked = "" if identity is None else f"id: {identity}\n"
    return f"event: {name}\n{marked}data: {text}\n\n"
