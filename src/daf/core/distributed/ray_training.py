"""Training in ranks that are workers of Ray Train on a cluster, from the process that was asked for it.

As with torchrun (`training`), this process keeps the run directory locked, shows the run and calls callbacks. Rank 0,
on some node of the cluster, trains and writes, so all nodes must share the run directory. When a rank or its node is
lost, all start again from the last checkpoint. Everything on the cluster ends when this process does.

Importing this module imports torch, but not Ray.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.compute import _ray_cluster as ray_cluster
from daf.compute._ray_worker import own_import_path
from daf.compute.interface import ClusterOptions
from daf.config.training import DAFTrainingConfig
from daf.core import training_file
from daf.core._process_group import TIMEOUT
from daf.core._stop_request import StopRequest
from daf.core.distributed._links import Hello
from daf.core.distributed._ray_launcher import Launcher, Plan, Received
from daf.core.distributed._ray_outcome import Outcome
from daf.core.distributed._ray_rank import Work
from daf.core.distributed._starter import Follower, job_of, record_lost_end
from daf.core.distributed.launch import Launch
from daf.core.stored_settings import CONFIG_FILE
from daf.core.training_progress import TrainingProgress
from daf.errors import TrainingError, UsageError
from daf.logging_config.setup import ROOT
from daf.stats.sentences import counted
from daf.storage.hashing import hash_file

if TYPE_CHECKING:
    from daf.core.training_loop import OnEvaluation, OnUpdate
    from daf.core.training_result import TrainingResult
    from daf.core.training_run import TrainingRun

HEALTH_SECONDS = 60
"""How long a worker may leave Ray Train without an answer before it counts as lost; Ray's default is 600."""
_WAIT_SECONDS = 0.5
_THREADS = 16
"""Of the launcher: its own run, the driver's call, and those of rank 0 and its predecessors."""
_VARIABLES = {
    "RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S": str(HEALTH_SECONDS),
    "TRAIN_TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "5",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "TORCH_CPP_LOG_LEVEL": "FATAL",  # errors say which connection was lost, without stack traces
}


def reach(cluster: ClusterOptions, config: DAFTrainingConfig, *, gpu_allowed: bool) -> None:
    """Connect to the cluster and check that the ranks of a run can start there.

    Raises `MissingExtraError`, `ExecutorError` for a cluster that can't be reached or has other versions, `UsageError`
    if the ranks need more than its nodes have.
    """
    if not cluster.cpus_per_episode > 0:
        raise UsageError(f"--cpus-per-episode must be above 0, got {cluster.cpus_per_episode:g}.")
    ray_cluster.connect(cluster.address)
    if not cluster.allow_version_mismatch:
        ray_cluster.check_versions()
    _require_room(config.workers_per_node, cluster.cpus_per_episode, gpu=_on_gpu(config, gpu_allowed=gpu_allowed))


def train_on_ray(
    run: TrainingRun,
    launch: Launch,
    *,
    gpu_allowed: bool,
    stop_at: int | None = None,
    on_update: OnUpdate | None = None,
    on_evaluation: OnEvaluation | None = None,
    curriculum_followed: bool = False,
) -> TrainingResult:
    """Train an opened run on the cluster of `launch`, which `reach` has reached, as `train_in_ranks` does here.

    Raises what `training_loop.train` raises.
    """
    (run.run_dir / training_file.FILE).unlink(missing_ok=True)  # it is out of date now
    job = job_of(run, gpu_allowed=gpu_allowed, stop_at=stop_at, curriculum_followed=curriculum_followed)
    progress = run.progress
    assert isinstance(progress, TrainingProgress)
    assert launch.cluster is not None
    work = Work(
        job=pickle.dumps(job),
        run_dir=run.run_dir,
        settings=hash_file(run.run_dir / CONFIG_FILE),
        import_path=own_import_path(),
        cwd=str(Path.cwd()),
        on_gpu=_on_gpu(run.config, gpu_allowed=gpu_allowed),
        log_level=logging.getLogger(ROOT).getEffectiveLevel(),
    )
    plan = Plan(
        workers=run.config.workers_per_node,
        cpus=launch.cluster.cpus_per_episode,
        gpu=work.on_gpu,
        max_restarts=launch.max_restarts,
        timeout=int(TIMEOUT.total_seconds()),
    )
    driver = _Driver(launch, plan, work, Follower(job, progress, on_update, on_evaluation), progress)
    with progress:
        try:
            return driver.run()
        except TrainingError as error:
            return record_lost_end(run, driver.stop.status or "failed", error)


