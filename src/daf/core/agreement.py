"""How often a student does what its teacher does, in the states that the student reaches by itself.

`agreement.json` in a run's directory: the share of states in which the student's most probable action is the teacher's,
over all, and by action, agent and role. An agent's role is the gear that it carries. Reading needs no torch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from daf.storage import atomic
from daf.storage.reading import read_object

FILE = "agreement.json"


@dataclass(frozen=True, slots=True)
class Share:
    """states: the labelled ones. agreement: the share of them in which the student does what the teacher does."""

    name: str
    states: int
    agreement: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """teacher: its name. episodes: that were played. looping: the share of windows in which a student loops; None if
    none lies in one episode. actions: by the teacher's action. agents, roles: by agent, and by gear. Parts without a
    labelled state are left out. new_views: the states whose view the agent has for the first time in the episode
    (`daf.game._views`); None in files of earlier versions.
    """

    teacher: str
    episodes: int
    states: int
    agreement: float
    looping: float | None
    actions: tuple[Share, ...]
    agents: tuple[Share, ...]
    roles: tuple[Share, ...]
    new_views: Share | None = None

    def to_data(self) -> dict[str, Any]:
        """JSON values, as in the file."""
        return asdict(self)


class _Share(TypedDict):
    name: str
    states: int
    agreement: float


class _Agreement(TypedDict):
    teacher: str
    episodes: int
    states: int
    agreement: float
    looping: float | None
    actions: list[_Share]
    agents: list[_Share]
    roles: list[_Share]
    new_views: NotRequired[_Share | None]


def write_agreement(run_dir: Path, agreement: Agreement) -> None:
    """Store it in the directory of a run. Raises `StorageError`."""
    atomic.write_json(run_dir / FILE, agreement.to_data())


def read_agreement(run_dir: Path) -> Agreement | None:
    """The agreement of the run in `run_dir`; None if it was not measured. Raises `DamagedFileError`, `StorageError`."""
    found = read_object(run_dir / FILE, _Agreement)
    if found is None:
        return None
    parts = {name: tuple(_share(row) for row in found[name]) for name in ("actions", "agents", "roles")}
    new = found.get("new_views")
    return Agreement(
        found["teacher"], found["episodes"], found["states"], found["agreement"], found["looping"], **parts,
        new_views=None if new is None else _share(new),
    )  # fmt: skip


def _share(row: _Share) -> Share:
    return Share(row["name"], row["states"], row["agreement"])
