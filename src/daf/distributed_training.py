"""Training in several processes (ranks), on one machine or several, with the function names that earlier scripts use.

The ranks divide the environments among themselves and add their gradients up. Every machine makes the same call, with
its number as node_rank; the result is an ordinary run directory of `daf_train_policy` on machine 0.
"""

import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from daf.compute.executor import job_count
from daf.compute.interface import THIS_MACHINE, ClusterOptions
from daf.config import DAFTrainingConfig
from daf.config.extras import require
from daf.core.distributed.launch import DEFAULT_PORT, JOIN_TIMEOUT, MAX_RESTARTS, RANKS, Launch
from daf.core.jobs.interface import JobSpec, unused_folder
from daf.core.jobs.local import LocalJobs
from daf.core.jobs.training import failure, progress_files, training_command
from daf.core.training_file import FILE, read_ended, read_training
from daf.errors import ConfigError, TrainingError, UsageError, unknown
from daf.output_manager.layout import LOCK
from daf.storage import locks
from daf.storage.console_tables import show
from daf.training import CONFIG_FILE, MISSION_FILE, daf_train_policy

if TYPE_CHECKING:
    import torch
    from mettagrid import MettaGridConfig
    from mettagrid.policy.policy import PolicySpec
    from rich.console import Console

    from daf.core.training_result import TrainingResult

METRICS = "metrics.jsonl"
_LONGEST_WAIT = 3600.0
"""Seconds; the end of a job ends the wait earlier."""
HOWS = ("mean", "sum", "max", "min")


@dataclass(slots=True)
class DistributedTrainingResult:
    """The state of a distributed run; `wait_for_completion` updates it for a run in the background.

    final_checkpoint: trained weights; None before the first. final_loss: of the last update. final_reward: mean return
    per agent, of the last update in which episodes ended. num_workers: the ranks that trained, of all machines.
    aggregate_stats: the last update's metrics, over all ranks. status: running, done, stopped, interrupted or failed;
    error: why.
    """

    final_checkpoint: Path | None = None
    training_steps: int = 0
    final_loss: float | None = None
    final_reward: float | None = None
    wall_time_seconds: float = 0.0
    num_workers: int = 1
    aggregate_stats: dict[str, float] = field(default_factory=dict)
    status: str = "running"
    run_dir: Path = field(default_factory=Path)
    error: str | None = None
    _job: tuple[LocalJobs, JobSpec] | None = None
    _before: int | None = None

    def training_rate(self) -> float | None:
        """Agent steps per second of all processes together; None before the first update."""
        return self.training_steps / self.wall_time_seconds if self.wall_time_seconds > 0 else None

    def wait_for_completion(self, timeout: float | None = None) -> Path | None:
        """Wait until the run has ended, update all fields, and return its final checkpoint.

        Returns None if it has no checkpoint; `status` and `error` explain why. timeout: seconds, after which it raises
        `TimeoutError`.
        """
        if self._job is not None:
            jobs, job = self._job
            deadline = math.inf if timeout is None else time.monotonic() + timeout
            while (status := jobs.status(job)).state == "running":
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"{self.run_dir} is still training after {timeout:g} s.")
                jobs.wait([job], min(_LONGEST_WAIT, deadline - time.monotonic()))
            self._job = None
            if _written_at(self.run_dir) == self._before:  # this run ended before it trained: the file is older
                self.status = "failed"
                why = "it was killed" if status.exit_code is None else failure(job, status.exit_code)
                self.error = f"the training process failed: {why}; see {job.stderr}"
            else:
                _read(self)
        return self.final_checkpoint


