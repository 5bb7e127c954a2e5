"""The simulated rewards and the calibration script live in benchmarks/."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
