"""Teachers in training environments: what a policy would do in the states that another policy reaches.

A teacher sees every observation of its agents, in the environment's process, as in the object engine. Each episode has
new teacher objects. A policy whose agents have `observe` and `act` is asked only for the labels that are wanted; any
other takes its `step`. All draws of a teacher are keyed by seed, environment, episode and step, so that labels depend
on the observations of the episode alone: an episode that is restored from its actions has the same labels, whatever
the teacher remembers.

An environment whose episode the teacher leads takes the teacher's actions, with their vibes; talk is left out. A label
is the index of the action among the network's, or `UNLABELLED` if the network has no such action.

Importing this module imports mettagrid.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.errors import PolicyError
from daf.game._team_steps import Team
from daf.game._views import Views
from daf.game.observations import Frame, Observation
from daf.game.policy import Policy
from daf.game.policy_loading import build
from daf.game.seeding import seed_everything
from daf.game.simulation import Converted

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

UNLABELLED = -1
WHOLE = 8
"""Of this many environments, one plays every episode to its end: the late parts of episodes are seen too."""


@dataclass(frozen=True, slots=True)
class Teaching:
    """Who teaches which agent. policies: the teachers that play in the environments. assignment: for each agent, the
    index of its teacher among them, None if its labels come from elsewhere. share: of the states that the student
    leads, how many are labelled. staggered: the number of environments whose first episodes are cut (`first_cut`), None
    to play them to their end. idle: an episode is cut after this many steps in which no agent had a new view, None to
    play it to its end.
    """

    policies: tuple[Policy, ...]
    assignment: tuple[int | None, ...]
    share: float
    seed: int
    staggered: int | None = None
    idle: int | None = None

    def patience(self, environment: int) -> int | None:
        """`idle`, where it applies: one of `WHOLE` environments plays every episode to its end."""
        return None if environment % WHOLE == 0 else self.idle

    def first_cut(self, environment: int, limit: int) -> int:
        """The step after which an environment's first episode is cut, so that later episodes start at different times.

        Without it, all environments are in the same part of an episode, and the student forgets the others.
        """
        if self.staggered is None:
            return limit
        return max(1, limit * (environment % self.staggered + 1) // self.staggered)


class ActionCodes:
    """The pairs of (action, vibe action) that an environment may take, numbered for the log of its episode.

    The first `actions` are the network's; the others follow, for teachers. table: (codes, 2) for the simulator's
    buffers.
    """

    def __init__(self, config: MettaGridConfig, converted: Converted) -> None:
        interface = PolicyEnvInterface.from_mg_cfg(config)
        self.names = list(converted.action_names)
        vibes = set(interface.vibe_action_names)
        self._network = {name: index for index, name in enumerate(interface.action_names)}
        self.actions = len(self._network)
        self._vibes: dict[str | None, int] = {
            None: 0,
            **{name: place for place, name in enumerate(sorted(vibes), start=1)},
        }
        pairs = [self._pair(name, None, vibes) for name in interface.action_names]
        pairs += [self._pair(name, vibe, vibes) for name in self.names for vibe in self._vibes]
        self.table: npt.NDArray[np.int32] = np.array(pairs, dtype=np.int32)

    def _pair(self, name: str, vibe: str | None, vibes: set[str]) -> tuple[int, int]:
        if vibe is not None:
            return self.names.index(name), self.names.index(vibe)
        return (0, self.names.index(name)) if name in vibes else (self.names.index(name), 0)

    def of(self, name: str, vibe: str | None) -> tuple[int, int]:
        """The code of an action, and its label. Raises `ValueError` for an action that the mission does not have."""
        if name not in self.names or vibe not in self._vibes:
            what = name if name not in self.names else vibe
            raise ValueError(f'no action "{what}" in this mission; it has {", ".join(self.names)}')
        code = self.actions + self.names.index(name) * len(self._vibes) + self._vibes[vibe]
        label = self._network.get(name if vibe is None else vibe, UNLABELLED)
        if vibe is not None and label == UNLABELLED:  # the network can't set vibes: what remains is the move
            label = self._network.get(name, UNLABELLED)
        return code, label


class Lesson:
    """The teachers of one environment, episode after episode.

    labels: (agents,) of the last observation. codes: (agents,) what the teachers do, `UNLABELLED` for an agent without
    one. seconds: spent with the teachers so far. views: of the episode, which all observations are counted in.
    """

    views: Views

    def __init__(self, teaching: Teaching, environment: int) -> None:
        self._teaching, self._environment = teaching, environment
        agents = len(teaching.assignment)
        self.labels = np.full(agents, UNLABELLED, dtype=np.int32)
        self.codes = np.full(agents, UNLABELLED, dtype=np.int32)
        self.seconds = 0.0
        self._episode = self._step = 0
        self._teams: list[Team] = []
        self._on_demand: dict[int, Any] = {}

    def begin(self, config: MettaGridConfig, converted: Converted, codes: ActionCodes, episode: int) -> None:
        """Build the teachers for a new episode. Raises `PolicyError`."""
        started = perf_counter()
        teaching = self._teaching
        self._episode, self._step, self._tokens, self._codes = episode, 0, converted.tokens, codes
        interface = PolicyEnvInterface.from_mg_cfg(config)
        self.views = Views(interface, len(teaching.assignment))
        self._teams, self._on_demand = [], {}
        for number, policy in enumerate(teaching.policies):
            agents = [agent for agent, index in enumerate(teaching.assignment) if index == number]
            self._key("built")
            try:
                built = build(policy, interface)
                handles = [built.agent_policy(agent) for agent in agents]
                for handle in handles:
                    handle.reset()
            except PolicyError:
                raise
            except Exception as error:
                raise self._failure(policy, error) from error
            if all(callable(getattr(h, "observe", None)) and callable(getattr(h, "act", None)) for h in handles):
                self._on_demand.update(zip(agents, handles, strict=True))
            else:
                self._teams.append(Team(number, list(zip(agents, handles, strict=True))))
        self.seconds += perf_counter() - started

    @property
    def on_demand(self) -> bool:
        """Whether any teacher is asked only for the labels that are wanted."""
        return bool(self._on_demand)

    def look(self, observations: npt.NDArray[np.uint8], *, led: bool) -> None:
        """Show the teachers an observation, and label it. led: whether their actions are to be taken, so that all are
        wanted. Raises `PolicyError` if a teacher fails.
        """
        started = perf_counter()
        frame = Frame(self._tokens, observations)
        self._key("acting")
        self.views.look(observations)
        wanted = self._wanted(led)
        self.labels[:] = self.codes[:] = UNLABELLED
        for team in self._teams:
            try:
                for agent, action, _, _ in team.steps(frame, _silence):
                    self._note(agent, action, wanted[agent])
            except Exception as error:
                raise self._failure(self._teaching.policies[team.policy], error) from error
        for agent, handle in self._on_demand.items():
            try:
                handle.observe(Observation(agent, frame, []))
                if wanted[agent]:
                    self._note(agent, handle.act(), True)
            except Exception as error:
                number = self._teaching.assignment[agent]
                assert number is not None
                policy = self._teaching.policies[number]
                raise self._failure(policy, error) from error
        self._step += 1
        self.seconds += perf_counter() - started

    def _note(self, agent: int, action: Any, wanted: bool) -> None:
        code, label = self._codes.of(action.name, action.vibe)
        self.codes[agent] = code
        if wanted:
            self.labels[agent] = label

    def _wanted(self, led: bool) -> npt.NDArray[np.bool_]:
        """For which agents a label is wanted now."""
        agents, share = len(self._teaching.assignment), self._teaching.share
        if led or share >= 1:
            return np.ones(agents, dtype=bool)
        key = f"labels\x00{self._teaching.seed}\x00{self._environment}\x00{self._episode}\x00{self._step}".encode()
        draws = np.frombuffer(hashlib.shake_128(key).digest(4 * agents), dtype="<u4")
        return draws < share * 2**32

    def _key(self, purpose: str) -> None:
        """Seed the global generators that a teacher may draw from."""
        seed_everything("teacher", purpose, self._teaching.seed, self._environment, self._episode, self._step)

    def _failure(self, policy: Policy, error: Exception) -> PolicyError:
        where = f"environment {self._environment}, episode {self._episode}, step {self._step}"
        return PolicyError(f'the teacher "{policy.name}" failed ({where}): {type(error).__name__}: {error}')


def leads(environment: int, environments: int, share: float) -> bool:
    """Whether the teacher leads the episodes of an environment: in the last `share` of the environments.

    Always in the same ones, because a led episode may be many times shorter than one that is not (`Teaching.idle`): if
    environments took turns, the teacher would lead far fewer steps than `share`.
    """
    return environments - 1 - environment < round(share * environments)


def check_teacher(
    teaching: Teaching, config: MettaGridConfig, converted: Converted, observations: npt.NDArray[np.uint8]
) -> bool:
    """Let the teachers label one observation of a mission; returns whether any is asked for wanted labels only.

    Raises `PolicyError` if they can't.
    """
    lesson = Lesson(teaching, 0)
    lesson.begin(config, converted, ActionCodes(config, converted), 0)
    lesson.look(observations, led=True)
    return lesson.on_demand


def _silence(_agent: int) -> list[Any]:
    return []