def daf_launch_distributed_training(
    env_cfg: "str | Path | MettaGridConfig | tuple[str, MettaGridConfig] | None" = None,
    policy_class_path: "str | Path | PolicySpec" = "token_lstm",
    device: "str | torch.device | None" = None,
    initial_weights_path: str | Path | None = None,
    num_steps: int | None = None,
    checkpoints_path: str | Path = "daf_output/training/distributed",
    seed: int | None = None,
    batch_size: int | None = None,
    minibatch_size: int | None = None,
    num_nodes: int = 1,
    workers_per_node: int | None = None,
    backend: Literal["torch", "ray"] = "torch",
    env_cfg_supplier: "Callable[[], MettaGridConfig] | None" = None,
    *,
    num_machines: int | None = None,
    node_rank: int = 0,
    rendezvous: str | None = None,
    scale: Literal["strong", "weak"] | None = None,
    max_restarts: int = MAX_RESTARTS,
    join_timeout: int = JOIN_TIMEOUT,
    cluster: ClusterOptions = THIS_MACHINE,
    config: DAFTrainingConfig | None = None,
    wait: bool = True,
    console: "Console | None" = None,
) -> DistributedTrainingResult:
    """Train with `workers_per_node` ranks on each of `num_nodes` machines, which learn together.

    env_cfg: a mission string or config; or env_cfg_supplier, which is called once. checkpoints_path: the run directory;
    if it contains a checkpoint, training resumes. batch_size: agent steps of one rollout (as in PuffeRL) and
    minibatch_size: agent steps per gradient step, of all ranks together, or of each with scale "weak". num_machines:
    alias of num_nodes. node_rank: the number of this machine; rendezvous: HOST:PORT of machine 0. max_restarts: how
    often lost ranks are replaced; join_timeout: seconds to wait for the other machines. backend: "ray" trains with
    num_nodes × workers_per_node workers of Ray Train on `cluster`, whose nodes must share checkpoints_path; one call
    starts them all. config: all other settings; explicit arguments override it. wait: False returns at once with
    status "running", and the run continues in a separate process.

    Raises `UsageError` and its subclasses; `TrainingError` if training failed.
    """
    require("train", "training")
    nodes = num_nodes if num_machines is None else num_machines
    if backend not in ("torch", "ray"):
        raise UsageError(unknown("backend", backend, ("torch", "ray")))
    if workers_per_node is not None and workers_per_node < 1:
        raise UsageError(f"workers_per_node must be 1 or more, got {workers_per_node}.")
    if backend == "ray":
        require("ray", 'backend "ray"')
        if node_rank or rendezvous is not None:
            raise UsageError('node_rank and rendezvous are for backend "torch": Ray places the workers itself.')
        if nodes < 1:
            raise UsageError(f"num_nodes must be 1 or more, got {nodes}.")
        workers_per_node = nodes * (workers_per_node or (config or DAFTrainingConfig()).workers_per_node)
        launch = Launch(max_restarts=max_restarts, join_timeout=join_timeout, cluster=cluster)
    elif cluster != THIS_MACHINE:
        raise UsageError(f'cluster needs backend "ray", got "{backend}".')
    else:
        launch = Launch(nodes, nodes, node_rank, rendezvous, max_restarts, join_timeout)
    if node_rank and not wait:
        raise UsageError(f"node_rank {node_rank}: only machine 0 can train in the background; leave wait at True.")
    if (env_cfg is None) == (env_cfg_supplier is None):
        raise UsageError("pass either env_cfg or env_cfg_supplier.")
    mission = env_cfg if env_cfg is not None else env_cfg_supplier() if env_cfg_supplier is not None else None
    given = {
        "total_timesteps": num_steps, "seed": seed, "device": device, "workers_per_node": workers_per_node,
        "scale": scale,
    }  # fmt: skip
    fields: dict[str, Any] = {
        "policy": policy_class_path,
        **{name: value for name, value in given.items() if value is not None},
    }
    if initial_weights_path is not None:
        fields["initial_weights"] = Path(initial_weights_path)
    if minibatch_size is not None:
        fields["batch_size"] = minibatch_size
    chosen = (config or DAFTrainingConfig()).replace(**fields)
    if batch_size is not None:
        chosen = chosen.replace(num_envs=_environments(batch_size, mission, chosen))
    run_dir = Path(checkpoints_path).expanduser().absolute()
    if wait:
        result = daf_train_policy(
            mission, policy_class_path, config=chosen, run_dir=run_dir, console=console, launch=launch
        )
        if result.status == "failed":
            raise TrainingError((result.error or {}).get("message", "training failed."), machine=result.machine)
        return _result(result, here=node_rank == 0)
    return _in_background(mission, chosen, run_dir, launch)


