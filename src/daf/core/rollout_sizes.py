"""The sizes of a rollout, its minibatches and its processes, checked before anything starts.

Sizes set to "auto" are chosen from the number of agents, and within the memory budget if one is set.
"""

import math
from dataclasses import dataclass, replace

from daf.config import memory
from daf.config.training import DAFTrainingConfig
from daf.errors import ConfigError

AUTO_AGENTS = 256
"""The number of agents that num_envs "auto" aims at."""
AUTO_BATCHES, AUTO_BATCHES_TAUGHT = 4, 16
"""Gradient steps per pass over a rollout that batch_size "auto" aims at, without and with a teacher; it uses a divisor
of the rollout. Labels are less noisy than advantages: more, smaller steps learn them in fewer agent steps.
"""


@dataclass(frozen=True, slots=True)
class RolloutSizes:
    """environments; rows: agents in all; horizon: steps per sequence; sequences: per rollout; batch: sequences per
    gradient step; chunk: sequences per backward pass; workers: processes; threads: torch's while learning."""

    environments: int
    rows: int
    horizon: int
    sequences: int
    batch: int
    chunk: int
    workers: int
    threads: int

    def steps(self, n_steps: int) -> int:
        """Agent steps per update."""
        return self.rows * n_steps


def of_ranks(sizes: RolloutSizes, config: DAFTrainingConfig, ranks: int) -> RolloutSizes:
    """The sizes of a run of `ranks` ranks, where `sizes` are the configured ones. Raises `ConfigError`.

    With strong scaling these are the configured ones; with weak scaling every rank adds as many environments.
    """
    if config.scale == "weak":
        return replace(
            sizes,
            environments=sizes.environments * ranks,
            rows=sizes.rows * ranks,
            sequences=sizes.sequences * ranks,
            batch=sizes.batch * ranks,
        )
    if sizes.environments < ranks:
        raise ConfigError(
            f"{sizes.environments} environment{'s' if sizes.environments > 1 else ''} can't be divided among {ranks} "
            f"ranks: set num_envs to {ranks} or more, or scale to weak, which gives num_envs to each rank."
        )
    return sizes


def share_of(whole: RolloutSizes, environments: int, on_machine: int) -> RolloutSizes:
    """The sizes for a rank that has `environments` of the whole run's. on_machine: the ranks that share its cores."""
    if on_machine == 1 and environments == whole.environments:
        return whole
    return replace(
        whole,
        environments=environments,
        rows=whole.rows // whole.environments * environments,
        sequences=whole.sequences // whole.environments * environments,
        workers=max(1, whole.workers // on_machine),
        threads=max(1, whole.threads // on_machine),
    )


def rollout_sizes(
    config: DAFTrainingConfig, *, agents: int, tokens: int, cores: int, device_memory: int | None = None
) -> RolloutSizes:
    """The sizes for missions of `agents` agents that see `tokens` tokens.

    device_memory: bytes on the GPU used for learning; None: the network runs on the CPU. Raises `ConfigError`.
    """
    row_bytes = config.n_steps * (tokens * 3 + 32)
    environments = config.num_envs if isinstance(config.num_envs, int) else max(2, AUTO_AGENTS // agents)
    horizon = config.bptt_horizon or config.n_steps
    if config.memory_budget_mb is not None:
        budget = config.memory_budget_mb * 2**20
        per_environment = agents * row_bytes
        if config.num_envs == "auto":
            while environments > 1 and environments * per_environment > budget // 2:
                environments -= 1
        if environments * per_environment > budget // 2:
            needed = environments * per_environment / 2**20
            raise ConfigError(
                f"memory_budget_mb {config.memory_budget_mb}: a rollout of num_envs {environments} × {agents} agents × "
                f"n_steps {config.n_steps} takes {needed:.0f} MB and may take half of the budget. Increase the "
                "budget, or choose a smaller num_envs or n_steps."
            )
    memory.require(
        environments * agents * row_bytes,
        what=f"a rollout of num_envs {environments:,} × {agents} agents × n_steps {config.n_steps:,}",
        way_out="Choose a smaller num_envs or n_steps.",
        there=None if device_memory is None else device_memory * config.workers_per_node,
    )
    rows = environments * agents
    sequences = rows * (config.n_steps // horizon)
    if config.batch_size == "auto":
        wanted = max(1, sequences // (AUTO_BATCHES if config.teacher is None else AUTO_BATCHES_TAUGHT))
        batch = min(_divisors(sequences), key=lambda b: abs(math.log(b / wanted)))
    else:
        batch = config.batch_size // horizon
        if sequences % batch:
            fits = [b * horizon for b in _divisors(sequences)]
            close = sorted(fits, key=lambda size: abs(size - batch * horizon))[:3]
            raise ConfigError(
                f"batch_size {config.batch_size} does not divide the rollout's {rows * config.n_steps:,} agent steps "
                f"({environments} environments × {agents} agents × {config.n_steps} steps). Nearest that do: "
                f"{', '.join(map(str, sorted(close)))}."
            )
    chunk = batch
    if config.max_minibatch_size is not None:
        chunk = config.max_minibatch_size // horizon
        if chunk < 1:
            raise ConfigError(
                f"max_minibatch_size {config.max_minibatch_size} is below one sequence of {horizon} steps."
            )
        chunk = min(chunk, batch)
    elif config.memory_budget_mb is not None:
        sequence_bytes = horizon * tokens * 3 * 4 * 4  # as floats, with what backpropagation keeps of them
        chunk = max(1, min(batch, config.memory_budget_mb * 2**19 // sequence_bytes))
    workers = config.num_workers if isinstance(config.num_workers, int) else cores
    threads = config.threads if isinstance(config.threads, int) else cores
    return RolloutSizes(environments, rows, horizon, sequences, batch, chunk, workers, threads)


def _divisors(number: int) -> list[int]:
    """All divisors, in ascending order."""
    small = [b for b in range(1, math.isqrt(number) + 1) if number % b == 0]
    return sorted({*small, *(number // b for b in small)})
