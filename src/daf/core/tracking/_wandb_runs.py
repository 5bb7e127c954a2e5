"""Metrics to Weights & Biases, online or offline.

The mode is `options.mode`, else `WANDB_MODE`, else online. The horizontal axis of every metric is `agent_steps`.

An offline run is a directory in `wandb/` for `wandb sync`. W&B loses its last records when the process is killed, so a
resumed run recreates this directory from the JSON lines, under the same id, or a new one if it was already synced. An
online run cannot be cut, so a resumed run asks W&B for its last step and sends only later ones.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.core.tracking._catch_up import catch_up
from daf.core.tracking._interface import Number, TrackedRun, flat_evaluation
from daf.core.tracking._names import Names
from daf.core.tracking._sent_steps import SentSteps
from daf.errors import UsageError, unknown

logger = logging.getLogger(__name__)

STEP = "agent_steps"
EVALUATED = "evaluation/agent_steps"
MODES = ("online", "offline")


@dataclass(frozen=True, slots=True)
class WandbOptions:
    """Where runs are stored. mode: online or offline; None leaves it to `WANDB_MODE`. tags, group: shown in W&B."""

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
        self._metrics = self._evaluations = -1
        self._names = Names()

    def start(self, run: TrackedRun, resumed_at: int | None) -> None:
        mode = self._options.mode or os.environ.get("WANDB_MODE") or "online"
        if mode not in MODES:
            raise UsageError(f"{unknown('W&B mode', mode, MODES)} It is set by the tracker's options or WANDB_MODE.")
        import wandb

        if mode == "online" and not (os.environ.get("WANDB_API_KEY") or wandb.api.api_key):
            raise UsageError(
                "not logged in to Weights & Biases. Run `wandb login`, set WANDB_API_KEY, or keep the run on "
                "this machine with WANDB_MODE=offline."
            )
        sent = SentSteps(self._run_dir, self.name, resumed_at)
        if mode == "offline" and sent.resumed:
            self._forget(sent)
        sent.write()
        try:
            self._run = wandb.init(
                project=self._options.project,
                entity=self._options.entity,
                group=self._options.group,
                tags=list(self._options.tags),
                id=sent.id,
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
            raise UsageError(f"Weights & Biases rejected the run: {error}") from error
        self._run.define_metric(STEP, hidden=True)
        self._run.define_metric("*", step_metric=STEP)
        if mode == "online" and sent.resumed:
            self._metrics = int(self._run.summary.get(STEP, -1))
            self._evaluations = int(self._run.summary.get(EVALUATED, -1))
        if resumed_at is not None:
            catch_up(self, self._run_dir)

    def log(self, step: int, values: Mapping[str, Number]) -> None:
        if step > self._metrics:
            self._run.log({STEP: step, **self._named(values)})

    def evaluation(self, step: int, record: Mapping[str, Any]) -> None:
        if step > self._evaluations:
            self._run.log({STEP: step, EVALUATED: step, **self._named(flat_evaluation(record))})

    def _named(self, values: Mapping[str, Number]) -> dict[str, Number]:
        return {self._names.of(name): value for name, value in values.items()}

    def sync(self) -> None:
        """Nothing to do: `start` sends again what W&B loses of this run if it is killed."""

    def close(self, status: str) -> None:
        if self._run is not None:
            self._run.summary["status"] = status
            self._run.finish(exit_code=0 if status in ("done", "stopped") else 1)
            self._run = None
            import wandb

            if wandb.run is None:  # `finish` returns before W&B's process has written; this waits for it
                wandb.teardown()

    def _forget(self, sent: SentSteps) -> None:
        """Remove the offline copy of this run; take a new id if the copy was synced."""
        for folder in sorted((self._run_dir / "wandb").glob(f"offline-run-*-{sent.id}")):
            if any(folder.glob("*.synced")):
                sent.new_id()
                logger.info(
                    "%s was already synced to W&B; the run is recorded there as a separate run, %s", folder, sent.id
                )
                return
            shutil.rmtree(folder)
