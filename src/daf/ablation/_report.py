"""The result of an ablation, as data, text and JSON."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.playing.run import Played, PlayedRun
from daf.storage.atomic import write_json
from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class ComponentResult:
    """The effect of a change on the metric, overall (mission None) or on one mission.

    difference: changed minus unchanged, mean over missions; ci: 95 % by inverting the sign-flip test, None with too few
    blocks. p_adjusted: Holm over all components and missions. effect_size: d_z, None if nothing varies.
    more, less, same: number of blocks in which the change raised, lowered or kept the metric.
    verdict: raises, lowers, identical, undecided, or too few.
    """

    component: str
    mission: str | None
    unchanged: float
    changed: float
    difference: float
    ci: tuple[float, float] | None
    p: float
    p_adjusted: float
    effect_size: float | None
    n: int
    more: int
    less: int
    same: int
    verdict: str
    sentence: str


@dataclass(frozen=True)
class AblationReport(Played):
    """An ablation. overall: one row per component, over all missions, the largest loss first. by_mission: the rest.

    notes: caveats for the reader.
    """

    policy: str
    missions: tuple[str, ...]
    metric: str
    overall: tuple[ComponentResult, ...]
    by_mission: tuple[ComponentResult, ...]
    notes: tuple[str, ...]
    alpha: float
    run: PlayedRun

    def to_data(self) -> dict[str, Any]:
        """The report as JSON values, episodes included."""
        return {
            "run_id": self.run_id,
            "run_dir": str(self.run_dir),
            "status": self.status,
            "policy": self.policy,
            "missions": list(self.missions),
            "metric": self.metric,
            "overall": [asdict(row) for row in self.overall],
            "by_mission": [asdict(row) for row in self.by_mission],
            "notes": list(self.notes),
            "episodes": self.run.episodes_data(),
        }

    def save_json(self, path: str | Path) -> Path:
        """Write the report as JSON."""
        write_json(Path(path), jsonable(self.to_data()))
        return Path(path)

    def print_summary(self, console: "Console | None" = None) -> None:
        """Print one sentence per component; nothing without a console."""
        if console is None:
            return

        for row in self.overall:
            console.print(terminal_text(row.sentence))
        for note in self.notes:
            console.print(terminal_text(note))
