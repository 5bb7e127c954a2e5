"""The interface of trackers, which receive the metrics of one training run.

A tracker is started once, receives every update's metrics and every evaluation in the order of their agent steps, and
is closed. Its contents belong to agent steps 0 to the last: started with `resumed_at=N` it contains nothing later than
step N when `start` returns, or, if it cannot remove what was sent (a service), it does not send a step twice; a resumed
run repeats those steps exactly. Started with `resumed_at=None` it is empty.

Every implementation runs the suite in tests/core/test_tracking.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Number = int | float


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """Facts about the run. config: plain values, as used by the run."""

    run_id: str
    mission: str
    policy: str
    seed: int
    total_timesteps: int
    config: Mapping[str, Any] = field(default_factory=dict)


class Tracker(Protocol):
    """See the module. values: finite numbers by flat names (`loss/policy`); step: agent steps so far."""

    name: str

    def start(self, run: TrackedRun, resumed_at: int | None) -> None:
        """Start, or continue after step `resumed_at`. Raises `DAFError` if that is impossible."""
        ...

    def log(self, step: int, values: Mapping[str, Number]) -> None:
        """Log one update's metrics."""
        ...

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        """Log one evaluation, as in evaluations.jsonl: `missions`, `mean`, `low`, `high`, `n`, …"""
        ...

    def sync(self) -> None:
        """Return when everything logged survives a crash of this process; called at every checkpoint."""
        ...

    def close(self, status: str) -> None:
        """End the run with this status: done, stopped, failed or interrupted."""
        ...


def flat_evaluation(record: Mapping[str, Any]) -> dict[str, Number]:
    """An evaluation's numbers under flat names: `evaluation/mean`, `evaluation/arena/low`, …; None is left out."""
    flat: dict[str, Number] = {}
    for prefix, part in (("", record), *((f"{mission}/", row) for mission, row in record["missions"].items())):
        for name in ("mean", "low", "high", "iqm", "n"):
            if part.get(name) is not None:
                flat[f"evaluation/{prefix}{name}"] = part[name]
    return flat
