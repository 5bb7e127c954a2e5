"""One PPO update, readable from top to bottom.

Schulman et al., "Proximal Policy Optimization Algorithms", 2017: the clipped objective, several passes over a rollout,
values learned with it. Optional, from PuffeRL: sequences drawn by their advantages and weighted back (Schaul et al.,
ICLR 2016), V-trace's clipping. Sequences are drawn from a separate generator of the trainer.

With several ranks, each has a part of the rollout. All draw the same minibatches, as numbers of sequences of the whole
rollout; each computes the part of the loss that belongs to its sequences, and gradients are summed. Advantages are
normalized over the whole minibatch.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from daf.config.training import DAFTrainingConfig
from daf.core._peers import Peers
from daf.core._rollout_buffer import RolloutBuffer, advantages
from daf.errors import DivergenceError
from daf.game.trainable import Trainable

LOSSES = (
    "loss/policy", "loss/value", "loss/entropy", "loss/total", "loss/approx_kl", "loss/old_approx_kl",
    "loss/clip_fraction",
)  # fmt: skip
"""The names of losses that are means over the update's minibatches."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The values that change during training, at one update. progress: 0 at the start, 1 at total_timesteps."""

    learning_rate: float
    ent_coef: float
    prio_beta: float


def update(
    trainable: Trainable,
    optimizer: torch.optim.Optimizer,
    buffer: RolloutBuffer,
    config: DAFTrainingConfig,
    schedule: Schedule,
    *,
    batch: int,
    chunk: int,
    generator: torch.Generator,
    peers: Peers,
    context: contextlib.AbstractContextManager[object] | None = None,
) -> dict[str, float]:
    """Learn from a rollout whose rewards are scaled; returns the update's losses by name.

    batch: sequences of all ranks per gradient step; chunk: sequences per backward pass. peers: the ranks, whose
    generators are in the same state. context: mixed precision around the network.
    Raises `DivergenceError` before a step with values that are not finite, naming the parameter.
    """
    for group in optimizer.param_groups:
        group["lr"] = schedule.learning_rate
    network, device = trainable.network, trainable.device
    network.train()
    autocast = context or contextlib.nullcontext()

    observations, actions = buffer.cut(buffer.observations), buffer.cut(buffer.actions)
    begins, old_logprobs = buffer.cut(buffer.begins), buffer.cut(buffer.logprobs)
    old_values, states = buffer.cut(buffer.values), buffer.initial_states()
    values = buffer.values.clone()
    ratios = torch.ones_like(buffer.logprobs)
    vtrace = config.vtrace_rho_clip is not None

    estimates = advantages(buffer, values, config)
    targets = buffer.cut(estimates + values)
    all_estimates = peers.join(buffer.cut(estimates))
    sequences = len(all_estimates)
    own = peers.owned(sequences)

    # Losses are summed on the device: float() at every step would make the CPU wait for the GPU each time.
    sums = {name: torch.zeros((), dtype=trainable.dtype, device=device) for name in LOSSES}
    norms: list[torch.Tensor] = []
    steps = 0
    for _epoch in range(config.n_epochs):
        order = torch.randperm(sequences, generator=generator)
        for first in range(0, sequences, batch):
            if vtrace:  # ratios have changed, and with them the estimates from the old steps
                estimates = advantages(buffer, values, config, ratios)
                all_estimates, targets = peers.join(buffer.cut(estimates)), buffer.cut(estimates + values)
            if config.prio_alpha > 0:
                weight = all_estimates.abs().sum(1).cpu().double() ** config.prio_alpha + 1e-6
                chances = weight / weight.sum()
                picked = torch.multinomial(chances, min(batch, sequences), generator=generator)
                importance = (sequences * chances[picked]) ** -schedule.prio_beta
                weights = importance.to(device, trainable.dtype).unsqueeze(1)
            else:
                picked = order[first : first + batch]
                weights = torch.ones((len(picked), 1), dtype=trainable.dtype, device=device)
            picked = picked.to(device)
            gain = all_estimates[picked]
            if config.normalize_advantage:
                # correction=0: a minibatch of one value has deviation 0, where the sample estimate would be NaN
                gain = (gain - gain.mean()) / (gain.std(correction=0) + 1e-8)
            gain = gain * weights
            mine = picked
            if peers.world > 1:
                here = (picked >= own.start) & (picked < own.stop)
                mine, gain = picked[here] - own.start, gain[here]

            optimizer.zero_grad(set_to_none=True)
            diverged = torch.zeros((), dtype=torch.float64)
            for start in range(0, len(mine), chunk):
                part = slice(start, start + chunk)
                rows = mine[part]
                seen = observations.index_select(0, rows)  # copies whole sequences; with brackets it copies bytes
                with autocast:
                    logits, value = trainable.learn(
                        seen, {key: state[rows] for key, state in states.items()}, begins[rows]
                    )
                logprobs = torch.log_softmax(logits, -1)
                logprob = logprobs.gather(-1, actions[rows].unsqueeze(-1)).squeeze(-1)
                change = logprob - old_logprobs[rows]
                ratio = change.exp()
                entropy = -(logprobs.exp() * logprobs).sum(-1).mean()

                clipped = ratio.clamp(1 - config.clip_range, 1 + config.clip_range)
                policy_loss = torch.max(-gain[part] * ratio, -gain[part] * clipped).mean()
                value_error = (value - targets[rows]) ** 2
                if config.clip_range_vf is not None:
                    moved = (value - old_values[rows]).clamp(-config.clip_range_vf, config.clip_range_vf)
                    value_error = torch.max(value_error, (old_values[rows] + moved - targets[rows]) ** 2)
                value_loss = 0.5 * value_error.mean()
                loss = policy_loss + config.vf_coef * value_loss - schedule.ent_coef * entropy
                share = len(rows) / len(picked)
                (loss * share).backward()  # type: ignore[no-untyped-call]

                with torch.no_grad():
                    if vtrace:  # `cut` returns views, so these assignments change `ratios` and `values`
                        buffer.cut(ratios)[rows] = ratio.detach()
                        buffer.cut(values)[rows] = value.detach()
                    kl = ((ratio - 1) - change).mean()
                    diverged += float(kl) * share if config.target_kl is not None else 0.0
                    for name, number in (
                        ("loss/policy", policy_loss), ("loss/value", value_loss), ("loss/entropy", entropy),
                        ("loss/total", loss), ("loss/approx_kl", kl), ("loss/old_approx_kl", -change.mean()),
                        ("loss/clip_fraction", ((ratio - 1).abs() > config.clip_range).float().mean()),
                    ):  # fmt: skip
                        sums[name] += number.detach() * share
            norms.append(gradient_step(network, optimizer, config, peers))
            steps += 1
            if config.target_kl is not None and float(peers.total(diverged)) > config.target_kl:
                break
        else:
            continue
        break
    check_parameters(network)
    totals = peers.total(torch.stack(list(sums.values()))).tolist()
    losses = {name: total / steps for name, total in zip(sums, totals, strict=True)}
    losses["gradient/norm"] = float(torch.stack(norms).mean())
    losses["loss/gradient_steps"] = float(steps)
    all_targets = peers.join(targets)
    spread = float(all_targets.var())
    if spread > 0:
        losses["loss/explained_variance"] = 1 - float((all_targets - peers.join(old_values)).var()) / spread
    return losses


