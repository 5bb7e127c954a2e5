"""`daf deploy`: validate a bundle, compare it with the live release, and make it live."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli import _playing as playing
from daf.cli._grouped import options
from daf.cli._options import ConfigOption, RunOptions, TeamPlayOptions
from daf.cli.releases import RegistryOption
from daf.errors import ConfigError, UsageError, unknown

if TYPE_CHECKING:
    from daf.deployment import Deployed, Deployment, Gate, GateReport

app = typer.Typer(rich_markup_mode=None, add_completion=False)

MODES = ("quick", "thorough", "docker", "skip")
BundleArgument = Annotated[
    str | None,
    typer.Argument(metavar="[BUNDLE]", help="A bundle, or any policy string: it is packed first.", show_default=False),
]
VersionOption = Annotated[
    str | None, typer.Option("--version", metavar="V", help="Semantic version (default: the next patch).")
]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Name of the policy in the registry (default: the bundle's).")
]
ModeOption = Annotated[
    str | None,
    typer.Option(
        "--mode", help="Validation as in `daf validate`: quick or thorough; docker: in CoGames' container; skip."
    ),
]
ValidationMissionOption = Annotated[
    list[str] | None,
    typer.Option("--mission", "-m", help="Mission of the validation (default: by --mode). Repeatable."),
]
ThresholdOption = Annotated[
    float | None,
    typer.Option("--threshold", metavar="RATE", help="Success rate that each validation mission must have."),
]
GateMissionOption = Annotated[
    list[str] | None,
    typer.Option(
        "--gate-mission", metavar="MISSION", help="Compare with the live release on this mission. Repeatable."
    ),
]
GateMarginOption = Annotated[
    float | None,
    typer.Option("--margin", metavar="X", help="The loss in return per agent that the gate accepts."),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        "--against", metavar="POLICY", help="What the gate compares with: current (the live release), or a policy."
    ),
]
GatePoolOption = Annotated[
    list[str] | None,
    typer.Option("--pool", metavar="POLICY", help="Policy of the mixed teams (default: starter). Repeatable."),
]
MixOption = Annotated[
    list[str] | None,
    typer.Option("--mix", metavar="C+P", help="Agents of the candidate and of the pool: 2+6. Repeatable."),
]
KeepOption = Annotated[
    int | None,
    typer.Option("--keep", metavar="N", help="Keep the bundles of the N releases that were live last (3)."),
]
NoRollbackOption = Annotated[bool, typer.Option("--no-rollback", help="`daf rollback` refuses to leave this release.")]


@app.command()
@options
def deploy(
    context: typer.Context,
    bundle: BundleArgument = None,
    version: VersionOption = None,
    name: AsOption = None,
    registry: RegistryOption = None,
    mode: ModeOption = None,
    missions: ValidationMissionOption = None,
    threshold: ThresholdOption = None,
    gate_missions: GateMissionOption = None,
    margin: GateMarginOption = None,
    against: AgainstOption = None,
    pool: GatePoolOption = None,
    mixes: MixOption = None,
    keep: KeepOption = None,
    no_rollback: NoRollbackOption = False,
    *,
    play: TeamPlayOptions,
    config: ConfigOption = None,
    output: RunOptions,
) -> None:
    """Release BUNDLE: validate it, compare it with the live release, and make it live.

    With --gate-mission, candidate and live release play the same seeds: alone, and in the same seats of teams with a
    pool (2+6, 4+4 and 6+2 of 8 agents). The candidate is refused unless its return is within --margin in all of them,
    by the lower bound of the interval. Exit code 1 if it is refused; then nothing changed.

    \b
        daf deploy my_policy.zip --version 1.0.0
        daf deploy my_policy.zip --gate-mission arena --margin 0.1 -e 40
        daf deploy run:latest --as walker
    """
    from daf.cli.show import EpisodeProgress, emit, say
    from daf.deployment import Listeners
    from daf.deployment import deploy as release
    from daf.storage.jsonable import jsonable

    policy, base = _from_file(config)
    policy = bundle or policy
    if policy is None:
        raise UsageError("no bundle is given. Name one: daf deploy my_policy.zip.")
    if mode is not None and mode not in MODES:
        raise UsageError(unknown("choice for --mode", mode, MODES))
    checks: dict[str, Any] = {"mode": mode, "missions": missions, "threshold": threshold}
    changes: dict[str, Any] = {
        "name": name,
        "version": version,
        "registry": registry,
        "checks": replace(base.checks, **{key: value for key, value in checks.items() if value is not None}),
        "gate": _gate(gate_missions, margin, against, pool, mixes, base.gate),
        "keep_previous_versions": keep,
        "enable_rollback": False if no_rollback else None,
    }
    deployment = replace(base, **{key: value for key, value in changes.items() if value is not None})
    manager, daf_config = playing.open_output(output)
    with EpisodeProgress(quiet=output.quiet) as progress:
        listeners = Listeners(
            stage=(lambda _: None) if output.quiet else lambda line: say(f"{line[:1].upper()}{line[1:]}"),
            plan=progress.plan,
            record=progress,
        )
        done = release(policy, deployment, settings=play.settings(daf_config), output=manager, listeners=listeners)
    if output.as_json:
        emit(jsonable(_data(done)))
    else:
        _show(done, quiet=output.quiet)
    if done.refused:
        raise typer.Exit(1)


def _from_file(path: Path | None) -> "tuple[str | None, Deployment]":
    """The policy and the deployment that a file describes; no policy and the defaults without a file."""
    from daf.config import DAFDeploymentConfig, daf_load_config
    from daf.deployment import Deployment, deployment_from

    if path is None:
        return None, Deployment()
    if not path.is_file():
        raise UsageError(f"--config {path}: no such file.")
    config = daf_load_config(path)
    if not isinstance(config, DAFDeploymentConfig):
        raise ConfigError(f"{path} configures a {config.kind}; this command takes kind: deployment.")
    return deployment_from(config)


def _gate(
    missions: list[str] | None,
    margin: float | None,
    against: str | None,
    pool: list[str] | None,
    mixes: list[str] | None,
    filed: "Gate | None",
) -> "Gate | None":
    """The gate of the flags, which win over the file's."""
    from daf.deployment import Gate

    given = {"missions": missions, "margin": margin, "against": against, "pool": pool, "mixes": mixes}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if filed is not None:
        return replace(filed, **changes)
    if not missions:
        for key in changes:
            option = f"--{key.removesuffix('es')}"
            raise UsageError(f"{option} belongs to a gate. Add --gate-mission, for example --gate-mission arena.")
        return None
    if margin is None:
        raise UsageError(
            "a gate needs --margin: the loss in return per agent that you accept, for example --margin 0.1. With "
            "--margin 0 the candidate must be at least as good."
        )
    return Gate(**changes)


