"""What a curriculum costs, and what it does for learning.

    python benchmarks/curriculum.py overhead
    python benchmarks/curriculum.py learning --seeds 5 --steps 1_000_000

`overhead` measures, without a simulator, all that a curriculum adds to an update: weights, `record`, `metrics` in the
trainer, and one keyed draw per ended episode, which happens in the `--workers`, side by side. Its share is of an update
of 256 environments × `--agents` × `--n-steps` agent steps at `--sps` agent steps per second. In each environment one
episode ends per update: episodes as short as a rollout are the worst that small missions come to. Time is processor
time, so that other work on the machine matters less; the first import of scipy, once in a run, is left out.

`learning` trains the same policy with every sampler from the same seeds on a family of tasks, plays the trained
policies on every task (the same unseen episodes for all), and compares each sampler with uniform, pair by pair. Every
run is listed, what failed and what lost too.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np

from daf.core.curriculum import DAFCurriculumConfig, Outcome, Task, TaskCurriculum, draw

ENVIRONMENTS = 256
SAMPLERS = {
    "uniform": "uniform",
    "learning_progress": "learning_progress",
    "plr": "plr",
    "sequence": {"name": "sequence"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    overhead = parts.add_parser("overhead")
    overhead.add_argument("--sps", type=float, nargs="+", default=[20_000, 100_000, 500_000])
    overhead.add_argument("--agents", type=int, default=4)
    overhead.add_argument("--n-steps", type=int, default=64)
    overhead.add_argument("--tasks", type=int, nargs="+", default=[1, 10, 100, 1000])
    overhead.add_argument("--workers", type=int, default=2)
    overhead.add_argument("--updates", type=int, default=200)
    options = parser.parse_args()
    measure_overhead(options)
    return 0


def measure_overhead(options) -> None:
    steps = ENVIRONMENTS * options.agents * options.n_steps
    print(
        f"{ENVIRONMENTS} environments × {options.agents} agents × {options.n_steps} steps = {steps:,} agent steps an update"
    )
    import scipy.stats  # noqa: F401

    header = "".join(f"{f'at {sps:,.0f}/s':>14}" for sps in options.sps)
    print(
        f"{'sampler':<20}{'tasks':>6}{'active':>8}{'mean ms':>10}{'median':>9}{'worst':>9}{header}   share of an update"
    )
    for name, sampler in SAMPLERS.items():
        for count in options.tasks:
            for most in (None, max(1, count // 4)) if name != "sequence" and count > 1 else (None,):
                times = one_overhead(sampler, count, most, options.updates, options.workers)
                mean = sum(times) / len(times)
                shares = "".join(f"{100 * mean / (steps / sps):>13.3f}%" for sps in options.sps)
                print(
                    f"{name:<20}{count:>6}{most or count:>8}{1e3 * mean:>10.3f}{1e3 * median(times):>9.3f}"
                    f"{1e3 * max(times):>9.3f}{shares}"
                )


def one_overhead(sampler, count: int, most: int | None, updates: int, workers: int) -> list[float]:
    """Seconds per update."""
    tasks = [Task(i, f"task{i}", "m", {"mission": f"m{i % 3}", "bucket": f"b{i % 5}"}, float(i)) for i in range(count)]
    config = DAFCurriculumConfig(sampler=sampler, max_active_tasks=most, on_stagnation="ignore")
    curriculum = TaskCurriculum(tasks, config, seed=0)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((updates, ENVIRONMENTS))
    played = np.zeros(count)
    times = []
    for update in range(updates):
        began = process_time()
        weights = curriculum.weights()
        spent = process_time() - began
        began = process_time()
        drawn = [draw(weights, 0, environment, update) for environment in range(ENVIRONMENTS)]
        spent += (process_time() - began) / workers
        levels = 10 * (1 - np.exp(-played / (100 * (1 + np.arange(count)))))
        outcomes = [
            Outcome(task, place, update, float(levels[task] + noise[update, place]), 64, {})
            for place, task in enumerate(drawn)
        ]
        np.add.at(played, drawn, 1)
        began = process_time()
        curriculum.record(outcomes)
        curriculum.metrics()
        times.append(spent + process_time() - began)
    return times


if __name__ == "__main__":
    sys.exit(main())
