"""One PPO update: advantages against a closed form, and every hyperparameter's effect on what is learned."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daf.config import DAFTrainingConfig
from daf.config.hyperparameters import HYPERPARAMETERS
from daf.config.training import IMITATION
from daf.core._optimizers import make_optimizer, schedule
from daf.core._peers import Alone
from daf.core._ppo import update
from daf.core._rollout_buffer import RewardScale, RolloutBuffer, advantages, scale_rewards
from daf.core.rollout_sizes import rollout_sizes
from daf.errors import ConfigError, DivergenceError
from daf.game import missions, policies
from daf.game import trainable as module
from daf.game.observations import END
from daf.game.rollout import Game
from daf.game.trainable import Trainable, trainable
from tests.training.tiny import MISSION

ROWS, STEPS = 8, 16


@pytest.fixture(scope="module")
def game() -> Game:
    return Game(missions.resolve(MISSION)[0].config)


def network(game: Game, tmp_path: Path, name: str = "lstm", seed: int = 3) -> Trainable:
    return trainable(policies.resolve(name, cache=tmp_path), game, device="cpu", seed=seed)


@pytest.mark.parametrize("name", ["lstm", "stateless"])
def test_what_padding_becomes_is_found_out_where_every_token_is_used(
    game: Game, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    padded = network(game, tmp_path, name).shown
    real = module._observations

    def full(game: Game) -> torch.Tensor:
        found = real(game)
        return torch.where(found[..., 1:2] == END, found[:, :1], found)

    monkeypatch.setattr(module, "_observations", full)
    assert network(game, tmp_path, name).shown == padded


def experience(model: Trainable, horizon: int, seed: int = 0) -> RolloutBuffer:
    """A rollout as the learner would fill it, of random observations and rewards, with an episode's end in it."""
    tokens = model.interface.observation_space.shape[0]
    buffer = RolloutBuffer(ROWS, STEPS, tokens, horizon, torch.device("cpu"))
    generator = torch.Generator().manual_seed(seed)
    buffer.observations.copy_(torch.randint(0, 255, buffer.observations.shape, generator=generator, dtype=torch.uint8))
    buffer.rewards.copy_(torch.randn(ROWS, STEPS, generator=generator))
    buffer.done[2, 5] = 1
    buffer.bootstrap[2, 5] = 0.7
    buffer.begins[2, 6] = True
    buffer.begins[:, 0] = True
    state = model.initial_state(ROWS)
    with torch.no_grad():
        for step in range(STEPS):
            if step % horizon == 0:
                buffer.keep_state(step // horizon, slice(0, ROWS), state)
            logits, values, state = model.act(buffer.observations[:, step], state)
            chosen = torch.multinomial(torch.softmax(logits, -1), 1, generator=generator)
            buffer.actions[:, step] = chosen.squeeze(1)
            buffer.logprobs[:, step] = torch.log_softmax(logits, -1).gather(1, chosen).squeeze(1)
            buffer.values[:, step] = values
            for part in state.values():
                part[buffer.done[:, step] > 0] = 0
        buffer.last_values.copy_(values)
    return buffer


def learned(game: Game, tmp_path: Path, **fields: Any) -> tuple[list[torch.Tensor], dict[str, float]]:
    """The weights after two updates from the same experience, and the last losses."""
    torch.set_num_threads(1)
    config = DAFTrainingConfig(**{"n_steps": STEPS, "num_envs": 2, "total_timesteps": 10 * ROWS * STEPS, **fields})
    model = network(game, tmp_path)
    measures = rollout_sizes(config, agents=4, tokens=model.interface.observation_space.shape[0], cores=1)
    optimizer = make_optimizer(model.network, config)
    generator = torch.Generator().manual_seed(1)
    scale = RewardScale(np.zeros(ROWS))
    for number in range(2):
        buffer = experience(model, measures.horizon, seed=number)
        scale_rewards(buffer, scale, config, buffer.rewards, buffer.done)
        losses = update(
            model, optimizer, buffer, config, schedule(config, (1 + number) * ROWS * STEPS),
            batch=measures.batch, chunk=measures.chunk, generator=generator, peers=Alone(2),
        )  # fmt: skip
    return [parameter.detach().clone() for parameter in model.network.parameters()], losses


EFFECTS: dict[str, dict[str, Any]] = {
    "learning_rate": {"learning_rate": 1e-2},
    "gamma": {"gamma": 0.5},
    "gae_lambda": {"gae_lambda": 0.2},
    "clip_range": {"clip_range": 1e-4, "n_epochs": 4},
    "clip_range_vf": {"clip_range_vf": 1e-4, "n_epochs": 4},
    "n_epochs": {"n_epochs": 5},
    "batch_size": {"batch_size": 8 * STEPS},
    "bptt_horizon": {"bptt_horizon": 4},
    "ent_coef": {"ent_coef": 0.5},
    "ent_coef_final": {"ent_coef_final": 0.5},
    "vf_coef": {"vf_coef": 3.0},
    "max_grad_norm": {"max_grad_norm": 1e-6},
    "target_kl": {"target_kl": 1e-9},
    "normalize_advantage": {"normalize_advantage": False},
    "normalize_rewards": {"normalize_rewards": False},
    "reward_scale": {"reward_scale": 7.0, "normalize_rewards": False},
    "reward_clip": {"reward_clip": 0.1},
    "prio_alpha": {"prio_alpha": 0.9},
    "prio_beta0": {"prio_beta0": 1.0, "prio_alpha": 0.9},
    "vtrace_rho_clip": {"vtrace_rho_clip": 0.5, "vtrace_c_clip": 1.0},
    "vtrace_c_clip": {"vtrace_rho_clip": 0.5, "vtrace_c_clip": 0.1},
    "optimizer": {"optimizer": "rmsprop"},
    "adam_beta1": {"adam_beta1": 0.5},
    "adam_beta2": {"adam_beta2": 0.5},
    "adam_eps": {"adam_eps": 1e-1},
    "weight_decay": {"weight_decay": 0.5},
    "lr_schedule": {"lr_schedule": "constant"},
    "min_lr_ratio": {"min_lr_ratio": 0.9},
    "warmup_steps": {"warmup_steps": 100_000},
    "total_timesteps": {"total_timesteps": 100 * ROWS * STEPS},
}
"""What is changed to see each hyperparameter's effect, beside what it needs to have one."""

BESIDE = {"clip_range": {"n_epochs": 4}, "clip_range_vf": {"n_epochs": 4}, "prio_beta0": {"prio_alpha": 0.9},
          "reward_scale": {"normalize_rewards": False},
          "vtrace_c_clip": {"vtrace_rho_clip": 0.5, "vtrace_c_clip": 1.0}}  # fmt: skip
ELSEWHERE = {
    "seed", "num_envs", "n_steps", "bootstrap_truncated",  # test_learner
    "device", "num_workers", "threads", "memory_budget_mb", "max_minibatch_size", "precision", "compile",
    "gradient_checkpointing", "workers_per_node", "scale",
    *IMITATION,  # test_imitation
}  # fmt: skip
"""Effects on what is collected, or on memory and speed alone: tested where they are seen."""


def test_no_hyperparameter_is_left_out() -> None:
    assert set(EFFECTS) | ELSEWHERE == set(HYPERPARAMETERS)


@pytest.mark.parametrize("name", EFFECTS)
def test_every_hyperparameter_changes_what_is_learned(game: Game, tmp_path: Path, name: str) -> None:
    plain, _ = learned(game, tmp_path, **BESIDE.get(name, {}))
    changed, _ = learned(game, tmp_path, **EFFECTS[name])
    assert not all(torch.equal(a, b) for a, b in zip(plain, changed, strict=True))


def test_equal_settings_learn_the_same_to_the_bit(game: Game, tmp_path: Path) -> None:
    first, second = (learned(game, tmp_path)[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_smaller_backward_passes_learn_the_same(game: Game, tmp_path: Path) -> None:
    whole, _ = learned(game, tmp_path, batch_size=8 * STEPS)
    parts, _ = learned(game, tmp_path, batch_size=8 * STEPS, max_minibatch_size=2 * STEPS)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-3)


def test_advantages_are_the_sums_of_the_definition(game: Game, tmp_path: Path) -> None:
    config = DAFTrainingConfig(gamma=0.9, gae_lambda=0.8)
    buffer = experience(network(game, tmp_path), STEPS)
    found = advantages(buffer, buffer.values, config).numpy()
    values, rewards = buffer.values.numpy(), buffer.rewards.numpy()
    for row in range(ROWS):
        end = 5 if row == 2 else STEPS - 1
        expected = 0.0
        for step in range(end + 1):  # equation 16 of the paper, from time 0, until the episode or the rollout ends
            after = values[row, step + 1] if step < end else 0.7 if row == 2 else float(buffer.last_values[row])
            expected += (0.9 * 0.8) ** step * (rewards[row, step] + 0.9 * after - values[row, step])
        assert found[row, 0] == pytest.approx(expected, abs=1e-4)


def test_with_lambda_1_the_target_is_the_discounted_return(game: Game, tmp_path: Path) -> None:
    config = DAFTrainingConfig(gamma=0.9, gae_lambda=1.0)
    buffer = experience(network(game, tmp_path), STEPS)
    targets = (advantages(buffer, buffer.values, config) + buffer.values).numpy()
    rewards = buffer.rewards.numpy()
    expected = sum(0.9**step * rewards[0, step] for step in range(STEPS)) + 0.9**STEPS * float(buffer.last_values[0])
    assert targets[0, 0] == pytest.approx(expected, abs=1e-4)


def test_rewards_are_divided_by_the_deviation_of_their_discounted_sum() -> None:
    rewards = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    done = torch.zeros(4, 50)
    done[1, 20] = 1
    scale = RewardScale(np.zeros(4))
    scale.update(rewards[:, :30], done[:, :30], 0.9)
    scale = RewardScale.of(scale.state(), 4)
    scale.update(rewards[:, 30:], done[:, 30:], 0.9)
    sums, running = [], np.zeros(4)
    for step in range(50):
        running = running * 0.9 + rewards[:, step].double().numpy()
        sums.extend(running.tolist())
        running = running * (1 - done[:, step].double().numpy())
    assert scale.deviation == pytest.approx(float(np.std(sums)), rel=1e-12)


def test_sequences_with_an_episodes_end_inside_are_learned_as_they_were_played(game: Game, tmp_path: Path) -> None:
    for name in ("lstm", "token_lstm", "token_grid", "puffer"):
        model = network(game, tmp_path, name)
        assert model.sequences
        buffer = experience(model, STEPS)
        with torch.no_grad():
            logits, values = model.learn(buffer.observations, buffer.initial_states(), buffer.begins)
        logprobs = torch.log_softmax(logits, -1).gather(-1, buffer.actions.unsqueeze(-1)).squeeze(-1)
        torch.testing.assert_close(logprobs, buffer.logprobs, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(values, buffer.values, atol=1e-4, rtol=1e-3)


def test_a_gradient_that_is_no_number_stops_before_the_weights_are_touched(game: Game, tmp_path: Path) -> None:
    model = network(game, tmp_path)
    config = DAFTrainingConfig(n_steps=STEPS)
    buffer = experience(model, STEPS)
    buffer.rewards[0, 3] = math.inf
    before = [parameter.detach().clone() for parameter in model.network.parameters()]
    with pytest.raises(DivergenceError, match=r"the gradient of .*_net\.0\.weight.* is no longer a number"):
        update(
            model, make_optimizer(model.network, config), buffer, config, schedule(config, 0),
            batch=4, chunk=4, generator=torch.Generator(), peers=Alone(2),
        )  # fmt: skip
    assert all(torch.equal(a, b) for a, b in zip(before, model.network.parameters(), strict=True))


def test_schedules_fall_as_they_say() -> None:
    linear = DAFTrainingConfig(learning_rate=0.1, total_timesteps=100, lr_schedule="linear", min_lr_ratio=0.1)
    assert [schedule(linear, s).learning_rate for s in (0, 50, 100)] == pytest.approx([0.1, 0.055, 0.01])
    cosine = DAFTrainingConfig(learning_rate=0.1, total_timesteps=100, lr_schedule="cosine")
    assert [schedule(cosine, s).learning_rate for s in (0, 50, 100)] == pytest.approx([0.1, 0.05, 0.0])
    entropy = DAFTrainingConfig(ent_coef=0.1, ent_coef_final=0.0, total_timesteps=100)
    assert [schedule(entropy, s).ent_coef for s in (0, 50, 100)] == pytest.approx([0.1, 0.05, 0.0])


def test_weak_scaling_multiplies_the_learning_rate_by_what_it_documents() -> None:
    for scale, optimizer, factor in (("strong", "adam", 1), ("weak", "adam", 2), ("weak", "sgd", 4)):
        config = DAFTrainingConfig(learning_rate=0.01, lr_schedule="constant", scale=scale, optimizer=optimizer)
        assert schedule(config, 0, ranks=4).learning_rate == pytest.approx(0.01 * factor)


def test_a_batch_that_does_not_divide_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"batch_size 192 does not divide .*Nearest that do: .*128.*256"):
        rollout_sizes(DAFTrainingConfig(num_envs=4, n_steps=64, batch_size=192), agents=4, tokens=10, cores=2)


def test_auto_sizes_stay_below_a_memory_budget() -> None:
    free = rollout_sizes(DAFTrainingConfig(), agents=8, tokens=500, cores=2)
    bound = rollout_sizes(DAFTrainingConfig(memory_budget_mb=32), agents=8, tokens=500, cores=2)
    assert free.environments * 8 == 256
    assert bound.environments < free.environments
    assert bound.rows * 64 * 1532 <= 16 * 2**20
    assert bound.chunk <= bound.batch
    with pytest.raises(ConfigError, match="memory_budget_mb 16: a rollout of num_envs 64"):
        rollout_sizes(DAFTrainingConfig(memory_budget_mb=16, num_envs=64), agents=8, tokens=500, cores=2)
