"""`daf pipeline`: run, show and follow chains of commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import RunOptions

if TYPE_CHECKING:
    from daf.orchestrators import StageRecord

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Run a chain of commands that resumes and reruns only what changed.",
)

ConfigArgument = Annotated[Path, typer.Argument(metavar="{CONFIG.yaml}", help="A pipeline's YAML or JSON file.")]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="STAGE", help="Run this stage and all that depend on it again.")
]
OnlyOption = Annotated[str | None, typer.Option("--only", metavar="STAGE", help="Run this stage alone, again.")]
ExecutorOption = Annotated[
    str | None, typer.Option("--executor", help="Where all stages play and train, if a stage names none.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check everything and print which stages would run; run none.")
]
RunArgument = Annotated[str, typer.Argument(metavar="[RUN]", help="A pipeline's run: id, directory or latest.")]


@app.command("run")
@options
def run_command(
    config: ConfigArgument,
    from_stage: FromOption = None,
    only: OnlyOption = None,
    executor: ExecutorOption = None,
    dry_run: DryRunOption = False,
    *,
    output: RunOptions,
) -> None:
    """Run the stages of a pipeline that have no result yet, and write one report over all of them.

    Each stage is a command of DAF in a separate process. All options are checked before the first stage runs. A stage
    whose command, options, files and inputs are unchanged is not run again, so after Ctrl-C, a crash or an edit the
    same command runs the remaining stages.

    \b
        daf pipeline run ship.yaml --dry-run
        daf pipeline run ship.yaml --from evaluate
    """
    from daf.cli._playing import open_output
    from daf.cli.show import emit, out
    from daf.orchestrators._flows import pipeline_config
    from daf.orchestrators.run import run_pipeline

    manager, _ = open_output(output)
    result = run_pipeline(
        pipeline_config(config),
        output=manager,
        from_stage=from_stage,
        only=only,
        executor=executor,
        dry_run=dry_run,
        on_change=None if output.quiet else _say,
    )
    if output.as_json:
        emit(result.to_data())
    else:
        _table(result.stages, planned=dry_run)
        for name, error in result.errors.items():
            out.print(f"{name}: {error}", markup=False, soft_wrap=True)
        if result.run_dir is not None:
            out.print(f"run: {result.run_dir}\nreport: {result.report}", markup=False, soft_wrap=True)
    if not result.is_success() and not dry_run:
        raise typer.Exit(1)


@app.command("show")
@options
def show_command(config: ConfigArgument, *, output: RunOptions) -> None:
    """Show the stages of a pipeline and what each needs. Checks the file and all options, and runs nothing.

    \b
        daf pipeline show ship.yaml
    """
    from daf.cli.show import emit, out
    from daf.orchestrators._check import check_options
    from daf.orchestrators._flows import pipeline_config
    from daf.orchestrators._plan import plan_pipeline

    plan = plan_pipeline(pipeline_config(config))
    check_options([stage.config for stage in plan.stages])
    stages = [{"name": s.name, "use": s.config.use, "needs": list(s.needs)} for s in plan.stages]
    if output.as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "name": plan.config.name, "stages": stages})
        return
    out.print(f"{plan.config.name}: {plan.config.description}".rstrip(": "), markup=False, soft_wrap=True)
    for number, stage in enumerate(plan.stages, 1):
        after = f"  after {', '.join(stage.needs)}" if stage.needs else ""
        out.print(f"  {number}. {stage.name}  ({stage.config.use}){after}", markup=False, soft_wrap=True)


@app.command("status")
@options
def status_command(run: RunArgument = "latest", *, output: RunOptions) -> None:
    """Show how far a pipeline has come.

    \b
        daf pipeline status latest
    """
    from daf.cli.show import emit, out
    from daf.orchestrators import StageRecord
    from daf.orchestrators.run import read_pipeline, run_of_pipeline
    from daf.output_manager.layout import base_folder

    folder = run_of_pipeline(run, base_folder(output.output_dir))
    data = read_pipeline(folder)
    if output.as_json:
        emit({"run_dir": str(folder), **data})
        return
    out.print(f"{data['name']}: {data['status']}", markup=False, soft_wrap=True)
    _table([StageRecord(**stage) for stage in data["stages"]], planned=False)


def _say(record: "StageRecord") -> None:
    from daf.cli.show import say, seconds

    what = {
        "running": f"started{f' (attempt {record.attempts})' if record.attempts > 1 else ''}",
        "cached": "unchanged, its result counts",
        "waiting": f"failed and is tried again: {record.error}",
        "failed": f"failed: {record.error}",
        "skipped": f"skipped: {record.error}",
        "interrupted": "interrupted",
    }
    took = "" if record.seconds is None else f" in {seconds(record.seconds)}"
    say(f"{record.name}: {what.get(record.status, f'done{took}')}")


def _table(stages: "list[StageRecord]", *, planned: bool) -> None:
    from daf.cli.show import out, plain_table, seconds

    table = plain_table("Stages")
    for column in ("stage", "command", "status", "time", "run"):
        table.add_column(column, no_wrap=column != "run", overflow="fold")
    for stage in stages:
        status = "would run" if planned and stage.status == "waiting" else stage.status
        took = "" if stage.seconds is None else seconds(stage.seconds)
        table.add_row(stage.name, stage.use, status, took, _run_of(stage))
    out.print(table)


def _run_of(stage: Any) -> str:
    return "" if stage.run_dir is None else "/".join(Path(stage.run_dir).parts[-2:])
