"""Many training environments in separate processes, stepped in two groups over shared memory.

While the network chooses actions for one group, the processes step the other, so that no core waits. Results are taken
in fixed order, and an environment's course depends only on its number: results do not depend on the number of
processes. A process that dies ends training with `TrainingError`; none outlives the trainer.

Importing this module imports mettagrid.
"""

import mmap
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.errors import PolicyError, TrainingError
from daf.game._training_worker import BEGIN, FAILED, LEADING, STATE, STEP, TASKS, WEIGHTS, Job, Layout
from daf.game.teaching import Teaching
from daf.game.training_world import Chooser, EndedEpisode, WorldState
from daf.processes import lifeline

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig


class TrainingEnvs:
    """`environments` environments of equal size, in `groups` groups of consecutive ones.

    observations: (rows, tokens, 3) uint8; last_observations: the same of episodes that ended at the last step; rewards:
    (rows,) float32; actions: (rows,) int32, to be written before `send`; done: (environments,) uint8 (`RUNNING`,
    `TERMINATED`, `TRUNCATED`); labels: (rows,) int32, what the teacher does in the states of `observations`; views:
    (rows,) int32, how often the agent has had this view in the episode, 0 without a teacher; led: (environments,)
    uint8, whether the teacher leads; teaching_seconds: (environments,) float64, spent with the teacher so far. Rows are
    ordered by environment, then agent.
    """

    def __init__(
        self,
        configs: "Sequence[MettaGridConfig]",
        *,
        environments: int,
        workers: int,
        seed: int,
        chooser: Chooser,
        sampler: Any = None,
        first: int = 0,
        teaching: Teaching | None = None,
    ) -> None:
        """configs: the missions of the tasks, equal in agents, observations and actions. first: the number of the first
        environment, if others are stepped elsewhere. Raises `TrainingError`.
        """
        interface = PolicyEnvInterface.from_mg_cfg(configs[0])
        self.agents = int(configs[0].game.num_agents)
        self.environments = environments
        self.groups = 2 if environments > 1 else 1
        self.layout = Layout(environments, self.agents, interface.observation_space.shape[0])
        split = environments // 2 if self.groups == 2 else environments
        self.group_environments = [range(split), range(split, environments)][: self.groups]
        self.group_rows = [slice(g.start * self.agents, g.stop * self.agents) for g in self.group_environments]
        workers = max(1, min(workers, *(len(group) for group in self.group_environments)))
        self._memory_file, self._memory = _shared_memory(self.layout.size)
        arrays = self.layout.arrays(self._memory)
        self.observations: npt.NDArray[np.uint8] = arrays["observations"]
        self.last_observations: npt.NDArray[np.uint8] = arrays["last_observations"]
        self.rewards: npt.NDArray[np.float32] = arrays["rewards"]
        self.actions: npt.NDArray[np.int32] = arrays["actions"]
        self.done: npt.NDArray[np.uint8] = arrays["done"]
        self.labels: npt.NDArray[np.int32] = arrays["labels"]
        self.views: npt.NDArray[np.int32] = arrays["views"]
        self.led: npt.NDArray[np.uint8] = arrays["led"]
        self.teaching_seconds: npt.NDArray[np.float64] = arrays["teaching_seconds"]
        self._pipes: list[Connection] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._pending: list[int] = []
        try:
            for worker in range(workers):
                groups = [_share(group, worker, workers) for group in self.group_environments]
                self._start(Job(seed, self.layout, groups, first, list(configs), chooser, sampler, teaching))
        except BaseException:
            self.close()
            raise

    def begin(self, states: Sequence[WorldState] = ()) -> None:
        """Start every environment's first episode, or resume from `states`; afterwards the observations are valid."""
        self._ask(BEGIN, pickle.dumps({state.environment: state for state in states}))

    def send(self, group: int) -> None:
        """Let `group` take the actions in its rows."""
        for pipe in self._pipes:
            self._write(pipe, STEP + bytes([group]))
        self._pending.append(group)

    def receive(self, group: int) -> tuple[list[EndedEpisode], list[dict[str, Any]]]:
        """Wait for the step of `group`, the one sent first; the episodes that ended with it, and log records."""
        assert self._pending.pop(0) == group
        ended: list[EndedEpisode] = []
        records: list[dict[str, Any]] = []
        for number in range(len(self._pipes)):
            answer = self._read(number)
            if answer is not None:
                ended.extend(answer[0])
                records.extend(answer[1])
        return sorted(ended, key=lambda end: end.environment), records

    def set_weights(self, weights: npt.NDArray[np.float64]) -> None:
        """Set the probabilities of the tasks, for episodes that start from now on."""
        self._ask(WEIGHTS, np.ascontiguousarray(weights, dtype=np.float64).tobytes())

    def set_leading(self, share: float, environments: int, *, dismiss: bool = False) -> None:
        """Set the share of `environments`, those of all processes, that the teacher leads in episodes to come.

        dismiss: do without teachers from now on; the student leads the rest of their episodes.
        """
        self._ask(LEADING, pickle.dumps((share, environments, dismiss)))

    def set_tasks(self, configs: "Sequence[MettaGridConfig | None]") -> None:
        """Replace the missions of the tasks; None keeps one."""
        self._ask(TASKS, pickle.dumps(list(configs)))

    def states(self) -> list[WorldState]:
        """The data that determine every environment's state, by environment."""
        return sorted((state for part in self._ask(STATE) for state in part), key=lambda state: state.environment)

    def close(self) -> None:
        """End the processes; they hold nothing that would be lost."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.kill()
            process.wait()
        self._pipes, self._processes, self._pending = [], [], []
        if self._memory_file >= 0:
            os.close(self._memory_file)
            self._memory_file = -1

    @property
    def stepping(self) -> bool:
        """Whether a step was sent and not received, so that nothing else can be requested."""
        return bool(self._pending)

    @property
    def process_ids(self) -> list[int]:
        """Of the workers."""
        return [process.pid for process in self._processes]

    def _start(self, job: Job) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = (theirs.fileno(), self._memory_file, lifeline.descriptor())
            process = subprocess.Popen(
                [sys.executable, "-m", "daf.game._training_worker", *map(str, descriptors), str(self.layout.size)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C and a group's SIGTERM are the trainer's to handle
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        pipe = Connection(ours.detach())
        self._processes.append(process)
        self._pipes.append(pipe)
        self._write(pipe, pickle.dumps(sys.path))
        self._write(pipe, pickle.dumps(job))

    def _ask(self, kind: bytes, payload: bytes = b"") -> list[Any]:
        for pipe in self._pipes:
            self._write(pipe, kind + payload)
        return [self._read(number) for number in range(len(self._pipes))]

    def _write(self, pipe: Connection, message: bytes) -> None:
        try:
            pipe.send_bytes(message)
        except OSError:
            number = self._pipes.index(pipe)
            # A worker that failed in an earlier step has sent the reason before it ended.
            while True:
                self._read(number)

    def _read(self, number: int) -> Any:
        try:
            message = self._pipes[number].recv_bytes()
        except (EOFError, OSError):
            self._lost(number)
        if message[:1] == FAILED:
            kind, text, trace = pickle.loads(message[1:])
            if kind == PolicyError.__name__:
                raise PolicyError(text)
            raise TrainingError(f"an environment failed: {kind}: {text}\n{trace}")
        return pickle.loads(message[1:]) if len(message) > 1 else None

    def _lost(self, number: int) -> NoReturn:
        process = self._processes[number]
        try:
            code = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        ending = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        hint = " The system may have run out of memory: try fewer environments (--envs)." if code == -9 else ""
        raise TrainingError(f"an environment process (pid {process.pid}) ended {ending}.{hint}", machine=True)


def _share(group: range, worker: int, workers: int) -> list[int]:
    """The consecutive environments of `group` that `worker` steps."""
    first, last = len(group) * worker // workers, len(group) * (worker + 1) // workers
    return list(group[first:last])


def _shared_memory(size: int) -> tuple[int, mmap.mmap]:
    """A file without a name, gone with the processes that hold it; its descriptor, and the memory."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("daf-training")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor, mmap.mmap(descriptor, size)
