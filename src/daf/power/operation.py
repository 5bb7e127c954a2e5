"""`daf power`: how many episodes are needed to find a difference, per mission and over all, and how long they take.

The spread of the paired differences comes from a pilot, whose episodes are cached like any others and count when the
comparison is played, or is given. Numbers hold for the family of comparisons that `daf compare` would test: every pair,
over all missions and on each.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from daf.compute.executor import make_executor
from daf.episodes.plan import Plan
from daf.episodes.record import EpisodeRecord
from daf.errors import UsageError
from daf.evaluation import Evaluation, Settings, evaluate, results_data
from daf.output_manager.publication import adding_to
from daf.power._page import power_page
from daf.power._rows import CurvePoint, PowerRow
from daf.stats.arrays import differences
from daf.stats.power import Needed, deviation_of, needed, runs_needed
from daf.stats.sentences import counted
from daf.stats.spending import LOOKS, Spending
from daf.storage.atomic import write_json, write_text
from daf.storage.jsonable import jsonable
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console

    from daf.output_manager import OutputManager

CURVE_POINTS = 25
CURVE_REACH = 4.0
"""The curve runs from the stated difference divided by this to the difference times this."""
FEW_BLOCKS = 40
PILOT_EPISODES = 20


@dataclass(frozen=True)
class PowerReport:
    """rows: over all missions first, then by mission, for each pair. curve: needed blocks by difference, of the first
    row. runs: with `seeds`, the training runs of each setting. evaluation: the pilot, None with given moments.
    """

    difference: float
    power: float
    alpha: float
    rows: tuple[PowerRow, ...]
    curve: tuple[CurvePoint, ...]
    notes: tuple[str, ...]
    run_id: str
    run_dir: Path
    page: Path
    runs: int | None = None
    seeds: bool = False
    evaluation: Evaluation | None = field(default=None, repr=False)

    @property
    def status(self) -> str:
        """ok, or failed if an episode of the pilot failed."""
        return "ok" if self.evaluation is None else self.evaluation.status

    def to_data(self) -> dict[str, Any]:
        """The content of power.json, and of `--json` together with the pilot's episodes."""
        return {
            "difference": self.difference,
            "power": self.power,
            "alpha": self.alpha,
            "needed": [row.to_data() for row in self.rows],
            "curve": [asdict(point) for point in self.curve],
            "seeds": self.seeds,
            "training_runs": self.runs,
            "notes": list(self.notes),
            "page": str(self.page),
        }

    def json_data(self) -> dict[str, Any]:
        """What `--json` prints."""
        head: dict[str, Any] = {"run_id": self.run_id, "run_dir": str(self.run_dir), "status": self.status}
        if self.evaluation is not None:
            head = results_data(self.evaluation)
        return head | self.to_data()

    def print_summary(self, console: "Console | None" = None) -> None:
        """Print a line for each row, and the notes; nothing without a console."""
        if console is None:
            return
        for row in self.rows:
            console.print(terminal_text(row.sentence), soft_wrap=True)
        if self.seeds:
            count = "more than can be computed" if self.runs is None else f"{self.runs:,}"
            console.print(f"Training runs of each setting: {count}.")
        for note in self.notes:
            console.print(terminal_text(note), soft_wrap=True)


