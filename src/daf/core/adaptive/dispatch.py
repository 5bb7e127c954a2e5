"""Where jobs run: the interface that local processes implement, and a cluster may implement later.

A job is a command with a separate directory, and a dispatcher needs only that directory to find it again: no state of a
job lives in the controller's memory only. The guarantees, which one conformance suite checks:

- `launch` starts a job at most once, no matter who calls it and how often; after `forget` returned True, never.
- `look` reports running, ended (with the exit code), gone (died without an exit code) or absent (not seen to start).
- `interrupt` asks a job to save and end; `kill` ends all of its processes, and only those.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Sighting = Literal["absent", "running", "ended", "gone"]


@dataclass(frozen=True)
class Job:
    """One command. folder: private to it, created by `launch`. signs: paths whose changes show that it is alive."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    signs: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True)
class Look:
    """The observed state of a job. last_sign: its last heartbeat (seconds since 1970)."""

    state: Sighting
    exit_code: int | None = None
    last_sign: float | None = None
    pid: int | None = None


class Dispatcher(Protocol):
    """Starts, monitors and ends jobs."""

    def launch(self, job: Job) -> None:
        """Start `job`. Raises `AdaptiveControllerError` if that is impossible."""

    def look(self, job: Job) -> Look:
        """The current state of `job`, even if an earlier controller launched it."""

    def forget(self, job: Job) -> bool:
        """Give up an absent job: True if it can never start any more, False if it has started."""

    def interrupt(self, job: Job) -> None:
        """Ask it to save and end (SIGINT); does nothing if it has ended."""

    def kill(self, job: Job) -> None:
        """End all of its processes immediately."""

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """Return after `seconds`, or sooner when one of the running `jobs` ends."""