def gradient_step(
    network: torch.nn.Module, optimizer: torch.optim.Optimizer, config: DAFTrainingConfig, peers: Peers
) -> torch.Tensor:
    """Take one step along the gradients of all ranks, clipped; returns their norm before that.

    Raises `DivergenceError` instead of taking a step with values that are not finite.
    """
    peers.sum_gradients(network)
    bound = config.max_grad_norm if config.max_grad_norm is not None else float("inf")
    parameters = [parameter for parameter in network.parameters() if parameter.grad is not None]
    # Not clip_grad_norm_: a NaN norm would spread to all gradients, and the error could not name the parameter.
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not torch.isfinite(norm):
        raise DivergenceError(_which_diverged(network))
    torch.nn.utils.clip_grads_with_norm_(parameters, bound, norm)
    optimizer.step()
    return norm.detach()


def check_parameters(network: torch.nn.Module) -> None:
    """Raise `DivergenceError` naming the parameters that are not finite."""
    found = [name for name, parameter in network.named_parameters() if not torch.isfinite(parameter).all()]
    if found:
        raise DivergenceError(f"the parameter {', '.join(found[:3])} is no longer a number")


def _which_diverged(network: torch.nn.Module) -> str:
    """The sentence for a gradient that is not a number."""
    found = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
    ]
    return f"the gradient of {', '.join(found[:3]) or 'the network'} is no longer a number"
