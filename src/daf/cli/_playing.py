"""Shared by the commands that play: the output directory, --config, the run with its progress, and the result."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from daf.cli._evaluation_shown import show
from daf.cli._options import ContenderOptions, OutputOptions, PlayOptions, RepeatOptions, RunOptions
from daf.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from daf.config import DAFConfig
    from daf.evaluation import Evaluation, Settings
    from daf.output_manager import OutputManager
    from daf.until_decided import StoppingRule

NO_MISSION = "no mission is given. Name one with -m, for example -m arena; `daf missions` lists them."


def given(context: typer.Context, name: str) -> bool:
    """Whether the user wrote the option `name` on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@dataclass(frozen=True)
class Filed:
    """What a comparison's file names, apart from how episodes are played; None where a flag names it."""

    policies: list[str] | None = None
    missions: list[str] | None = None
    title: str | None = None


def from_file[Play: PlayOptions](context: typer.Context, path: Path | None, play: Play) -> tuple[Play, Filed]:
    """`play` with what a comparison's file sets and no flag does, and what else the file names."""
    if path is None:
        return play, Filed()
    if not path.is_file():
        raise UsageError(f"--config {path}: no such file.")
    values = {name: value for name, value in comparison_options(path).items() if not given(context, name)}
    named = {item.name: values.pop(item.name) for item in fields(Filed) if item.name in values}
    return replace(play, **values), Filed(**named)


def comparison_options(path: Path) -> dict[str, Any]:
    """What a comparison's file sets, by the names of the options' fields. Raises `ConfigError`."""
    from daf.config import DAFComparisonConfig, daf_load_config

    config = daf_load_config(path)
    if not isinstance(config, DAFComparisonConfig):
        raise ConfigError(f"{path} configures a {config.kind}; this command takes kind: comparison.")
    policies = [
        f"class={policy},data={config.policy_weights[policy]}" if policy in config.policy_weights else policy
        for policy in config.policies
    ]
    fields = {
        "episodes": "episodes_per_mission",
        "max_steps": "max_steps_per_episode",
        "seed": "seed",
        "alpha": "significance_level",
        "resamples": "bootstrap_samples",
        "keep_records": "save_raw_results",
        "title": "name",
        "missions": "missions",
    }
    filed = {name: getattr(config, field) for name, field in fields.items() if field in config.model_fields_set}
    filed |= {"policies": policies}
    if "generate_html_report" in config.model_fields_set:
        filed["no_report"] = not config.generate_html_report
    return filed


def open_output(options: OutputOptions) -> "tuple[OutputManager, DAFConfig]":
    """The output directory that the flags and the DAF_ variables name, and the configuration of these variables."""
    from daf.config import load_config_from_environment
    from daf.output_manager import OutputManager

    config = load_config_from_environment()
    changes: dict[str, Any] = {"verbose": options.verbose and not options.quiet}
    if options.output_dir is not None:
        changes["output_dir"] = options.output_dir
    config = config.replace(**changes)
    labels = options.labels() if isinstance(options, RunOptions) else None
    return OutputManager.from_config(config, labels), config


def command(
    contenders: ContenderOptions,
    play: PlayOptions,
    options: RepeatOptions,
    filed: Filed,
    *,
    operation: str,
    rule: "StoppingRule | None" = None,
) -> None:
    """`daf evaluate` and `daf compare`. rule: as in `run_and_show`."""
    policies, teams = filed.policies or contenders.policies or [], contenders.teams or []
    missions = filed.missions or contenders.missions or []
    if not policies and not teams:
        raise UsageError("no policy is given. Name one with -p, for example -p starter; `daf policies` lists them.")
    if not missions:
        raise UsageError(NO_MISSION)
    if operation == "comparisons" and len(policies) + len(teams) < 2:
        raise UsageError("a comparison needs at least two policies or teams. For a single one use `daf evaluate`.")
    output, config = open_output(options)
    evaluation = run_and_show(
        policies,
        missions,
        teams,
        settings=play.settings(config),
        output=output,
        operation=operation,
        title=filed.title,
        as_json=options.as_json,
        quiet=options.quiet,
        rule=rule,
        rerun=options.rerun,
    )
    if evaluation.status != "ok":
        raise typer.Exit(1)


def run_and_show(
    policies: list[str],
    missions: list[str],
    teams: list[str],
    *,
    settings: "Settings",
    output: "OutputManager",
    operation: str,
    title: str | None,
    as_json: bool,
    quiet: bool,
    rule: "StoppingRule | None" = None,
    rerun: bool = False,
) -> "Evaluation":
    """Evaluate, show the result, and exit with 1 where an episode failed. Ctrl-C raises `Interrupted`.

    rule: if given, compare until decided by it. rerun: as in `daf.evaluation.evaluate`.
    """
    if rule is not None:
        from daf.cli._deciding import decide_and_show

        return decide_and_show(
            policies, missions, teams, rule=rule, settings=settings, output=output, title=title,
            as_json=as_json, quiet=quiet, rerun=rerun,
        )  # fmt: skip
    from daf.cli.show import EpisodeProgress, emit
    from daf.evaluation import evaluate, results_data
    from daf.storage.jsonable import jsonable

    with EpisodeProgress(quiet=quiet) as progress:
        evaluation = evaluate(
            policies,
            missions,
            teams=teams,
            settings=settings,
            output=output,
            operation=operation,
            title=title,
            on_plan=progress.plan,
            on_record=progress,
            rerun=rerun,
        )
    if as_json:
        emit(jsonable(results_data(evaluation)))
    else:
        show(evaluation)
    return evaluation
