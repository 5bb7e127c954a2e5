"""What a worker of Ray Train runs: one rank, in a thread of the worker's process.

Ray has initialized torch's process group before. Messages of rank 0 go through the launcher (`_ray_launcher`). An error
that another start may not repeat is raised, so that Ray starts all workers again; others end the run.

Importing this module does not import torch.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute._ray_worker import import_path_with
from daf.core._stop_request import StopRequest
from daf.core.distributed._links import Decision, Ended, Hello, LinkedProgress, Message, Updated
from daf.core.stored_settings import CONFIG_FILE
from daf.errors import DAFError, UsageError
from daf.logging_config.setup import ROOT
from daf.storage.hashing import hash_file

if TYPE_CHECKING:
    from daf.core._process_group import ProcessGroup
    from daf.core.distributed.job import Job
    from daf.core.training_result import Progress, TrainingResult

_WATCH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Work:
    """What all ranks need. job: pickled, because what it names is found on the driver's import path only.

    settings: the hash of the run's settings file, which shows whether this node shares the run directory.
    """

    job: bytes
    run_dir: Path
    settings: str
    import_path: tuple[str, ...]
    cwd: str
    on_gpu: bool
    log_level: int


def train_rank(given: Mapping[str, Any]) -> None:
    """Train as one rank. given: the `work`, and the actor `launcher`."""
    import ray.train

    work: Work = given["work"]
    sys.path[:] = import_path_with(work.import_path)
    if Path(work.cwd).is_dir():
        os.chdir(work.cwd)
    from daf.game import compat

    compat.install()
    context = ray.train.get_context()
    link = _Link(given["launcher"])
    stop = StopRequest()
    if context.get_world_rank() == 0:
        link.send(Hello(os.getpid(), 0))
        threading.Thread(target=link.watch, args=(stop,), name="daf-stop", daemon=True).start()
    logging.getLogger(ROOT).setLevel(logging.ERROR)  # for warnings see `LinkedProgress`
    error = _trained(work, context.get_local_world_size(), stop, link)
    if error is not None:
        raise RuntimeError(error)  # the process that receives it need not be able to import the original's class


def _trained(work: Work, on_machine: int, stop: StopRequest, link: _Link) -> str | None:
    """Train, and report the end to the driver. Returns why all ranks have to start again, None if they need not."""
    from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

    from daf.core._failure_message import fault_of_machine
    from daf.core._process_group import ProcessGroup
    from daf.core.distributed.rank import run_rank

    group = ProcessGroup(PrefixStore("daf", _get_default_store()))
    try:
        _require_shared(work, group)
        job: Job = pickle.loads(work.job)
        result: TrainingResult = run_rank(
            job,
            group,
            device=_device(job, on_gpu=work.on_gpu),
            on_machine=on_machine,
            stop=stop,
            progress=LinkedProgress(link, work.log_level),
            on_update=link.updated,
        )
    except Exception as error:
        if fault_of_machine(error) or not isinstance(error, DAFError):
            return f"{type(error).__name__}: {error}"
        if group.rank == 0:
            link.send(Ended(None, error))
        return None
    finally:
        group.close()
    if result.machine:
        failure = result.error or {}
        return f"{failure.get('type', '')}: {failure.get('message', '')}"
    if group.rank == 0:
        link.send(Ended(result))
    return None


def _require_shared(work: Work, group: ProcessGroup) -> None:
    """Raise `UsageError`, in every rank, if the node of one of them lacks the run directory."""
    settings = work.run_dir / CONFIG_FILE
    shared = settings.is_file() and hash_file(settings) == work.settings
    nodes = sorted({name for name in group.gather(None if shared else socket.gethostname()) if name is not None})
    if nodes:
        raise UsageError(
            f"the directory {work.run_dir} is not on {', '.join(nodes)} of the Ray cluster. Training on a cluster "
            "needs an output directory on storage that all nodes share: set --output-dir."
        )


def _device(job: Job, *, on_gpu: bool) -> str:
    if on_gpu:
        from ray.train.torch import get_device

        return str(get_device())
    from daf.game.device import resolve_device

    name = resolve_device(job.config.device, gpu_allowed=job.gpu_allowed)
    return "cpu" if name.startswith("cuda") else name  # a GPU of this node that was not reserved is for others


class _Link:
    """Rank 0's way to the driver, through the launcher."""

    def __init__(self, launcher: Any) -> None:
        self._launcher = launcher
        self._start = uuid.uuid4().hex

    def send(self, message: Message) -> None:
        """Send a message; messages arrive in order."""
        import ray

        ray.get(self._launcher.send.remote(self._start, pickle.dumps(message)))

    def updated(self, progress: Progress, curriculum: Mapping[str, Any] | None) -> Decision:
        """Report an update, and wait for the driver's answer."""
        import ray

        message = pickle.dumps(Updated(progress, curriculum))
        decision: Decision = pickle.loads(ray.get(self._launcher.ask.remote(self._start, message)))
        return decision

    def watch(self, stop: StopRequest) -> None:
        """Ask `stop` for an end when the driver does; end this process when the driver is gone."""
        import ray

        try:
            while not ray.get(self._launcher.stopping.remote(_WATCH_SECONDS)):
                pass
        except ray.exceptions.RayError:
            os._exit(1)
        stop.interrupt()
