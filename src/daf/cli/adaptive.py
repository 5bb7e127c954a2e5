"""`daf adaptive`: an experiment of many training runs under one id."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import AddressOption, JsonOption, NewSeedOption, OutputDirOption, RunOptions

if TYPE_CHECKING:
    from daf.adaptive import AdaptivePlan
    from daf.core.adaptive.state import Experiment, Run
    from daf.core.adaptive.status import ExperimentStatus

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Experiments of many training runs.",
)

ExperimentArgument = Annotated[str, typer.Argument(help="Experiment id, run id, or latest.", metavar="ID")]


@app.callback()
def adaptive() -> None:
    """Experiments of many training runs: scheduled, retried, resumed.

    \b
        daf adaptive run study.yaml
        daf adaptive status study
        daf adaptive stop study
    """


@app.command("run")
@options
def run_command(
    *,
    config: Annotated[Path, typer.Argument(help="YAML or JSON file (kind: adaptive).", metavar="CONFIG")],
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry the failed runs of a fixed list.")
    ] = False,
    seed: NewSeedOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and print the first runs; train nothing.")
    ] = False,
    executor: Annotated[
        str | None, typer.Option("--executor", help="Where jobs run: local, or ray (default: the file's dispatcher).")
    ] = None,
    address: AddressOption = None,
    output: RunOptions,
) -> None:
    """Run the experiment in CONFIG to its end, or resume it.

    The same command resumes it after Ctrl-C, a crash or a power cut. No run is lost or repeated.

    \b
        daf adaptive run experiment.yaml --dry-run
        daf adaptive run experiment.yaml
    """
    from daf.adaptive import config_from_file, daf_run_adaptive, plan_experiment
    from daf.cli._playing import open_output
    from daf.compute.interface import ClusterOptions

    manager, _ = open_output(output)
    chosen = config_from_file(config)
    if seed is not None:
        chosen = chosen.replace(seed=seed)
    if dry_run:
        _show_plan(plan_experiment(chosen, output=manager), output.as_json)
        return
    status = daf_run_adaptive(
        chosen,
        output=manager,
        retry_failed=retry_failed,
        on_change=None if output.quiet else ExperimentProgress(),
        executor=executor,
        cluster=ClusterOptions(address=address),
    )
    _show(status, output.as_json)
    if status.status == "failed":
        raise typer.Exit(1)


@app.command("status")
def status_command(
    experiment: ExperimentArgument = "latest", output_dir: OutputDirOption = None, as_json: JsonOption = False
) -> None:
    """Show an experiment: its runs, their scores, and the reasons of failures.

    \b
        daf adaptive status
    """
    from daf.adaptive import daf_adaptive_status

    _show(daf_adaptive_status(experiment, output_dir), as_json)


@app.command("stop")
def stop_command(
    experiment: ExperimentArgument = "latest",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", help="Wait up to S seconds for it to stop.")
    ] = 120.0,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop an experiment after its jobs have saved; `daf adaptive run` resumes it.

    \b
        daf adaptive stop latest
    """
    from daf.adaptive import daf_stop_adaptive

    status = daf_stop_adaptive(experiment, output_dir, timeout=timeout)
    _show(status, as_json)


def _show_plan(plan: "AdaptivePlan", as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table, short

    if as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "plan": plan.to_data()})
        return
    out.print(f"{plan.experiment_id}: {plan.scheduler}, up to {plan.max_concurrent_jobs} jobs at a time", markup=False)
    if plan.exists:
        out.print("This experiment has been started; `daf adaptive run` resumes it.", markup=False)
    table = plain_table("first runs")
    table.add_column("run", no_wrap=True)
    table.add_column("agent steps", justify="right", no_wrap=True)
    table.add_column("settings")
    for run in plan.runs:
        settings = ", ".join(f"{name}={short(value)}" for name, value in run.settings.items())
        table.add_row(escape(run.run), f"{run.target:,}", escape(settings))
    out.print(table)


