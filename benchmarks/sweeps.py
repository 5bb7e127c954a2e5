"""What a sweep costs beside its episodes, and how long its results take to read.

    .venv-full/bin/python benchmarks/sweeps.py [--trials 1000]

Overhead per trial: wall time of the sweep less what its episodes took to set up and play, divided by the trials (on
a busy machine it waits for others; processor time, episodes included, is printed beside it). The
strategies run on the same mission of two steps; a sweep over configurations that repeat shows what cached blocks cost.
Then a journal of 100,000 trials is read, its best and its Pareto front are found, and which hyperparameters mattered.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from daf.config import DAFSweepConfig
from daf.episodes.cache import EpisodeCache
from daf.output_manager import OutputManager
from daf.storage.jsonable import jsonable
from daf.sweeps import SweepResult, SweepTrialResult, daf_sweep_importance, journal
from daf.sweeps.importance import METHODS
from daf.sweeps.operation import launch

MISSION = "memory_mystery_path_easy,max_steps=2"
TARGET_MS, TARGET_SECONDS = 20.0, 1.0


def config_of(strategy: str, trials: int, space: dict) -> DAFSweepConfig:
    return DAFSweepConfig(
        name=f"bench-{strategy}", missions=[MISSION], policy_class_path="random", search_space=space,
        strategy=strategy, num_trials=trials, episodes_per_trial=1, held_out_best=0,
    )  # fmt: skip


def overhead(strategy: str, trials: int, space: dict, *, repeats: bool = False) -> None:
    with tempfile.TemporaryDirectory() as folder:
        output = OutputManager(folder)
        played = {"seconds": 0.0}
        put = EpisodeCache.put

        def counting(cache, record):
            if record.measurement is not None:
                played["seconds"] += record.measurement.set_up_seconds + record.measurement.play_seconds
            put(cache, record)

        EpisodeCache.put = counting  # the benchmark's own stop watch around what is stored
        marks: list[float] = []
        cpus: list[float] = []

        def begin(*_) -> None:
            marks.append(time.perf_counter())
            cpus.append(time.process_time())

        try:
            result = launch(
                config_of(strategy, trials, space), output=output, executor="serial",
                on_start=begin,
            )  # fmt: skip
        finally:
            EpisodeCache.put = put
        took, cpu = time.perf_counter() - marks[0], time.process_time() - cpus[0]
        each = (took - played["seconds"]) / trials * 1000
        episodes = played["seconds"] / trials * 1000
        kind = f"{strategy}, {len(space)} names" + (", repeating configurations" if repeats else "")
        print(
            f"{kind:42s} {trials} trials in {took:5.1f} s ({cpu:.1f} s of CPU): {each:5.2f} ms overhead per trial, "
            f"{episodes:.2f} ms of episodes  {'ok' if each < TARGET_MS else 'ABOVE TARGET'}"
        )
        assert result.counts()["complete"] == trials


def reading(trials: int = 100_000) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(trials, 2)).tolist()
    with tempfile.TemporaryDirectory() as folder:
        import json

        lines = []
        for number, (a, b) in enumerate(values):
            hyper = {"learning_rate": abs(a), "gamma": 0.99}
            state = {"event": "proposed", "trial": number, "hyperparameters": hyper, "source": "random", "state": {}}
            result = SweepTrialResult(number, hyper, a, {"reward": a}, {}, True, "complete", (a, b), cost=1.0)
            lines.append(json.dumps(state))
            lines.append(json.dumps({"event": "finished", "trial": number, "result": jsonable(result)}))
        (Path(folder) / journal.FILE).write_text("\n".join(lines) + "\n")
        started, cpu = time.perf_counter(), time.process_time()
        trials_read = journal.read(folder).trials()
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        print(f"journal of {trials:,} trials read in {took:.2f} s ({cpu:.2f} s of CPU)")
    result = SweepResult(objectives=("a", "b"), directions=("maximize", "minimize"), trials=trials_read)
    started = time.perf_counter()
    best = result.get_best_trial()
    found = time.perf_counter() - started
    front = result.pareto_trials()
    took = time.perf_counter() - started
    print(
        f"best of {trials:,} (trial {best.trial_id}) in {found:.3f} s, with the Pareto front of {len(front)} "
        f"{took:.3f} s"
        f"  {'ok' if took < TARGET_SECONDS else 'ABOVE TARGET'}"
    )


def importance(trials: int = 100_000) -> None:
    """PED-ANOVA of all trials with its intervals, and fANOVA, which takes a part of them."""
    random = np.random.default_rng(0)
    given = [
        {
            "learning_rate": float(10 ** random.uniform(-5, -1)),
            "gamma": float(random.uniform(0.9, 0.999)),
            "clip_range": float(random.uniform()),
            "n_epochs": int(random.integers(1, 20)),
            "hidden_size": int(random.choice([32, 64, 128])),
            "optimizer": str(random.choice(["adam", "sgd"])),
        }
        for _ in range(trials)
    ]
    noise = random.normal(size=trials).tolist()
    values = [-((np.log10(hyper["learning_rate"]) + 3) ** 2) + z for hyper, z in zip(given, noise, strict=True)]
    result = SweepResult(
        trials=[
            SweepTrialResult(n, hyper, value, success=True, status="complete", values=(value,))
            for n, (hyper, value) in enumerate(zip(given, values, strict=True))
        ]
    )
    for method in METHODS:
        daf_sweep_importance(SweepResult(trials=result.trials[:50]), method)  # what it imports is not measured
        started, cpu = time.perf_counter(), time.process_time()
        found = daf_sweep_importance(result, method)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        target = f"  {'ok' if took < TARGET_SECONDS else 'ABOVE TARGET'}" if method == "pedanova" else ""
        print(f"{method} on {found.trials:,} of {trials:,} trials in {took:.2f} s ({cpu:.2f} s of CPU){target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    trials = parser.parse_args().trials
    continuous = {"policy.vibe_action_p": {"min": 0.0, "max": 0.9}}
    several = continuous | {f"policy.p{i}": {"min": 0.0, "max": 1.0} for i in range(4)}
    overhead("random", trials, continuous)
    overhead("tpe", trials, several)
    overhead("random", trials, {"policy.vibe_action_p": [0.1, 0.2, 0.3, 0.4, 0.5]}, repeats=True)
    reading()
    importance()


if __name__ == "__main__":
    main()
