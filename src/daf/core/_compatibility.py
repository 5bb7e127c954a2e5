"""Whether a run may start from a checkpoint: the same run to resume it, the same network to branch from it.

Importing this module imports torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from daf.config.training import DAFTrainingConfig
from daf.core import checkpoints
from daf.core._optimizers import rate_factor
from daf.core.rollout_sizes import RolloutSizes
from daf.errors import CheckpointError, ConfigError, UsageError
from daf.game.mission import Mission
from daf.game.policy import Policy
from daf.game.weights import fitting

CHANGEABLE = frozenset(
    {
        "experiment_name", "total_timesteps", "num_workers", "device", "threads", "initial_weights",
        "eval_frequency", "eval_episodes", "eval_missions", "eval_baselines", "eval_replays", "checkpoint_frequency",
        "keep_last_checkpoints", "keep_best_checkpoints", "milestone_frequency", "log_interval", "log_agents",
        "trackers", "tracker_options", "use_distributed", "workers_per_node",
    }
)  # fmt: skip
"""Settings that may differ when a run is resumed; changing any other setting makes it a different run."""

_COMPARED_APART = frozenset({"mission", "policy", "network"})
"""Settings that are compared as what they resolve to: the missions' content, the policy's class and its arguments."""


KERNELS = "oneDNN"
"""The library that learning multiplies float32 matrices with on CPUs; checkpoints without the fact used MKL."""


def require_same_run(
    source: Path,
    config: DAFTrainingConfig,
    policy: Policy,
    missions: Sequence[Mission],
    network: torch.nn.Module,
    teachers: Sequence[Policy] = (),
) -> None:
    """Raise `CheckpointError`, with the differences, if the checkpoint `source` belongs to a different run."""
    facts = checkpoints.facts(source)
    differences = [*_network_differences(facts, policy, network), *_run_differences(facts, config, policy, missions)]
    if facts.get("teachers", []) != [teacher.identity for teacher in teachers]:
        differences.append("the teacher's code, arguments or weights")
    if differences:
        raise CheckpointError(
            f"{source} is a checkpoint of another run: {'; '.join(differences)}. Resume with the same settings "
            f"(--resume takes them from the run), or start another run with --branch-from {source}."
        )


def require_branchable(source: Path, config: DAFTrainingConfig, policy: Policy, network: torch.nn.Module) -> None:
    """Raise if a new run can't start from `source`.

    Raises `CheckpointError` for another network, `ConfigError` if total_timesteps is already reached.
    """
    facts = checkpoints.facts(source)
    if facts["steps"] >= config.total_timesteps:
        raise ConfigError(
            f"{source} was saved after {facts['steps']:,} agent steps, and total_timesteps is "
            f"{config.total_timesteps:,}, so nothing would be trained. Choose a larger total_timesteps (--steps)."
        )
    differences = list(_network_differences(facts, policy, network))
    if differences:
        raise CheckpointError(
            f"{source} is a checkpoint of another network: {'; '.join(differences)}. Branch from a checkpoint of this "
            "network."
        )


def require_reachable_total(run_dir: Path, source: Path, total: int) -> None:
    """Raise `UsageError` if the new total_timesteps is below the number of steps already trained."""
    done, planned = checkpoints.step_of(source), checkpoints.facts(source)["config"]["total_timesteps"]
    if total < done and total != planned:
        raise UsageError(
            f"{run_dir} has trained {done:,} of {planned:,} agent steps, so it can't end at {total:,}. Choose a larger "
            "total_timesteps (--steps), or omit it."
        )


def numerical_differences(source: Path, sizes: RolloutSizes, device: str, ranks: int) -> list[str]:
    """What differs from the run that wrote `source`, and may change the last bits of results: "threads 2 → 1"."""
    facts = checkpoints.facts(source)
    before = {
        "ranks": ranks_of(facts), "threads": facts["threads"], "device": facts["device"], "torch": facts["torch"],
        "kernels": facts.get("kernels", "MKL"),
    }  # fmt: skip
    now = {
        "ranks": ranks, "threads": sizes.threads, "device": device, "torch": str(torch.__version__),
        "kernels": KERNELS,
    }  # fmt: skip
    return [f"{name} {before[name]} → {value}" for name, value in now.items() if before[name] != value]


def ranks_of(facts: Mapping[str, Any]) -> int:
    """The number of ranks that trained together when the checkpoint with these facts was saved."""
    return int(facts.get("ranks", 1))


def weak_scaling_differences(source: Path, config: DAFTrainingConfig, sizes: RolloutSizes, ranks: int) -> list[str]:
    """What another number of ranks changes in a run with weak scaling; empty with strong scaling."""
    before = ranks_of(checkpoints.facts(source))
    if config.scale == "strong" or before == ranks:
        return []
    environments, steps = sizes.environments // ranks, sizes.batch // ranks * sizes.horizon
    factors = rate_factor(config, before), rate_factor(config, ranks)
    return [
        f"environments {environments * before} → {sizes.environments}",
        f"agent steps per gradient step {steps * before} → {steps * ranks}",
        f"learning rate × {factors[0]:.3g} → × {factors[1]:.3g}",
    ]


def _network_differences(facts: Mapping[str, Any], policy: Policy, network: torch.nn.Module) -> Iterator[str]:
    shapes = {name: list(p.shape) for name, p in network.named_parameters()}
    if facts["policy"] != policy.class_path:
        yield f"policy {facts['policy']} → {policy.class_path}"
    elif (saved := fitting(facts["parameters"], shapes)) != shapes:
        names = [name for name in {**shapes, **saved} if shapes.get(name) != saved.get(name)]
        shown = ", ".join(f"{name} {saved.get(name)} → {shapes.get(name)}" for name in sorted(names)[:3])
        yield f"network parameters: {shown}"


def _run_differences(
    facts: Mapping[str, Any], config: DAFTrainingConfig, policy: Policy, missions: Sequence[Mission]
) -> Iterator[str]:
    if facts["arguments"] != policy.kwargs:
        yield f"policy arguments {facts['arguments']} → {policy.kwargs}"
    hashes = [mission.config_hash for mission in missions]
    if list(facts["missions"].values()) != hashes:
        names = ", ".join(mission.name for mission in missions)
        yield f"missions {', '.join(facts['missions'])} → {names} (or their content)"
    new = config.to_data()
    old = {**type(config)().to_data(), **facts["config"]}  # settings added since then had their default values
    for name in new:
        if name not in CHANGEABLE | _COMPARED_APART and old.get(name) != new[name]:
            yield f"{name} {old.get(name)!r} → {new[name]!r}"
