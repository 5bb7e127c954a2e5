"""One training environment: episode after episode of the drawn missions, stepped in the simulator's own core.

An episode is a function of (seed, environment, episode, mission, actions), so its state need not be stored: `state`
gives the actions taken since it started, and `restore` repeats them. A teacher's state is restored with it: the teacher
sees the same observations again.

Importing this module imports mettagrid.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from daf.game.simulation import Converted, Simulation, convert, with_map_seed
from daf.game.teaching import UNLABELLED, ActionCodes, Lesson, Teaching

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

ALWAYS = 2**31
"""A step that no episode reaches."""
RUNNING, TERMINATED, TRUNCATED = 0, 1, 2
"""How a step ended: not at all, by the game, or only by the time limit."""


class Chooser(Protocol):
    """The task of an episode: an index into `weights`, as a function of the arguments alone."""

    def __call__(self, weights: npt.NDArray[np.float64], seed: int, environment: int, episode: int) -> int: ...


@dataclass(frozen=True, slots=True)
class EndedEpisode:
    """The summary of an ended episode. returns: (agents,). stats: per game, and per agent as means over agents.

    led: whether a teacher played it; None if it played a part. cut: whether it was ended before its time limit
    (`Teaching.first_cut`, `Teaching.patience`), so that its return and length are not those of an episode.
    """

    environment: int
    episode: int
    task: int
    returns: npt.NDArray[np.float64]
    steps: int
    stats: dict[str, float]
    led: bool | None = False
    cut: bool = False


@dataclass(frozen=True, slots=True)
class WorldState:
    """The data that determine an environment's state. actions: (steps so far, agents) uint16, as `ActionCodes`.

    led_until: the step until which a teacher leads the episode; None to decide it as for a new one.
    """

    environment: int
    episode: int
    task: int
    actions: npt.NDArray[np.uint16]
    led_until: int | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """One environment's share of the buffers; arrays are views, (agents, …).

    observations: (agents, tokens, 3), which the simulator writes. last_observations: the same of an episode's end.
    done: (1,). labels: (agents,) the teacher's actions, `UNLABELLED` where there is none. views: (agents,) how often an
    agent has had this view in the episode, 0 without a teacher. led: (1,), whether the teacher leads the episode.
    teaching_seconds: (1,), spent with the teacher so far.
    """

    observations: npt.NDArray[np.uint8]
    last_observations: npt.NDArray[np.uint8]
    rewards: npt.NDArray[np.float32]
    actions: npt.NDArray[np.int32]
    done: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    views: npt.NDArray[np.int32]
    led: npt.NDArray[np.uint8]
    teaching_seconds: npt.NDArray[np.float64]

    @classmethod
    def empty(cls, agents: int, tokens: int) -> "Rows":
        """New buffers of one environment."""
        return cls(
            observations=np.zeros((agents, tokens, 3), dtype=np.uint8),
            last_observations=np.zeros((agents, tokens, 3), dtype=np.uint8),
            rewards=np.zeros(agents, dtype=np.float32),
            actions=np.zeros(agents, dtype=np.int32),
            done=np.zeros(1, dtype=np.uint8),
            labels=np.zeros(agents, dtype=np.int32),
            views=np.zeros(agents, dtype=np.int32),
            led=np.zeros(1, dtype=np.uint8),
            teaching_seconds=np.zeros(1, dtype=np.float64),
        )


class Games:
    """The missions of the tasks, each converted for the simulator when it is first played."""

    def __init__(self, configs: "Sequence[MettaGridConfig]") -> None:
        self.configs = list(configs)
        self._converted: list[Converted | None] = [None] * len(configs)
        self._codes: list[ActionCodes | None] = [None] * len(configs)

    def replace(self, configs: "Sequence[MettaGridConfig | None]") -> None:
        """Replace the missions, by task; None keeps one."""
        kept = len(self.configs)
        self.configs = [self.configs[index] if config is None else config for index, config in enumerate(configs)]
        stays = [config is None and index < kept for index, config in enumerate(configs)]
        self._converted = [self._converted[index] if stay else None for index, stay in enumerate(stays)]
        self._codes = [self._codes[index] if stay else None for index, stay in enumerate(stays)]

    def converted(self, task: int) -> Converted:
        """The task's game, converted."""
        found = self._converted[task]
        if found is None:
            found = self._converted[task] = convert(self.configs[task])
        return found

    def codes(self, task: int) -> ActionCodes:
        """The actions of the task's game."""
        found = self._codes[task]
        if found is None:
            found = self._codes[task] = ActionCodes(self.configs[task], self.converted(task))
        return found


