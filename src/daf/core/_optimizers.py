"""The optimizer of a configuration, and its learning rate at each step.

Importing this module imports torch.
"""

import math

import torch

from daf.config.training import DAFTrainingConfig
from daf.core._ppo import Schedule


def make_optimizer(network: torch.nn.Module, config: DAFTrainingConfig) -> torch.optim.Optimizer:
    """The optimizer over the network's trainable parameters."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rate, decay = config.learning_rate, config.weight_decay
    betas = (config.adam_beta1, config.adam_beta2)
    if config.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
        # Fused: one pass over weights and moments instead of one per operation.
        return kind(parameters, lr=rate, betas=betas, eps=config.adam_eps, weight_decay=decay, fused=True)
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(
            parameters, lr=rate, alpha=betas[1], eps=config.adam_eps, weight_decay=decay, momentum=betas[0]
        )
    return torch.optim.SGD(parameters, lr=rate, momentum=betas[0], weight_decay=decay)


def schedule(config: DAFTrainingConfig, steps: int, ranks: int = 1) -> Schedule:
    """The values for the update that starts after `steps` agent steps. ranks: that learn together."""
    progress = min(1.0, steps / config.total_timesteps)
    fallen = 1.0
    if config.lr_schedule == "linear":
        fallen = 1 - progress
    elif config.lr_schedule == "cosine":
        fallen = 0.5 * (1 + math.cos(math.pi * progress))
    rate = config.learning_rate * (config.min_lr_ratio + (1 - config.min_lr_ratio) * fallen)
    rate *= rate_factor(config, ranks)
    if steps < config.warmup_steps:
        rate *= max(steps, 1) / config.warmup_steps
    final = config.ent_coef if config.ent_coef_final is None else config.ent_coef_final
    return Schedule(
        learning_rate=rate,
        ent_coef=config.ent_coef + (final - config.ent_coef) * progress,
        prio_beta=config.prio_beta0 + (1 - config.prio_beta0) * progress,
    )


def rate_factor(config: DAFTrainingConfig, ranks: int) -> float:
    """What the learning rate is multiplied by: under weak scaling, `ranks` times as many samples enter each step.

    With sgd linear (Goyal et al., "Accurate, Large Minibatch SGD", 2017); with adaptive optimizers the square root
    (Malladi et al., "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms", NeurIPS 2022).
    """
    if config.scale == "strong":
        return 1.0
    return float(ranks) if config.optimizer == "sgd" else math.sqrt(ranks)
