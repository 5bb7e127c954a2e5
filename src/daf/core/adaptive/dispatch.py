"""Where jobs run: the interface, behind which local processes stand now, and a cluster may later.

A job is a command with a folder of its own, and the folder is all that a dispatcher needs to find it again: nothing
about a job lives in the controller's memory only. The promises, which one conformance suite checks:

- `launch` of a job happens at most once, whoever calls it how often; after `forget` returned True, never.
- `look` tells running, ended (with the exit code), gone (it died without a word) and absent (never seen to start).
- `interrupt` asks a job to save and end; `kill` ends all of its processes, and only those.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Sighting = Literal["absent", "running", "ended", "gone"]


@dataclass(frozen=True)
class Job:
    """One command. folder: its own, made by `launch`. signs: files and folders whose change shows that it works."""

    name: str
    argv: tuple[str, ...]
    folder: Path
    signs: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True)
class Look:
    """What is seen of a job. last_sign: when it last showed that it works (seconds since 1970)."""

    state: Sighting
    exit_code: int | None = None
    last_sign: float | None = None
    pid: int | None = None


class Dispatcher(Protocol):
    """Starts jobs, looks after them, ends them."""

    def launch(self, job: Job) -> None:
        """Start `job`. Raises `AdaptiveControllerError` where that is impossible."""

    def look(self, job: Job) -> Look:
        """What is seen of `job` now, also of one that an earlier controller launched."""

    def forget(self, job: Job) -> bool:
        """Give up a job that is absent: True where it can never start any more, False where it has."""

    def interrupt(self, job: Job) -> None:
        """Ask it to save and end (SIGINT); nothing where it has ended."""

    def kill(self, job: Job) -> None:
        """End all of its processes at once."""

    def wait(self, jobs: Sequence[Job], seconds: float) -> None:
        """Return after `seconds`, or sooner when one of the running `jobs` ends."""