def daf_power(
    policies: Sequence[Any] = (),
    missions: Any = (),
    *,
    difference: float,
    power: float = 0.9,
    deviation: float | None = None,
    seeds: bool = False,
    looks: int = LOOKS,
    spending: Spending = "hwang-shih-decani",
    teams: Sequence[str | Mapping[str, float]] = (),
    settings: Settings | None = None,
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
    on_plan: Callable[[Plan], None] | None = None,
    on_record: Callable[[EpisodeRecord], None] | None = None,
) -> PowerReport:
    """How many episodes are needed to find a `difference` in reward per agent with probability `power`.

    policies, missions: a pilot of `settings.episodes` blocks is played (20 by default; cached episodes count), and
    shows spread and speed. deviation: the standard deviation of the paired differences instead; then nothing is played.
    seeds: the policies are training runs of one setting; how many runs of each of two settings are needed, from the
    spread between them (or `deviation`). looks, spending: of the group-sequential comparison.

    Leaves power.json and power.html in a run directory. Raises `UsageError` for values out of bounds, and `DataError`
    where the pilot shows no spread.
    """
    from daf.output_manager import OutputManager

    chosen = settings or Settings(episodes=PILOT_EPISODES, report=False)
    needed(difference, 1.0 if deviation is None else deviation, alpha=chosen.alpha, power=power)  # before playing
    if looks < 1:
        raise UsageError(f"--looks must be at least 1, got {looks}.")
    where = output_manager or OutputManager()
    aim = _Aim(difference, power, chosen.alpha, looks, spending)
    if deviation is not None:
        if policies or missions or teams:
            raise UsageError(
                "--deviation replaces the pilot; leave out policies and missions, or leave out --deviation."
            )
        rows = [] if seeds else [_row("One pair", "with the given spread", aim, [deviation], aim.alpha, None, 2)]
        runs = runs_needed(difference, deviation, alpha=aim.alpha, power=power) if seeds else None
        config = {"difference": difference, "deviation": deviation, "power": power}
        with where.operation("comparisons", title=f"power for a difference of {difference:g}", config=config) as folder:
            return _finish(aim, rows, [], folder, console, seeds=seeds, runs=runs)
    if len(policies) + len(teams) < 2:
        raise UsageError("a pilot needs at least two policies: -p A -p B. Or give the spread with --deviation.")
    pilot = evaluate(
        policies, missions, teams=teams, settings=chosen, output=where, operation="comparisons",
        title=f"power for a difference of {difference:g}", on_plan=on_plan, on_record=on_record,
        rerun=None,  # the analysis adds files to the run directory
    )  # fmt: skip
    scores = pilot.analysis.scores
    notes = [note for note in pilot.analysis.notes if not note.startswith("To show ")]
    if seeds:
        spread = _between_runs(scores.scores, scores.strata)
        runs = runs_needed(difference, spread, alpha=aim.alpha, power=power)
        notes.append(
            f"The standard deviation between {counted(len(scores.names), 'training run')} is {spread:.3g}; it includes "
            "what their episodes vary."
        )
        return _finish(aim, [], notes, pilot.run_dir, console, seeds=True, runs=runs, pilot=pilot)
    rows = _rows(pilot, aim)
    smallest = int(np.bincount(scores.strata).min())
    notes.append(_spread_note(smallest))
    return _finish(aim, rows, notes, pilot.run_dir, console, pilot=pilot)


@dataclass(frozen=True)
class _Aim:
    difference: float
    power: float
    alpha: float
    looks: int
    spending: Spending


def _rows(pilot: Evaluation, aim: _Aim) -> list[PowerRow]:
    """Every pair over all missions, then on each, with the part of alpha that `daf compare` would give it."""
    scores = pilot.analysis.scores
    pairs = list(combinations(range(len(scores.names)), 2))
    missions = list(range(len(scores.missions)))
    several = len(missions) > 1
    seconds = _seconds(pilot)
    found = []
    for scope in [None, *missions] if several else [0]:
        share = 1.0 if not several else 0.5 if scope is None else 0.5 / len(missions)
        there = missions if scope is None else [scope]
        where = f"over {len(missions)} missions" if scope is None else f"on {scores.missions[scope]}"
        speed = sum(seconds[scores.missions[mission]] for mission in there) if seconds else None
        for a, b in pairs:
            apart = differences(scores.scores[a], scores.scores[b])
            spreads = [deviation_of([apart[scores.strata == mission]]) for mission in there]
            who = f"{scores.names[a]} and {scores.names[b]}"
            level = aim.alpha * share / len(pairs)
            found.append(_row(who, where, aim, spreads, level, speed, len(scores.names)))
    return found


