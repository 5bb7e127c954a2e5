"""Whether policies learn on DAF's small missions, how fast, and whether they beat `random` on episodes never seen.

    python benchmarks/learning.py OUTPUT                            (5 seeds each: an hour on two cores)
    python benchmarks/learning.py OUTPUT --missions assembler_2 --policies token_lstm --seeds 1 --steps 1_000_000
    python benchmarks/learning.py OUTPUT --set learning_rate=3e-3 n_epochs=3

Every mission and policy is trained from every seed with the product's own trainer. Printed are learning curves, the
return per agent by agent steps and by seconds of training on this machine, and the paired comparison of every trained
policy with `random` on the same `--episodes` seeds, which no training drew. A seed that fails is listed as failed.

Runs lie in OUTPUT; the same command goes on where it was stopped, and plays no episode twice.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daf import daf_compare_policies
from daf.comparison import PolicyComparisonResult
from daf.config import DAFTrainingConfig
from daf.errors import DAFError
from daf.output_manager import OutputManager
from daf.training import daf_train_policy

MISSIONS = ("training_facility_1", "training_facility_2", "assembler_2")
POLICIES = ("token_lstm", "lstm")
POINTS = 8
"""Of a learning curve."""
UNSEEN = 700_000_000
"""The first seed of the comparison's episodes; training draws its own by hash."""


@dataclass(frozen=True)
class Run:
    """One training run. curve: (points, 3) agent steps, seconds, return per agent, over the updates up to each."""

    seed: int
    curve: np.ndarray
    seconds: float
    steps: int
    checkpoint: Path | None
    failure: str | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?", default=Path("daf_output/benchmarks/learning"))
    parser.add_argument("--missions", nargs="+", default=list(MISSIONS))
    parser.add_argument("--policies", nargs="+", default=list(POLICIES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", dest="settings")
    options = parser.parse_args()
    given = dict(text.split("=", 1) for text in options.settings)
    settings = {name: json.loads(value) if value[:1] in "-.0123456789tfn" else value for name, value in given.items()}
    for mission in options.missions:
        for policy in options.policies:
            seeds = range(options.first_seed, options.first_seed + options.seeds)
            runs = [trained(options.output, mission, policy, seed, options.steps, settings) for seed in seeds]
            print_curves(mission, policy, runs)
            for run in runs:
                print_end(options.output, mission, run, options.episodes)
            print(flush=True)
    return 0


def trained(output: Path, mission: str, policy: str, seed: int, steps: int, settings: dict[str, object]) -> Run:
    """The run, from its folder where it is done."""
    config = DAFTrainingConfig(
        total_timesteps=steps, eval_frequency=None, log_agents=0, trackers=[], checkpoint_frequency=steps
    )
    label = "".join(f"-{name}={value}" for name, value in sorted(settings.items()))
    folder = output / f"{mission}-{policy}-{steps}{label}" / f"seed_{seed}"
    done = folder / "training.json"
    if not done.is_file() or json.loads(done.read_text())["status"] != "done":
        try:
            daf_train_policy(mission, policy, config=config, hyperparameters=settings, seed=seed, run_dir=folder)
        except DAFError as error:
            return Run(seed, np.empty((0, 3)), 0.0, 0, None, str(error))
    result = json.loads(done.read_text())
    if result["status"] != "done":
        return Run(seed, np.empty((0, 3)), 0.0, result["steps"], None, f"{result['status']}: {result['error']}")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return Run(
        seed,
        curve(lines),
        max(line["clock/seconds"] for line in lines),
        result["steps"],
        folder / "checkpoints" / "final",
        None,
    )


def curve(lines: list[dict[str, float]]) -> np.ndarray:
    """(points, 3): for each part of the run its last step, its last second, and its mean return."""
    points = []
    for part in np.array_split(np.arange(len(lines)), min(POINTS, len(lines))):
        ended = [lines[index] for index in part if "episode/return" in lines[index]]
        counts = [line["episode/count"] for line in ended]
        mean = np.average([line["episode/return"] for line in ended], weights=counts) if ended else np.nan
        last = lines[part[-1]]
        points.append((last["step"], last["clock/seconds"], mean))
    return np.array(points)


def print_curves(mission: str, policy: str, runs: list[Run]) -> None:
    whole = [run for run in runs if run.failure is None]
    print(f"{mission}, {policy}: return per agent in training, {len(whole)} of {len(runs)} seeds")
    if not whole:
        return
    together = np.stack([run.curve for run in whole])
    print(f"{'agent steps':>14}{'seconds':>10}{'mean':>10}{'lowest':>10}{'highest':>10}")
    for index in range(together.shape[1]):
        step, second = together[:, index, 0].mean(), together[:, index, 1].mean()
        returns = together[:, index, 2]
        print(f"{step:>14,.0f}{second:>10.0f}{returns.mean():>10.2f}{returns.min():>10.2f}{returns.max():>10.2f}")


def print_end(output: Path, mission: str, run: Run, episodes: int) -> None:
    """The run's comparison with `random`, in one line."""
    if run.checkpoint is None:
        print(f"  seed {run.seed}: failed, {run.failure}")
        return
    found = against_random(output, mission, run.checkpoint, episodes)
    rate = run.steps / run.seconds if run.seconds else float("nan")
    interval = "no interval" if found.ci is None else f"[{found.ci[0]:.2f}, {found.ci[1]:.2f}]"
    print(
        f"  seed {run.seed}: {run.seconds:.0f} s, {rate:,.0f} agent steps/s; trained {found.avg_reward_a:.2f}, random "
        f"{found.avg_reward_b:.2f}, difference {found.difference:.2f} {interval}, p {found.p_value:.4g}, "
        f"better in {found.wins} of {found.episodes} episodes"
    )


def against_random(output: Path, mission: str, checkpoint: Path, episodes: int) -> PolicyComparisonResult:
    """The trained policy against `random` on the same episodes."""
    report = daf_compare_policies(
        [f"{checkpoint.absolute()},name=trained", "random"],
        [mission],
        episodes_per_mission=episodes,
        seed=UNSEEN,
        output_manager=OutputManager(output / "comparisons"),
    )
    return report.pairwise_comparisons["trained", "random"]


if __name__ == "__main__":
    sys.exit(main())
