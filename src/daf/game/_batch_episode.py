"""One episode of a batch: some agents are in network blocks, some read buffers, the others are stepped one by one.

A step has two halves with the networks' calls in between: `look` lets the agents outside of blocks choose and gives the
others their observations, `advance` takes the step.

Importing this module imports torch.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns

import numpy as np
import numpy.typing as npt
import torch
from mettagrid.config.mettagrid_config import MettaGridConfig
from mettagrid.policy.noop import NoopPolicy
from mettagrid.policy.policy import MultiAgentPolicy, NimMultiAgentPolicy
from mettagrid.simulator.interface import SimulatorEventHandler
from mettagrid.types import Action

from daf.game._team_steps import Step, Team
from daf.game.batch_networks import Block, adapter_for
from daf.game.object_rollout import ObjectEpisode
from daf.game.outcome import SLOW_STEP_MS
from daf.game.simulation import Converted

DRAWN_AHEAD = 128
"""Steps whose draws are made at once, which takes hardly longer than the draws of one step. Changing it changes every
sampled action, so records depend on it.
"""

DRAWING_NOTHING = frozenset(
    {
        "daf.policies.cartographer.CartographerPolicy",
        "daf.policies.facility_solver.FacilitySolverPolicy",
        "mettagrid.policy.noop.NoopPolicy",
        "cogames.policy.starter_agent.StarterPolicy",
        "cogames.policy.role_policies.MinerRolePolicy",
        "cogames.policy.role_policies.ScoutRolePolicy",
        "cogames.policy.role_policies.AlignerRolePolicy",
        "cogames.policy.role_policies.ScramblerRolePolicy",
    }
)
"""Policies that draw from no global generator. Saving and restoring the generators for others costs time at each
step.
"""


@dataclass(frozen=True, slots=True)
class BatchPlay:
    """One episode of a batch.

    env: its map seed resolved. build: creates the policies and leaves the global generators seeded for the episode; it
    is called again if the episode has to be played again. Networks are called together if episodes are given the very
    same policy object, which keeps no state of an episode. policy_names: per policy. handlers: creates new event
    handlers.
    """

    env: MettaGridConfig
    build: Callable[[], Sequence[MultiAgentPolicy]]
    assignment: Sequence[int]
    seed: int
    policy_names: Sequence[str]
    converted: Converted
    handlers: Callable[[], Sequence[SimulatorEventHandler]] = field(default=tuple)
    slow_step_ms: float = SLOW_STEP_MS


@dataclass(frozen=True, slots=True)
class Seat:
    """Agents of one team, in rows of a block. actions: the meaning of the network's outputs."""

    team: int
    agents: npt.NDArray[np.intp]
    block: Block
    rows: npt.NDArray[np.intp]
    actions: list[Action]


