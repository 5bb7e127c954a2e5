"""Search hyperparameters over training runs: sweep.yaml, next to this file.

Time: 90 s
"""

from pathlib import Path

from rich.console import Console

from daf.config import DAFSweepConfig
from daf.sweeps import daf_launch_sweep, daf_sweep_best_config

result = daf_launch_sweep(DAFSweepConfig.from_yaml(Path(__file__).with_name("sweep.yaml")))
result.print_summary(Console())
best = daf_sweep_best_config(result)
print("best:", best.hyperparameters)
