"""The time that a network takes per agent step of training, against another's, in one run on one core.

An agent step is acted on once, in a batch of 256 agents, and learned from twice, in sequences of 64 steps with an
optimizer step for every 1,024. Networks take turns, and the minimum over rounds counts, because other processes only
add time. The observations are those of agents that move at random.

    python benchmarks/networks.py [--mission arena] [--policies lstm token_lstm token_grid] [--rounds 6]
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

ACTING, SEQUENCES, STEPS, EPOCHS = 256, 16, 64, 2


def observed(mission):
    """(sequences, steps, tokens, 3) observations, and the seconds of the simulator per agent step."""
    from daf.game.training_environment import TrainingEnvironment

    environment = TrainingEnvironment(mission)
    seen, generator, seconds = [], np.random.default_rng(0), 0.0
    now = environment.reset()
    rounds = -(-SEQUENCES // len(now))
    for _ in range(STEPS * rounds):
        seen.append(now.copy())
        actions = generator.integers(0, len(environment.action_names), len(now))
        began = time.perf_counter()
        now, *_, ended = environment.step(actions)
        seconds += time.perf_counter() - began
        if ended is not None:
            now = environment.reset()
    agents = len(now)
    whole = np.stack(seen, 1).reshape(agents * rounds, STEPS, *now.shape[1:])[:SEQUENCES]
    return torch.from_numpy(whole), seconds / (STEPS * rounds * agents)


def passes(model, observations):
    """Functions that act once and learn once."""
    prepared = model.prepared(observations).contiguous()
    rows = prepared.flatten(0, 1)[:: len(prepared) * STEPS // ACTING][:ACTING].contiguous()
    optimizer = torch.optim.Adam(model.network.parameters(), 1e-4)

    def act():
        with torch.no_grad():
            model.act(rows, model.initial_state(len(rows)))
        return len(rows)

    def learn():
        begins = torch.zeros(prepared.shape[:2], dtype=torch.bool)
        logits, values = model.learn(prepared, model.initial_state(len(prepared)), begins)
        optimizer.zero_grad()
        (logits.logsumexp(-1).mean() + values.mean()).backward()
        optimizer.step()
        return begins.numel()

    return act, learn


def timed(function):
    began = time.perf_counter()
    steps = function()
    return (time.perf_counter() - began) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mission", default="arena")
    parser.add_argument("--policies", nargs="+", default=["lstm", "token_lstm", "token_grid"])
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    from daf.game import missions, policies
    from daf.game.rollout import Game
    from daf.game.trainable import trainable

    torch.set_num_threads(1)
    (mission,) = missions.resolve(options.mission)
    observations, simulator = observed(options.mission)
    game, cache = Game(mission.config), Path("daf_output/cache")
    models = [trainable(policies.resolve(name, cache=cache), game, device="cpu", seed=0) for name in options.policies]
    functions = [passes(model, observations) for model in models]
    times = [[[timed(each) for each in pair] for pair in functions] for _ in range(options.rounds + 1)][1:]
    acting, learning = np.min(times, axis=0).T * 1e6
    whole = acting + EPOCHS * learning
    print(f"{options.mission}: simulator {simulator * 1e6:.0f} µs per agent step")
    for name, act, learn, total in zip(options.policies, acting, learning, whole, strict=True):
        print(
            f"{name}: act {act:.0f} µs, learn {learn:.0f} µs, with {EPOCHS} epochs {total:.0f} µs per agent step: "
            f"{total / whole[0]:.1f} × {options.policies[0]}"
        )


if __name__ == "__main__":
    main()
