"""Jobs as managed jobs of SkyPilot, through the user's own `sky`; their directories are in storage that both share.

The storage is mounted on the machines of a job where it is mounted here, so a job reads and writes the same paths. A
job that loses its machine starts again on another one, and `daf train` then resumes from its last checkpoint. Asking
for the state of jobs takes SkyPilot seconds, so answers are up to 15 s old; the storage shows changes late, too.

Not guaranteed: `interrupt` reaches a job only when its machine sees the file that asks for it.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from daf.compute import skypilot
from daf.compute.skypilot import TaskSettings
from daf.core.jobs._sky_worker import INTERRUPT
from daf.core.jobs._supervisor import EXIT, JOB
from daf.core.jobs.interface import JobError, JobSpec, JobStatus, last_change
from daf.core.jobs.local import LocalJobs
from daf.errors import DamagedFileError, ExecutorError, StorageError, UsageError
from daf.storage.atomic import explain, write_json
from daf.storage.hashing import hash_bytes
from daf.storage.reading import read_json

MARKER = "skypilot.json"
"""In the directory of a job that was launched as a task, or given up."""
TASK = "task.yaml"
_QUEUE_SECONDS = 15.0
_SETTLE_SECONDS = 90.0
"""How long after a job's end its files may appear here."""
_LOOK_SECONDS = 1.0
_TRAINS = ("RUNNING",)
_STARTS = ("PENDING", "SUBMITTED", "STARTING", "RECOVERING", "WINDING_DOWN", "CANCELLING")


