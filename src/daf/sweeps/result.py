"""The result of a sweep: its trials, the best of them, and the Pareto front. See `trial_result` for which is best."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from daf.errors import DataError, UsageError, unknown
from daf.storage.atomic import write_json
from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text
from daf.sweeps._pareto import pareto_front
from daf.sweeps.held_out_summary import held_out_finding
from daf.sweeps.reading import stored_result, stored_run
from daf.sweeps.trial_result import SweepTrialResult, Value, ranked

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SweepResult", "SweepTrialResult", "Value", "hyperparameter_names"]

DIRECTIONS = ("maximize", "minimize")


@dataclass
class SweepResult:
    """A sweep: its trials in the order of their numbers, and conclusions from them.

    objectives: names, the first is the primary one. directions: "maximize" or "minimize", one for each. Both also
    accept a single name; another direction raises `UsageError`. status: running, done, failed (every trial failed),
    interrupted. held_out: the best trials on seeds that selected none of them, compared with the default configuration;
    None until they are played. notes: for the reader.
    """

    name: str = "sweep"
    objectives: tuple[str, ...] = ("reward",)
    directions: tuple[str, ...] = ("maximize",)
    strategy: str = ""
    trials: list[SweepTrialResult] = field(default_factory=list)
    status: str = "running"
    run_id: str | None = None
    run_dir: Path | None = None
    planned: int | None = None
    held_out: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)
    best_n: int = 3
    """Number of best trials that keep their checkpoints (`checkpoint_best_n`)."""

    def __post_init__(self) -> None:
        objectives: Any = self.objectives
        directions: Any = self.directions
        self.objectives = (objectives,) if isinstance(objectives, str) else tuple(objectives)
        self.directions = (directions,) if isinstance(directions, str) else tuple(directions)
        if not self.objectives or not self.directions:
            raise UsageError("a sweep needs an objective and its direction.")
        for direction in self.directions:
            if direction not in DIRECTIONS:
                raise UsageError(unknown("direction", str(direction), DIRECTIONS))

    def add_trial(self, trial: SweepTrialResult) -> None:
        """Add a trial, replacing a running one of the same number. Raises `UsageError`."""
        for index in range(len(self.trials) - 1, -1, -1):
            there = self.trials[index]
            if there.trial_id < trial.trial_id:
                self.trials.insert(index + 1, trial)
                return
            if there.trial_id == trial.trial_id:
                if there.status != "running":
                    raise UsageError(f"trial {trial.trial_id} has a result already.")
                self.trials[index] = trial
                return
        self.trials.insert(0, trial)

    def finalize(self, status: str | None = None) -> Self:
        """End the sweep with `status`; by default failed if no trial has a result, else done."""
        if status is None:
            status = "done" if any(trial.success for trial in self.trials) else "failed"
        self.status = status
        return self

    @property
    def finished(self) -> list[SweepTrialResult]:
        """The complete trials; only these can be best."""
        return [trial for trial in self.trials if trial.success]

    @property
    def failed(self) -> list[SweepTrialResult]:
        return [trial for trial in self.trials if trial.status == "failed"]

    @property
    def infeasible(self) -> list[SweepTrialResult]:
        """The trials that violate a constraint."""
        return [trial for trial in self.trials if trial.status == "infeasible"]

    def get_best_trial(self) -> SweepTrialResult:
        """The complete trial with the best primary objective. Raises `DataError` if none is complete."""
        return self._complete()[0]

    def get_worst_trial(self) -> SweepTrialResult:
        """The complete trial with the worst primary objective. Raises `DataError` if none is complete."""
        return self._complete()[-1]

    def top_trials(self, n: int = 5) -> list[SweepTrialResult]:
        """Up to `n` complete trials with the best primary objective, best first."""
        if n < 0:
            raise UsageError(f"top_trials({n}): the number of trials must not be negative.")
        return self._ranked()[:n]

    def pareto_trials(self) -> list[SweepTrialResult]:
        """The complete trials on the Pareto front, by number."""
        complete = self.finished
        if not complete:
            return []
        keep = pareto_front([trial.values for trial in complete], self.directions)
        return [trial for trial, kept in zip(complete, keep, strict=True) if kept]

    def to_data(self) -> dict[str, Any]:
        """The sweep as JSON data."""
        best = self._ranked()
        return {
            "format": "daf-sweep-1",
            "name": self.name,
            "run_id": self.run_id,
            "run_dir": None if self.run_dir is None else str(self.run_dir),
            "status": self.status,
            "strategy": self.strategy,
            "objectives": list(self.objectives),
            "directions": list(self.directions),
            "planned": self.planned,
            "best_n": self.best_n,
            "counts": self.counts(),
            "step_limits": self.step_limits(),
            "best": best[0].to_data() if best else None,
            "pareto": [trial.trial_id for trial in self.pareto_trials()] if len(self.objectives) > 1 else None,
            "held_out": jsonable(self.held_out),
            "notes": list(self.notes),
            "trials": [trial.to_data() for trial in self.trials],
        }

    @property
    def report(self) -> Path | None:
        """The report in the run directory, if there is one."""
        from daf.render.pages.files import SWEEP

        path = None if self.run_dir is None else self.run_dir / SWEEP
        return path if path is not None and path.is_file() else None

    def counts(self) -> dict[str, int]:
        """Trials by status."""
        found = dict.fromkeys(("complete", "infeasible", "stopped", "failed", "running"), 0)
        for trial in self.trials:
            found[trial.status] += 1
        return found

    def step_limits(self) -> dict[str, list[int]]:
        """The step limits of each mission's episodes, ascending; several if the sweep searched them."""
        found: dict[str, set[int]] = {}
        for trial in self.trials:
            for mission, entry in trial.mission_results.items():
                if "max_steps" in entry:
                    found.setdefault(mission, set()).add(int(entry["max_steps"]))
        return {mission: sorted(limits) for mission, limits in found.items()}

    def step_limits_text(self) -> str:
        """The step limits as a sentence; empty if no trial has been evaluated."""
        limits = self.step_limits()
        if not limits:
            return ""
        texts = {mission: _listed(numbers) for mission, numbers in limits.items()}
        if len(set(texts.values())) == 1:
            return f"Episodes had at most {next(iter(texts.values()))} steps."
        return f"Episodes had at most {', '.join(f'{text} steps on {mission}' for mission, text in texts.items())}."

    def save_json(self, path: str | Path) -> Path:
        """Write the sweep as JSON, atomically. Raises `StorageError`."""
        target = Path(path)
        write_json(target, self.to_data())
        return target

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Load a sweep from a file written by `save_json` or from a run directory. Raises `DataError`."""
        source = Path(path)
        return cls(**(stored_run(source) if source.is_dir() else stored_result(source)))

    @classmethod
    def from_result(cls, other: "SweepResult") -> Self:
        """Convert to this class."""
        return cls(**{item.name: getattr(other, item.name) for item in fields(other)})

    def print_summary(self, console: "Console | None" = None) -> None:
        """Print counts and the best trials; nothing without a console."""
        if console is None:
            return
        from rich.table import Table

        counts = self.counts()
        by_status = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        table = Table(title=terminal_text(f"{self.name}: {by_status or 'no trials'}"), title_justify="left")
        table.add_column("trial", justify="right")
        for objective in self.objectives:
            table.add_column(terminal_text(objective), justify="right")
        table.add_column("hyperparameters")
        for trial in self.top_trials(5):
            shown = ", ".join(f"{name}={_short(value)}" for name, value in trial.hyperparameters.items())
            table.add_row(str(trial.trial_id), *(f"{value:.4g}" for value in trial.values), terminal_text(shown))
        console.print(table)
        if finding := held_out_finding(self.held_out or {}):
            console.print(terminal_text(finding))
        for note in self.notes:
            console.print(terminal_text(note))

    def _ranked(self) -> list[SweepTrialResult]:
        return ranked(self.trials, self.directions[0])

    def _complete(self) -> list[SweepTrialResult]:
        """The complete trials, best first."""
        complete = self._ranked()
        if not complete:
            ended = [*self.failed, *self.infeasible]
            reasons = sorted({trial.reason for trial in ended if trial.reason})
            why = f" The first reason: {reasons[0]}" if reasons else ""
            raise DataError(f"no trial of {self.name} is complete, so none is best.{why}")
        return complete


def _listed(limits: Sequence[int]) -> str:
    """1 · 1 or 2 · 1 to 900 (30 limits)"""
    if len(limits) > 4:
        return f"{limits[0]:,} to {limits[-1]:,} ({len(limits)} limits)"
    return " or ".join(f"{limit:,}" for limit in limits)


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def hyperparameter_names(trials: Sequence[SweepTrialResult]) -> list[str]:
    """Every hyperparameter that any of the trials has, in the order in which they first appear."""
    return list(dict.fromkeys(name for trial in trials for name in trial.hyperparameters))
