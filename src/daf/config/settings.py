"""`DAFConfig`: where DAF writes and how much of the machine it uses, for all operations."""

import os
from pathlib import Path
from typing import ClassVar

from pydantic import Field, ValidationInfo, field_validator

from daf.config.base import ConfigModel, PathField, PlaceField
from daf.storage import remote


def default_output_dir() -> Path:
    """`DAF_OUTPUT_DIR` where it is set, a path or a URL, else `daf_output` in the current folder."""
    return remote.local(os.environ.get("DAF_OUTPUT_DIR") or "daf_output")


class DAFConfig(ConfigModel):
    """The settings that all operations share.

    A relative `checkpoint_dir` or `experiments_log_path` is below `output_dir`; a path that already starts with
    `output_dir` means the same place.
    """

    kind: ClassVar[str] = "config"

    output_dir: PlaceField = Field(
        default_factory=default_output_dir, description="Where run directories go: a path or a URL."
    )
    checkpoint_dir: PlaceField | None = Field(
        None, description="Where checkpoints go, by session, a path or a URL; None: into the directory of their run."
    )
    max_checkpoints_to_keep: int = Field(
        5, ge=1, description="Newest checkpoints kept by a training run whose keep_last_checkpoints is not set."
    )
    organize_by_operation: bool = Field(
        True, description="OPERATION/SESSION folders; otherwise SESSION/OPERATION, with a whole session in one folder."
    )
    max_parallel_jobs: int = Field(4, ge=1, le=4096, description="Maximum worker processes for --jobs auto.")
    enable_gpu: bool = Field(True, description="Whether a GPU may be used.")
    gpu_memory_fraction: float = Field(
        0.8, gt=0, le=1, description="Share of each GPU's memory that a process may use."
    )
    verbose: bool = Field(False, description="Show more on the terminal (stderr).")
    log_to_file: bool = Field(True, description="Write JSON lines into the run directory's logs/.")
    monitor_system_stats: bool = Field(True, description="Sample CPU and memory of a run into its stats/system.jsonl.")
    track_experiments: bool = Field(True, description="Append every run's start and end to the experiments log.")
    experiments_log_path: PathField = Field(
        Path("experiments.jsonl"), description="The experiments log: one JSON object per line."
    )

    @field_validator("checkpoint_dir", "experiments_log_path")
    @classmethod
    def _hang_off_output_dir(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None:
            return None
        base: Path = info.data.get("output_dir", default_output_dir())
        return value if value.is_absolute() or value.is_relative_to(base) else base / value

    def replace(self, **fields: object) -> "DAFConfig":
        """A checked copy with other values; with a new `output_dir`, paths below the old one move along."""
        if "output_dir" in fields:
            for name in ("checkpoint_dir", "experiments_log_path"):
                path: Path | None = getattr(self, name)
                if path is not None and path.is_relative_to(self.output_dir):
                    fields.setdefault(name, path.relative_to(self.output_dir))
        return super().replace(**fields)

    def parallel_jobs(self) -> int:
        """Worker processes for `--jobs auto`: the cores that this process may use, at most `max_parallel_jobs`."""
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
        return max(1, min(cores, self.max_parallel_jobs))
