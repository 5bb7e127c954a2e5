"""The engines against upstream's rollout, in one process on one core.

Upstream's `run_multi_episode_rollout` and DAF's fastest engine for the policy play the same episodes in turn,
`--rounds` times; set-up of each episode counts, imports don't. Where the policy follows from its seed, results must be
equal, episode by episode; where upstream draws unseeded (random, lstm), DAF's are played twice and must repeat.
Processor time is measured, so that other work on the machine matters less.

    python benchmarks/engine.py
    python benchmarks/engine.py --policies noop lstm --missions arena --episodes 1 --ours 8 --rounds 2
"""

import argparse
import random
import sys
from time import process_time

from daf.game import compat

compat.install()

from cogames.cli.mission import get_mission  # noqa: E402
from mettagrid.policy.policy import PolicySpec  # noqa: E402
from mettagrid.policy.policy_env_interface import PolicyEnvInterface  # noqa: E402
from mettagrid.runner.rollout import run_multi_episode_rollout  # noqa: E402
from mettagrid.util.module import load_symbol  # noqa: E402

from daf.game.object_rollout import play_object  # noqa: E402
from daf.game.seeding import own_generators, seed_everything  # noqa: E402
from daf.game.simulation import convert, with_map_seed  # noqa: E402

CLASSES = {
    "noop": "mettagrid.policy.noop.NoopPolicy",
    "random": "mettagrid.policy.random_agent.RandomMultiAgentPolicy",
    "starter": "cogames.policy.starter_agent.StarterPolicy",
    "lstm": "mettagrid.policy.lstm.LSTMPolicy",
}
TEAMS = {
    "noop": ("noop",),
    "random": ("random",),
    "starter": ("starter",),
    "lstm": ("lstm",),
    "mixed": ("lstm", "starter"),
}
STEPS = {"arena": 1000, "machina_1": 2000}
SEED = 100


def assignments(teams, agents, episodes):
    """The team of each agent, per episode, as upstream shuffles them."""
    shuffler = random.Random(SEED)
    order = [agent % len(teams) for agent in range(agents)]
    found = []
    for _ in range(episodes):
        shuffler.shuffle(order)
        found.append(list(order))
    return found


def play_upstream(env, teams, episodes):
    agents = env.game.num_agents
    result, _ = run_multi_episode_rollout(
        policy_specs=[PolicySpec(class_path=CLASSES[name]) for name in teams],
        assignments=[agent % len(teams) for agent in range(agents)],
        env_cfg=env,
        episodes=episodes,
        seed=SEED,
        max_action_time_ms=10_000,
    )
    return [(tuple(episode.rewards), episode.steps, episode.stats["game"]) for episode in result.episodes]


def play_ours(env, teams, episodes):
    """By the batch engine where a network takes part, else by the object engine."""
    converted = convert(env)
    orders = assignments(teams, env.game.num_agents, episodes)
    shared = {}

    def build(seed):
        interface = PolicyEnvInterface.from_mg_cfg(env)
        built = []
        for name in teams:
            seed_everything("policy", name)
            cls = load_symbol(CLASSES[name])
            built.append(shared.setdefault(name, cls(interface)) if name == "lstm" else cls(interface))
        seed_everything("episode", seed)
        return built

    if "lstm" in teams:
        from daf.game.batch_rollout import BatchPlay, play_batch

        outcomes = play_batch(
            [
                BatchPlay(
                    env=with_map_seed(env, SEED + index),
                    build=lambda seed=SEED + index: build(seed),
                    assignment=order,
                    seed=SEED + index,
                    policy_names=teams,
                    converted=converted,
                )
                for index, order in enumerate(orders)
            ]
        )
    else:
        outcomes = []
        with own_generators():
            for index, order in enumerate(orders):
                seed = SEED + index
                outcomes.append(
                    play_object(
                        with_map_seed(env, seed),
                        build(seed),
                        order,
                        seed=seed,
                        policy_names=teams,
                        action_timeout_ms=None,
                        converted=converted,
                    )
                )
    return [(outcome.rewards, outcome.steps, outcome.game_stats) for outcome in outcomes]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--missions", nargs="+", default=list(STEPS))
    parser.add_argument("--policies", nargs="+", default=list(TEAMS), choices=list(TEAMS))
    parser.add_argument("--episodes", type=int, default=1, help="upstream's episodes per round")
    parser.add_argument("--ours", type=int, default=8, help="DAF's episodes per round, at least upstream's")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    ours_count = max(options.ours, options.episodes)
    if {"lstm", "mixed"} & set(options.policies):
        import torch

        torch.set_num_threads(1)
    print(
        f"{'mission':<12}{'policy':<9}{'upstream':>12}{'DAF':>12}{'ratio':>8}   agent-steps/s, best of {options.rounds}"
    )
    wrong = 0
    for mission in options.missions:
        env = get_mission(mission)[1]
        env.game.max_steps = STEPS.get(mission, env.game.max_steps)
        for policy in options.policies:
            teams = TEAMS[policy]
            play_ours(env, teams, 1)  # imports and caches
            theirs_best = ours_best = 0.0
            for _ in range(options.rounds):
                started = process_time()
                theirs = play_upstream(env, teams, options.episodes)
                between = process_time()
                ours = play_ours(env, teams, ours_count)
                ended = process_time()
                agents = env.game.num_agents
                theirs_best = max(theirs_best, agents * sum(steps for _, steps, _ in theirs) / (between - started))
                ours_best = max(ours_best, agents * sum(steps for _, steps, _ in ours) / (ended - between))
            repeatable = policy in ("noop", "starter")
            expected = theirs if repeatable else play_ours(env, teams, ours_count)
            if ours[: len(expected)] != expected:
                print(f"{mission} {policy}: the results differ", file=sys.stderr)
                wrong += 1
            ratio = ours_best / theirs_best
            print(f"{mission:<12}{policy:<9}{theirs_best:>12,.0f}{ours_best:>12,.0f}{ratio:>8.1f}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
