"""What a curriculum costs, and what it does for learning.

    python benchmarks/curriculum.py overhead
    python benchmarks/curriculum.py model --seeds 10
    python benchmarks/curriculum.py learning OUTPUT --seeds 5 --steps 1_000_000 [--policy token_lstm] [--samplers …]

`overhead` measures, without a simulator, all that a curriculum adds to an update: weights, `record`, `metrics` in the
trainer, and one keyed draw per ended episode, which happens in the `--workers`, side by side. Its share is of an update
of 256 environments × `--agents` × `--n-steps` agent steps at `--sps` agent steps per second. In each environment one
episode ends per update: episodes as short as a rollout are the worst that small missions come to. Time is processor
time, so that other work on the machine matters less; the first import of scipy, once in a run, is left out.

`model` puts the samplers before a learner that is a formula, so that many seeds and long runs cost seconds. It tells
how a sampler behaves where the truth is known; it says nothing of networks. An episode of a task adds rate × (1 -
skill) × openness to its skill, which is paid `scale` times and with noise; openness is the skill of the task that it
builds on, where there is one; skills that are not practised fade. What counts is the mean skill over the tasks that can
be learned, over the whole run and at its end.

`learning` trains the same policy with every sampler from the same seeds on a family of tasks, with the product's own
trainer, plays the trained policies on every task, and compares each sampler with uniform, seed by seed: runs of one
seed begin with the same weights. Every run is listed, what failed and what lost too. Runs lie in OUTPUT; the same
command goes on where it was stopped, and tells what there is so far.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np

from daf.core.curriculum import DAFCurriculumConfig, Outcome, Task, TaskCurriculum, draw
from daf.stats.student import student_interval

HARD = [f"{variant}+unshaped" for variant in ("sparse", "large", "large+sparse")]
FAMILIES = {
    "few_in_reach": {
        "missions": ["training_facility_1"],
        "options": {"max_steps": 100, "variants": ["none", "unshaped", "large+sparse", *HARD]},
    },
    "graded": {
        "missions": ["training_facility_1", "training_facility_2"],
        "options": {"max_steps": 100, "variants": ["none", "sparse", "large"]},
    },
}
"""few_in_reach: most tasks pay a beginner next to nothing, and uniform spends most of its steps there. graded: every
task can be learned from the first step on, and a curriculum has little to gain."""
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
    model = parts.add_parser("model")
    model.add_argument("--seeds", type=int, default=10)
    model.add_argument("--updates", type=int, default=300)
    model.add_argument("--environments", type=int, default=32)
    learning = parts.add_parser("learning")
    learning.add_argument("output", type=Path)
    learning.add_argument("--seeds", type=int, default=5)
    learning.add_argument("--steps", type=int, default=1_000_000)
    learning.add_argument("--policy", default="token_lstm")
    learning.add_argument("--family", choices=FAMILIES, default="few_in_reach")
    learning.add_argument("--samplers", nargs="+", choices=SAMPLERS, default=list(SAMPLERS))
    learning.add_argument("--episodes", type=int, default=25, help="per task, of each trained policy")
    learning.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="hyperparameters")
    learning.add_argument("--minutes", type=float, help="begin no further run after so long")
    options = parser.parse_args()
    if options.part == "overhead":
        measure_overhead(options)
    elif options.part == "model":
        model_learners(options)
    else:
        learn(options)
    return 0


def learn(options) -> None:
    from daf.config import DAFTrainingConfig
    from daf.core.curriculum import from_config
    from daf.training import daf_train_policy

    family = FAMILIES[options.family]
    tasks = [task.mission for task in from_config(family, seed=0).tasks()]
    hyperparameters = {name: json.loads(value) for name, value in (entry.split("=", 1) for entry in options.set)}
    began = perf_counter()
    for seed in range(options.seeds):
        for sampler in options.samplers:
            if options.minutes is not None and perf_counter() - began > 60 * options.minutes:
                break
            run = options.output / f"{options.family}-{options.steps}-{seed}-{sampler}"
            if (run / "training.json").is_file() and json.loads((run / "training.json").read_text())[
                "status"
            ] == "done":
                continue
            config = DAFTrainingConfig(
                policy=options.policy,
                total_timesteps=options.steps,
                seed=seed,
                curriculum=family | {"sampler": SAMPLERS[sampler], "on_stagnation": "ignore"},
                eval_frequency=options.steps,
                eval_episodes=options.episodes,
                eval_missions=tasks,
                eval_replays=0,
                checkpoint_frequency=max(options.steps // 4, 1),
                keep_last_checkpoints=1,
                log_agents=0,
                trackers=[],
            )
            daf_train_policy(config=config, hyperparameters=hyperparameters, run_dir=run)
    report(options, tasks)


def report(options, tasks: list[str]) -> None:
    """What every run came to, and each sampler against uniform."""
    scores: dict[str, dict[int, list[float]]] = {sampler: {} for sampler in options.samplers}
    print(f"{options.policy} on {options.family}, {options.steps:,} agent steps; mean return per task:")
    for number, task in enumerate(tasks):
        print(f"  [{number}] {task}")
    for sampler in options.samplers:
        for seed in range(options.seeds):
            file = options.output / f"{options.family}-{options.steps}-{seed}-{sampler}" / "training.json"
            found = json.loads(file.read_text()) if file.is_file() else {"status": "not run"}
            evaluation = found.get("evaluation")
            if found["status"] != "done" or evaluation is None:
                print(f"{sampler:<20}{seed:>3}  {found['status']} {(found.get('error') or {}).get('message', '')}")
                continue
            means = [evaluation["missions"][task]["mean"] for task in tasks]
            scores[sampler][seed] = means
            told = "".join(f"{mean:>8.3f}" for mean in means)
            print(f"{sampler:<20}{seed:>3}{told}   mean {np.mean(means):.3f}  {found['wall_seconds']:.0f} s")
    base = scores.get("uniform", {})
    for sampler, own in scores.items():
        shared = sorted(set(own) & set(base))
        if sampler == "uniform" or len(shared) < 2:
            continue
        print(f"{sampler} less uniform, {len(shared)} seeds, 95 % intervals (Student):")
        gains = np.array([[*own[seed], np.mean(own[seed])] for seed in shared])
        gains -= np.array([[*base[seed], np.mean(base[seed])] for seed in shared])
        low, high = student_interval(gains.T, np.zeros(len(shared), np.int64), "mean")
        for name, mean, lower, upper in zip([*tasks, "mean over tasks"], gains.mean(axis=0), low, high, strict=True):
            print(f"  {mean:>+8.3f}  ({lower:+.3f} to {upper:+.3f})  {name}")


@dataclass(frozen=True)
class Model:
    """A learner that is a formula: one entry per task. builds_on: the task whose skill opens this one; -1: none."""

    rate: tuple[float, ...]
    builds_on: tuple[int, ...]
    scale: tuple[float, ...]
    noise: tuple[float, ...]
    fading: float = 0.0


MODELS = {
    "alike": Model((0.001,) * 8, (-1,) * 8, (1.0,) * 8, (0.5,) * 8),
    "chain": Model((0.01,) * 8, tuple(range(-1, 7)), (1.0, 10.0) * 4, (0.5, 5.0) * 4),
    "out of reach": Model((0.002,) * 2 + (0.0,) * 6, (-1,) * 8, (1.0,) * 8, (0.5,) * 8),
    "loud noise": Model((0.002,) * 4 + (0.0,) * 4, (-1,) * 8, (1.0,) * 8, (0.3,) * 4 + (30.0,) * 4),
    "much noise": Model((0.002,) * 2 + (0.0,) * 6, (-1,) * 8, (1.0,) * 8, (5.0,) * 8),
    "fading": Model((0.01,) * 8, (-1,) * 8, (1.0,) * 8, (0.5,) * 8, fading=0.02),
}
"""alike: eight tasks of one kind. chain: each opens the next. out of reach: six of eight are never learned. loud noise:
half are never learned and sixty times as noisy. much noise: out of reach, and an episode tells hardly anything. fading:
what is not played in an update fades by 2 %."""


def model_learners(options) -> None:
    print(f"{options.environments} episodes an update, {options.updates} updates, {options.seeds} seeds.")
    print(
        "Mean skill (1: all is learned); in brackets the 95 % interval of the difference to uniform on the same seeds"
    )
    for name, model in MODELS.items():
        found = {
            sampler: np.array([one_model(model, sampler, seed, options) for seed in range(options.seeds)])
            for sampler in SAMPLERS
        }
        print(f"{name}:")
        for sampler, skills in found.items():
            gains = skills - found["uniform"]
            low, high = student_interval(gains.T, np.zeros(len(gains), np.int64), "mean")
            told = "  ".join(
                f"{what} {skills[:, k].mean():.3f} ({low[k]:+.3f} to {high[k]:+.3f})"
                for k, what in enumerate(("whole run", "end"))
            )
            print(f"  {sampler:<20}{told}")


def one_model(model: Model, sampler: str, seed: int, options) -> tuple[float, float]:
    """Mean skill over the learnable tasks: over the whole run, and at the end."""
    count = len(model.rate)
    tasks = [Task(i, f"task{i}", "m", {}, float(i)) for i in range(count)]
    config = DAFCurriculumConfig(sampler=SAMPLERS[sampler], on_stagnation="ignore")
    curriculum = TaskCurriculum(tasks, config, seed=seed)
    rate, scale, noise = np.array(model.rate), np.array(model.scale), np.array(model.noise)
    builds_on = np.array(model.builds_on)
    skill, means = np.zeros(count), []
    for update in range(options.updates):
        weights = curriculum.weights()
        drawn = [draw(weights, seed, environment, update) for environment in range(options.environments)]
        rng = np.random.default_rng([seed, update])
        scores = scale[drawn] * skill[drawn] + noise[drawn] * rng.standard_normal(len(drawn))
        curriculum.record([Outcome(task, e, update, float(scores[e]), 100) for e, task in enumerate(drawn)])
        open_ = np.where(builds_on < 0, 1.0, skill[builds_on])
        played = np.bincount(drawn, minlength=count)
        skill = 1 - (1 - skill) * (1 - rate * open_) ** played
        skill *= np.where(played == 0, 1 - model.fading, 1.0)
        means.append(skill[rate > 0].mean())
    return float(np.mean(means)), float(means[-1])


def measure_overhead(options) -> None:
    steps = ENVIRONMENTS * options.agents * options.n_steps
    per_update = f"{options.agents} agents × {options.n_steps} steps = {steps:,} agent steps an update"
    print(f"{ENVIRONMENTS} environments × {per_update}")
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
