"""`daf train`: train a policy."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daf.cli import _playing as playing
from daf.cli import _train_show as train_show
from daf.cli._options import JsonOption, OutputDirOption, QuietOption, VerboseOption
from daf.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from daf.config import DAFTrainingConfig
    from daf.output_manager import OutputManager

app = typer.Typer(rich_markup_mode=None, add_completion=False)

DEFAULT_POLICY = "token_lstm"

MissionsOption = Annotated[
    list[str] | None, typer.Option("--mission", "-m", help="Mission string to train on; repeat for several.")
]
PolicyOption = Annotated[
    str | None, typer.Option("--policy", "-p", help=f"Policy string of a class with a network ({DEFAULT_POLICY}).")
]
StepsOption = Annotated[str | None, typer.Option("--steps", help="Agent steps in all, such as 2e6.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter, or an argument of the policy. Repeatable."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="YAML or JSON file of a training run; flags win over it.")
]
EnvsOption = Annotated[str | None, typer.Option("--envs", help="Environments side by side: a number, or auto.")]
WorkersOption = Annotated[
    str | None, typer.Option("--workers", help="Processes that step them: a number, or auto for every core.")
]
DeviceOption = Annotated[str | None, typer.Option("--device", help="Where the network computes: auto, cpu, cuda, mps.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Of weights, episodes, actions and minibatches.")]
ResumeOption = Annotated[
    str | None, typer.Option("--resume", metavar="RUN", help="Go on with this run: its id, its folder, or latest.")
]
TakeOverOption = Annotated[
    bool,
    typer.Option(
        "--take-over", help="With --resume: also a run of another host that can't be seen from here and has ended."
    ),
]
RunDirOption = Annotated[
    Path | None, typer.Option("--run-dir", help="The run folder; where it holds a checkpoint, training goes on.")
]
StopAtOption = Annotated[
    str | None, typer.Option("--stop-at", metavar="STEPS", help="Stop with a checkpoint after so many agent steps.")
]
BranchOption = Annotated[
    Path | None, typer.Option("--branch-from", metavar="CHECKPOINT", help="Begin a new run from another's checkpoint.")
]
WeightsOption = Annotated[
    Path | None, typer.Option("--initial-weights", help="Weights or a checkpoint to begin with; nothing else of it.")
]
EvalEveryOption = Annotated[
    str | None, typer.Option("--eval-every", metavar="STEPS", help="Agent steps between evaluations, or never.")
]
EvalEpisodesOption = Annotated[int | None, typer.Option("--eval-episodes", help="Episodes per evaluation and mission.")]
EvalMissionsOption = Annotated[
    list[str] | None,
    typer.Option("--eval-mission", "--eval-missions", help="Mission to evaluate on (those trained on). Repeatable."),
]
CheckpointEveryOption = Annotated[
    str | None, typer.Option("--checkpoint-every", metavar="STEPS", help="Agent steps between checkpoints.")
]
TrackerOption = Annotated[
    list[str] | None,
    typer.Option("--tracker", help="Where metrics go besides metrics.jsonl: tensorboard, wandb, mlflow, or jsonl."),
]
GameOption = Annotated[str | None, typer.Option("--game", help="CoGames game: cogs_vs_clips or overcogged.")]
CurriculumOption = Annotated[
    Path | None, typer.Option("--curriculum", metavar="FILE", help="YAML file of what is drawn for each episode.")
]
ListOption = Annotated[
    bool, typer.Option("--list-hyperparameters", help="Print every hyperparameter with its bounds, and end.")
]


@app.command()
def train(
    missions: MissionsOption = None,
    policy: PolicyOption = None,
    steps: StepsOption = None,
    settings: SetOption = None,
    config: ConfigOption = None,
    envs: EnvsOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = None,
    seed: SeedOption = None,
    resume: ResumeOption = None,
    take_over: TakeOverOption = False,
    run_dir: RunDirOption = None,
    stop_at: StopAtOption = None,
    branch_from: BranchOption = None,
    initial_weights: WeightsOption = None,
    eval_every: EvalEveryOption = None,
    eval_episodes: EvalEpisodesOption = None,
    eval_missions: EvalMissionsOption = None,
    checkpoint_every: CheckpointEveryOption = None,
    trackers: TrackerOption = None,
    curriculum: CurriculumOption = None,
    game: GameOption = None,
    list_hyperparameters: ListOption = False,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Train a policy with PPO.

    Ctrl-C saves, and --resume goes on: the run ends as if it had never been stopped.

    \b
        daf train -m arena -p lstm --steps 2e6 --set learning_rate=3e-4
        daf train --resume latest
    """
    if list_hyperparameters:
        train_show.list_hyperparameters(as_json)
    else:
        _train(dict(locals()))


