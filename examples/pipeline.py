"""Compare, analyze and pack in one pipeline: pipeline.yaml, next to this file.

Time: 40 s
"""

from pathlib import Path

from daf.orchestrators import daf_run_pipeline

file = Path(__file__).with_name("pipeline.yaml")
result = daf_run_pipeline(file)
print(result.status, result.stages_completed)
again = daf_run_pipeline(file)  # nothing changed, so nothing runs
print([f"{stage.name}: {stage.status}" for stage in again.stages])
