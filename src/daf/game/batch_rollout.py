"""The batch engine: several episodes side by side, their networks called once for all of their agents.

`play_batch` plays episodes whose networks have an adapter (`batch_networks`) or whose policies read the simulator's own
buffers (`step_batch`); agents of any other policy in the same episode are stepped as the object engine steps them, with
Python's, numpy's and torch's global generators kept apart for each episode.

An episode's outcome follows from its `BatchPlay` alone: not from what else is in the batch, how much, or in which
order. Actions are drawn with one generator per episode, so a network that samples plays another episode here than in
the object engine, drawn from the same distribution. Time-outs are not enforced: a batched step has no time of its own;
`Latencies` give each agent its share of the call.

An episode that fails takes no other with it. Where a network call fails for several episodes together, each of them is
played by itself.

Importing this module imports torch.
"""

from __future__ import annotations

import gc
import hashlib
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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

from daf.game.batch_networks import ROWS, Block, adapter_for
from daf.game.object_rollout import Episode, Step, Team
from daf.game.outcome import SLOW_STEP_MS, Outcome
from daf.game.seeding import own_generators
from daf.game.simulation import Converted

INTERLEAVED = 8
"""Most episodes played side by side: more of them step slower, by cache misses."""

DRAWN_AHEAD = 128
"""Steps whose draws are made at once. Part of what a record depends on."""

DRAWING_NOTHING = frozenset(
    {
        "mettagrid.policy.noop.NoopPolicy",
        "cogames.policy.starter_agent.StarterPolicy",
        "cogames.policy.role_policies.MinerRolePolicy",
        "cogames.policy.role_policies.ScoutRolePolicy",
        "cogames.policy.role_policies.AlignerRolePolicy",
        "cogames.policy.role_policies.ScramblerRolePolicy",
    }
)
"""Policies that draw from no generator, so that none need be kept apart for them."""


@dataclass(frozen=True, slots=True)
class BatchPlay:
    """One episode of a batch.

    env: its map seed resolved. build: gives the policies and leaves the global generators seeded for the episode; it is
    called again where the episode has to be played again. Networks are called together where episodes are given the
    very same policy object, which keeps no state of an episode. policy_names: per policy. handlers: gives new event
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


def play_batch(plays: Sequence[BatchPlay], *, interleaved: int = INTERLEAVED) -> list[Outcome | Exception]:
    """Play all episodes, at most `interleaved` at a time; the outcome of each, or what it raised, in their order."""
    with own_generators():
        return _Batch(plays, interleaved).play()


def not_batched(policy: MultiAgentPolicy, agents: int, of: int) -> str | None:
    """Why `policy`, playing `agents` of `of` agents, gains nothing from a batch; None where it does."""
    if adapter_for(policy) is not None or _reads_buffers(policy, agents, of):
        return None
    return f"{type(policy).__name__} has no adapter for batches"


class _Batch:
    def __init__(self, plays: Sequence[BatchPlay], interleaved: int) -> None:
        self._plays = plays
        self._interleaved = interleaved
        self._waiting = deque(range(len(plays)))
        self._live: list[_Live] = []
        self._blocks: dict[int, list[Block]] = {}
        self._results: list[Outcome | Exception | None] = [None] * len(plays)

    def play(self) -> list[Outcome | Exception]:
        collecting = gc.isenabled()
        try:
            while self._waiting or self._live:
                gc.disable()
                while self._may_start():
                    self._start(self._waiting.popleft())
                self._tick()
                if collecting:
                    gc.enable()
                    _ = []  # an allocation, so that a collection that is due happens here
        finally:
            if collecting:
                gc.enable()
        return [result for result in self._results if result is not None]

    def _may_start(self) -> bool:
        if not self._waiting or len(self._live) >= self._interleaved:
            return False
        rows = sum(live.rows for live in self._live)
        return not self._live or rows + len(self._plays[self._waiting[0]].assignment) <= ROWS

    def _start(self, index: int) -> None:
        try:
            self._live.append(_Live(index, self._plays[index], self._blocks))
        except Exception as error:  # whatever an episode raises is its result
            self._results[index] = error

    def _tick(self) -> None:
        """One step of every episode."""
        for live in list(self._live):
            with self._owning(live):
                live.look()
        chosen: dict[Block, tuple[npt.NDArray[np.intp], int]] = {}
        for block in [block for blocks in self._blocks.values() for block in blocks]:
            start = perf_counter_ns()
            try:
                actions = block.run()
            except Exception as error:  # it belongs to one of the episodes in the block, or to all
                self._crashed(block, error)
            else:
                chosen[block] = actions, (perf_counter_ns() - start) // max(1, len(block.taken))
        for live in list(self._live):
            with self._owning(live):
                live.advance(chosen)
                if live.episode.done:
                    self._end(live, live.episode.outcome())

    @contextmanager
    def _owning(self, live: _Live) -> Iterator[None]:
        """What is raised in here is `live`'s result, and ends it."""
        try:
            yield
        except Exception as error:  # whatever an episode raises is its result
            self._end(live, error)

    def _crashed(self, block: Block, error: Exception) -> None:
        together = [live for live in self._live if any(seat.block is block for seat in live.seats)]
        for live in together:
            alone = len(self._plays) == 1
            self._end(live, error if alone else play_batch([self._plays[live.index]])[0])

    def _end(self, live: _Live, result: Outcome | Exception) -> None:
        self._results[live.index] = result
        self._live.remove(live)
        live.leave()
        for key in [key for key, blocks in self._blocks.items() if not any(block.taken for block in blocks)]:
            del self._blocks[key]


