"""`trials.jsonl`: the authoritative record of a sweep. All other files in its directory can be derived from it.

One line per event, written before the next step:

    {"event": "proposed", "trial": 12, "hyperparameters": {…}, "source": "tpe", "state": {…}}
    {"event": "rung", "trial": 12, "goal": 50000, "result": {…}}     evaluated at a rung; training continued
    {"event": "finished", "trial": 12, "result": {…}}
    {"event": "default", "result": {…}}               the configuration without the sweep's changes
    {"event": "seed_run", "run": {…}}                 a best configuration, trained with another seed
    {"event": "held_out", "record": {…}}              the best on new seeds

A trial that is proposed but not finished was running when the file ended. A torn last line is ignored, and the next
writer truncates it. Any number of processes may read while one writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daf.storage import journal
from daf.storage.jsonable import jsonable
from daf.sweeps.files import EVENTS
from daf.sweeps.trial_result import SweepTrialResult

FILE = "trials.jsonl"


@dataclass(frozen=True)
class Proposal:
    """The proposed hyperparameters of a trial. state: what the strategy needs again after a restart, as JSON data."""

    number: int
    hyperparameters: Mapping[str, Any]
    source: str
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class SweepHistory:
    """The content of a journal. proposals and results by trial number; rungs by trial number and agent steps;
    seed_runs by trial number and training seed.
    """

    proposals: dict[int, Proposal] = field(default_factory=dict)
    results: dict[int, SweepTrialResult] = field(default_factory=dict)
    rungs: dict[int, dict[int, SweepTrialResult]] = field(default_factory=dict)
    seed_runs: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    default: SweepTrialResult | None = None
    held_out: dict[str, Any] | None = None

    def trials(self) -> list[SweepTrialResult]:
        """Every proposed trial by number; those without a result are running."""
        return [
            self.results.get(number)
            or SweepTrialResult(number, dict(proposal.hyperparameters), source=proposal.source, status="running")
            for number, proposal in sorted(self.proposals.items())
        ]


def read(run_dir: str | Path) -> SweepHistory:
    """Read the journal in a sweep's directory; empty if there is none yet.

    Raises `DamagedFileError` for a line that is not an event, `StorageError`.
    """
    return journal.fold(Path(run_dir) / FILE, EVENTS, SweepHistory(), _after)


def proposed(run_dir: Path, proposal: Proposal) -> None:
    """Append a proposal. A power failure may lose it; it is then made again, with the same content."""
    journal.append(
        run_dir / FILE,
        {
            "event": "proposed",
            "trial": proposal.number,
            "hyperparameters": jsonable(proposal.hyperparameters),
            "source": proposal.source,
            "state": jsonable(proposal.state),
        },
        sync=False,
    )


def rung(run_dir: Path, goal: int, there: SweepTrialResult) -> None:
    """Append the score at the rung of `goal` agent steps of a trial that continues."""
    data = there.to_data()
    journal.append(run_dir / FILE, {"event": "rung", "trial": there.trial_id, "goal": goal, "result": data})


def finished(run_dir: Path, result: SweepTrialResult) -> None:
    """Append a trial's result."""
    data = result.to_data()
    journal.append(run_dir / FILE, {"event": "finished", "trial": result.trial_id, "result": data})


def default(run_dir: Path, result: SweepTrialResult) -> None:
    """Append the result of the default configuration."""
    journal.append(run_dir / FILE, {"event": "default", "result": result.to_data()})


def seed_run(run_dir: Path, run: Mapping[str, Any]) -> None:
    """Append a training run of one of the best configurations with another seed."""
    journal.append(run_dir / FILE, {"event": "seed_run", "run": jsonable(run)})


def held_out(run_dir: Path, record: Mapping[str, Any]) -> None:
    """Append the results of the best trials on held-out seeds."""
    journal.append(run_dir / FILE, {"event": "held_out", "record": jsonable(record)})


def _after(found: SweepHistory, event: Mapping[str, Any]) -> SweepHistory:
    """`found` with one more event."""
    match event["event"]:
        case "proposed":
            number = event["trial"]
            found.proposals[number] = Proposal(number, event["hyperparameters"], event["source"], event["state"])
        case "finished":
            result = SweepTrialResult.from_data(event["result"])
            if event["trial"] not in found.proposals:
                raise ValueError(f"trial {event['trial']} finished before it was proposed")
            found.results.setdefault(event["trial"], result)
        case "rung":
            there = SweepTrialResult.from_data(event["result"])
            found.rungs.setdefault(event["trial"], {}).setdefault(event["goal"], there)
        case "default":
            found.default = SweepTrialResult.from_data(event["result"])
        case "seed_run":
            run = event["run"]
            found.seed_runs[run["trial"], run["train_seed"]] = run
        case "held_out":
            found.held_out = event["record"]
    return found
