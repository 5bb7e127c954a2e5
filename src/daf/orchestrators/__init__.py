"""Pipelines: chains of operations that resume, rerun only what changed, and leave one report.

`daf_run_pipeline` runs a `DAFPipelineConfig` or its file, as `daf pipeline run` does. The other four build a pipeline
of a usual form and run it.
"""

from daf.orchestrators._flows import (
    daf_run_benchmark_pipeline,
    daf_run_comparison_pipeline,
    daf_run_pipeline,
    daf_run_sweep_pipeline,
    daf_run_training_pipeline,
)
from daf.orchestrators.result import PipelineResult, StageRecord
from daf.orchestrators.run import read_pipeline, run_pipeline

__all__ = [
    "PipelineResult",
    "StageRecord",
    "daf_run_benchmark_pipeline",
    "daf_run_comparison_pipeline",
    "daf_run_pipeline",
    "daf_run_sweep_pipeline",
    "daf_run_training_pipeline",
    "read_pipeline",
    "run_pipeline",
]
