"""The program of one rank, started by the elastic agent of its machine.

`run_rank` is the part that any launcher can use: it needs a job and a process group, wherever they come from.

Importing this module does not import torch.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from daf.core._stop_request import StopRequest
from daf.core.distributed._links import Decision, Ended, Link, LinkedProgress, Start
from daf.core.training_result import StopTraining
from daf.errors import DAFError
from daf.logging_config.setup import ROOT
from daf.processes import lifeline

if TYPE_CHECKING:
    from daf.core._process_group import ProcessGroup
    from daf.core.distributed.job import Job
    from daf.core.training_progress import ShowsProgress
    from daf.core.training_result import Progress, TrainingResult
    from daf.core.training_run import TrainingRun
    from daf.game.mission import Mission

RETRY = 1
"""The exit code of a rank that failed in a way that another start may not repeat."""


def run_rank(
    job: Job,
    group: ProcessGroup,
    *,
    device: str,
    on_machine: int,
    stop: StopRequest,
    progress: ShowsProgress,
    on_update: Callable[[Progress, Mapping[str, Any] | None], Decision],
) -> TrainingResult:
    """Train `job` as a rank of `group`; returns the result of the run, in every rank.

    on_machine: the number of ranks of this machine. stop: may be asked for in any rank. progress, on_update: used by
    rank 0; on_update receives every update with the state of the curriculum, None unless the job's is followed. Raises
    `DAFError` if this rank or another one failed before the run could record it.
    """
    from daf.core._distributed_learner import LeadingLearner, take_part
    from daf.core._failure_message import fault_of_machine
    from daf.core._process_group import LostPeerError
    from daf.core.training_loop import train

    run = _run_of(job, group, device, on_machine)
    try:
        if group.rank:
            result: TrainingResult = take_part(run.learner, lambda: stop.status is not None)  # type: ignore[arg-type]
            return result

        def updated(reached: Progress) -> None:
            decision = on_update(reached, run.curriculum.state_dict() if job.curriculum_followed else None)
            if decision.curriculum is not None and isinstance(run.learner, LeadingLearner):
                run.learner.change_curriculum(decision.curriculum)
            if decision.stop:
                raise StopTraining

        run.open(job.run_dir, job.run_id, job.checkpoint_dir, progress=progress)
        result = train(run, stop_at=job.stop_at, on_update=updated, stop=stop)
        if result.error is not None and result.error["type"] != LostPeerError.__name__:
            group.report(result.error["type"], result.error["message"], machine=result.machine)
        elif result.error is None and isinstance(run.learner, LeadingLearner):
            run.learner.end(result)
        return result
    except LostPeerError:
        raise
    except Exception as error:
        group.report(type(error).__name__, str(error), machine=fault_of_machine(error))
        raise
    finally:
        run.close()


def _run_of(job: Job, group: ProcessGroup, device: str, on_machine: int) -> TrainingRun:
    from daf.core.training_run import TrainingRun
    from daf.game import missions
    from daf.game.device import limit_gpu_memory

    known = {mission.name: mission for mission in job.missions}

    def resolve(name: str) -> Mission:
        if name not in known:
            (known[name],) = missions.resolve(name, game=job.config.game)
        return known[name]

    if device.startswith("cuda") and job.gpu_memory_fraction < 1:
        limit_gpu_memory(device, job.gpu_memory_fraction)
    # Weights come from rank 0, so the files they are in need not be on other machines.
    config = job.config if group.rank == 0 else job.config.replace(initial_weights=None)
    return TrainingRun(
        config,
        job.policy,
        job.curriculum,
        resolve,
        cache_dir=job.cache_dir,
        runs=job.runs,
        device=device,
        gpu_memory_fraction=job.gpu_memory_fraction,
        branch_from=job.branch_from if group.rank == 0 else None,
        ranks=group.world,
        group=group,
        on_machine=on_machine,
    )


def main() -> None:
    """Connect to the process that started the run, whose socket is the argument, and train."""
    stop = StopRequest()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        stop.interrupt()

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # from the agent: another rank is lost, so nothing can be saved
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.dup2(2, 1)  # libraries print to stdout, which is for the result of the command
    local, on_machine = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    link = Link(sys.argv[1], local)
    lifeline.end_with(link.fileno())
    sys.path[:] = link.import_path()
    from daf.game import compat

    compat.install()
    start = link.start()
    logging.getLogger(ROOT).setLevel(logging.ERROR)  # for warnings see `LinkedProgress`
    if start.stopping:
        stop.interrupt()
    sys.exit(_trained(link, start, local, on_machine, stop))


def _trained(link: Link, start: Start, local: int, on_machine: int, stop: StopRequest) -> int:
    """Train, and report the end to the starting process; returns the exit code."""
    from daf.core._failure_message import fault_of_machine
    from daf.game.device import resolve_device

    group = None
    try:
        device = _device(resolve_device(start.job.config.device, gpu_allowed=start.job.gpu_allowed), local)
        group = _joined(start, local, device)
        result = run_rank(
            start.job,
            group,
            device=device,
            on_machine=on_machine,
            stop=stop,
            progress=LinkedProgress(link, start.log_level),
            on_update=link.updated,
        )
    except DAFError as error:
        if fault_of_machine(error):
            return _failed(type(error).__name__, str(error))
        if local == 0:
            link.send(Ended(None, error))
        return 0  # another start would fail in the same way
    finally:
        if group is not None:
            group.close()
    if result.machine:
        error_of = result.error or {}
        return _failed(error_of.get("type", ""), error_of.get("message", ""))
    if local == 0:
        link.send(Ended(result))
    return 0


def _failed(kind: str, message: str) -> int:
    """Leave the reason for the agent, and return the exit code that asks for another start."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        content = {"message": f"{kind}: {message}", "timestamp": int(time.time())}
        with contextlib.suppress(OSError):  # the agent then reports the exit code alone
            Path(path).write_text(json.dumps(content))
    return RETRY


def _device(name: str, local: int) -> str:
    """The device of a rank: a separate GPU if there are several."""
    if not name.startswith("cuda"):
        return name
    import torch

    return f"cuda:{local % torch.cuda.device_count()}"


def _joined(start: Start, local: int, device: str) -> ProcessGroup:
    """The process group. Ranks are numbered by machine, then on their machine: rank 0 is on machine 0."""
    from torch._C._distributed_c10d import PrefixStore

    from daf.core._process_group import ProcessGroup
    from daf.core.distributed import _rendezvous
    from daf.errors import UsageError

    interface = _rendezvous.interface_of(start.address)
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        if interface is not None:  # the default is that of the host's name, which may be a loopback address
            os.environ.setdefault(name, interface)
    host, port = start.rendezvous
    store = PrefixStore(start.group, _rendezvous.connect(host, port, seconds=_rendezvous.RECONNECT_SECONDS))
    world, number = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    store.set(f"place/{number}", json.dumps([start.node_rank, int(os.environ["GROUP_RANK"]), local]))
    places: list[Any] = [json.loads(store.get(f"place/{each}")) for each in range(world)]
    machines = {(node, machine) for node, machine, _ in places}
    nodes = sorted(node for node, _ in machines)
    if len(set(nodes)) != len(nodes):
        twice = next(node for node in nodes if nodes.count(node) > 1)
        raise UsageError(f"two machines have --node-rank {twice}; each needs its own, from 0.")
    mine = sorted(places).index([start.node_rank, int(os.environ["GROUP_RANK"]), local])
    return ProcessGroup.formed(store, mine, world, device)


if __name__ == "__main__":
    main()
