"""An adaptive experiment's journal: three runs, one of which breaks for good and one begins from another's."""

from pathlib import Path
from typing import Any

from daf.output_manager import OutputManager
from daf.storage import journal


def experiment(
    base: Path, *, name: str = "lr-search", setting: str = "learning_rate", error: str = "out of memory"
) -> Path:
    """Write it, and return the run folder."""
    output = OutputManager(base, monitor_system_stats=False)
    folder = output.log_operation_start("training", title=name, config={"experiment_id": name})

    def event(kind: str, **values: Any) -> None:
        journal.append(folder / "experiment.jsonl", {"event": kind, "time": 1_795_000_000.0, **values})

    def score(mean: float) -> dict[str, float | int]:
        return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "iqm": mean, "n": 20}

    event("created", format="daf-adaptive-1", experiment_id=name, config={"scheduler": "pbt"})
    for run, (rate, mean, parent) in {"r0": (0.1, 0.5, None), "r1": (0.01, 0.9, ["r0", 500])}.items():
        event("planned", run=run, settings={setting: rate}, target=500, why="start", parent=parent)
        event("launching", run=run, job=f"{run}-1")
        event("trained", run=run, steps=512, checkpoint="x", metrics={})
        event("launching", run=run, job=f"{run}-2")
        event("evaluated", run=run, score=score(mean / 2))
        event("extended", run=run, target=1000, why="goes on")
        event("launching", run=run, job=f"{run}-3")
        event("trained", run=run, steps=1024, checkpoint="x", metrics={})
        event("launching", run=run, job=f"{run}-4")
        event("evaluated", run=run, score=score(mean))
    event("planned", run="r2", settings={setting: 10.0}, target=500, why="start", parent=None)
    event("launching", run="r2", job="r2-1")
    event("broke", run="r2", next="failed", retry_at=None, counts=1, error=f"{error}\nTraceback")
    event("finished", status="done", reason=None)
    output.log_operation_complete("training")
    return folder
