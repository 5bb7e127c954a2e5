"""Training in several processes, each of them a learner with a part of the environments.

This process is rank 0: it keeps the run's records, and sends commands to the others through pipes. They end when their
pipe closes. A run must be resumed with the same number of processes, because each has private state.

Importing this module imports torch.
"""

import io
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from daf.config.training import DAFTrainingConfig
from daf.core._learner import Learner
from daf.core._process_group import ProcessGroup
from daf.core._rollout_collector import Resolve
from daf.core.curriculum import Curriculum
from daf.core.rollout_sizes import RolloutSizes, per_process
from daf.errors import CheckpointError, DivergenceError, TrainingError, UsageError
from daf.game.missions import Mission
from daf.game.policy import Policy
from daf.game.trainable import Trainable
from daf.processes import lifeline

UPDATE, STATE, RESTORE, INHERIT = b"u", b"s", b"r", b"i"
DONE, FAILED = b"d", b"e"
_ERROR_SECONDS = 2.0
"""Seconds that a failed process has to report its error."""
_OWN = ("sampling", "batches", "torch", "cuda", "states", "fresh", "worlds")
"""The parts of a learner's state that are private to each process."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a process needs to start."""

    config: DAFTrainingConfig
    sizes: RolloutSizes
    policy: Policy
    missions: Sequence[Mission]
    curriculum: Curriculum
    rank: int
    world: int
    rendezvous: Path
    device: str


