"""A process that steps training environments for the trainer, over shared memory.

It is started by `daf.game.training_envs` and ends when its pipe closes, or when the trainer was killed. Messages are
single bytes with a pickled payload; observations, actions and rewards go through the shared buffers alone, since
pickling them would cost more than stepping.

Importing this module imports mettagrid.
"""

import mmap
import pickle
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from daf.game.teaching import Teaching, leads
from daf.game.training_world import ALWAYS, Chooser, EndedEpisode, Games, Rows, World, WorldState
from daf.processes import lifeline

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

STEP, BEGIN, TASKS, STATE, WEIGHTS, LEADING = b"s", b"b", b"t", b"l", b"w", b"i"
"""Messages to a worker. STEP: step a group. BEGIN: restore these states, or start. TASKS: replace missions.
STATE: return the states. WEIGHTS: the probabilities of the tasks from now on. LEADING: which share of the environments
the teacher leads, in episodes that start from now on.
"""
DONE, FAILED = b"d", b"e"
"""Its answers, with a pickled payload."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the shared memory is divided; rows are ordered by environment, then agent."""

    environments: int
    agents: int
    tokens: int

    @property
    def rows(self) -> int:
        return self.environments * self.agents

    @property
    def size(self) -> int:
        return sum(np.dtype(kind).itemsize * int(np.prod(shape)) + 64 for _, shape, kind in self._parts())

    def arrays(self, memory: mmap.mmap) -> dict[str, npt.NDArray[Any]]:
        """The buffers by name."""
        found: dict[str, npt.NDArray[Any]] = {}
        offset = 0
        for name, shape, kind in self._parts():
            count = int(np.prod(shape))
            found[name] = np.frombuffer(memory, dtype=kind, count=count, offset=offset).reshape(shape)
            # To the next multiple of 64 bytes: aligned for every type, and no two arrays share a cache line.
            offset += -(-count * np.dtype(kind).itemsize // 64) * 64
        return found

    def _parts(self) -> "list[tuple[str, tuple[int, ...], npt.DTypeLike]]":
        return [
            ("observations", (self.rows, self.tokens, 3), np.uint8),
            ("last_observations", (self.rows, self.tokens, 3), np.uint8),
            ("rewards", (self.rows,), np.float32),
            ("actions", (self.rows,), np.int32),
            ("done", (self.environments,), np.uint8),
            ("labels", (self.rows,), np.int32),
            ("views", (self.rows,), np.int32),
            ("led", (self.environments,), np.uint8),
            ("teaching_seconds", (self.environments,), np.float64),
        ]


@dataclass(frozen=True, slots=True)
class Job:
    """The start message of a worker.

    groups: its environments of each group, stepped together, by their place in the memory. first: added to a place to
    get the environment's number.
    """

    seed: int
    layout: Layout
    groups: Sequence[Sequence[int]]
    first: int
    configs: "Sequence[MettaGridConfig]"
    chooser: Chooser
    sampler: Any
    """Makes records for the logs of a world after a step, or None: see `daf.game.training_samples`."""
    teaching: Teaching | None = None


@dataclass(slots=True)
class Course:
    """What the trainer may change between steps. weights: of the tasks. led: the share of `environments`, those of all
    processes, that the teacher leads.
    """

    weights: npt.NDArray[np.float64]
    led: float = 0.0
    environments: int = 1

    def begin(self, world: World, episode: int, job: Job, state: WorldState | None = None) -> None:
        """Start an episode of `world`, or restore `state`."""
        led_until = ALWAYS if leads(world.index, self.environments, self.led) else 0
        if state is None:
            world.begin(episode, job.chooser(self.weights, job.seed, world.index, episode), led_until=led_until)
        else:
            world.restore(state if state.led_until is not None else replace(state, led_until=led_until))


def serve(pipe: Connection, memory: mmap.mmap, job: Job) -> None:
    """Answer until the pipe ends."""
    arrays = job.layout.arrays(memory)
    games = Games(job.configs)
    agents = job.layout.agents

    def world(place: int) -> World:
        rows, one = slice(place * agents, (place + 1) * agents), slice(place, place + 1)
        names = ("observations", "last_observations", "rewards", "actions", "labels", "views")
        parts = {name: arrays[name][rows] for name in names}
        parts |= {name: arrays[name][one] for name in ("done", "led", "teaching_seconds")}
        return World(job.first + place, job.seed, games, Rows(**parts), job.teaching)

    groups = [[world(place) for place in group] for group in job.groups]
    course = Course(np.ones(len(games.configs)) / len(games.configs))
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, ConnectionResetError):
            return
        kind, payload = message[:1], message[1:]
        answer: Any = None
        try:
            if kind == STEP:
                answer = _step(groups[payload[0]], course, job)
            elif kind == BEGIN:
                states: dict[int, WorldState] = pickle.loads(payload)
                for group in groups:
                    for each in group:
                        course.begin(each, 0, job, states.get(each.index))
            elif kind == TASKS:
                games.replace(pickle.loads(payload))
            elif kind == WEIGHTS:
                course.weights = np.frombuffer(payload, dtype=np.float64)
            elif kind == LEADING:
                course.led, course.environments, dismissed = pickle.loads(payload)
                for each in (each for group in groups for each in group if dismissed):
                    each.dismiss_teacher()
            elif kind == STATE:
                answer = [each.state() for group in groups for each in group]
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            pipe.send_bytes(FAILED + pickle.dumps((type(error).__name__, str(error), text)))
            return
        pipe.send_bytes(DONE if answer is None else DONE + pickle.dumps(answer))


def _step(
    worlds: Sequence[World], course: Course, job: Job
) -> "tuple[list[EndedEpisode], list[dict[str, Any]]] | None":
    ended: list[EndedEpisode] = []
    records: list[dict[str, Any]] = []
    for world in worlds:
        end = world.step()
        if job.sampler is not None:
            records.extend(job.sampler(world, end is not None))
        if end is not None:
            ended.append(end)
            course.begin(world, world.episode + 1, job)
    return (ended, records) if ended or records else None


def main() -> None:
    """Serve the trainer whose pipe, memory and lifeline are the inherited descriptors in the arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's, which ends its workers
    pipe_descriptor, memory_descriptor, lifeline_descriptor, size = (int(text) for text in sys.argv[1:5])
    lifeline.end_with(lifeline_descriptor)
    pipe = Connection(pipe_descriptor)
    sys.path[:] = pickle.loads(pipe.recv_bytes())
    from daf.game import compat

    compat.install()
    job: Job = pickle.loads(pipe.recv_bytes())
    serve(pipe, mmap.mmap(memory_descriptor, size), job)


if __name__ == "__main__":
    main()
