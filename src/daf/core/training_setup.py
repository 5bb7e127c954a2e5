"""From settings to a run that is ready to start: missions, policy, curriculum and device resolved.

Importing this module imports torch.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.config.hyperparameters import HYPERPARAMETERS, find
from daf.config.training import ALIASES, DAFTrainingConfig, without_aliases
from daf.core.curriculum import Curriculum, DAFCurriculumConfig, Task, TaskCurriculum, from_config
from daf.core.training_run import TrainingRun
from daf.errors import ConfigError, UsageError, nearest, unknown
from daf.game import missions, policies, policy
from daf.game.device import limit_gpu_memory, resolve_device
from daf.game.mission import Mission
from daf.game.policy_arguments import arguments_of
from daf.game.policy_strings import with_arguments

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Directories. cache: the episode cache; bundles: unpacked zips; runs: the output directory that holds `run:ID`."""

    cache: Path
    bundles: Path
    runs: Path


def combined(
    config: DAFTrainingConfig | None,
    *,
    mission: Any = None,
    policy: Any = None,
    hyperparameters: Mapping[str, Any] | None = None,
    **fields: Any,
) -> DAFTrainingConfig:
    """`config` with the other arguments applied; names that are not hyperparameters are arguments of the policy class.

    mission, policy: kept if they are text or paths; the caller passes on objects. fields: None means not given.
    Raises `UsageError`, `ConfigError`.
    """
    config = config or DAFTrainingConfig()
    given = {name: value for name, value in fields.items() if value is not None}
    known = {name: value for name, value in (hyperparameters or {}).items() if find(name) is not None}
    own = {name.removeprefix("network."): v for name, v in (hyperparameters or {}).items() if name not in known}
    if own:
        given["network"] = {**config.network, **own}
    try:
        given |= without_aliases(known)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    if isinstance(mission, str | Path):
        given["mission"] = str(mission)
    elif isinstance(mission, list | tuple) and mission and all(isinstance(each, str) for each in mission):
        given["mission"] = list(mission)
    if isinstance(policy, str | Path):
        given["policy"] = str(policy)
    return config.replace(**given) if given else config


def missions_of(config: DAFTrainingConfig, mission: Any = None, curriculum: Curriculum | None = None) -> list[Mission]:
    """The missions to train on: `mission`, if it is an object, else those that the configuration names.

    Empty if a curriculum, the configuration's or the object `curriculum`, names its missions. Raises `MissionError`,
    `UsageError`.
    """
    if mission is not None and not isinstance(mission, str | Path):
        return missions.resolve(mission, game=config.game)
    if not config.missions and config.curriculum is None and curriculum is None:
        raise UsageError("no mission to train on is given; `daf missions` lists them.")
    return missions.resolve(config.missions, game=config.game)


def policy_of(config: DAFTrainingConfig, places: Places, policy: Any = None) -> policy.Policy:
    """The policy with the configuration's arguments for its class. Raises `PolicyError`, `UsageError`."""
    wanted = policy if policy is not None and not isinstance(policy, str | Path) else config.policy
    if wanted is None:
        raise UsageError("no policy to train is given; `daf policies` lists them.")
    if isinstance(wanted, str):
        if config.network:
            taken = arguments_of(wanted, cache=places.bundles, runs=places.runs)
            wrong = [name for name in config.network if name not in taken.whole and not taken.open_ended]
            hyperparameters = [*HYPERPARAMETERS, *ALIASES]
            if wrong and nearest(wrong[0], hyperparameters) and not nearest(wrong[0], taken.whole):
                raise UsageError(unknown(f"hyperparameter, and no argument of {wanted},", wrong[0], hyperparameters))
        wanted = with_arguments(wanted, config.network)
    elif config.network:
        raise UsageError("pass the arguments of the policy's class as init_kwargs of the PolicySpec.")
    return policies.resolve(wanted, cache=places.bundles, runs=places.runs)


def curriculum_of(config: DAFTrainingConfig, found: Sequence[Mission], given: Curriculum | None = None) -> Curriculum:
    """The curriculum: `given`, else the configured one, else one that draws all missions equally often.

    Raises `ConfigError` if missions or a configured curriculum are given together with a curriculum that has missions.
    """
    if given is not None:
        other = "a mission" if found else None if config.curriculum is None else "the configuration's curriculum"
        if other is not None:
            raise ConfigError(
                f"a curriculum object, which names its missions, is given together with {other}: leave one of them out."
            )
        if not given.tasks():
            raise ConfigError("the curriculum object has no tasks yet: add some before training.")
        return given
    if config.curriculum is not None:
        named = dict(config.curriculum)
        named.setdefault("game", config.game)
        if found and "missions" in named:
            raise ConfigError(
                "the curriculum names its missions, and a mission is given too: leave one of them out. (A curriculum "
                "without missions uses the given mission.)"
            )
        if found:
            named["missions"] = [mission.name for mission in found]
        return from_config(named, config.seed)
    tasks = [Task(index, m.name, m.name, {"mission": m.name}) for index, m in enumerate(found)]
    plain = DAFCurriculumConfig(sampler={"name": "uniform"}, on_stagnation="ignore")  # type: ignore[arg-type]
    return TaskCurriculum(tasks, plain, seed=config.seed)


def names_tasks(config: DAFTrainingConfig, curriculum: Curriculum | None) -> bool:
    """Whether a curriculum names what to train on."""
    if curriculum is not None:
        return True  # an empty one is rejected later, with a specific reason
    return bool((config.curriculum or {}).get("missions"))


def add_as_task(environment: Any, curriculum: Curriculum, *, game: str) -> Any:
    """Make `environment` the task of a curriculum that has none; returns what the curriculum can't hold, else None."""
    if curriculum.tasks():
        logger.warning("training_env is ignored: the curriculum already has tasks (%d).", len(curriculum.tasks()))
        return None
    add = getattr(curriculum, "add_task_from_metta_config", None)
    if add is None:
        return environment
    for mission in missions.resolve(environment, game=game):
        if mission.game is None:
            add(mission.name, mission.config)
        else:
            curriculum.add_task(mission.name, config=mission.name)  # type: ignore[attr-defined]
    return None


def set_up(
    config: DAFTrainingConfig,
    places: Places,
    *,
    mission: Any = None,
    policy: Any = None,
    curriculum: Curriculum | None = None,
    branch_from: Path | None = None,
    gpu_allowed: bool = True,
    gpu_memory_fraction: float = 1.0,
    console: "Console | None" = None,
    ranks: int = 1,
    elsewhere: bool = False,
) -> TrainingRun:
    """The run of `ranks` ranks, with every check that does not need its directory. elsewhere: as of `TrainingRun`.

    Raises `UsageError` and its subclasses.
    """
    found = missions_of(config, mission, curriculum)
    known = {each.name: each for each in found}

    def resolve(name: str) -> Mission:
        if name not in known:
            (known[name],) = missions.resolve(name, game=config.game)
        return known[name]

    device = resolve_device(config.device, gpu_allowed=gpu_allowed)
    if device.startswith("cuda") and gpu_memory_fraction < 1:
        limit_gpu_memory(device, gpu_memory_fraction)
    return TrainingRun(
        config,
        policy_of(config, places, policy),
        curriculum_of(config, found, curriculum),
        resolve,
        cache_dir=places.cache,
        device=device,
        gpu_memory_fraction=gpu_memory_fraction,
        branch_from=branch_from,
        console=console,
        ranks=ranks,
        runs=places.runs,
        elsewhere=elsewhere,
    )