class ExperimentProgress:
    """Print a line on stderr for every run whose state has changed."""

    def __init__(self) -> None:
        self._seen: dict[str, Any] = {}

    def __call__(self, experiment: "Experiment") -> None:
        from daf.cli.show import err

        total = len(experiment.runs)
        over = sum(run.over for run in experiment.runs.values())
        for name, run in experiment.runs.items():
            now = (run.status, run.target, run.launches)
            first = run.status == "pending" and not run.launches and run.parent is None
            if self._seen.get(name) != now and not first:
                self._seen[name] = now
                err.print(f"[{over}/{total}] {name} {_story(run)}", markup=False, soft_wrap=True)


def _story(run: "Run") -> str:
    if run.status == "done" and run.score is not None:
        return f"done: {_score(run)} at {run.score.trained} steps"
    if run.status == "pending" and run.error is None:
        return f"pending, to {run.target} steps: {run.why}"
    goal = f" to {run.target} steps" if run.status == "training" else ""
    return f"{run.status}{goal}{f': {run.error}' if run.error and not run.active else ''}"


def _score(run: "Run") -> str:
    from daf.stats.sentences import amount_text

    score = run.score
    if score is None:
        return "–"
    if score.low is None or score.high is None:
        return f"{score.mean:.4g} (n {score.n})"
    return amount_text(score.mean, (score.low, score.high))


def _show(status: "ExperimentStatus", as_json: bool) -> None:
    from daf.cli.show import emit, out, plain_table, seconds
    from daf.render.text import estimates, interval
    from daf.storage.jsonable import jsonable

    if as_json:
        emit(jsonable(status.to_data()))
        return
    experiment = status.experiment
    table = plain_table(
        f"{experiment.experiment_id}: {status.status}",
        caption="Score: mean return per agent, all on the same episodes; longest training first.",
    )
    for name in ("run", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("steps", "score", "95 % interval", "scored at", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("settings")
    runs = [*experiment.ranked(), *(run for run in experiment.runs.values() if run.score is None)]
    around = [None if run.score is None else interval(run.score.low, run.score.high) for run in runs]
    texts = estimates([None if run.score is None else run.score.mean for run in runs], around)
    for run, *numbers in zip(runs, *texts, strict=True):
        settings = ", ".join(f"{name} {_plain(value)}" for name, value in run.settings.items())
        origin = f" ← {run.parent[0]} at {run.parent[1]}" if run.parent else ""
        table.add_row(
            run.name, run.status, f"{run.steps:,}", *numbers, f"{run.score.trained:,}" if run.score else "–",
            str(run.score.n) if run.score else "–", escape(settings + origin),
        )  # fmt: skip
    out.print(table)
    for row in status.to_data()["runs"]:
        if row["job_state"] is not None:
            sign = row["seconds_since_sign"]
            since = "" if sign is None else f", last heartbeat {seconds(sign)} ago"
            line = f"{row['name']} {row['status']}: {row['job']} is {row['job_state']}, process {row['pid']}{since}"
            out.print(line, markup=False, soft_wrap=True)
    for run in experiment.runs.values():
        if run.error is not None and not run.active:
            out.print(f"[red]{run.name} {run.status}:[/red] {escape(run.error)}", soft_wrap=True)
    for milestone, state in experiment.hooks.items():
        if state in ("failed", "unfinished"):
            out.print(f"[yellow]![/yellow] hook {escape(milestone)}: {state}", soft_wrap=True)
    for adjustment in experiment.adjustments[-5:]:
        line = f"curriculum: {adjustment['what']}: {adjustment['why']}: {adjustment['reason']}"
        out.print(line, markup=False, soft_wrap=True)
    if experiment.best is not None and status.status == "done":
        out.print(f"best: {experiment.best.name}; play it with -p run:{status.run_id}", markup=False, soft_wrap=True)
    if status.status in ("stopped", "interrupted"):
        why = f" ({experiment.reason})" if experiment.reason else ""
        out.print(f"{status.status}{why}; `daf adaptive run CONFIG` resumes it.", markup=False, soft_wrap=True)
    out.print(f"folder: {status.run_dir}", markup=False, soft_wrap=True)


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