def daf_create_training_cluster(
    num_nodes: int = 1,
    workers_per_node: int | None = None,
    *,
    rendezvous: str | None = None,
    console: "Console | None" = None,
) -> dict[str, Any]:
    """The devices and cores of this machine for distributed training, and how to start ranks on `num_nodes` machines.

    workers_per_node: None means one per GPU if there are several GPUs, otherwise two. rendezvous: HOST:PORT of machine
    0; None means this machine. Nothing is started: `commands` are the options of `daf train` for each machine. Raises
    `UsageError`.
    """
    import torch

    if workers_per_node is not None and workers_per_node < 1:
        raise UsageError(f"workers_per_node must be 1 or more, got {workers_per_node}.")
    where = rendezvous or (f"{socket.gethostname()}:{DEFAULT_PORT}" if num_nodes > 1 else None)
    Launch(num_nodes, num_nodes, rendezvous=where)  # called for the errors that it raises
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    cores = job_count("auto")
    workers = workers_per_node or (gpus if gpus > 1 else 2)
    machines = [f"--nodes {num_nodes} --node-rank {node} --rendezvous {where} " for node in range(num_nodes)]
    cluster = {
        "num_nodes": num_nodes,
        "workers_per_node": workers,
        "ranks": num_nodes * workers,
        "backend": "torch",
        "gpus": gpus,
        "cores": cores,
        "devices": [f"cuda:{rank % gpus}" if gpus else "cpu" for rank in range(workers)],
        "rendezvous": where,
        "commands": [f"{machine if num_nodes > 1 else ''}--nproc {workers}" for machine in machines],
    }
    show(console, "This machine, for distributed training", cluster)
    return cluster


def daf_aggregate_training_stats(
    stats: Sequence[Mapping[str, float]],
    how: Literal["mean", "sum", "max", "min"] = "mean",
    *,
    console: "Console | None" = None,
) -> dict[str, float]:
    """One number per name from the stats of several processes or runs, over those that have the name.

    Raises `UsageError` for another `how`, for empty stats, and for values that are not finite.
    """
    if how not in HOWS:
        raise UsageError(unknown("way to aggregate", how, HOWS))
    if not stats:
        raise UsageError("no stats to aggregate.")
    values: dict[str, list[float]] = {}
    for number, each in enumerate(stats):
        for name, value in each.items():
            if not np.isfinite(value):
                raise UsageError(f"stats {number}: {name} is {value}, which can't be aggregated.")
            values.setdefault(name, []).append(float(value))
    reduce: dict[str, Callable[[list[float]], Any]] = {"mean": np.mean, "sum": np.sum, "max": max, "min": min}
    aggregate = {name: float(reduce[how](found)) for name, found in values.items()}
    show(console, f"{how} over {len(stats)} processes or runs", aggregate)
    return aggregate


def daf_get_training_status(path: str | Path, *, console: "Console | None" = None) -> dict[str, Any]:
    """The state of the training run in the directory `path`: status, steps, progress, the last metrics.

    Raises `UsageError` if it is not a training run.
    """
    run_dir = Path(path).expanduser()
    if not (run_dir / CONFIG_FILE).is_file():
        raise UsageError(f"{run_dir} is not a training run: it has no {CONFIG_FILE}.")
    config = DAFTrainingConfig.from_yaml(run_dir / CONFIG_FILE)
    running = locks.is_held(run_dir / LOCK)
    found = DistributedTrainingResult(
        num_workers=config.workers_per_node, status="running" if running else "interrupted", run_dir=run_dir
    )
    if running:
        _last_numbers(found)
    else:
        _read(found)
    status = {
        "status": found.status,
        "steps": found.training_steps,
        "total_timesteps": config.total_timesteps,
        "progress": min(1.0, found.training_steps / config.total_timesteps),
        "final_checkpoint": None if found.final_checkpoint is None else str(found.final_checkpoint),
        "num_workers": found.num_workers,
        "metrics": found.aggregate_stats,
        "error": found.error,
    }
    show(console, f"Training run {run_dir.name}", status)
    return status