class _Driver:
    """The driver's side, from the first start of the workers to the end."""

    def __init__(self, launch: Launch, plan: Plan, work: Work, follower: Follower, progress: TrainingProgress) -> None:
        self._launch, self._plan, self._work = launch, plan, work
        self._follower, self._progress = follower, progress
        self._started, self._stop_sent = False, False
        self.stop = StopRequest()

    def run(self) -> TrainingResult:
        """Train, and wait for the end. Raises `TrainingError`, or what ended rank 0."""
        import ray

        self._launcher = _new_launcher(self._launch)
        try:
            with self.stop.on_signals(self._say_stopping):
                self._say_where()
                fit = self._launcher.fit.remote(self._plan, self._work)
                while not ray.wait([fit], timeout=0)[0]:
                    self._receive(_WAIT_SECONDS)
                self._receive(0.0)
                outcome: Outcome = ray.get(fit)
        except ray.exceptions.RayActorError as error:
            raise TrainingError(f"the node of this process left the Ray cluster. {_RESUMES}", machine=True) from error
        finally:
            ray.kill(self._launcher)  # with it the controller and the workers, if they have not ended
        result = self._follower.result()
        if result is None:
            raise TrainingError(self._why(outcome), machine=True)
        return result

    def _receive(self, seconds: float) -> None:
        import ray

        if self.stop.status is not None and not self._stop_sent:
            if not self._started:  # nothing has been trained that could be saved
                raise KeyboardInterrupt
            self._launcher.stop.remote()
            self._stop_sent = True
        received: list[Received] = ray.get(self._launcher.receive.remote(seconds))
        for each in received:
            message = pickle.loads(each.message)
            self._started = self._started or isinstance(message, Hello)
            decision = self._follower.handle(message, each.start)
            if each.question is not None:
                assert decision is not None
                self._launcher.answer.remote(each.question, decision)

    def _say_where(self) -> None:
        import ray

        each = f"{self._plan.cpus:g} CPU{'' if self._plan.cpus == 1 else 's'}{' and 1 GPU' if self._plan.gpu else ''}"
        workers = f"{counted(self._plan.workers, 'worker')} ({each} each)"
        self._progress.say(f"Starting {workers} on the Ray cluster at {ray_cluster.current_address()}.")
        free = ray.available_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
        if free < self._plan.workers * self._plan.cpus:
            self._progress.say(
                f"{free:g} CPUs are free there now; waiting up to {self._launch.join_timeout} s for the others "
                "(--join-timeout)."
            )

    def _say_stopping(self, text: str) -> None:
        if self._started:
            self._progress.say(text)

    def _why(self, outcome: Outcome) -> str:
        if outcome.kind == "no room":
            return (
                f"the Ray cluster had no room for {counted(self._plan.workers, 'worker')} within "
                f"{self._launch.join_timeout} s (--join-timeout). {_RESUMES}"
            )
        if outcome.kind == "lost":
            return f"{outcome.reason}. No restart is left (--max-restarts {self._plan.max_restarts}). {_RESUMES}"
        if outcome.kind == "finished":
            return f"the workers ended without a result. {_RESUMES}"
        return f"Ray Train failed: {outcome.reason}. {_RESUMES}"


_RESUMES = "The same command resumes."


def _new_launcher(launch: Launch) -> Any:
    """The actor that runs Ray Train, on the node of this process."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Ray Train tries to start its workers this often; together the tries take --join-timeout.
    tries = launch.max_restarts + 1
    variables = {**_VARIABLES, "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(launch.join_timeout / tries)}
    variables = {name: os.environ.get(name, value) for name, value in variables.items()}
    variables |= ray_cluster.carried_variables()
    variables["RAY_TRAIN_V2_ENABLED"] = "1"
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return (
        ray.remote(Launcher)
        .options(
            num_cpus=0,
            max_restarts=0,
            max_concurrency=_THREADS,
            scheduling_strategy=here,
            runtime_env={"env_vars": variables},
        )
        .remote()
    )


def _on_gpu(config: DAFTrainingConfig, *, gpu_allowed: bool) -> bool:
    """Whether each rank reserves a GPU: as the device says; with "auto", if the cluster has one for each."""
    if config.device != "auto":
        return str(config.device).startswith("cuda")
    gpus = sum(node.resources.get("GPU", 0.0) for node in ray_cluster.nodes() if node.alive)
    return gpu_allowed and gpus >= config.workers_per_node


def _require_room(ranks: int, cpus: float, *, gpu: bool) -> None:
    """Raise `UsageError` if the nodes can't hold the workers, even when nothing else runs there."""
    from ray._private.state import state

    growing = state.get_max_resources_from_cluster_config() or {}
    if growing.get("CPU", 0.0) >= ranks * cpus and (not gpu or growing.get("GPU", 0.0) >= ranks):
        return  # the cluster adds nodes when they are needed
    living = [node.resources for node in ray_cluster.nodes() if node.alive]
    room = sum(_fits(node, cpus, gpu=gpu) for node in living)
    if room >= ranks:
        return
    missing = [_missing("CPU", ranks * cpus, living)]
    missing += [_missing("GPU", float(ranks), living)] if gpu else []
    lacking = ", ".join(text for text in missing if text) or "each must fit on one node, and the nodes are too small"
    raise UsageError(
        f"the Ray cluster has room for {room} of {counted(ranks, 'worker')} with {cpus:g} CPU{'s' * (cpus != 1)}"
        f"{' and 1 GPU' * gpu} each: {lacking}. Use fewer workers (--num-workers), lower --cpus-per-episode, or add "
        "nodes."
    )


def _fits(node: Mapping[str, float], cpus: float, *, gpu: bool) -> int:
    by_cpu = int(node.get("CPU", 0.0) / cpus + 1e-9)
    return min(by_cpu, int(node.get("GPU", 0.0))) if gpu else by_cpu


def _missing(name: str, needed: float, nodes: list[Mapping[str, float]]) -> str:
    there = sum(node.get(name, 0.0) for node in nodes)
    return f"{needed:g} {name}s are needed, {needed - there:g} are missing" if there < needed else ""
