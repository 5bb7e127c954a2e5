"""Resolve and check the configuration of a sweep before anything is written.

Covers names, bounds, missions, policy and metrics.
"""

import importlib.metadata
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from daf.compute.executor import job_count
from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.config.extras import require
from daf.config.sweep import DAFSweepConfig
from daf.core.search.space import Space, space_of
from daf.episodes.cache import EpisodeCache
from daf.errors import ConfigError
from daf.game import policies as game_policies
from daf.game.device import resolve_device
from daf.game.missions import content_hash
from daf.game.policy_arguments import arguments_of, check_arguments
from daf.playing.planning import cache_of, check_settings, missions_of
from daf.playing.settings import DEFAULT_GPU_MEMORY_FRACTION, Settings
from daf.sweeps._implied_training import with_training
from daf.sweeps.constraints import Constraint, check_constraints, constraints_of
from daf.sweeps.held_out import held_out_seeds
from daf.sweeps.objective import Objective, check_metrics, objectives_of
from daf.sweeps.playing import TrialPlayer
from daf.sweeps.strategies import Proposer
from daf.sweeps.targets import Target, check_bounds, check_together, targets_of
from daf.sweeps.training_seeds import check_training_seeds

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The resolved and checked configuration.

    identity: of the policy (including code and weights), of each mission's config, and of the simulator's versions.
    """

    config: DAFSweepConfig
    targets: Mapping[str, Target]
    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    settings: Settings
    cache: EpisodeCache
    networks: bool
    total: int
    identity: tuple[str, ...]

    @property
    def directions(self) -> list[str]:
        return [objective.direction for objective in self.objectives]


def prepare(
    config: DAFSweepConfig,
    output: "OutputManager",
    *,
    jobs: int | str,
    executor: str,
    cluster: ClusterOptions = THIS_MACHINE,
    use_cache: bool,
    gpu_allowed: bool = True,
    gpu_memory_fraction: float = DEFAULT_GPU_MEMORY_FRACTION,
    save_replays: str = "none",
) -> Prepared:
    """Check `config` against everything it names. Raises `UsageError` and its subclasses.

    If the search space implies training and there is no training section, the result's `config` has one.
    """
    if config.training is not None:
        require("train", "a sweep that trains")
    slots = 1 if executor == "serial" else config.num_parallel
    settings = Settings(
        episodes=config.episodes_per_trial,
        seed=config.seed,
        jobs=jobs if executor == "serial" else _jobs_per_trial(jobs, slots, executor),
        executor=executor,
        cluster=cluster,
        game=config.game,
        device=config.device,
        gpu_allowed=gpu_allowed,
        gpu_memory_fraction=gpu_memory_fraction,
        max_steps=config.step_limit,
        use_cache=use_cache,
        save_replays=save_replays,
    )
    check_settings(settings)
    cache = cache_of(settings, output.base_dir)
    if len(set(config.missions)) < len(config.missions):
        raise ConfigError("missions: one is listed twice.")
    config = _each_mission_once(config, settings)
    policy = game_policies.resolve(config.policy_class_path, cache=cache.bundles, runs=output.base_dir)
    check_arguments(policy, cache=cache.bundles)
    if policy.network:
        taken = arguments_of(config.policy_class_path, cache=cache.bundles, runs=output.base_dir)
        config = with_training(config, taken)
        if config.training is not None:
            require("train", "a sweep that trains")
    stopping = config.early_stopping
    if config.training is None and stopping is not None and stopping.method != "wilcoxon":
        raise ConfigError(
            f"early_stopping {stopping.method} counts training steps, and these trials only evaluate: add a section "
            "`training:`."
        )
    check_training_seeds(config)
    objectives = objectives_of(config)
    constraints = constraints_of(config)
    targets = targets_of(config, cache=cache.bundles, runs=output.base_dir)
    space = space_of(config.search_space, whole={name for name, target in targets.items() if target.whole})
    for dimension in space.dimensions:
        check_bounds(dimension, targets[dimension.name], config)
    check_together(space.dimensions, targets, config)
    total = Proposer(config, space, [objective.direction for objective in objectives]).total
    held_out_seeds(config)
    networks = policy.network or config.training is not None
    if networks:
        resolve_device(config.device, gpu_allowed=gpu_allowed)
    prepared = Prepared(config, targets, space, objectives, constraints, settings, cache, networks, total, ())
    missions = player_of(prepared, output).check(config.missions)
    check_metrics(objectives, missions)
    check_constraints(constraints, missions, network=networks)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("cogames", "mettagrid")]
    return replace(prepared, identity=(policy.identity, *(mission.config_hash for mission in missions), *versions))


def _each_mission_once(config: DAFSweepConfig, settings: Settings) -> DAFSweepConfig:
    """`config` without missions that repeat another one under a second name, because a mission must not count twice."""
    kept: dict[str, str] = {}
    for text in config.missions:
        found = missions_of(text, settings)
        first = kept.setdefault(content_hash(found[0]) if len(found) == 1 else text, text)
        if first != text:
            logger.warning("missions: %s is the same mission as %s: it counts once.", text, first)
    if len(kept) == len(config.missions):
        return config
    normalise = config.normalise
    if isinstance(normalise, dict):
        normalise = {mission: bounds for mission, bounds in normalise.items() if mission in kept.values()}
    return config.replace(missions=list(kept.values()), normalise=normalise)


def _jobs_per_trial(jobs: int | str, slots: int, executor: str) -> int | str:
    if executor == "ray" and str(jobs) == "auto":
        return jobs  # the cluster shares its CPUs among the trials
    return max(1, job_count(jobs) // slots)


def player_of(prepared: Prepared, output: "OutputManager") -> TrialPlayer:
    """A player for the episodes of the sweep, with separate workers."""
    return TrialPlayer(
        prepared.settings,
        tuple(prepared.config.missions),
        prepared.cache,
        output.base_dir,
        prepared.networks,
        prepared.config.trial_timeout,
    )
