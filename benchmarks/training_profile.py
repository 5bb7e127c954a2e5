"""Where an update of training spends its time, and how far the rollout is from the simulator's own rate.

Processor time per update of the trainer and of the processes that step the environments, because other work on the
machine matters less to it than to the clock; the minimum and the median of `--updates`. The simulator alone steps the
same number of environments of the mission, with random actions, in one process: the rate that no trainer can exceed.

    python benchmarks/training_profile.py [--policy lstm] [--mission arena] [--envs 32] [--updates 5]
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from training import SAME


class Clock:
    """Processor seconds of this process in functions, by name."""

    def __init__(self):
        self.spent = Counter()

    def watch(self, owner, function, name):
        """Count the time in `owner.function` under `name`."""
        original = getattr(owner, function)

        def timed(*arguments, **named):
            began = time.process_time()
            try:
                return original(*arguments, **named)
            finally:
                self.spent[name] += time.process_time() - began

        setattr(owner, function, timed)


def of_processes(identifiers):
    """Processor seconds of other processes so far."""
    import psutil

    return sum(sum(psutil.Process(identifier).cpu_times()[:2]) for identifier in identifiers)


def simulator(mission, environments, steps):
    """Processor seconds of the simulator alone: `environments` in turn, `steps` each, with random actions."""
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    from daf.game.training_world import Games, Rows, World

    games, agents = Games([mission.config]), mission.num_agents
    tokens = PolicyEnvInterface.from_mg_cfg(mission.config).observation_space.shape[0]
    worlds = [World(number, 1, games, Rows.empty(agents, tokens)) for number in range(environments)]
    for world in worlds:
        world.begin(0, 0)
    actions = np.random.default_rng(0).integers(0, len(games.converted(0).action_names), (steps, agents))
    seconds = 0.0
    for chosen in actions:
        for world in worlds:
            codes = world._codes[chosen]
            world._actions[:], world._vibes[:] = codes[:, 0], codes[:, 1]
        began = time.process_time()
        for world in worlds:
            world._step()
        seconds += time.process_time() - began
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mission", default="arena")
    parser.add_argument("--policy", default="lstm")
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--updates", type=int, default=5)
    options = parser.parse_args()
    from daf.config.training import DAFTrainingConfig
    from daf.core import _learner, _ppo
    from daf.core._rollout_collector import RolloutCollector
    from daf.core.training_setup import Places, set_up
    from daf.game import missions
    from daf.game.trainable import Trainable

    (mission,) = missions.resolve(options.mission)
    batch = min(4096, options.envs * mission.num_agents * SAME["n_steps"])
    config = DAFTrainingConfig(
        mission=options.mission, policy=options.policy, num_envs=options.envs, batch_size=batch, device="cpu",
        total_timesteps=10**9, seed=1, **SAME,
    )  # fmt: skip
    places = Places(*(Path("daf_output/benchmarks") / name for name in ("cache", "bundles", "runs")))
    learner = set_up(config, places).learner
    clock = Clock()
    clock.watch(RolloutCollector, "collect", "rollout")
    clock.watch(Trainable, "act", "inference")
    clock.watch(_learner, "update", "update")
    clock.watch(_ppo, "advantages", "advantages")
    clock.watch(_ppo, "gradient_step", "optimizer")
    rows = []
    try:
        learner.update()  # starts the episodes
        for _ in range(options.updates):
            clock.spent.clear()
            stepping, own, wall = of_processes(learner.envs.process_ids), time.process_time(), time.perf_counter()
            learner.update()
            wall, own = time.perf_counter() - wall, time.process_time() - own
            rows.append({
                **clock.spent,
                "own": own,
                "stepping": of_processes(learner.envs.process_ids) - stepping,
                "wall": wall,
                "alone": simulator(mission, options.envs, SAME["n_steps"]),
            })  # fmt: skip
    finally:
        learner.close()
    steps = learner.sizes.steps(config.n_steps)
    table = {
        "stepping and observations (simulator's processes)": [row["stepping"] for row in rows],
        "inference": [row["inference"] for row in rows],
        "sampling, storing, messages": [row["rollout"] - row["inference"] for row in rows],
        "update: network, forward and backward": [row["update"] - row["advantages"] - row["optimizer"] for row in rows],
        "update: advantages": [row["advantages"] for row in rows],
        "update: clipping and optimizer": [row["optimizer"] for row in rows],
        "the rest": [row["own"] - row["rollout"] - row["update"] for row in rows],
        "all": [row["own"] + row["stepping"] for row in rows],
    }
    print(f"{options.policy} on {options.mission}, {options.envs} environments: {steps:,} agent steps per update")
    print(f"{'ms of processor time per update':<52}{'minimum':>9}{'median':>9}")
    for name, seconds in table.items():
        print(f"{name:<52}{1000 * min(seconds):>9.0f}{1000 * np.median(seconds):>9.0f}")
    # Idle: of the cores that the update could have used, in a run that has the machine to itself.
    cores = learner.sizes.workers
    idle = [1 - (row["own"] + row["stepping"]) / (row["wall"] * cores) for row in rows]
    print(f"idle, or used by other programs, of {cores} cores: {100 * min(idle):.0f} %")
    alone = min(row["alone"] for row in rows)
    rollout = min(row["rollout"] + row["stepping"] for row in rows)
    print(
        f"rollout: {steps / rollout:,.0f} agent steps per second and core, "
        f"{100 * alone / rollout:.0f} % of the simulator's own {steps / alone:,.0f}"
    )


if __name__ == "__main__":
    main()
