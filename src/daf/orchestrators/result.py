"""The result of a pipeline."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

StageStatus = Literal["waiting", "running", "done", "cached", "failed", "skipped", "interrupted"]


@dataclass
class StageRecord:
    """A stage in the record of its pipeline, `pipeline.json`.

    cached: an earlier result counted. skipped: it was not started, and error says why. seconds: None before it ended.
    """

    name: str
    use: str
    needs: list[str]
    status: StageStatus = "waiting"
    seconds: float | None = None
    attempts: int = 0
    key: str | None = None
    run_dir: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class PipelineResult:
    """status: ok, failed, or planned (a dry run). stages_completed: done now or before, in the order of the file.

    errors: by the name of the stage. outputs: by the name of the stage, then of the output.
    """

    pipeline_name: str
    status: Literal["ok", "failed", "planned"]
    stages_completed: list[str]
    stages_failed: list[str]
    errors: dict[str, str]
    outputs: dict[str, dict[str, Any]]
    total_time_seconds: float
    run_id: str | None = None
    run_dir: Path | None = None
    report: Path | None = None
    stages: list[StageRecord] = field(default_factory=list, repr=False)

    def is_success(self) -> bool:
        """Whether every stage that was asked for is done."""
        return self.status == "ok"

    def to_data(self) -> dict[str, Any]:
        """What `--json` prints."""
        from daf.storage.jsonable import jsonable

        data: dict[str, Any] = jsonable(self)
        return {"run_id": data.pop("run_id"), "run_dir": data.pop("run_dir"), "status": data.pop("status"), **data}