class DistributedLearner(Learner):
    """See the module; used like a `Learner`. sizes: of all processes together."""

    def __init__(
        self,
        config: DAFTrainingConfig,
        sizes: RolloutSizes,
        trainable: Trainable,
        curriculum: Curriculum,
        resolve: Resolve,
        *,
        policy: Policy,
        missions: Sequence[Mission],
        sampler: Any = None,
    ) -> None:
        world = config.workers_per_node
        mine = per_process(sizes, world)
        self._folder = tempfile.TemporaryDirectory(prefix="daf-training-")
        rendezvous = Path(self._folder.name) / "rendezvous"
        self._pipes: list[Connection] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._drawn_by = b""
        try:
            for rank in range(1, world):
                self._start(
                    Part(
                        config, mine, policy, missions, curriculum, rank, world, rendezvous, device_of(trainable, rank)
                    )
                )
            self._answers()  # all are ready to join the process group
            self._group = ProcessGroup(0, world, rendezvous, trainable.device.type)
            self._group.share_weights(trainable.network)
            super().__init__(config, mine, trainable, curriculum, resolve, sampler=sampler, peers=self._group)
        except BaseException:
            self._end()
            raise

    def update(self) -> dict[str, float]:
        """One update of all processes; see `Learner.update`."""
        if not self._pipes:
            raise TrainingError("the training processes have ended; resume from a checkpoint.")
        state = _saved(self.curriculum.state_dict())
        self._broadcast(UPDATE + (b"" if state == self._drawn_by else state))
        try:
            values = super().update()
        except TrainingError as error:
            raise self._cause(error) from error
        self._answers()
        self._drawn_by = _saved(self.curriculum.state_dict())
        return values

    def state(self) -> dict[str, Any]:
        """The state, including each process's part."""
        if not self._pipes:
            raise TrainingError("the training processes have ended; resume from a checkpoint.")
        self._broadcast(STATE)
        mine = super().state()
        return {**mine, "ranks": [_loaded(answer) for answer in self._answers()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from `state`. Raises `CheckpointError` if it has a different number of processes."""
        ranks = state.get("ranks", [])
        if len(ranks) != len(self._pipes):
            raise CheckpointError(
                f"the checkpoint was saved with workers_per_node {len(ranks) + 1}, and this run has "
                f"{len(self._pipes) + 1}. Resume with {len(ranks) + 1}, or start another run with --branch-from."
            )
        common = {name: value for name, value in state.items() if name not in (*_OWN, "ranks")}
        for pipe, own in zip(self._pipes, ranks, strict=True):
            _send(pipe, RESTORE + _saved({**common, **own}))
        self._group.share_weights(self.trainable.network)
        super().restore(state)
        self._answers()

    def inherit(self, state: dict[str, Any]) -> None:
        """See `Learner.inherit`."""
        for pipe in self._pipes:
            _send(
                pipe,
                INHERIT + _saved({name: state[name] for name in ("optimizer", "steps", "updates", "seconds", "scale")}),
            )
        self._group.share_weights(self.trainable.network)
        super().inherit(state)
        self._answers()

    def follow(self, curriculum: Curriculum) -> None:
        """Refused: the other processes draw from the curriculum that they started with. Raises `UsageError`."""
        raise UsageError(
            "a distributed run can't change its curriculum; set workers_per_node to 1 to train on single tasks."
        )

    def close(self) -> None:
        """End all processes; afterwards a distributed run can only be resumed from a checkpoint."""
        super().close()
        self._group.close()
        self._end()

    def _start(self, part: Part) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = (theirs.fileno(), lifeline.descriptor())
            process = subprocess.Popen(
                [sys.executable, "-m", "daf.core.distributed_worker", *map(str, descriptors)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                process_group=0,  # the trainer handles Ctrl-C and a SIGTERM to the group
            )
        pipe = Connection(ours.detach())
        self._processes.append(process)
        self._pipes.append(pipe)
        pipe.send_bytes(pickle.dumps(sys.path))
        pipe.send_bytes(pickle.dumps(part))

    def _broadcast(self, message: bytes) -> None:
        for pipe in self._pipes:
            _send(pipe, message)

    def _answers(self) -> list[bytes]:
        answers = []
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            try:
                answer = pipe.recv_bytes()
            except (EOFError, OSError):
                code = process.wait()
                raise TrainingError(f"a training process (pid {process.pid}) ended with {code}", machine=True) from None
            if answer[:1] == FAILED:
                raise _failure(answer)
            answers.append(answer[1:])
        return answers

    def _cause(self, error: TrainingError) -> TrainingError:
        """The error that a process reported before it ended, else `error`, which shows only that a process is gone."""
        for pipe in self._pipes:
            try:
                answer = pipe.recv_bytes() if pipe.poll(_ERROR_SECONDS) else b""
            except (EOFError, OSError):
                continue
            if answer[:1] == FAILED:
                return _failure(answer)
        return error

    def _end(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._pipes, self._processes = [], []
        self._folder.cleanup()


def serve(pipe: Connection, part: Part) -> None:
    """Run the commands of rank 0 until the pipe closes."""
    from daf.game import missions
    from daf.game.rollout import Game
    from daf.game.trainable import save_memory, trainable

    known = {mission.name: mission for mission in part.missions}

    def resolve(name: str) -> Mission:
        if name not in known:
            (known[name],) = missions.resolve(name, game=part.config.game)
        return known[name]

    model = trainable(part.policy, Game(part.missions[0].config), device=part.device, seed=part.config.seed)
    save_memory(model.policy, part.config)
    pipe.send_bytes(DONE)
    group = ProcessGroup(part.rank, part.world, part.rendezvous, torch.device(part.device).type)
    group.share_weights(model.network)
    learner = Learner(part.config, part.sizes, model, part.curriculum, resolve, peers=group)
    try:
        while True:
            try:
                message = pipe.recv_bytes()
            except (EOFError, ConnectionResetError):
                return
            kind, payload = message[:1], message[1:]
            answer = b""
            try:
                if kind == UPDATE:
                    if payload:  # it changed in another way than by the episodes that all processes record
                        learner.curriculum.load_state_dict(_loaded(payload))
                    learner.update()
                elif kind == STATE:
                    state = learner.state()
                    answer = _saved({name: state[name] for name in _OWN})
                else:
                    group.share_weights(model.network)
                    (learner.restore if kind == RESTORE else learner.inherit)(_loaded(payload))
            except Exception as error:
                failure = (type(error).__name__, str(error), getattr(error, "machine", False))
                pipe.send_bytes(FAILED + pickle.dumps(failure))
                return
            pipe.send_bytes(DONE + answer)
    finally:
        learner.close()
        group.close()


def device_of(trainable: Trainable, rank: int) -> str:
    """The device of the process of this rank: a separate GPU if there are several."""
    if trainable.device.type != "cuda":
        return str(trainable.device)
    return f"cuda:{rank % torch.cuda.device_count()}"


def _failure(answer: bytes) -> TrainingError:
    kind, text, machine = pickle.loads(answer[1:])
    if kind == DivergenceError.__name__:
        return DivergenceError(text)
    return TrainingError(f"a training process failed: {kind}: {text}", machine=machine)


def _send(pipe: Connection, message: bytes) -> None:
    try:
        pipe.send_bytes(message)
    except OSError as error:
        raise TrainingError(f"a training process has ended: {error}", machine=True) from error


def _saved(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _loaded(data: bytes) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return state
