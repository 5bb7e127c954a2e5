"""The state of an experiment: a fold over its journal.

Every event that changes something is one line of `experiment.jsonl`; `after` computes the resulting state, and no state
is kept anywhere else. The states of a run:

    pending → training → trained → evaluating → done        (→ pending again, if the scheduler extends the run)
                 ↘ pending      ↗        ↘ trained         an attempt failed, and there will be another
                 ↘ stale  (no heartbeat) → training …      likewise
                 ↘ failed, or stale for good               no attempt is left

An event that does not fit the current state is a `ValueError`: another program or a newer DAF changed the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from daf.config.training import Scalar
from daf.core.adaptive.schedulers.interface import Known

RunStatus = Literal["pending", "training", "trained", "evaluating", "done", "failed", "stale"]
Phase = Literal["train", "evaluate"]
Status = Literal["running", "stopped", "done", "failed"]
FORMAT = "daf-adaptive-1"


@dataclass(frozen=True)
class Score:
    """One evaluation: mean return per agent with its 95 % interval, over n episodes.

    steps: the target that was reached, under which a scheduler finds it. trained, checkpoint: the agent steps and the
    checkpoint (relative to the experiment's directory) that were scored; the run itself may have trained further.
    """

    steps: int
    mean: float
    low: float | None
    high: float | None
    iqm: float | None
    n: int
    trained: int
    checkpoint: str | None


@dataclass(frozen=True)
class Run:
    """One run. steps: committed training steps so far. target: where it stops next. failures: in the current phase.

    job: the current job, or the last. retry_at: time (seconds since 1970) before which it is not retried; None in a
    final state. checkpoint: the one at `steps`, relative to the experiment's directory.
    """

    name: str
    settings: Mapping[str, Scalar]
    target: int
    why: str
    parent: tuple[str, int] | None = None
    status: RunStatus = "pending"
    steps: int = 0
    checkpoint: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    job: str | None = None
    launches: int = 0
    failures: int = 0
    retry_at: float | None = None
    error: str | None = None

    @property
    def phase(self) -> Phase:
        """The next or current phase of the run."""
        return "train" if self.steps < self.target else "evaluate"

    @property
    def active(self) -> bool:
        """Whether one of its jobs is in progress."""
        return self.status in ("training", "evaluating")

    @property
    def over(self) -> bool:
        """Whether nothing is left to do for it, up to its current target."""
        return self.status in ("done", "failed") or (self.status == "stale" and self.retry_at is None)

    @property
    def score(self) -> Score | None:
        """The last evaluation."""
        return self.scores[-1] if self.scores else None

    @property
    def known(self) -> Known:
        """The information about it that a scheduler may use."""
        return Known({score.steps: score.mean for score in self.scores}, self.over and self.status != "done")


@dataclass(frozen=True)
class Experiment:
    """An experiment. milestones: ids of the events that trigger hooks, in order; hooks: the outcome of each call."""

    experiment_id: str
    config: Mapping[str, Any]
    created: float
    status: Status = "running"
    runs: Mapping[str, Run] = field(default_factory=dict)
    milestones: tuple[str, ...] = ()
    hooks: Mapping[str, str] = field(default_factory=dict)
    adjustments: tuple[Mapping[str, Any], ...] = ()
    sessions: int = 1
    reason: str | None = None

    def known(self) -> dict[str, Known]:
        """The information that a scheduler may use."""
        return {name: run.known for name, run in self.runs.items()}

    def ranked(self) -> list[Run]:
        """Runs that were evaluated, those trained longest first, then by score, best first."""
        scored = [run for run in self.runs.values() if run.score is not None]
        return sorted(scored, key=lambda run: (-run.scores[-1].steps, -run.scores[-1].mean, run.name))

    @property
    def best(self) -> Run | None:
        """The best of the runs that trained longest."""
        ranked = self.ranked()
        return ranked[0] if ranked else None


def after(experiment: Experiment | None, event: Mapping[str, Any]) -> Experiment:
    """`experiment` with one more event, which has the type in `EVENTS`. Raises `ValueError` if it does not fit."""
    kind = event["event"]
    if kind == "created":
        if experiment is not None or event["format"] != FORMAT:
            raise ValueError(f"a second first event, or not of the format {FORMAT}")
        return Experiment(event["experiment_id"], event["config"], event["time"])
    if experiment is None:
        raise ValueError(f'"{kind}" before the event "created"')
    if kind in _RUN_EVENTS:
        return _with_run(experiment, _RUN_EVENTS[kind](experiment.runs.get(event["run"]), event), event)
    if kind == "resumed":
        return replace(
            experiment, status="running", reason=None, sessions=experiment.sessions + 1, config=event["config"]
        )
    if kind == "stopped":
        return replace(experiment, status="stopped", reason=event["reason"])
    if kind == "finished":
        before = sum(milestone.startswith("experiment_complete:") for milestone in experiment.milestones)
        milestones = (*experiment.milestones, f"experiment_complete:{before + 1}")
        return replace(experiment, status=event["status"], reason=event["reason"], milestones=milestones)
    if kind == "hook":
        return replace(experiment, hooks={**experiment.hooks, event["id"]: event["state"]})
    if kind == "adjusted":
        return replace(experiment, adjustments=(*experiment.adjustments, dict(event)))
    return experiment  # "noted" is for readers of the journal


def _with_run(experiment: Experiment, run: Run, event: Mapping[str, Any]) -> Experiment:
    milestones = experiment.milestones
    if event["event"] in ("trained", "evaluated"):
        name = "training_complete" if event["event"] == "trained" else "evaluation_complete"
        milestone = f"{name}:{run.name}:{run.steps}"
        if milestone in milestones:  # scored again without training, as older versions of DAF could
            milestone += f":{run.target}"
        milestones = (*milestones, milestone)
    return replace(experiment, runs={**experiment.runs, run.name: run}, milestones=milestones)


def _planned(run: Run | None, event: Mapping[str, Any]) -> Run:
    if run is not None:
        raise ValueError(f"{run.name} is planned twice")
    parent = event["parent"]
    return Run(
        event["run"],
        event["settings"],
        event["target"],
        event["why"],
        None if parent is None else (parent[0], parent[1]),
    )


def _extended(run: Run | None, event: Mapping[str, Any]) -> Run:
    current = _in(run, "done")
    if event["target"] <= current.target:
        raise ValueError(f"{current.name} is extended from {current.target} to {event['target']} steps")
    return replace(current, status="pending", target=event["target"], why=event["why"], failures=0)


def _launching(run: Run | None, event: Mapping[str, Any]) -> Run:
    current = _in(run, "pending", "trained", "stale")
    status: RunStatus = "training" if current.phase == "train" else "evaluating"
    return replace(current, status=status, job=event["job"], launches=current.launches + 1, retry_at=None)


def _trained(run: Run | None, event: Mapping[str, Any]) -> Run:
    current = _in(run, "training")
    return replace(
        current, status="trained", steps=event["steps"], checkpoint=event["checkpoint"], metrics=event["metrics"],
        failures=0, error=None,
    )  # fmt: skip


def _evaluated(run: Run | None, event: Mapping[str, Any]) -> Run:
    current = _in(run, "evaluating")
    # At its target, so that a schedule finds the score: an update may exceed the target by some steps.
    score = Score(steps=current.target, **event["score"], trained=current.steps, checkpoint=current.checkpoint)
    return replace(
        current,
        status="done",
        scores=(*current.scores, score),
        failures=0,
        error=None,
    )


def _broke(run: Run | None, event: Mapping[str, Any]) -> Run:
    current = _in(run, "training", "evaluating", "pending", "trained")
    before: RunStatus = "pending" if current.phase == "train" else "trained"
    status: RunStatus = {"retry": before, "stale": "stale", "failed": "failed"}[event["next"]]
    return replace(
        current,
        status=status,
        retry_at=event["retry_at"],
        failures=current.failures + event["counts"],
        error=event["error"],
    )


def _revived(run: Run | None, event: Mapping[str, Any]) -> Run:
    current = _in(run, "failed", "stale")
    return replace(current, status="pending" if current.phase == "train" else "trained", failures=0, retry_at=None)


def _in(run: Run | None, *allowed: RunStatus) -> Run:
    if run is None:
        raise ValueError("a run that was never planned")
    if run.status not in allowed:
        raise ValueError(f"{run.name} is {run.status}, not {' or '.join(allowed)}")
    return run


_RUN_EVENTS = {
    "planned": _planned,
    "extended": _extended,
    "launching": _launching,
    "trained": _trained,
    "evaluated": _evaluated,
    "broke": _broke,
    "revived": _revived,
}
