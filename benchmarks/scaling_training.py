"""Efficiency of training in ranks: one rank on one core against two ranks on two, strong and weak, in turn.

    benchmarks/scaling_training.py [OUTPUT] [--policy token_lstm] [--mission training_facility_1] [--rounds 3]

Every run is `daf train` without evaluations. Its speed is agent steps per second of the updates after the first, from
metrics.jsonl, so that starting is left out. In each round all variants run one after the other, so that what else the
machine does meets all of them:

    1 rank, 1 core     the reference
    2 ranks, strong    the same rollout and batch, divided; 2.0 × would be perfect
    2 ranks, weak      twice the rollout and batch; 2.0 × would be perfect
    1 rank, 2 cores    what one process makes of both cores: it steps environments while the network computes

The share of an update that ranks spend exchanging tensors grows with the network and shrinks with the rollout.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

VARIANTS = {
    "1 rank, 1 core": (1, 1, "strong"),
    "2 ranks, strong": (2, 2, "strong"),
    "2 ranks, weak": (2, 2, "weak"),
    "1 rank, 2 cores": (1, 2, "strong"),
}


def speed(options, folder, ranks, cores, scale):
    """Agent steps per second of `daf train` with `ranks` ranks on `cores` cores."""
    usable = sorted(os.sched_getaffinity(0))[:cores]
    steps = options.steps * (ranks if scale == "weak" else 1)
    command = [
        *(sys.executable, "-m", "daf", "train", "-m", options.mission, "-p", options.policy, "--steps", str(steps)),
        *("--envs", str(options.envs), "--set", "n_steps=64", "--seed", "1", "--eval-every", "never", "--tracker"),
        *("jsonl", "--run-dir", str(folder), "--no-report", "--quiet", "--nproc", str(ranks), "--scale", scale),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=lambda: os.sched_setaffinity(0, usable)
    )
    if done.returncode:
        sys.exit(f"daf train failed: {done.stderr[-2000:]}")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    return (last["step"] - first["step"]) / (last["clock/seconds"] - first["clock/seconds"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?", default=Path("daf_output/benchmarks/scaling_training"))
    parser.add_argument("--mission", default="training_facility_1")
    parser.add_argument("--policy", default="token_lstm")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("this benchmark needs two cores.")
    ratios = {name: [] for name in VARIANTS}
    for number in range(options.rounds):
        place = options.output / f"{time.strftime('%Y%m%d_%H%M%S')}_{number}"
        found = {name: speed(options, place / str(i), *what) for i, (name, what) in enumerate(VARIANTS.items())}
        reference = found["1 rank, 1 core"]
        for name, value in found.items():
            ratios[name].append(value / reference)
        shown = ", ".join(f"{name} {value:,.0f} ({value / reference:.2f}×)" for name, value in found.items())
        print(f"round {number + 1}, agent steps/s: {shown}", flush=True)
    print(f"{options.policy} on {options.mission}, {options.envs} environments per rollout (weak: per rank):")
    for name, values in ratios.items():
        print(f"  {name:16} median {statistics.median(values):.2f}× ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
