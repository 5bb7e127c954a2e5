"""Jobs on the nodes of a Ray cluster, their directories on storage that all nodes share.

Each job has an actor, named after its directory, that holds the job's supervisor on some node (`LocalJobs`). A job
lives at most as long as its actor: a lost node ends it, and its status is then "gone". The next attempt starts
elsewhere, from the last checkpoint in the shared directory. The actor of a job that outlives its launcher is detached;
any process that is connected to the cluster finds it by its name.

A directory whose job was not launched by this runner is left to `LocalJobs`.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from daf.compute import _ray_cluster as ray_cluster
from daf.compute.interface import ClusterOptions
from daf.core.jobs._supervisor import EXIT, PROCESS
from daf.core.jobs.interface import JobError, JobSpec, JobStatus, last_change
from daf.core.jobs.local import LocalJobs
from daf.errors import ExecutorError
from daf.storage.atomic import write_json
from daf.storage.hashing import hash_bytes

MARKER = "ray.json"
"""In the directory of a job that was launched on a cluster."""
_ANSWER_SECONDS = 10.0
_LOOK_SECONDS = 0.2
_SETTLE_SECONDS = 0.5


class RayJobs:
    """The runner for a cluster; several threads may use one.

    options: where. gpus_per_job: GPUs that a job reserves; CPUs are `options.cpus_per_episode`.
    """

    attempts_if_gone = 4

    def __init__(self, options: ClusterOptions, *, gpus_per_job: float = 0.0) -> None:
        self._options = options
        self._gpus = gpus_per_job
        self._local = LocalJobs()
        self._launched: set[Path] = set()

    def launch(self, job: JobSpec) -> None:
        """Create the job's actor, which starts it as soon as a node has room; does nothing if there is one."""
        ray = self._ray()
        job = replace(job, folder=job.folder.absolute(), cwd=(job.cwd or Path.cwd()).absolute())
        write_json(job.folder / MARKER, {"cluster": ray_cluster.current_address()})
        environment = ray_cluster.carried_variables()
        host = ray.remote(_Host).options(
            name=_name(job),
            namespace=ray_cluster.NAMESPACE,
            lifetime="detached" if job.outlives_launcher else None,
            num_cpus=self._options.cpus_per_episode,
            num_gpus=self._gpus,
            max_restarts=0,
            max_concurrency=4,
        )
        try:
            actor = host.remote()
        except ValueError:  # the name is taken: it was launched
            return
        self._launched.add(job.folder)
        actor.run.remote(replace(job, environment={**environment, **job.environment}), sys.executable)

    def status(self, job: JobSpec) -> JobStatus:
        """From the job's directory, and from its actor while there is one."""
        if not self._is_mine(job):
            return self._local.status(job)
        if (job.folder / EXIT).exists():
            return self._local_view(job)
        ray = self._ray()
        actor = self._actor(job)
        if actor is not None:
            with contextlib.suppress(ray.exceptions.RayActorError):
                return self._answer(actor, job)
        if (job.folder / EXIT).exists():  # it ended between the two looks
            return self._local_view(job)
        started = (job.folder / PROCESS).exists() or job.folder.absolute() in self._launched
        return JobStatus("gone" if started else "absent")

    def forget(self, job: JobSpec) -> bool:
        """Take the claim that its supervisor would otherwise take; an actor that waits for a node ends."""
        if not self._local.forget(job):
            return False
        if self._is_mine(job) and (actor := self._actor(job)) is not None:
            self._ray().kill(actor)
        return True

    def interrupt(self, job: JobSpec) -> None:
        """Send SIGINT to the job's process group on its node."""
        self._ask(job, "interrupt")

    def kill(self, job: JobSpec) -> None:
        """End its processes, then its actor."""
        if not self._is_mine(job):
            self._local.kill(job)
            return
        if not (job.folder / PROCESS).exists() and self.forget(job):
            return
        self._ask(job, "kill")
        if (actor := self._actor(job)) is not None:
            self._ray().kill(actor)

    def wait(self, jobs: Sequence[JobSpec], seconds: float) -> None:
        """Look at the jobs repeatedly until one has ended."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if any(self.status(job).state in ("ended", "gone") for job in jobs):
                return
            time.sleep(min(left, _LOOK_SECONDS))

    def _answer(self, actor: Any, job: JobSpec) -> JobStatus:
        """What the job's actor knows; it counts as running while it waits for a node or is too busy to answer."""
        ray = self._ray()
        answer = actor.status.remote(job)
        if not (job.folder / PROCESS).exists():
            ready, _ = ray.wait([answer], timeout=_SETTLE_SECONDS)
            if not ready:
                return JobStatus("running", last_heartbeat=time.time())
        try:
            found: JobStatus = ray.get(answer, timeout=_ANSWER_SECONDS)
        except ray.exceptions.GetTimeoutError:
            return JobStatus("running", last_heartbeat=last_change(job))
        except ray.exceptions.RayTaskError as error:
            raise JobError(f"{job.name}: {error.cause}") from error
        # The actor lives and has not launched its supervisor yet: soon it will.
        return JobStatus("running", last_heartbeat=time.time()) if found.state == "absent" else found

    def _ask(self, job: JobSpec, what: str) -> None:
        if not self._is_mine(job):
            getattr(self._local, what)(job)
            return
        ray = self._ray()
        actor = self._actor(job)
        if actor is not None:
            with contextlib.suppress(ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
                ray.get(getattr(actor, what).remote(job), timeout=_ANSWER_SECONDS)

    def _local_view(self, job: JobSpec) -> JobStatus:
        """The exit code, which does not depend on the machine that wrote it."""
        found = self._local.exit_code(job)
        return JobStatus("gone") if found is None else JobStatus("ended", exit_code=found)

    def _is_mine(self, job: JobSpec) -> bool:
        return (job.folder / MARKER).exists()

    def _actor(self, job: JobSpec) -> Any | None:
        try:
            return self._ray().get_actor(_name(job), namespace=ray_cluster.NAMESPACE)
        except ValueError:
            return None

    def _ray(self) -> Any:
        try:
            ray_cluster.connect(self._options.address)
        except ExecutorError as error:
            raise JobError(str(error)) from error
        import ray

        return ray


class _Host:
    """The actor of one job: its supervisor is a child of this process, and ends with it."""

    def __init__(self) -> None:
        os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it to the CPUs that it reserved; a job decides itself
        self._jobs = LocalJobs()
        self._lock = threading.Lock()

    def run(self, job: JobSpec, python: str) -> None:
        """Run `job` to its end, then end this actor. python: the launcher's interpreter, which is not this node's."""
        argv = (sys.executable, *job.argv[1:]) if job.argv[:1] == (python,) else job.argv
        job = replace(job, argv=argv, outlives_launcher=False)
        if not (job.folder / MARKER).exists():
            return  # `status` reports it
        with self._lock:
            self._jobs.launch(job)
        while self.status(job).state == "running":
            self._jobs.wait([job], 60.0)
        time.sleep(_SETTLE_SECONDS)  # answers that are on their way
        os._exit(0)

    def status(self, job: JobSpec) -> JobStatus:
        """As seen on this node. Raises `JobError` if it does not share the job's directory."""
        if not (job.folder / MARKER).exists():
            raise JobError(
                f"node {socket.gethostname()} of the Ray cluster does not have the directory {job.folder}. Jobs on a "
                "cluster need an output directory on storage that all nodes share: set --output-dir."
            )
        with self._lock:
            return self._jobs.status(job)

    def interrupt(self, job: JobSpec) -> None:
        """See `LocalJobs.interrupt`."""
        self._jobs.interrupt(job)

    def kill(self, job: JobSpec) -> None:
        """See `LocalJobs.kill`."""
        self._jobs.kill(job)


def _name(job: JobSpec) -> str:
    return f"daf-job-{hash_bytes(str(job.folder.absolute()).encode())}"