def _train(options: dict[str, Any]) -> None:
    """Train as these options, by their parameter names, say."""
    from daf.cli.show import emit, err
    from daf.core.training_settings import count, with_settings

    quiet, resume = options["quiet"], options["resume"]
    output, config = playing.open_output(options["output_dir"], verbose=options["verbose"], quiet=quiet)
    base = _from_file(options["config"])
    fields = _fields(options, base, output)
    stop_at = None if options["stop_at"] is None else count("--stop-at", options["stop_at"])
    if resume is not None:
        _only_with_resume(options, fields)
        what: dict[str, Any] = {"resume": resume, "total_timesteps": fields.get("total_timesteps")}
    else:
        chosen = with_settings(base, fields)
        if not chosen.missions and chosen.curriculum is None:
            raise UsageError("no mission is given. Name one with -m, for example -m arena; `daf missions` lists them.")
        what = {"config": chosen, "run_dir": options["run_dir"], "branch_from": options["branch_from"]}
    what["take_over"] = options["take_over"]
    from daf.training import daf_train_policy

    result = daf_train_policy(stop_at=stop_at, output=output, settings=config, console=None if quiet else err, **what)
    if options["as_json"]:
        emit(train_show.result_data(result))
    else:
        train_show.show(result, quiet=quiet)
    train_show.end(result, options)


def _fields(options: dict[str, Any], base: "DAFTrainingConfig", output: "OutputManager") -> dict[str, Any]:
    """The fields of the configuration that the flags and --set give. Raises `UsageError`."""
    from daf.core.training_settings import count, parse_settings
    from daf.evaluation import default_cache

    def number(option: str, text: str | None, word: str | None = None) -> Any:
        return text if text is None or text == word else count(option, text)

    missions, trackers, curriculum = options["missions"], options["trackers"], options["curriculum"]
    eval_every = number("--eval-every", options["eval_every"], "never")
    flags: dict[str, Any] = {
        "mission": missions[0] if missions and len(missions) == 1 else missions or None,
        "policy": options["policy"],
        "total_timesteps": number("--steps", options["steps"]),
        "num_envs": number("--envs", options["envs"], "auto"),
        "num_workers": number("--workers", options["workers"], "auto"),
        "game": options["game"],
        "device": options["device"],
        "seed": options["seed"],
        "initial_weights": options["initial_weights"],
        "eval_frequency": eval_every,
        "eval_episodes": options["eval_episodes"],
        "eval_missions": options["eval_missions"] or None,
        "checkpoint_frequency": number("--checkpoint-every", options["checkpoint_every"]),
        "curriculum": None if curriculum is None else _curriculum(curriculum),
        "trackers": None if trackers is None else [name for name in trackers if name != "jsonl"],
    }
    given = {name: value for name, value in flags.items() if value is not None}
    if eval_every == "never":
        given["eval_frequency"] = None
    if options["resume"] is None and base.policy is None:
        given.setdefault("policy", DEFAULT_POLICY)
    settings = parse_settings(
        options["settings"] or [],
        policy=given.get("policy") or base.policy or DEFAULT_POLICY,
        cache=default_cache(output.base_dir) / "bundles",
        runs=output.base_dir,
    )
    twice = sorted(set(given) & set(settings))
    if twice:
        raise UsageError(f"{', '.join(twice)}: given by a flag of its own and by --set. Give one of them.")
    return given | settings


def _from_file(path: Path | None) -> "DAFTrainingConfig":
    from daf.config import DAFTrainingConfig, daf_load_config

    if path is None:
        return DAFTrainingConfig()
    if not path.is_file():
        raise UsageError(f"--config {path}: there is no such file.")
    found = daf_load_config(path)
    if not isinstance(found, DAFTrainingConfig):
        raise ConfigError(f"{path} configures a {found.kind}; here a training run is wanted (kind: training).")
    return found


def _curriculum(path: Path) -> dict[str, Any]:
    """The curriculum in a file, alone or under `curriculum:`."""
    from daf.config.base import mapping_of
    from daf.storage.yaml_strict import read_document

    if not path.is_file():
        raise UsageError(f"--curriculum {path}: there is no such file.")
    fields = mapping_of(read_document(path))
    if fields.get("kind") == "training" and "curriculum" not in fields:
        raise ConfigError(
            f"{path} configures a training run and has no section curriculum:; --config takes such files."
        )
    inner = fields.get("curriculum", fields)
    if not isinstance(inner, dict):
        raise ConfigError(f"{path}: curriculum: a mapping of fields is expected.")
    return inner


def _only_with_resume(options: dict[str, Any], fields: dict[str, Any]) -> None:
    """A run that goes on has its settings; only its length may change."""
    wrong = [
        f"--{name.replace('_', '-')}" for name in ("config", "run_dir", "branch_from") if options[name] is not None
    ]
    wrong += [name for name in fields if name != "total_timesteps"]
    if wrong:
        raise UsageError(
            f"--resume goes on with the run's own settings, so {', '.join(wrong)} can't be given; only --steps and "
            "--stop-at may. For other settings begin a new run with --branch-from CHECKPOINT."
        )