class SkyJobs:
    """The runner for SkyPilot. settings: of the tasks; None for jobs that an earlier command launched.

    mount: the directory at which the storage `settings.outputs` is mounted here, and is on the machines of the jobs.
    settle: seconds that the files of an ended job may take to appear here.
    """

    attempts_if_gone = 4

    def __init__(
        self,
        settings: TaskSettings | None = None,
        mount: Path | None = None,
        *,
        settle: float = _SETTLE_SECONDS,
        queue: float = _QUEUE_SECONDS,
    ) -> None:
        self._settings, self._mount = settings, mount
        self._settle, self._queue_seconds = settle, queue
        self._queue: dict[str, str] = {}
        self._asked = -float("inf")
        self._ended: dict[str, float] = {}
        self._local = LocalJobs()

    def launch(self, job: JobSpec) -> None:
        """Claim the job, write its task, and launch it; does nothing if it is claimed."""
        if self._settings is None or self._mount is None:
            raise JobError(f"{job.name}: this runner only finds jobs; it has no settings to launch one.")
        words = self._checked(job)
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            if not self._claim(job, {"name": _name(job)}):
                return
            python = job.argv[:1] == (sys.executable,)
            content = {
                "arguments": words[1:] if python else words,
                "python": python,
                "environment": dict(job.environment),
                "stdout": str(job.stdout.absolute()),
                "stderr": str(job.stderr.absolute()),
            }
            write_json(job.folder / JOB, content)
            skypilot.write_task(job.folder / TASK, self._task(job, self._settings, self._mount))
            skypilot.launch(job.folder / TASK, self._settings.secrets, show=False)
        except OSError as error:
            raise JobError(explain(error, f"starting {job.name}")) from error
        except (ExecutorError, UsageError, StorageError) as error:
            raise JobError(f"{job.name} could not be launched: {error}") from error
        self._asked = -float("inf")

    def status(self, job: JobSpec) -> JobStatus:
        """From the job's directory, and from SkyPilot while it has not ended."""
        marker = self._marker(job)
        if marker is None:
            return self._local.status(job) if (job.folder / JOB).exists() else JobStatus("absent")
        code = self._local.exit_code(job)
        if code is not None:
            return JobStatus("ended", exit_code=code)
        if marker["name"] is None:
            return JobStatus("gone")
        found = self._in_queue(marker["name"])
        if found in _STARTS:
            return JobStatus("running", last_heartbeat=time.time())
        if found in _TRAINS:
            return JobStatus("running", last_heartbeat=max(marker["claimed"], last_change(job)))
        if found is None and time.time() - marker["claimed"] < self._settle:  # not listed yet
            return JobStatus("running", last_heartbeat=marker["claimed"])
        first = self._ended.setdefault(marker["name"], time.monotonic())
        if found == "SUCCEEDED" and time.monotonic() - first < self._settle:
            return JobStatus("running", last_heartbeat=time.time())
        return JobStatus("gone")

    def forget(self, job: JobSpec) -> bool:
        """Take the claim that `launch` would otherwise take."""
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            return self._claim(job, {"name": None})
        except OSError as error:
            raise JobError(explain(error, f"giving up {job.name}")) from error

    def interrupt(self, job: JobSpec) -> None:
        """Leave the file that asks the job to save and end; a job that has not started yet is cancelled."""
        if self.status(job).state != "running":
            return
        if self._in_queue(_name(job)) in ("PENDING", "SUBMITTED", "STARTING"):
            self.kill(job)
        else:
            (job.folder / INTERRUPT).touch()

    def kill(self, job: JobSpec) -> None:
        """Cancel it. What it has written by then is kept."""
        marker = self._marker(job)
        if marker is None and self.forget(job):
            return
        name = _name(job)
        if (job.folder / EXIT).exists():
            return
        if self._in_queue(name) in (*_STARTS, *_TRAINS):
            self._sky(["jobs", "cancel", "--yes", "--name", name])
            self._asked = -float("inf")

    def wait(self, jobs: Sequence[JobSpec], seconds: float) -> None:
        """Look at the jobs repeatedly until one has ended."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if any(self.status(job).state in ("ended", "gone") for job in jobs):
                return
            time.sleep(min(left, _LOOK_SECONDS))

    def _checked(self, job: JobSpec) -> list[str]:
        """The words of the job's command. Raises `JobError` if it or its directory is not in the storage."""
        assert self._mount is not None
        mount = self._mount.absolute()
        named = [job.folder, *(Path(word) for word in job.argv[1:] if Path(word).is_absolute())]
        outside = [str(path) for path in named if not path.absolute().is_relative_to(mount)]
        if outside:
            raise JobError(
                f"{job.name} uses {outside[0]}, which the machines of SkyPilot don't have: it is not in {mount}, where "
                "the storage of its outputs is mounted. Set --output-dir to a directory there."
            )
        return list(job.argv)

    def _task(self, job: JobSpec, settings: TaskSettings, mount: Path) -> dict[str, Any]:
        return skypilot.task_of_script(
            f"uv run --frozen --no-sync python -m daf.core.jobs._sky_worker {skypilot.quoted_path(job.folder)}",
            settings,
            name=_name(job),
            outputs_at=str(mount.absolute()),
        )

    def _claim(self, job: JobSpec, content: Mapping[str, Any]) -> bool:
        try:
            with (job.folder / MARKER).open("x") as file:
                json.dump({**content, "claimed": time.time()}, file)
        except FileExistsError:
            return False
        return True

    def _marker(self, job: JobSpec) -> "_Marker | None":
        try:
            found = read_json(job.folder / MARKER, _Marker)
        except DamagedFileError:  # another process is writing it
            return {"name": _name(job), "claimed": time.time()}
        except StorageError as error:
            raise JobError(str(error)) from error
        return found

    def _in_queue(self, name: str) -> str | None:
        """The job's state as SkyPilot has it; None if it does not list it."""
        if time.monotonic() - self._asked > self._queue_seconds:
            listed = json.loads(self._sky(["jobs", "queue", "--all", "--output", "json"]) or "[]")
            self._queue = {each["job_name"]: each["status"] for each in reversed(listed)}
            self._asked = time.monotonic()
        return self._queue.get(name)

    def _sky(self, arguments: Sequence[str]) -> str:
        try:
            return skypilot.sky(arguments)
        except ExecutorError as error:
            raise JobError(str(error)) from error


class _Marker(TypedDict):
    """The claim of a job. name: of its task; None if it was given up. claimed: seconds since 1970."""

    name: str | None
    claimed: float


def _name(job: JobSpec) -> str:
    return f"daf-{hash_bytes(str(job.folder.absolute()).encode())[:24]}"