class LiveEpisode:
    """An episode in progress."""

    def __init__(self, index: int, play: BatchPlay, blocks: dict[int, list[Block]]) -> None:
        self.index = index
        policies = play.build()
        self.episode = ObjectEpisode(
            play.env,
            policies,
            play.assignment,
            seed=play.seed,
            policy_names=play.policy_names,
            enforce_timeouts=None,
            slow_step_ms=play.slow_step_ms,
            handlers=play.handlers(),
            converted=play.converted,
        )
        self.seats: list[Seat] = []
        self.rows = 0
        self._own: list[tuple[int, Team]] = []
        self._raw: list[tuple[int, Team, MultiAgentPolicy]] = []
        drawing = False
        networks: list[tuple[int, Team, MultiAgentPolicy]] = []
        for number, team in enumerate(self.episode.teams):
            policy = policies[team.policy]
            if adapter_for(policy) is not None:
                networks.append((number, team, policy))
            elif reads_buffers(policy, len(team.agents), len(play.assignment)):
                self._raw.append((number, team, policy))
            else:
                self._own.append((number, team))
                drawing |= f"{type(policy).__module__}.{type(policy).__qualname__}" not in DRAWING_NOTHING
        self._generators = _Generators() if drawing else None
        digest = hashlib.sha256(f"sampling\x00{play.seed}".encode()).digest()
        self._sampling = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
        self._draws = np.empty((0, len(play.assignment)))
        self._drawn = 0
        self._steps: dict[int, list[Step]] = {}
        try:
            for number, team, policy in networks:
                self.rows += len(team.agents)
                self.seats.extend(_seats(number, team, policy, blocks.setdefault(id(policy), [])))
        except Exception:
            self.leave()
            raise

    def look(self) -> None:
        """Let the agents outside of blocks choose, and give the others their observations."""
        episode = self.episode
        self._steps = {number: [] for number in range(len(episode.teams))}
        if self._own:
            frame = episode.look()
            if self._generators is not None:
                self._generators.enter()
            for number, team in self._own:
                self._steps[number] = team.steps(frame, episode.visible_talk)
            if self._generators is not None:
                self._generators.leave()
        for number, team, policy in self._raw:
            self._steps[number] = _raw_steps(team, policy, episode.buffer)
        if self.seats:
            draws = self._next_draws()
            for seat in self.seats:
                seat.block.observations[seat.rows] = episode.buffer[seat.agents]
                seat.block.draws[seat.rows] = draws[seat.agents]

    def advance(self, chosen: dict[Block, tuple[npt.NDArray[np.intp], int]]) -> None:
        """Take the step that `look` and the blocks chose."""
        for seat in self.seats:
            actions, share = chosen[seat.block]
            steps = self._steps[seat.team]
            for agent, action in zip(seat.agents.tolist(), actions[seat.rows].tolist(), strict=True):
                if action < 0:
                    raise ValueError(f"the network of agent {agent} returned logits that are not numbers")
                steps.append((agent, seat.actions[action], share, {}))
        self.episode.advance([step for steps in self._steps.values() for step in steps])

    def leave(self) -> None:
        """Give the rows back."""
        for seat in self.seats:
            seat.block.free(seat.rows)

    def _next_draws(self) -> npt.NDArray[np.float64]:
        if self._drawn == len(self._draws):
            shape = (DRAWN_AHEAD, self._draws.shape[1])
            self._draws = torch.rand(shape, generator=self._sampling, dtype=torch.float64).numpy()
            self._drawn = 0
        self._drawn += 1
        draws: npt.NDArray[np.float64] = self._draws[self._drawn - 1]
        return draws


class _Generators:
    """A separate stream of the global generators for one episode, from their state when this is created."""

    def __init__(self) -> None:
        self.leave()

    def enter(self) -> None:
        """Restore the generators to this episode's state."""
        random.setstate(self._python)
        np.random.set_state(self._numeric)
        torch.set_rng_state(self._tensors)

    def leave(self) -> None:
        """Save the generators' state."""
        self._python, self._numeric = random.getstate(), np.random.get_state()
        self._tensors = torch.get_rng_state()


def _seats(number: int, team: Team, policy: MultiAgentPolicy, blocks: list[Block]) -> Iterator[Seat]:
    """Rows for all agents of a team, in blocks with vacant rows, else in new ones."""
    adapter = adapter_for(policy)
    assert adapter is not None
    agents = np.array([agent for agent, _ in team.agents], dtype=np.intp)
    actions = [Action(name=name) for name in policy.policy_env_info.action_names]
    while len(agents):
        block = next((block for block in blocks if block.vacant), None)
        if block is None:
            block = Block(policy, adapter)
            blocks.append(block)
        rows = block.take(min(len(agents), block.vacant))
        yield Seat(number, agents[: len(rows)], block, rows, actions)
        agents = agents[len(rows) :]


def reads_buffers(policy: MultiAgentPolicy, agents: int, of: int) -> bool:
    """Whether the policy may be given the simulator's buffers: upstream's noop, and native (Nim) policies.

    A native policy's one call steps all agents of the episode, so it must play them all; one that reports infos is
    asked agent by agent.
    """
    if type(policy) is NoopPolicy:
        return True
    if not isinstance(policy, NimMultiAgentPolicy) or agents != of:
        return False
    return not hasattr(policy._nim_policy, "get_infos_json")


def _raw_steps(team: Team, policy: MultiAgentPolicy, buffer: npt.NDArray[np.uint8]) -> list[Step]:
    names = policy.policy_env_info.all_action_names
    indices = np.zeros(len(buffer), dtype=np.int32)
    start = perf_counter_ns()
    policy.step_batch(buffer, indices)
    share = (perf_counter_ns() - start) // len(team.agents)
    steps: list[Step] = []
    for agent, _ in team.agents:
        index = int(indices[agent])
        if not 0 <= index < len(names):
            raise ValueError(f"step_batch returned action index {index}, expected range [0, {len(names) - 1}]")
        steps.append((agent, Action(name=names[index]), share, {}))
    return steps