def _environments(batch_size: int, mission: Any, config: DAFTrainingConfig) -> int:
    """The number of environments whose rollout is `batch_size` agent steps. Raises `ConfigError` if there is none."""
    from daf.game import missions

    (found,) = missions.resolve(mission, game=config.game)
    each = found.num_agents * config.n_steps
    if batch_size < each or batch_size % each:
        below = batch_size // each * each
        raise ConfigError(
            f"batch_size must be a multiple of {each}, got {batch_size} ({found.num_agents} agents × "
            f"{config.n_steps} steps); nearest: {f'{below} or ' if below else ''}{below + each}."
        )
    return batch_size // each


def _in_background(mission: Any, config: DAFTrainingConfig, run_dir: Path, launch: Launch) -> DistributedTrainingResult:
    """Start the run in a separate process."""
    from daf.game import missions

    run_dir.mkdir(parents=True, exist_ok=True)
    named = mission
    if not isinstance(mission, str):
        (only,) = missions.resolve(mission, game=config.game)
        (run_dir / MISSION_FILE).write_bytes(only.config_json)
        named = str(run_dir / MISSION_FILE)
    settings = run_dir / "launch.yaml"
    config.replace(mission=named).to_yaml(settings)
    before = _written_at(run_dir)
    folder = unused_folder(run_dir / "jobs", "train")
    argv = (*training_command(settings, run_dir), *launch.options())
    job = JobSpec(folder.name, argv, folder, progress_files(run_dir))
    jobs = LocalJobs()
    jobs.launch(job)
    return DistributedTrainingResult(
        num_workers=config.workers_per_node * launch.most, run_dir=run_dir, _job=(jobs, job), _before=before
    )


def _result(result: "TrainingResult", *, here: bool) -> DistributedTrainingResult:
    """here: whether the run directory is on this machine."""
    found = DistributedTrainingResult(
        run_dir=result.run_dir,
        num_workers=result.ranks,
        status=result.status,
        final_checkpoint=result.final_checkpoint,
        training_steps=result.steps,
        wall_time_seconds=result.wall_seconds,
        aggregate_stats=dict(result.metrics),
        final_loss=result.metrics.get("loss/total"),
        final_reward=result.metrics.get("episode/return"),
    )
    if here:
        _last_numbers(found)  # episodes may have ended in an earlier update only
    return found


def _written_at(run_dir: Path) -> int | None:
    """When the run's result was written, in nanoseconds; None if there is none."""
    path = run_dir / FILE
    return path.stat().st_mtime_ns if path.is_file() else None


def _read(result: DistributedTrainingResult) -> None:
    """Update `result` from its run directory."""
    ended = read_ended(result.run_dir)
    if ended is not None:
        result.status, result.training_steps = ended["status"], ended["steps"]
        result.wall_time_seconds, result.num_workers = ended["wall_seconds"], ended.get("ranks", result.num_workers)
        result.aggregate_stats = {name: value for name, value in ended["metrics"].items() if value is not None}
        failure = (read_training(result.run_dir) or {}).get("error")
        result.error = None if failure is None else failure.get("message")
        final = ended["final_checkpoint"]
        result.final_checkpoint = None if final is None else result.run_dir / final
    _last_numbers(result)


def _last_numbers(result: DistributedTrainingResult) -> None:
    """Update `result` with the last loss and return in the metrics."""
    from daf.storage import journal

    for line in journal.read(result.run_dir / METRICS):
        result.final_loss = line.get("loss/total", result.final_loss)
        result.final_reward = line.get("episode/return", result.final_reward)
        if result.status in ("running", "interrupted"):
            result.training_steps = int(line["step"])
            result.wall_time_seconds = line.get("clock/seconds", result.wall_time_seconds)
            result.num_workers = int(line.get(RANKS, result.num_workers))
            result.aggregate_stats = {k: v for k, v in line.items() if k not in ("step", "update")}
