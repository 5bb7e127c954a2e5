"""The state of a pipeline's stages: keys, existing results and records.

The key of a stage counts the files that it names as they are at the end of it: a file that the stage writes itself does
not make it run again, and one that changes later does.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from daf.errors import UsageError
from daf.orchestrators import _results as results
from daf.orchestrators._commands import COMMANDS
from daf.orchestrators._identity import stage_key
from daf.orchestrators._plan import PipelinePlan, PlannedStage
from daf.orchestrators._results import StageResult
from daf.orchestrators.result import PipelineResult, StageRecord


class PipelineState:
    """The record and result of every stage. again: stages that run whatever results are there."""

    def __init__(self, plan: PipelinePlan, base: Path, again: set[str]) -> None:
        self.plan, self.base, self.again = plan, base, again
        self.results: dict[str, StageResult] = {}
        self.records: dict[str, StageRecord] = {}
        for stage in plan.stages:
            self.records[stage.name] = StageRecord(stage.name, stage.config.use, list(stage.needs))

    def key_of(self, stage: PlannedStage) -> str:
        """The key with the files and the keys of other stages as they are now."""
        return stage_key(stage.config, {name: str(self.records[name].key) for name in stage.needs})

    def find_results(self, chosen: Sequence[str]) -> None:
        """Take over the results that are there. chosen: the stages to run. Raises `UsageError`."""
        for stage in self.plan.stages:
            self.records[stage.name].key = self.key_of(stage)
            repeated = any(
                self.records[need].status == "waiting" and _kept(self.plan.stage(need)) for need in stage.needs
            )
            if not repeated:
                self.found(stage, always=stage.name not in chosen)
        for name in chosen if len(chosen) < len(self.records) else ():
            missing = [need for need in self.plan.stage(name).needs if need not in self.results]
            if missing:
                raise UsageError(
                    f"--only {name} needs results of {', '.join(missing)}, and there are none for these settings. "
                    "Run the pipeline without --only first."
                )

    def found(self, stage: PlannedStage, *, always: bool = False) -> bool:
        """Take over the result under the key of a stage if there is one. always: also of what describes the present."""
        record = self.records[stage.name]
        if stage.name in self.again or not (always or _kept(stage)):
            return False
        found = results.stored(self.base, str(record.key))
        if found is not None:
            self.done(stage.name, found, "cached")
        return found is not None

    def done(self, name: str, result: StageResult, status: Literal["done", "cached"]) -> None:
        """A stage has a result."""
        self.results[name] = result
        record = self.records[name]
        record.status, record.run_dir, record.outputs = status, result["run_dir"], result["outputs"]
        record.seconds = result["seconds"]

    def result(
        self,
        status: Literal["ok", "failed", "planned"],
        seconds: float,
        folder: Path | None = None,
        run_id: str | None = None,
    ) -> PipelineResult:
        """The result so far."""
        records = list(self.records.values())
        return PipelineResult(
            pipeline_name=self.plan.config.name,
            status=status,
            stages_completed=[one.name for one in records if one.status in ("done", "cached")],
            stages_failed=[one.name for one in records if one.status == "failed"],
            errors={one.name: one.error for one in records if one.error is not None},
            outputs={one.name: one.outputs for one in records if one.outputs},
            total_time_seconds=seconds,
            run_id=run_id,
            run_dir=folder,
            stages=records,
        )


def _kept(stage: PlannedStage) -> bool:
    return stage.config.use == "command" or COMMANDS[stage.config.use].kept
