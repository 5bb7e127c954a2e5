"""Run an experiment that stops the worse half of its training runs early: adaptive.yaml, next to this file.

Time: 60 s
"""

from pathlib import Path

from daf.adaptive import daf_run_adaptive

status = daf_run_adaptive(Path(__file__).with_name("adaptive.yaml"))
for run in status.experiment.runs.values():
    print(run.name, run.phase, run.score)
print("best:", status.experiment.best)
