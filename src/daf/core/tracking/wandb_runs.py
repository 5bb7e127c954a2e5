"""Metrics to Weights & Biases, online or offline.

The mode is `options.mode`, else `WANDB_MODE`, else online; offline a run is kept in `wandb/` of the run folder for
`wandb sync` (a resumed run as several folders under one id: sync them in order, with `--append` from the second on).
The horizontal axis of every metric is `agent_steps`. W&B cannot take back what was sent, so a resumed run sends only
what is new to it.

Not promised: that the last update before a SIGKILL arrived; W&B's own process writes it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.core.tracking.interface import Number, RunFacts, flat_evaluation
from daf.core.tracking.sent import Sent
from daf.errors import UsageError, unknown

STEP = "agent_steps"
MODES = ("online", "offline")


@dataclass(frozen=True, slots=True)
class WandbOptions:
    """Where runs go. mode: online or offline; None leaves it to `WANDB_MODE`. tags, group: shown in W&B."""

    project: str = "daf"
    entity: str | None = None
    mode: str | None = None
    group: str | None = None
    tags: tuple[str, ...] = ()


class WandbRuns:
    """See the module."""

    name = "wandb"

    def __init__(self, run_dir: Path, options: WandbOptions) -> None:
        self._run_dir = run_dir
        self._options = options
        self._run: Any = None
        self._sent: Sent | None = None

    def start(self, run: RunFacts, resumed_at: int | None) -> None:
        mode = self._options.mode or os.environ.get("WANDB_MODE") or "online"
        if mode not in MODES:
            raise UsageError(f"{unknown('W&B mode', mode, MODES)} It comes from the tracker's options or WANDB_MODE.")
        import wandb

        if mode == "online" and not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
            raise UsageError(
                "nobody is logged in to Weights & Biases. Run `wandb login`, set WANDB_API_KEY, or keep the run on "
                "this machine with WANDB_MODE=offline."
            )
        self._sent = Sent(self._run_dir, self.name, resumed_at)
        self._sent.write()
        try:
            self._run = wandb.init(
                project=self._options.project,
                entity=self._options.entity,
                group=self._options.group,
                tags=list(self._options.tags),
                id=self._sent.id,
                name=run.run_id,
                dir=str(self._run_dir),
                mode="offline" if mode == "offline" else "online",
                resume="allow",
                config={
                    **run.config,
                    "mission": run.mission,
                    "policy": run.policy,
                    "seed": run.seed,
                    "total_timesteps": run.total_timesteps,
                },
                save_code=False,
                settings=wandb.Settings(console="off", silent=True),
            )
        except wandb.errors.Error as error:
            raise UsageError(f"Weights & Biases does not take the run: {error}") from error
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, step: int, values: Mapping[str, Number]) -> None:
        assert self._sent is not None
        if step > self._sent.metrics:
            self._run.log({STEP: step, **values})
            self._sent.metrics_to(step)

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        assert self._sent is not None
        if step > self._sent.evaluations:
            self._run.log({STEP: step, **flat_evaluation(record)})
            self._sent.evaluations_to(step)

    def sync(self) -> None:
        """Nothing to do: W&B's process has what was logged, and outlives this one."""

    def close(self, status: str) -> None:
        if self._run is not None:
            self._run.summary["status"] = status
            self._run.finish(exit_code=0 if status in ("done", "stopped") else 1)
            self._run = None
