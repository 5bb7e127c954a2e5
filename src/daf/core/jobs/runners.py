"""The runner of training jobs for an executor, and for jobs that an earlier command launched."""

from pathlib import Path
from typing import TypedDict

from daf.compute.executor import EXECUTORS
from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.config.extras import require
from daf.config.training import DAFTrainingConfig
from daf.core.jobs.interface import JobRunner
from daf.core.jobs.local import LocalJobs
from daf.core.jobs.ray import MARKER, RayJobs
from daf.core.jobs.skypilot import MARKER as SKY_MARKER
from daf.core.jobs.skypilot import SkyJobs
from daf.errors import UsageError, unknown
from daf.game.device import resolve_device
from daf.storage.reading import read_json


class _Marker(TypedDict):
    cluster: str


def make_runner(executor: str = "local", cluster: ClusterOptions = THIS_MACHINE, *, gpu: bool = False) -> JobRunner:
    """The runner for `executor`: on a Ray cluster for "ray", else on this machine.

    gpu: whether a job trains on a GPU, of which it reserves one. Raises `UsageError`, `MissingExtraError`.
    """
    if executor not in EXECUTORS:
        raise UsageError(unknown("executor", executor, EXECUTORS))
    if executor != "ray":
        if cluster != THIS_MACHINE:
            raise UsageError(f"options of a cluster need --executor ray, got --executor {executor}.")
        return LocalJobs()
    require("ray", "--executor ray")
    return RayJobs(cluster, gpus_per_job=1.0 if gpu else 0.0)


def trains_on_gpu(training: DAFTrainingConfig | None, *, gpu_allowed: bool = True) -> bool:
    """Whether training runs with these settings compute on a GPU. Raises `UsageError` for one that is not there."""
    return training is not None and resolve_device(training.device, gpu_allowed=gpu_allowed) != "cpu"


def runner_of(jobs: Path) -> JobRunner:
    """The runner that launched the jobs whose directories are in `jobs`."""
    for marker in sorted(jobs.glob(f"*/{MARKER}")):
        found = read_json(marker, _Marker)
        if found is not None:
            return RayJobs(ClusterOptions(address=found["cluster"]))
    if any(jobs.glob(f"*/{SKY_MARKER}")):
        return SkyJobs()
    return LocalJobs()