def _row(
    who: str, where: str, aim: _Aim, spreads: Sequence[float], level: float, seconds: float | None, policies: int
) -> PowerRow:
    deviation = math.sqrt(sum(spread**2 for spread in spreads)) / len(spreads)
    found = _needed(aim, aim.difference, deviation, level, len(spreads))
    return PowerRow(who, where, aim.difference, deviation, found, len(spreads), policies, seconds)


def _needed(aim: _Aim, difference: float, deviation: float, level: float, missions: int) -> Needed:
    return needed(
        difference, deviation, alpha=level, power=aim.power, missions=missions, looks=aim.looks, spending=aim.spending
    )


def _seconds(pilot: Evaluation) -> dict[str, float]:
    """Seconds of one block of all policies on each mission, with the processes that the pilot had."""
    settings = pilot.settings
    workers = make_executor(settings.executor, jobs=settings.jobs, cluster=settings.cluster).jobs
    found: dict[str, list[float]] = {}
    for record in pilot.result.records:
        measured = record.measurement
        if record.ok and measured is not None:
            found.setdefault(record.spec.mission, []).append(measured.set_up_seconds + measured.play_seconds)
    contenders = len(pilot.result.plan.contenders)
    return {mission: float(np.mean(each)) * contenders / workers for mission, each in found.items()}


def _between_runs(scores: np.ndarray, strata: np.ndarray) -> float:
    """The standard deviation of the policies' means over missions."""
    if len(scores) < 2:
        raise UsageError("--seeds needs at least two training runs that finished an episode.")
    means = [np.mean([row[strata == mission].mean() for mission in np.unique(strata)]) for row in scores]
    spread = float(np.std(means, ddof=1))
    if spread == 0.0:
        raise UsageError("all training runs have the same mean, so they show no spread to plan with.")
    return spread


def _spread_note(blocks: int) -> str:
    """How far the needed number may be off because the pilot knows the spread only roughly."""
    from scipy.special import chdtri

    freedom = blocks - 1
    low, high = (float(freedom / chdtri(freedom, tail)) for tail in (0.1, 0.9))
    return (
        f"A pilot of {counted(blocks, 'block')} knows the spread only roughly: the needed numbers may be off by "
        f"factors of {low:.2f} to {high:.2f} (80 % interval, normal differences)."
    )


def _finish(
    aim: _Aim,
    rows: Sequence[PowerRow],
    notes: Sequence[str],
    folder: Path,
    console: "Console | None",
    *,
    seeds: bool = False,
    runs: int | None = None,
    pilot: Evaluation | None = None,
) -> PowerReport:
    curve = []
    if rows:
        first = rows[0]
        for factor in np.geomspace(1 / CURVE_REACH, CURVE_REACH, CURVE_POINTS):
            found = _needed(aim, aim.difference * factor, first.deviation, first.needed.alpha, first.missions)
            curve.append(CurvePoint(float(aim.difference * factor), found.fixed, found.most, found.expected))
    all_notes = list(notes)
    if any(row.needed.fixed is not None and row.needed.fixed < FEW_BLOCKS for row in rows):
        all_notes.append(
            f"With fewer than {FEW_BLOCKS} blocks, few p values are possible, and looks save less than stated here."
        )
    report = PowerReport(
        difference=aim.difference,
        power=aim.power,
        alpha=aim.alpha,
        rows=tuple(rows),
        curve=tuple(curve),
        notes=tuple(all_notes),
        run_id=folder.name if pilot is None else pilot.run_id,
        run_dir=folder,
        page=folder / "power.html",
        runs=runs,
        seeds=seeds,
        evaluation=pilot,
    )
    with adding_to(folder):
        write_json(folder / "power.json", jsonable(report.to_data()))
        write_text(
            report.page,
            power_page(
                f"Power for a difference of {aim.difference:g}",
                f"Run {report.run_id}",
                report.rows,
                report.curve,
                report.notes,
                seeds=seeds,
                runs=runs,
            ),
        )
    report.print_summary(console)
    return report
