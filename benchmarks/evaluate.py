"""Evaluation against upstream: its rollout, and `cogames scrimmage` as a whole process.

Upstream plays on one core, since it has no way to use more; DAF in `--jobs` warm workers. Both play the same seeds in
turn; set-up of each episode counts, process start and imports don't, except in the whole-process part. Results of
policies that follow from their seed must be equal, episode by episode.

    python benchmarks/evaluate.py                       # one round of everything, some 15 minutes on two cores
    python benchmarks/evaluate.py --policies noop --missions arena --whole 0
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from daf.compute.executor import make_executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender, plan_episodes
from daf.episodes.run import PRELOAD_NETWORKS, run_plan
from daf.game import missions, policies

TEAMS = {
    "noop": ["noop"],
    "random": ["random"],
    "starter": ["starter"],
    "lstm": ["lstm"],
    "mixed": ["starter", "lstm"],
}
MISSIONS = {"arena": "arena", "machina_1": "machina_1,max_steps=2000"}
REPEATABLE = {"noop", "starter"}
SEED = 100


def upstream(mission, team, episodes):
    """(seconds, rewards per episode) of upstream's own rollout."""
    from mettagrid.runner.rollout import run_multi_episode_rollout

    started = time.perf_counter()
    result, _ = run_multi_episode_rollout(
        policy_specs=[policy.spec() for policy in team],
        assignments=[agent * len(team) // mission.num_agents for agent in range(mission.num_agents)],
        env_cfg=mission.config,
        episodes=episodes,
        seed=SEED,
        max_action_time_ms=10_000,
    )
    return time.perf_counter() - started, [[float(r) for r in episode.rewards] for episode in result.episodes]


def daf(mission, team, episodes, executor):
    """(seconds, rewards per episode) of DAF with an empty cache."""
    share = mission.num_agents / len(team)
    contender = Contender("+".join(policy.name for policy in team), tuple(team), (share,) * len(team))
    plan = plan_episodes([mission], [contender], episodes=episodes, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = run_plan(plan, executor, EpisodeCache(folder))
        elapsed = time.perf_counter() - started
        assert not result.failures, result.failures[0].failure
        return elapsed, [list(record.played.rewards) for record in result.records]


def rollouts(options):
    titles = ("mission", "policy", "jobs", "upstream s/episode", "DAF s/episode", "ratio")
    print("{:<10} {:<8} {:>4} {:>19} {:>14} {:>7}  results".format(*titles))
    for name in options.missions:
        mission = missions.resolve(MISSIONS[name])[0]
        for label in options.policies:
            team = [policies.resolve(policy, cache=Path("unused")) for policy in TEAMS[label]]
            for jobs in options.jobs:
                executor = make_executor("local", jobs=jobs, preload=PRELOAD_NETWORKS)
                daf(mission, team, 2 * jobs, executor)  # warm workers
                theirs, ours = [], []
                for _ in range(options.rounds):
                    seconds, expected = upstream(mission, team, options.upstream_episodes)
                    theirs.append(seconds / options.upstream_episodes)
                    seconds, rewards = daf(mission, team, options.episodes, executor)
                    ours.append(seconds / options.episodes)
                executor.close()
                checked = "not comparable: upstream's draws are unseeded"
                if label in REPEATABLE:
                    assert rewards[: len(expected)] == expected, "DAF and upstream differ"
                    checked = f"equal in {min(len(expected), len(rewards))} episodes"
                ratio = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
                their, our = statistics.median(theirs), statistics.median(ours)
                print(
                    f"{name:<10} {label:<8} {jobs:>4} {their:>19.3f} {our:>14.4f} {ratio:>7.1f}  {checked}", flush=True
                )


def whole_process(options):
    """`cogames scrimmage` and `daf evaluate`, from the shell's prompt to the result."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    folder = Path(sys.executable).parent
    episodes = str(options.whole)
    for policy in ("lstm",):
        with tempfile.TemporaryDirectory() as output:
            ours = [str(folder / "daf"), "evaluate", "-p", policy, "-m", "arena", "-e", episodes, "--seed", str(SEED)]
            ours += ["--output-dir", output, "--json"]
            started = time.perf_counter()
            done = subprocess.run(ours, capture_output=True, text=True, check=True, env=environment)
            daf_seconds = time.perf_counter() - started
            assert len(json.loads(done.stdout)["episodes"]) == options.whole
            started = time.perf_counter()
            again = json.loads(subprocess.run(ours, capture_output=True, text=True, check=True, env=environment).stdout)
            again_seconds = time.perf_counter() - started
            assert all(episode["cached"] for episode in again["episodes"])
        theirs = [
            str(folder / "cogames"),
            "scrimmage",
            "-p",
            policy,
            "-m",
            "arena",
            "-e",
            episodes,
            "--seed",
            str(SEED),
        ]
        started = time.perf_counter()
        subprocess.run([*theirs, "--format", "json"], capture_output=True, text=True, check=True, env=environment)
        their_seconds = time.perf_counter() - started
        print(
            f"whole process, {episodes} {policy} episodes on arena: cogames scrimmage {their_seconds:.1f} s, "
            f"daf evaluate {daf_seconds:.1f} s, ratio {their_seconds / daf_seconds:.1f}"
        )
        print(f"the same again: {again_seconds:.1f} s, of which work {again['summary']['seconds']:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--missions", nargs="+", default=list(MISSIONS), choices=list(MISSIONS))
    parser.add_argument("--policies", nargs="+", default=list(TEAMS), choices=list(TEAMS))
    parser.add_argument("--jobs", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--episodes", type=int, default=32, help="DAF's episodes per round")
    parser.add_argument("--upstream-episodes", type=int, default=4, help="upstream's episodes per round")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--whole", type=int, default=32, help="episodes of the whole-process part; 0 leaves it out")
    options = parser.parse_args()
    if options.policies:
        rollouts(options)
    if options.whole:
        whole_process(options)


if __name__ == "__main__":
    main()