class World:
    """One environment, with its rows of the buffers."""

    def __init__(self, index: int, seed: int, games: Games, rows: Rows, teaching: Teaching | None = None) -> None:
        self.index, self._seed, self._games, self._rows = index, seed, games, rows
        agents = len(rows.rewards)
        self._rewards = np.zeros(agents, dtype=np.float32)
        self._terminals, self._truncations = np.zeros(agents, dtype=bool), np.zeros(agents, dtype=bool)
        self._actions, self._vibes = np.zeros(agents, dtype=np.int32), np.zeros(agents, dtype=np.int32)
        self._log = np.zeros((256, agents), dtype=np.uint16)
        self._teaching = teaching
        self._lesson = None if teaching is None else Lesson(teaching, index)
        self._patience = None if teaching is None else teaching.patience(index)
        self.episode = self.task = -1
        self.steps = self.led_until = 0
        self.simulation: Simulation | None = None

    def begin(self, episode: int, task: int, *, led_until: int = 0) -> None:
        """Start an episode: its first observations, and their labels, are in the rows when this returns.

        led_until: the step until which the teacher's actions are taken instead of those in the rows.
        """
        self.episode, self.task, self.steps, self.led_until = episode, task, 0, led_until
        seed = episode_seed(self._seed, self.index, episode)
        env = with_map_seed(self._games.configs[task], seed)
        self.simulation = Simulation(env, self._games.converted(task), seed, [])
        codes = self._games.codes(task)
        self._codes = codes.table
        self._limit = int(env.game.max_steps) or 2**63
        self._cut = self._limit
        if self._teaching is not None and episode == 0 and self._limit < ALWAYS:
            self._cut = self._teaching.first_cut(self.index, self._limit)
        core = self.simulation._c_sim
        self._rewards[:], self._terminals[:], self._truncations[:] = 0, False, False
        # The simulator writes observations into the shared memory itself, so a step copies none.
        core.set_buffers(
            self._rows.observations, self._terminals, self._truncations, self._rewards, self._actions, self._vibes
        )
        self._step = core.step
        self._rows.led[0] = self._lesson is not None and self.led_until > 0
        self._rows.labels[:] = UNLABELLED
        self._rows.views[:] = 0
        self._idle = False
        if self._lesson is not None:
            self._lesson.begin(env, self._games.converted(task), codes, episode)
            self._look(self._lesson)

    def _look(self, lesson: Lesson) -> None:
        rows = self._rows
        rows.led[0] = self.steps < self.led_until
        lesson.look(rows.observations, led=bool(rows.led[0]))
        rows.labels[:] = lesson.labels
        rows.views[:] = lesson.views.counts
        self._idle = self._patience is not None and lesson.views.unchanged >= self._patience
        rows.teaching_seconds[0] = lesson.seconds

    def dismiss_teacher(self) -> None:
        """Do without the teacher from now on: the student leads the rest of an episode that the teacher led."""
        self._lesson, self._idle = None, False
        self._rows.labels[:] = UNLABELLED
        self._rows.views[:] = 0
        self.led_until = min(self.led_until, self.steps)
        self._rows.led[0] = False

    def step(self) -> EndedEpisode | None:
        """Take the actions in the rows; at an episode's end its summary is returned, and the caller starts the next.

        At an end the rows' `last_observations` are the episode's last ones.
        """
        chosen = self._rows.actions
        if self._lesson is not None and self._rows.led[0]:
            chosen = np.where(self._lesson.codes == UNLABELLED, chosen, self._lesson.codes)
        ended = self._take(chosen)
        if ended is None and self._lesson is not None:
            self._look(self._lesson)
        return ended

    def _take(self, chosen: npt.NDArray[np.integer[Any]]) -> EndedEpisode | None:
        """Let the game take one step with these action codes."""
        if self.steps == len(self._log):
            self._log = np.concatenate([self._log, np.zeros_like(self._log)])
        self._log[self.steps] = chosen
        codes = self._codes[chosen]
        self._actions[:], self._vibes[:] = codes[:, 0], codes[:, 1]
        self._step()
        self.steps += 1
        rows = self._rows
        rows.rewards[:] = self._rewards
        # Nearly every step ends here, on two numbers: an episode ends only when all agents are done.
        if (self._idle or self.steps >= self._cut) and not (self._truncations.all() or self._terminals.all()):
            rows.done[0] = TRUNCATED
            rows.last_observations[:] = rows.observations
            return replace(self._ended(), cut=True)
        if not (self._truncations[0] or self._terminals[0]):
            rows.done[0] = RUNNING
            return None
        truncated = bool(self._truncations.all())
        if not (truncated or self._terminals.all()):
            rows.done[0] = RUNNING
            return None
        # By default mettagrid calls reaching the step limit a terminal state.
        rows.done[0] = TRUNCATED if truncated or self.steps >= self._limit else TERMINATED
        rows.last_observations[:] = rows.observations
        return self._ended()

    def state(self) -> WorldState:
        """What `restore` needs."""
        return WorldState(self.index, self.episode, self.task, self._log[: self.steps].copy(), self.led_until)

    def restore(self, state: WorldState) -> None:
        """Start the episode again and repeat the actions."""
        self.begin(state.episode, state.task, led_until=state.led_until or 0)
        for actions in state.actions:
            self._idle = False  # the episode continued, perhaps under a version or settings that cut none
            if self._take(actions) is not None:
                raise ValueError(f"environment {self.index} ended while its episode was being restored")
            if self._lesson is not None:
                self._look(self._lesson)

    def _ended(self) -> EndedEpisode:
        assert self.simulation is not None
        stats: Any = self.simulation.episode_stats
        merged = {name: float(value) for name, value in stats["game"].items()}
        agents = stats["agent"]
        for name in {name for agent in agents for name in agent}:
            merged[f"agent.{name}"] = float(sum(agent.get(name, 0.0) for agent in agents) / len(agents))
        returns = np.array(self.simulation.episode_rewards, dtype=np.float64)
        led = True if self.led_until >= self.steps else None if self.led_until else False
        return EndedEpisode(self.index, self.episode, self.task, returns, self.steps, merged, led)


def episode_seed(seed: int, environment: int, episode: int) -> int:
    """The seed of one training episode, below 2³¹; in its upper half, so that no evaluation's seed (0, 1, 2, …)
    occurs.
    """
    digest = hashlib.sha256(f"training\x00{seed}\x00{environment}\x00{episode}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 2 | 1 << 30
