"""One episode: every observation is answered once, within 0.1 s.

The policy works in a thread. While it is busy, the newest observation waits for it, and older ones are answered with
noop when their time is up; so is an observation at which the policy raises an error.

Not guaranteed: an answer in time while the policy computes in a C function that keeps Python's global lock.
"""

import asyncio
import contextlib
import json
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import websockets

from .seat import NOOP, PlayerError, Seat, answer_to

ANSWER_SECONDS = 0.08
"""An answer is due after 0.1 s; the rest is for the way."""
_MOST_ERRORS = 3
"""Errors of the policy that are printed in full."""

Report = Callable[[int | None, dict[str, Any] | None, str | None], None]


class Episode:
    """An episode on a connection to the game."""

    def __init__(self, socket: websockets.ClientConnection, seat: Seat) -> None:
        self._socket, self._seat = socket, seat
        self._loop = asyncio.get_running_loop()
        self._due: dict[int, tuple[Mapping[str, Any], asyncio.TimerHandle]] = {}
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._worker = Worker(seat, self._from_thread)
        self._count = self._late = self._failed = 0
        self._broken: asyncio.Future[str] = self._loop.create_future()

    async def run(self) -> int:
        """Play to the end. Returns the exit code: 0 after `final`, or where the game closes the connection in order.

        Raises `PlayerError` if the policy can't be built, or the connection is lost.
        """
        receiving = asyncio.ensure_future(self._receive())
        sending = asyncio.ensure_future(self._send())
        try:
            await asyncio.wait({receiving, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                raise PlayerError(self._broken.result())
            end = await receiving
        except websockets.ConnectionClosed as error:
            raise PlayerError(f"the connection to the game was lost: {error}") from None
        finally:
            receiving.cancel()
            sending.cancel()
        log(f"{end}: {self._count} observations, {self._late} answered late with noop, {self._failed} failed.")
        return 0

    async def _receive(self) -> str:
        async for raw in self._socket:
            try:
                message = json.loads(raw)
                kind = message["type"]
            except (ValueError, TypeError, KeyError):
                log("ignored a message that is not a JSON object with a type.")
                continue
            if kind == "player_config":
                self._worker.configure(message)
            elif kind == "observation":
                self._observe(message)
            elif kind == "final":
                return "the episode is over"
        return "the game closed the connection without a final message"

    async def _send(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):  # `_receive` reads what came before, and the end
            while True:
                await self._socket.send(json.dumps(await self._outgoing.get()))

    def _observe(self, message: Mapping[str, Any]) -> None:
        number, self._count = self._count, self._count + 1
        timer = self._loop.call_later(ANSWER_SECONDS, self._too_late, number)
        self._due[number] = message, timer
        self._worker.observe(number, message)

    def _too_late(self, number: int) -> None:
        message, _ = self._due.pop(number)
        self._late += 1
        self._outgoing.put_nowait(answer_to(message, NOOP, {}))

    def _from_thread(self, number: int | None, answer: dict[str, Any] | None, error: str | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the episode is over
            self._loop.call_soon_threadsafe(self._done, number, answer, error)

    def _done(self, number: int | None, answer: dict[str, Any] | None, error: str | None) -> None:
        if number is None:
            if not self._broken.done():
                self._broken.set_result(error or "")
            return
        self._failed += error is not None
        if error is not None and self._failed <= _MOST_ERRORS:
            log(f"the policy failed at observation {number}, which is answered with noop: {error}")
        if number in self._due:
            message, timer = self._due.pop(number)
            timer.cancel()
            self._outgoing.put_nowait(answer if answer is not None else answer_to(message, NOOP, {}))


class Worker:
    """The thread of the policy. `report` is called in it: with the number of an observation and its answer or error.

    Without a number, the policy could not be built.
    """

    def __init__(self, seat: Seat, report: Report) -> None:
        self._seat, self._report = seat, report
        self._changed = threading.Condition()
        self._config: Mapping[str, Any] | None = None
        self._waiting: tuple[int, Mapping[str, Any]] | None = None
        threading.Thread(target=self._work, daemon=True).start()

    def configure(self, message: Mapping[str, Any]) -> None:
        """Begin an episode."""
        with self._changed:
            self._config, self._waiting = message, None
            self._changed.notify()

    def observe(self, number: int, message: Mapping[str, Any]) -> None:
        """Answer this observation next; one that still waits is dropped."""
        with self._changed:
            self._waiting = number, message
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._config is not None or self._waiting is not None)
                config, self._config = self._config, None
                waiting, self._waiting = (None, self._waiting) if config is not None else (self._waiting, None)
            if config is not None:
                try:
                    self._seat.configure(config)
                except BaseException:  # whatever it is, nothing can be played without a policy
                    self._report(None, None, f"the policy can't be built for this game:\n{traceback.format_exc()}")
                    return
            elif waiting is not None:
                try:
                    self._report(waiting[0], self._seat.answer(waiting[1]), None)
                except BaseException:
                    self._report(waiting[0], None, traceback.format_exc())


def log(line: str) -> None:
    """Print a line on stderr, which is the player's log."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
