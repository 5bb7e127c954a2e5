"""One update of the phase `imitate`, readable from top to bottom: learn what the teacher does.

The loss is the negative log-likelihood of the teacher's action, weighted by how rare that action is, or the Kullback-
Leibler divergence from the teacher's probabilities. States that the student leads are labelled too (Ross, Gordon and
Bagnell, "A Reduction of Imitation Learning and Structured Prediction to No-Regret Online Learning", AISTATS 2011).
Recurrent networks learn from whole sequences with the states that they had. The value is learned with it, from the
returns of the states that were reached.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib

import torch

from daf.config.training import DAFTrainingConfig
from daf.core._lessons import Lessons
from daf.core._peers import Peers
from daf.core._ppo import Schedule, check_parameters, gradient_step
from daf.core._rollout_buffer import RolloutBuffer, advantages
from daf.game.teaching import UNLABELLED
from daf.game.trainable import Trainable

MOST_WEIGHT = 20.0
"""The largest weight of an action, in multiples of the smallest that a common action has."""


def imitating(config: DAFTrainingConfig, steps: int) -> bool:
    """Whether the update that starts after `steps` agent steps belongs to the phase `imitate`."""
    return config.teacher is not None and (config.imitate_steps is None or steps < config.imitate_steps)


def teacher_led(config: DAFTrainingConfig, steps: int) -> float:
    """The share of environments that the teacher leads in episodes that start after `steps` agent steps."""
    if not imitating(config, steps):
        return 0.0
    progress = min(1.0, steps / min(config.imitate_steps or config.total_timesteps, config.total_timesteps))
    final = config.teacher_led if config.teacher_led_final is None else config.teacher_led_final
    return config.teacher_led + (final - config.teacher_led) * progress


def action_weights(counts: torch.Tensor, exponent: float) -> torch.Tensor:
    """The weight of each action: (mean count / its count) ^ exponent, at most `MOST_WEIGHT`; 1 without counts."""
    rarity = counts.mean() / counts.clamp(min=1)
    return torch.where(counts > 0, rarity**exponent, 1.0).clamp(max=MOST_WEIGHT)


def drawn(weights: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """The numbers of a share of the sequences, at least one, in random order: all, or drawn by their labels' weight."""
    sequences = len(weights)
    if share >= 1:
        return torch.randperm(sequences, generator=generator)
    # Never 0: as many sequences as are wanted must be possible draws, also where few have a label.
    chances = weights.sum(-1).cpu().double() + 1e-6
    return torch.multinomial(chances, max(1, round(sequences * share)), generator=generator)


def imitate(
    trainable: Trainable,
    optimizer: torch.optim.Optimizer,
    buffer: RolloutBuffer,
    lessons: Lessons,
    config: DAFTrainingConfig,
    schedule: Schedule,
    *,
    batch: int,
    chunk: int,
    generator: torch.Generator,
    peers: Peers,
    context: contextlib.AbstractContextManager[object] | None = None,
) -> dict[str, float]:
    """Learn from a rollout whose rewards are scaled; returns the update's losses by name. Arguments as of PPO's update.

    Raises `DivergenceError` before a step with values that are not finite, naming the parameter.
    """
    for group in optimizer.param_groups:
        group["lr"] = schedule.learning_rate
    network, device = trainable.network, trainable.device
    network.train()
    autocast = context or contextlib.nullcontext()

    observations, begins, states = buffer.cut(buffer.observations), buffer.cut(buffer.begins), buffer.initial_states()
    targets = buffer.cut(advantages(buffer, buffer.values, config) + buffer.values)
    labels = buffer.cut(lessons.labels)
    teacher = None if lessons.logprobs is None else buffer.cut(lessons.logprobs)
    by_action = action_weights(lessons.counts, config.rare_action_weight).to(device, trainable.dtype)
    repeated = buffer.cut(lessons.views).clamp(min=1).to(trainable.dtype) ** -config.repeated_view_weight
    weights = by_action[labels.clamp(min=0)] * repeated * (labels != UNLABELLED)
    all_weights = peers.join(weights)
    sequences = len(all_weights)
    own = peers.owned(sequences)

    sums = torch.zeros(3, dtype=trainable.dtype, device=device)
    norms: list[torch.Tensor] = []
    for _epoch in range(config.n_epochs):
        order = drawn(all_weights, config.learned_share, generator)
        for first in range(0, len(order), batch):
            picked = order[first : first + batch].to(device)
            # Over the labels of the whole minibatch: chunks and ranks with few labels must not weigh more.
            whole = all_weights[picked].sum().clamp(min=1e-8)
            mine = picked[(picked >= own.start) & (picked < own.stop)] - own.start
            optimizer.zero_grad(set_to_none=True)
            for start in range(0, len(mine), chunk):
                rows = mine[start : start + chunk]
                with autocast:
                    logits, value = trainable.learn(
                        observations[rows], {key: state[rows] for key, state in states.items()}, begins[rows]
                    )
                logprobs = torch.log_softmax(logits, -1)
                if teacher is None:
                    losses = -logprobs.gather(-1, labels[rows].clamp(min=0).unsqueeze(-1)).squeeze(-1)
                else:
                    losses = (teacher[rows].exp() * (teacher[rows] - logprobs)).sum(-1)
                imitation = (losses * weights[rows]).sum() / whole
                value_loss = 0.5 * ((value - targets[rows]) ** 2).mean() * (len(rows) / len(picked))
                loss = imitation + config.vf_coef * value_loss
                loss.backward()  # type: ignore[no-untyped-call]
                sums += torch.stack([imitation.detach(), value_loss.detach(), loss.detach()])
            norms.append(gradient_step(network, optimizer, config, peers))
    check_parameters(network)
    totals = (peers.total(sums) / len(norms)).tolist()
    return {
        "loss/imitation": totals[0],
        "loss/value": totals[1],
        "loss/total": totals[2],
        "gradient/norm": float(torch.stack(norms).mean()),
        "loss/gradient_steps": float(len(norms)),
    }
