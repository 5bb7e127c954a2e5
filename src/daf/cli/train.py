"""`daf train`: train a policy."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daf.cli import _playing as playing
from daf.cli import _train_show as train_show
from daf.cli._grouped import options
from daf.cli._options import GAME_HELP, AddressOption, NoReportOption, RunOptions, VersionMismatchOption
from daf.core.distributed.launch import JOIN_TIMEOUT, MAX_RESTARTS
from daf.errors import ConfigError, UsageError, unknown

if TYPE_CHECKING:
    from daf.compute.interface import ClusterOptions
    from daf.config import DAFTrainingConfig
    from daf.core.distributed.launch import Launch
    from daf.output_manager import OutputManager
    from daf.training import TrainingResult

app = typer.Typer(rich_markup_mode=None, add_completion=False)

DEFAULT_POLICY = "token_lstm"
TRAINS_ON = ("local", "ray")


@dataclass(frozen=True)
class TrainOptions:
    """What to train, and how. None where the configuration decides."""

    missions: Annotated[
        list[str] | None, typer.Option("--mission", "-m", help="Mission string to train on; repeat for several.")
    ] = None
    policy: Annotated[
        str | None, typer.Option("--policy", "-p", help=f"Policy string of a class with a network ({DEFAULT_POLICY}).")
    ] = None
    teacher: Annotated[
        list[str] | None,
        typer.Option("--teacher", metavar="POLICY", help="Policy to imitate; repeat to name one for each agent."),
    ] = None
    steps: Annotated[str | None, typer.Option("--steps", help="Total agent steps, such as 2e6.")] = None
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter, or an argument of the policy. Repeatable."),
    ] = None
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML or JSON file of a training run; flags win over it.")
    ] = None
    envs: Annotated[str | None, typer.Option("--envs", help="Number of parallel environments, or auto.")] = None
    workers: Annotated[
        str | None,
        typer.Option(
            "--workers", "--jobs", "-j", help="Processes that step the environments: a number, or auto for every core."
        ),
    ] = None
    device: Annotated[
        str | None, typer.Option("--device", help="Where the network computes: auto, cpu, cuda, mps.")
    ] = None
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of weights, episodes, actions and minibatches.")] = (
        None
    )
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Resume this run: its id, its directory, or latest.")
    ] = None
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="With --resume: also a run of another host that can't be checked from here and has ended.",
        ),
    ] = False
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", help="The run directory; training resumes from a checkpoint in it.")
    ] = None
    stop_at: Annotated[
        str | None, typer.Option("--stop-at", metavar="STEPS", help="Stop with a checkpoint after STEPS agent steps.")
    ] = None
    branch_from: Annotated[
        Path | None,
        typer.Option("--branch-from", metavar="CHECKPOINT", help="Start a new run from the checkpoint of another."),
    ] = None
    initial_weights: Annotated[
        Path | None, typer.Option("--initial-weights", help="Weights to start with, also those of a checkpoint.")
    ] = None
    eval_every: Annotated[
        str | None, typer.Option("--eval-every", metavar="STEPS", help="Agent steps between evaluations, or never.")
    ] = None
    eval_episodes: Annotated[
        int | None, typer.Option("--eval-episodes", help="Episodes per evaluation and mission.")
    ] = None
    eval_missions: Annotated[
        list[str] | None,
        typer.Option(
            "--eval-mission", "--eval-missions", help="Mission to evaluate on (default: --mission). Repeatable."
        ),
    ] = None
    eval_baselines: Annotated[
        bool | None,
        typer.Option(
            "--eval-baselines/--no-eval-baselines",
            help="Also evaluate the initial weights and random, to test at the end whether the policy is better (yes).",
        ),
    ] = None
    checkpoint_every: Annotated[
        str | None, typer.Option("--checkpoint-every", metavar="STEPS", help="Agent steps between checkpoints.")
    ] = None
    trackers: Annotated[
        list[str] | None,
        typer.Option(
            "--tracker",
            help="Where metrics go in addition to metrics.jsonl: tensorboard, wandb, mlflow, trackio, or jsonl.",
        ),
    ] = None
    curriculum: Annotated[
        Path | None,
        typer.Option("--curriculum", metavar="FILE", help="YAML file of the distribution of training episodes."),
    ] = None
    game: Annotated[str | None, typer.Option("--game", help=GAME_HELP)] = None
    nproc: Annotated[
        int | None,
        typer.Option("--nproc", help="Processes (ranks) on this machine that learn one network together."),
    ] = None
    nodes: Annotated[
        str,
        typer.Option("--nodes", metavar="N|MIN:MAX", help="Machines that train together, each with --nproc ranks."),
    ] = "1"
    node_rank: Annotated[
        int, typer.Option("--node-rank", help="The number of this machine, from 0, which has the run directory.")
    ] = 0
    rendezvous: Annotated[
        str | None,
        typer.Option("--rendezvous", metavar="HOST:PORT", help="With --nodes: where machine 0 can be reached."),
    ] = None
    max_restarts: Annotated[
        int, typer.Option("--max-restarts", help="How often lost ranks are replaced before the run fails.")
    ] = MAX_RESTARTS
    join_timeout: Annotated[
        int,
        typer.Option(
            "--join-timeout", metavar="SECONDS", help="How long to wait for the other machines, or for room on Ray."
        ),
    ] = JOIN_TIMEOUT
    executor: Annotated[
        str,
        typer.Option("--executor", help="Where it trains: local (this machine) or ray (workers on a Ray cluster)."),
    ] = "local"
    address: AddressOption = None
    num_workers: Annotated[
        int | None,
        typer.Option("--num-workers", help="With ray: workers (ranks) that learn one network together (1)."),
    ] = None
    cpus_per_episode: Annotated[
        float, typer.Option("--cpus-per-episode", "--cpus-per-worker", help="With ray: CPUs that a worker reserves.")
    ] = 1.0
    allow_version_mismatch: VersionMismatchOption = False
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale",
            help="strong: num_envs and batch_size are of all ranks together; weak: of each rank.",
        ),
    ] = None
    no_report: NoReportOption = False


ListOption = Annotated[
    bool, typer.Option("--list-hyperparameters", help="Print every hyperparameter with its bounds, and exit.")
]


@app.command()
@options
def train(chosen: TrainOptions, output: RunOptions, list_hyperparameters: ListOption = False) -> None:
    """Train a policy with PPO, or by imitation of a teacher.

    Ctrl-C saves, and --resume continues: the result is that of a run without interruption.

    \b
        daf train -m arena -p lstm --steps 2e6 --set learning_rate=3e-4
        daf train --resume latest
        daf train -m arena --nproc 4
        daf train -m arena --nodes 2 --node-rank 0 --rendezvous 10.0.0.5:29400 --nproc 2
        daf train -m arena --executor ray --address auto --num-workers 8
    """
    if list_hyperparameters:
        train_show.list_hyperparameters(output.as_json)
        return
    result = run_training(chosen, output, _trained)
    if output.as_json:
        from daf.cli.show import emit

        emit(train_show.result_data(result))
    elif chosen.node_rank:
        train_show.show_elsewhere(result)
    else:
        train_show.show(result, quiet=output.quiet)
    train_show.end(
        result,
        output,
        run_dir=chosen.run_dir,
        resumed=chosen.resume is not None,
        elsewhere=chosen.node_rank > 0,
        where=launch_of(chosen).cluster_options(),
    )


def _trained(**arguments: Any) -> "TrainingResult":
    from daf.training import daf_train_policy

    return daf_train_policy(**arguments)


def run_training[R](
    train: TrainOptions, options: RunOptions, operation: Callable[..., R], *, policy: str = DEFAULT_POLICY
) -> R:
    """Call `operation`, which takes the arguments of `daf_train_policy`, as the options say.

    policy: trained if neither options nor the configuration name one. Raises `UsageError` and its subclasses.
    """
    from daf.cli.show import err
    from daf.core.training_settings import count, with_settings

    launch = launch_of(train)
    output, daf_config = playing.open_output(options)
    base = _from_file(train.config)
    fields = _fields(train, base, output, policy)
    stop_at = None if train.stop_at is None else count("--stop-at", train.stop_at)
    console = None if options.quiet else err
    if train.resume is not None:
        _only_with_resume(train, fields)
        return operation(
            resume=train.resume, total_timesteps=fields.get("total_timesteps"), ranks=fields.get("workers_per_node"),
            take_over=train.take_over, stop_at=stop_at, output=output, settings=daf_config, console=console,
            report=not train.no_report, launch=launch,
        )  # fmt: skip
    chosen = with_settings(base, fields)
    if not chosen.missions and chosen.curriculum is None and not launch.node_rank:
        raise UsageError(playing.NO_MISSION)
    return operation(
        config=chosen, run_dir=train.run_dir, branch_from=train.branch_from, take_over=train.take_over,
        stop_at=stop_at, output=output, settings=daf_config, console=console, report=not train.no_report,
        launch=launch,
    )  # fmt: skip


def launch_of(train: TrainOptions) -> "Launch":
    """Where the ranks start. Raises `UsageError`, `MissingExtraError`."""
    from daf.core.distributed.launch import Launch, nodes_of

    fewest, most = nodes_of(train.nodes)
    cluster = _cluster(train)
    return Launch(fewest, most, train.node_rank, train.rendezvous, train.max_restarts, train.join_timeout, cluster)


def _cluster(train: TrainOptions) -> "ClusterOptions | None":
    """The Ray cluster that trains; None for processes of this machine. Raises `UsageError`, `MissingExtraError`."""
    from daf.compute.interface import THIS_MACHINE, ClusterOptions
    from daf.config.extras import require

    if train.executor not in TRAINS_ON:
        raise UsageError(unknown("executor for training", train.executor, TRAINS_ON))
    cluster = ClusterOptions(train.address, train.cpus_per_episode, allow_version_mismatch=train.allow_version_mismatch)
    if train.executor == "ray":
        if train.nproc is not None:
            raise UsageError("--nproc is for processes of this machine; with --executor ray use --num-workers.")
        require("ray", "--executor ray")
        return cluster
    if train.num_workers is not None:
        raise UsageError("--num-workers needs --executor ray; on this machine use --nproc.")
    if cluster != THIS_MACHINE:
        raise UsageError(f"options of a cluster need --executor ray, got --executor {train.executor}.")
    return None


def _fields(train: TrainOptions, base: "DAFTrainingConfig", output: "OutputManager", policy: str) -> dict[str, Any]:
    """The fields of the configuration that the flags and --set give. Raises `UsageError`."""
    from daf.core.training_settings import count, parse_settings
    from daf.evaluation import default_cache

    def number(option: str, text: str | None, word: str | None = None) -> Any:
        return text if text is None or text == word else count(option, text)

    missions = train.missions
    eval_every = number("--eval-every", train.eval_every, "never")
    flags: dict[str, Any] = {
        "mission": missions[0] if missions and len(missions) == 1 else missions or None,
        "policy": train.policy,
        "teacher": train.teacher[0] if train.teacher and len(train.teacher) == 1 else train.teacher or None,
        "total_timesteps": number("--steps", train.steps),
        "num_envs": number("--envs", train.envs, "auto"),
        "num_workers": number("--workers", train.workers, "auto"),
        "game": train.game,
        "device": train.device,
        "seed": train.seed,
        "workers_per_node": train.nproc if train.num_workers is None else train.num_workers,
        "scale": train.scale,
        "initial_weights": train.initial_weights,
        "eval_frequency": eval_every,
        "eval_episodes": train.eval_episodes,
        "eval_missions": train.eval_missions or None,
        "eval_baselines": train.eval_baselines,
        "checkpoint_frequency": number("--checkpoint-every", train.checkpoint_every),
        "curriculum": None if train.curriculum is None else _curriculum(train.curriculum),
        "trackers": None if train.trackers is None else [name for name in train.trackers if name != "jsonl"],
    }
    given = {name: value for name, value in flags.items() if value is not None}
    if eval_every == "never":
        given["eval_frequency"] = None
    if train.resume is None and base.policy is None and not train.node_rank:
        given.setdefault("policy", policy)
    settings = parse_settings(
        train.settings or [],
        policy=given.get("policy") or base.policy or policy,
        cache=default_cache(output.base_dir) / "bundles",
        runs=output.base_dir,
    )
    twice = sorted(set(given) & set(settings))
    if twice:
        raise UsageError(f"{', '.join(twice)}: given by both --set and another flag. Use one of them.")
    return given | settings


def _from_file(path: Path | None) -> "DAFTrainingConfig":
    from daf.config import DAFTrainingConfig, daf_load_config

    if path is None:
        return DAFTrainingConfig()
    if not path.is_file():
        raise UsageError(f"--config {path}: no such file.")
    found = daf_load_config(path)
    if not isinstance(found, DAFTrainingConfig):
        raise ConfigError(f"{path} configures a {found.kind}; this command takes kind: training.")
    return found


def _curriculum(path: Path) -> dict[str, Any]:
    """The curriculum in a file, alone or under `curriculum:`."""
    from daf.config.base import mapping_of
    from daf.storage.yaml_strict import read_document

    if not path.is_file():
        raise UsageError(f"--curriculum {path}: no such file.")
    fields = mapping_of(read_document(path))
    if fields.get("kind") == "training" and "curriculum" not in fields:
        raise ConfigError(
            f"{path} configures a training run without a section curriculum. Use --config for such files."
        )
    inner = fields.get("curriculum", fields)
    if not isinstance(inner, dict):
        raise ConfigError(f"{path}: curriculum must be a mapping of fields.")
    return inner


def _only_with_resume(train: TrainOptions, fields: dict[str, Any]) -> None:
    """A resumed run keeps its settings; only its length may change."""
    places = {"--config": train.config, "--run-dir": train.run_dir, "--branch-from": train.branch_from}
    wrong = [name for name, value in places.items() if value is not None]
    wrong += [name for name in fields if name not in ("total_timesteps", "workers_per_node")]
    if wrong:
        raise UsageError(
            f"--resume uses the run's own settings and can't be combined with {', '.join(wrong)}; only --steps, "
            "--stop-at, --nproc and --num-workers are allowed. For other settings start a new run with --branch-from "
            "CHECKPOINT."
        )
