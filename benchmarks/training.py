"""Training against `cogames train`: the same network, mission, PPO settings, steps and machine, in turn.

Speed is agent steps per second from the end of the first update to the end of the last, so that neither process start
nor the first episodes' set-up count. Learning is what the final weights earn, played by the same engine on the same
episodes, which no training drew; over several seeds, with the paired test.

    python benchmarks/training.py OUTPUT                                      # speed, three rounds
    python benchmarks/training.py OUTPUT --learning 5 --mission training_facility_1 --steps 600_000
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

RIVAL = """
import json, random, sys, time
from pathlib import Path
import numpy as np
import torch
from daf.game import compat, missions
compat.install()
from cogames import train as rival
from pufferlib import pufferl
mission, policy, steps, envs, seed, folder, device = json.loads(sys.argv[1])
random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
marks = []
inner = pufferl.PuffeRL.train
def train(self):
    done = inner(self)
    marks.append((self.global_step, time.perf_counter()))
    return done
pufferl.PuffeRL.train = train
pufferl.PuffeRL.print_dashboard = lambda self, *a, **k: None
pufferl.Utilization.start = lambda self: None
rival.train(
    missions.resolve(mission)[0].config, policy, torch.device(device), None, steps, Path(folder), seed, 4096,
    vector_num_envs=envs, checkpoint_interval=1,
)
weights = sorted(Path(folder).glob("*/model_*.pt"))[-1]
print("RESULT " + json.dumps({"marks": marks, "weights": str(weights)}))
"""

SAME = {
    "learning_rate": 0.00092, "gamma": 0.995, "gae_lambda": 0.90, "n_epochs": 1, "clip_range": 0.2, "vf_coef": 2.0,
    "clip_range_vf": 0.2, "max_grad_norm": 1.5, "ent_coef": 0.01, "adam_beta1": 0.95, "adam_beta2": 0.999,
    "adam_eps": 1e-8, "n_steps": 64, "lr_schedule": "cosine", "prio_alpha": 0.8, "prio_beta0": 0.2,
    "vtrace_rho_clip": 1.0, "vtrace_c_clip": 1.0, "reward_clip": 1.0, "normalize_rewards": False,
    "bootstrap_truncated": False,
}  # fmt: skip
"""What `cogames train` has written into its code, in DAF's names."""


def cogames(mission, policy, steps, envs, seed, folder, device):
    """(agent steps per second, the weights)."""
    classes = {"lstm": "mettagrid.policy.lstm.LSTMPolicy", "stateless": "mettagrid.policy.stateless.StatelessPolicy"}
    arguments = json.dumps([mission, classes[policy], steps, envs, seed, str(folder), device])
    done = subprocess.run([sys.executable, "-c", RIVAL, arguments], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        sys.exit(f"cogames train failed: {done.stderr[-2000:]}")
    told = json.loads(lines[-1].removeprefix("RESULT "))
    (first, began), (last, ended) = told["marks"][0], told["marks"][-1]
    return (last - first) / (ended - began), f"class={policy},data={told['weights']}"


def daf(mission, policy, steps, envs, seed, folder, device, batch):
    """The same of DAF."""
    settings = {**SAME, "batch_size": batch}
    command = [
        *(sys.executable, "-m", "daf", "train", "-m", mission, "-p", policy, "--steps", str(steps)),
        *("--envs", str(envs), "--seed", str(seed), "--device", device, "--run-dir", str(folder), "--quiet", "--json"),
        *("--eval-every", "never", "--checkpoint-every", str(10**9), "--tracker", "jsonl"),
        *(part for name, value in settings.items() for part in ("--set", f"{name}={str(value).lower()}")),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"daf train failed: {done.stderr[-2000:]}")
    lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    speed = (last["step"] - first["step"]) / (last["clock/seconds"] - first["clock/seconds"])
    return speed, str(Path(folder) / "checkpoints" / "final")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?", default=Path("daf_output/benchmarks/training"))
    parser.add_argument("--mission", default="arena")
    parser.add_argument("--policy", default="lstm", choices=("lstm", "stateless"))
    parser.add_argument("--steps", type=lambda text: int(text.replace("_", "")), default=200_000)
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--learning", type=int, default=0, metavar="SEEDS", help="compare what is learned instead")
    parser.add_argument("--episodes", type=int, default=100)
    options = parser.parse_args()
    from daf.game import missions

    (mission,) = missions.resolve(options.mission)
    rows = options.envs * mission.num_agents
    batch = min(4096, rows * 64)
    seeds = range(1, (options.learning or options.rounds) + 1)
    ratios, pairs = [], []
    for seed in seeds:
        place = options.output / f"{time.strftime('%Y%m%d_%H%M%S')}_{seed}"
        (place / "cogames").mkdir(parents=True)
        asked = (options.mission, options.policy, options.steps, options.envs, seed)
        theirs, weights = cogames(*asked, place / "cogames", options.device)
        ours, checkpoint = daf(*asked, place / "daf", options.device, batch)
        ratios.append(ours / theirs)
        pairs.append((weights, checkpoint))
        print(f"seed {seed}: cogames train {theirs:,.0f} agent steps/s, daf train {ours:,.0f}: {ours / theirs:.2f}×")
    print(
        f"{options.policy} on {options.mission}, {options.envs} environments: median {statistics.median(ratios):.2f}×"
    )
    if options.learning:
        import numpy as np
        from scipy.stats import ttest_rel

        from daf import daf_compare_policies
        from daf.output_manager import OutputManager

        means = []
        for weights, checkpoint in pairs:
            report = daf_compare_policies(
                [f"{weights},name=cogames", f"{checkpoint},name=daf", "random"], [options.mission],
                episodes_per_mission=options.episodes, seed=700_000_000,
                output_manager=OutputManager(options.output / "runs"),
            )  # fmt: skip
            means.append([report.policy_averages[name] for name in ("cogames", "daf", "random")])
            print("cogames {:.3f}, daf {:.3f}, random {:.3f}".format(*means[-1]))
        table = np.array(means)
        test = ttest_rel(table[:, 1], table[:, 0])
        print(f"means: cogames {table[:, 0].mean():.3f}, daf {table[:, 1].mean():.3f}, random {table[:, 2].mean():.3f}")
        print(f"daf − cogames {np.mean(table[:, 1] - table[:, 0]):+.3f}, paired t over seeds p = {test.pvalue:.3f}")


if __name__ == "__main__":
    main()
