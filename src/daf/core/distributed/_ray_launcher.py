"""The actor that runs Ray Train for a driver, on the driver's node, and passes messages between rank 0 and the driver.

Ray Train changes the process that calls it: its environment, its loggers, its signal handlers. Here that process is not
the user's. When the driver ends or kills this actor, the controller of Ray Train and the workers end with it.

Importing this module imports neither torch nor Ray.
"""

from __future__ import annotations

import itertools
import pickle
import queue
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import Any

from daf.core.distributed._links import Decision, Said
from daf.core.distributed._ray_outcome import Outcome
from daf.core.distributed._ray_rank import Work, train_rank


@dataclass(frozen=True, slots=True)
class Plan:
    """The workers. cpus: that each reserves; gpu: whether each reserves one. timeout: seconds of an exchange."""

    workers: int
    cpus: float
    gpu: bool
    max_restarts: int
    timeout: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message of rank 0, pickled. start: of this rank; question: the number to answer with, None if none is due."""

    start: str
    question: int | None
    message: bytes


class Launcher:
    """See the module. Its methods run in several threads: `fit` in one, until training has ended."""

    def __init__(self) -> None:
        self._received: queue.SimpleQueue[Received] = queue.SimpleQueue()
        self._answers: dict[int, queue.SimpleQueue[bytes]] = {}
        self._questions = itertools.count()
        self._stopping = threading.Event()
        self._restarts = {False: 0, True: 0}
        self._most = 0

    def fit(self, plan: Plan, work: Work) -> Outcome:
        """Train; returns when no worker is left."""
        import ray
        from ray.train.torch import TorchTrainer
        from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig

        from daf.core.distributed._ray_train import Losses, OnNodesInterface, outcome_of

        self._most = plan.max_restarts
        config: Any = RunConfig  # Ray's annotations name the class of version 1
        launcher = ray.get_runtime_context().current_actor
        with tempfile.TemporaryDirectory(prefix="daf-ray-train-") as place:  # checkpoints are in the run directory
            trainer = TorchTrainer(
                train_rank,
                train_loop_config={"work": work, "launcher": launcher},
                torch_config=OnNodesInterface(
                    backend="cpu:gloo,cuda:nccl" if plan.gpu else "gloo", timeout_s=plan.timeout
                ),
                scaling_config=ScalingConfig(
                    num_workers=plan.workers,
                    use_gpu=plan.gpu,
                    resources_per_worker={"CPU": plan.cpus, **({"GPU": 1} if plan.gpu else {})},
                ),
                run_config=config(
                    name="daf",
                    storage_path=place,
                    failure_config=FailureConfig(
                        max_failures=plan.max_restarts,
                        controller_failure_limit=plan.max_restarts,
                        max_preemption_failures=plan.max_restarts,
                    ),
                    callbacks=[Losses(launcher)],
                ),
            )
            return outcome_of(trainer.fit)

    def send(self, start: str, message: bytes) -> None:
        """Pass a message to the driver."""
        self._received.put(Received(start, None, message))

    def ask(self, start: str, message: bytes) -> bytes:
        """Pass a message to the driver; returns its answer, a pickled `Decision`."""
        number = next(self._questions)
        answer = self._answers.setdefault(number, queue.SimpleQueue())
        self._received.put(Received(start, number, message))
        return answer.get()

    def answer(self, question: int, decision: Decision) -> None:
        """The driver's answer to `ask`."""
        self._answers.pop(question).put(pickle.dumps(decision))

    def receive(self, seconds: float) -> list[Received]:
        """For the driver: all messages that have arrived, at least one unless `seconds` pass without any."""
        found: list[Received] = []
        deadline = time.monotonic() + seconds
        try:
            found.append(self._received.get(timeout=max(0.0, deadline - time.monotonic())))
            while True:
                found.append(self._received.get_nowait())
        except queue.Empty:
            return found

    def stop(self) -> None:
        """For the driver: let the ranks save and end."""
        self._stopping.set()

    def stopping(self, seconds: float) -> bool:
        """For rank 0: whether the driver asks for a stop, within `seconds`."""
        return self._stopping.wait(seconds)

    def lost(self, reason: str, *, preempted: bool) -> None:
        """For the controller: workers were lost. Ray counts those that were preempted separately."""
        self._restarts[preempted] += 1
        number = self._restarts[preempted]
        if number <= self._most and not self._stopping.is_set():
            text = f"{reason}. All ranks start again from the last checkpoint (restart {number} of {self._most})."
            self._received.put(Received("", None, pickle.dumps(Said(text))))