def _data(done: "Deployed") -> dict[str, object]:
    from daf.deployment import gate_data

    gate = done.gate
    return {
        "run_id": gate.run_id if gate is not None else None,
        "run_dir": str(gate.run_dir) if gate is not None else None,
        "status": "failed" if done.refused else "ok",
        "deployment": done.result,
        "validation": done.validation.to_data() if done.validation is not None else None,
        "gate": gate.facts() if gate is not None else None,
        "episodes": gate_data(gate)["episodes"] if gate is not None else [],
        "removed": done.removed,
        "warnings": done.warnings,
    }


def _show(done: "Deployed", *, quiet: bool) -> None:
    from daf.cli.show import out, say, say_end
    from daf.stats.sentences import counted

    for warning in () if quiet else done.warnings:
        say(f"Warning: {warning}")
    if done.gate is not None:
        show_gate(done.gate)
    start = "Refused: " if done.refused else ""
    out.print(f"{start}{done.result.message}", markup=False, soft_wrap=True)
    if done.removed:
        out.print(
            f"Deleted {counted(len(done.removed), 'bundle')} of earlier releases: {', '.join(done.removed)} (--keep).",
            markup=False,
            soft_wrap=True,
        )
    if done.gate is not None:
        say_end(done.gate.result, done.gate.seconds, done.gate.report)
        out.print(f"run:    {done.gate.run_dir}", soft_wrap=True, markup=False)


def show_gate(gate: "GateReport") -> None:
    """The comparisons of a gate as a table."""
    from daf.cli.show import out, plain_table
    from daf.deployment.gate_page import VERDICTS
    from daf.render.text import bounds_text
    from daf.stats.sentences import half_width, number

    analysis = gate.analysis
    for note in gate.notes:
        out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    table = plain_table(
        f"{analysis.candidate} against {analysis.reference}, margin {analysis.margin:g}",
        caption=f"mixed teams: agents of the candidate + of {escape(', '.join(name for name, _ in gate.pool))}",
    )
    for column in ("mission", "team"):
        table.add_column(column, no_wrap=True)
    for column in ("seeds", "candidate", "reference", "difference", "interval"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in analysis.rows:
        half = half_width(row.ci)
        values = ["–" if v is None else number(v, half) for v in (row.candidate, row.reference, row.difference)]
        table.add_row(
            escape(row.mission), row.label, str(row.n), *values, bounds_text(row.ci), VERDICTS[row.verdict][1]
        )
    out.print(table)
