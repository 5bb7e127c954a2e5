"""How much of its teacher's return a student reaches: imitation by seed, then both on the same unseen episodes.

Every run is an ordinary training run below OUTPUT, so an interrupted benchmark continues where it stopped, also in the
middle of a run; finished parts are in OUTPUT/results.json and are not repeated. A run ends after `--steps` agent steps
or `--minutes` of training, evaluations not counted, whichever is first. `share` is the student's mean return divided by
its teacher's.

    python benchmarks/teacher.py OUTPUT                                   # starter on arena, token_grid, 3 seeds
    python benchmarks/teacher.py OUTPUT --teacher cartographer --students token_grid lstm --minutes 20
"""

import argparse
import json
import time
from pathlib import Path

UNSEEN = 700_000_000
"""The first seed of the episodes that are played at the end; neither training nor its evaluations use them."""
SETTINGS = {"eval_frequency": None, "trackers": [], "log_agents": 0, "bptt_horizon": 16, "keep_best_checkpoints": 0}


def trained(options, student, seed, folder):
    """Train or continue; returns the result."""
    from daf.config import DAFTrainingConfig
    from daf.output_manager import OutputManager
    from daf.training import StopTraining, daf_train_policy

    def until(progress):
        if progress.metrics["clock/seconds"] >= 60 * options.minutes:
            raise StopTraining
        if progress.updates % 20 == 0:
            found = {name: progress.metrics.get(f"imitation/{name}") for name in ("agreement_in_new_views", "looping")}
            print(f"  {progress.steps:,} steps, {progress.metrics['clock/sps']:,.0f} steps/s, {found}", flush=True)

    config = DAFTrainingConfig(
        mission=options.mission, policy=student, teacher=options.teacher, seed=seed, total_timesteps=options.steps,
        num_envs=options.envs, checkpoint_frequency=100_000, **SETTINGS, **json.loads(options.settings),
    )  # fmt: skip
    output = OutputManager(options.output / "daf_output")
    return daf_train_policy(config=config, run_dir=folder, output=output, on_update=until, report=False)


def measured(options, result, output):
    """The student's and the teacher's returns on the same unseen episodes, and their paired verdict."""
    import numpy as np

    from daf.core.interval_evaluation import evaluate_checkpoint
    from daf.episodes.cache import EpisodeCache
    from daf.episodes.plan import Contender
    from daf.game import missions, policies
    from daf.stats.verdicts import compare_pairs

    cache = EpisodeCache(output / "cache")
    teacher = policies.resolve(options.teacher, cache=cache.bundles)
    found = evaluate_checkpoint(
        result.final_checkpoint,
        missions.resolve(options.mission),
        episodes=options.episodes,
        cache_dir=cache.root,
        seed=UNSEEN,
        others={"teacher": Contender("teacher", (teacher,))},
    )
    (student,), (its,) = found.returns.values(), found.others["teacher"].returns.values()
    pairs = [(a, b) for a, b in zip(student, its, strict=True) if a is not None and b is not None]
    scores = np.array(pairs).T
    (verdict,) = compare_pairs(
        ["student", "teacher"], scores, np.zeros(len(pairs), dtype=int), [options.mission], only=0
    )[:1]
    return {
        "episodes": len(pairs),
        "student_return": float(scores[0].mean()),
        "teacher_return": float(scores[1].mean()),
        "share": float(scores[0].mean() / scores[1].mean()),
        "difference": verdict.difference,
        "interval": None if verdict.ci is None else list(verdict.ci),
        "p": verdict.p,
        "verdict": verdict.verdict,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--mission", default="arena")
    parser.add_argument("--teacher", default="starter")
    parser.add_argument("--students", nargs="+", default=["token_grid"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=lambda text: int(float(text)), default=8_000_000)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--settings", default="{}", help="further settings of training, as JSON")
    options = parser.parse_args()
    from daf.storage import atomic

    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "results.json"
    results = json.loads(file.read_text()) if file.exists() else []
    for student in options.students:
        for seed in options.seeds:
            settings = {
                "mission": options.mission, "teacher": options.teacher, "student": student, "seed": seed,
                "steps": options.steps, "minutes": options.minutes, "envs": options.envs, "episodes": options.episodes,
                **json.loads(options.settings),
            }  # fmt: skip
            found = next((each for each in results if each["settings"] == settings), None)
            if found is None:
                print(f"{student}, seed {seed}:", flush=True)
                folder = options.output / f"{options.teacher}_{options.mission}_{student}_{seed}".replace("/", "_")
                result = trained(options, student, seed, folder)
                if result.status not in ("done", "stopped"):
                    raise SystemExit(f"{result.status}: {(result.error or {}).get('message', 'run it again')}")
                parts = ("agreement", "agreement_in_new_views", "agreement_when_led", "looping")
                names = (*(f"imitation/{part}" for part in parts), "clock/sps")
                found = {
                    "settings": settings,
                    "trained_steps": result.steps,
                    "seconds": result.wall_seconds,
                    **{name: result.metrics.get(name) for name in names},
                    **measured(options, result, options.output / "daf_output"),
                    "measured_at": time.strftime("%Y-%m-%d %H:%M:%S"),
                }
                results.append(found)
                atomic.write_json(file, results)
            print(
                f"{student}, seed {seed}: {found['student_return']:.3f} of {found['teacher_return']:.3f} "
                f"({100 * found['share']:.0f} %, {found['verdict']}) after {found['trained_steps']:,} steps in "
                f"{found['seconds'] / 60:.1f} minutes; agreement {found['imitation/agreement']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