@dataclass(frozen=True, slots=True)
class _Seat:
    """Agents of one team, in rows of a block. actions: what the network's outputs mean."""

    team: int
    agents: npt.NDArray[np.intp]
    block: Block
    rows: npt.NDArray[np.intp]
    actions: list[Action]


class _Live:
    """An episode under way."""

    def __init__(self, index: int, play: BatchPlay, blocks: dict[int, list[Block]]) -> None:
        self.index = index
        policies = play.build()
        self.episode = Episode(
            play.env,
            policies,
            play.assignment,
            seed=play.seed,
            policy_names=play.policy_names,
            action_timeout_ms=None,
            slow_step_ms=play.slow_step_ms,
            handlers=play.handlers(),
            converted=play.converted,
        )
        self.seats: list[_Seat] = []
        self.rows = 0
        self._own: list[tuple[int, Team]] = []
        self._raw: list[tuple[int, Team, MultiAgentPolicy]] = []
        drawing = False
        networks: list[tuple[int, Team, MultiAgentPolicy]] = []
        for number, team in enumerate(self.episode.teams):
            policy = policies[team.policy]
            if adapter_for(policy) is not None:
                networks.append((number, team, policy))
            elif _reads_buffers(policy, len(team.agents), len(play.assignment)):
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
        for number, team, policy in networks:
            self.rows += len(team.agents)
            self.seats.extend(_seats(number, team, policy, blocks.setdefault(id(policy), [])))

    def look(self) -> None:
        """Let the agents outside of blocks choose, and show the others what they see."""
        episode = self.episode
        self._steps = {number: [] for number in range(len(episode.teams))}
        if self._own:
            frame = episode.look()
            if self._generators is not None:
                self._generators.enter()
            for number, team in self._own:
                self._steps[number] = team.steps(episode, frame)
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
                    raise ValueError(f"the network of agent {agent} gave logits that are no numbers")
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
    """One episode's own course of the global generators, from where they stand when this is made."""

    def __init__(self) -> None:
        self.leave()

    def enter(self) -> None:
        """Go on where this episode left off."""
        random.setstate(self._python)
        np.random.set_state(self._numeric)
        torch.set_rng_state(self._tensors)

    def leave(self) -> None:
        """Remember where it left off."""
        self._python, self._numeric = random.getstate(), np.random.get_state()
        self._tensors = torch.get_rng_state()


def _seats(number: int, team: Team, policy: MultiAgentPolicy, blocks: list[Block]) -> Iterator[_Seat]:
    """Rows for all agents of a team, in blocks that have some, else in new ones."""
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
        yield _Seat(number, agents[: len(rows)], block, rows, actions)
        agents = agents[len(rows) :]


def _reads_buffers(policy: MultiAgentPolicy, agents: int, of: int) -> bool:
    """Whether the policy may be given the simulator's buffers: upstream's noop, and native (Nim) policies.

    A native policy's one call steps all agents of the episode, so it must play them all; one that tells infos is asked
    agent by agent.
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
