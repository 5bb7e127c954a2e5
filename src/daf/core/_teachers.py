"""The teachers of a run: policies whose actions the trained one learns, for each agent of the team.

A teacher that is a network which the batch engine knows computes in the trainer, for many agents at once, and gives the
probabilities of its actions. Any other teacher plays in the environments' processes (`daf.game.teaching`).

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from daf.config.training import IMITATION, DAFTrainingConfig
from daf.errors import ConfigError, DAFError, PolicyError
from daf.game.known_policies import BATCHED
from daf.game.mission import Mission
from daf.game.policy import Policy
from daf.game.rollout import Game
from daf.game.seeding import own_generators
from daf.game.teaching import Teaching, check_teacher
from daf.game.trainable import Trainable, trainable
from daf.game.training_environment import TrainingEnvironment
from daf.stats.sentences import counted


@dataclass(frozen=True, slots=True)
class Teachers:
    """policies: each once. assignment: the index of each agent's teacher. networks: those that compute in the trainer,
    by index. on_demand: whether any of the others is asked only for the labels that are wanted.
    """

    policies: tuple[Policy, ...]
    assignment: tuple[int, ...]
    networks: dict[int, Trainable]
    on_demand: bool

    @property
    def name(self) -> str:
        """The teacher's name; of a mixed team, the names with their numbers of agents."""
        if len(self.policies) == 1:
            return self.policies[0].name
        return "+".join(f"{policy.name}={count}" for policy, count in zip(self.policies, self.counts, strict=True))

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of agents that each policy teaches."""
        return tuple(self.assignment.count(index) for index in range(len(self.policies)))

    def labelled(self, config: DAFTrainingConfig) -> str:
        """The share of the states led by the student that are labelled, as text."""
        share = config.label_share if self.on_demand else 1.0
        return "all" if share == 1 else f"{100 * share:g} %"

    def in_environments(self, config: DAFTrainingConfig, environments: int = 1) -> Teaching:
        """The part of the teaching that happens in the processes of `environments` environments, those of all ranks."""
        playing = [index for index in range(len(self.policies)) if index not in self.networks]
        places = {index: place for place, index in enumerate(playing)}
        return Teaching(
            tuple(self.policies[index] for index in playing),
            tuple(places.get(index) for index in self.assignment),
            config.label_share,
            config.seed,
            environments if config.stagger_episodes else None,
            config.idle_steps,
        )


def teachers_of(
    config: DAFTrainingConfig, missions: Sequence[Mission], resolve: Callable[[str], Policy], device: str
) -> Teachers | None:
    """The teachers that the configuration names, checked on every mission; None without a teacher.

    Raises `ConfigError`, `PolicyError`.
    """
    if config.teacher is None:
        for name in IMITATION:
            if getattr(config, name) != DAFTrainingConfig.model_fields[name].default:
                raise ConfigError(
                    f"{name} {getattr(config, name)} has no effect without a teacher; name one (--teacher)."
                )
        return None
    names = [config.teacher] if isinstance(config.teacher, str) else config.teacher
    agents = missions[0].num_agents
    if len(names) == 1:
        names = names * agents
    if len(names) != agents:
        raise ConfigError(
            f"teacher names {counted(len(names), 'policy', 'policies')}, and {missions[0].name} has "
            f"{counted(agents, 'agent')}: name one teacher for all of them, or one for each agent."
        )
    found = {name: resolve(name) for name in dict.fromkeys(names)}
    policies = {policy.identity: policy for policy in found.values()}
    order = list(policies)
    assignment = tuple(order.index(found[name].identity) for name in names)
    networks = {}
    for index, policy in enumerate(policies.values()):
        if policy.class_path in BATCHED:
            networks[index] = _network(policy, missions, device, config.seed)
        elif config.imitation_loss == "kl":
            raise ConfigError(
                f"imitation_loss kl compares probabilities, and the teacher {policy.name} has actions only: use nll."
            )
    teachers = Teachers(tuple(policies.values()), assignment, networks, on_demand=False)
    on_demand = [_checked(teachers.in_environments(config), mission) for mission in missions]
    if config.label_share < 1 and not any(on_demand):
        raise ConfigError(
            f"label_share {config.label_share:g} has no effect: {teachers.name} has no observe() and act(), so every "
            "state gets a label."
        )
    return replace(teachers, on_demand=any(on_demand))


def _network(policy: Policy, missions: Sequence[Mission], device: str, seed: int) -> Trainable:
    for mission in missions:
        try:
            found = trainable(policy, Game(mission.config), device=device, seed=seed)
        except PolicyError as error:
            raise PolicyError(f"the teacher {policy.name} can't play {mission.name}: {error}") from error
        for parameter in found.network.parameters():
            parameter.requires_grad_(False)
    return found


def _checked(teaching: Teaching, mission: Mission) -> bool:
    """Whether any teacher in the environments is asked for wanted labels only. Raises `PolicyError`."""
    if not teaching.policies:
        return False
    environment = TrainingEnvironment(mission)
    try:
        with own_generators():
            return check_teacher(teaching, mission.config, Game(mission.config).converted, environment.reset())
    except DAFError as error:
        agents = counted(mission.num_agents, "agent")
        raise PolicyError(f"the teacher can't play {mission.name} with {agents}: {error}") from error
