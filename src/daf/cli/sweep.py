"""`daf sweep`: start a search, resume it, and show its result."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from daf.cli._grouped import options
from daf.cli._help import CommandGroup
from daf.cli._options import (
    ExecutorOptions,
    JsonOption,
    NewSeedOption,
    NoCacheOption,
    OutputDirOption,
    RunOptions,
    TakeOverOption,
    cluster_options,
)
from daf.cli._sweep_variants import variants_command
from daf.errors import Interrupted, UsageError, unknown
from daf.storage import remote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daf.config.sweep import DAFSweepConfig
    from daf.sweeps.result import SweepResult, SweepTrialResult

app = typer.Typer(
    cls=CommandGroup,
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Search hyperparameters over training or over policies and missions.",
)

app.command("variants")(variants_command)

RunArgument = Annotated[str, typer.Argument(help="Run id of a sweep, a prefix of one, latest, or a run directory.")]
TrialsOption = Annotated[
    int | None, typer.Option("--trials", metavar="N", min=1, help="N trials in total; replaces the file's num_trials.")
]
ParallelOption = Annotated[
    int | None,
    typer.Option("--parallel", metavar="N", min=1, help="N trials at a time; replaces the file's num_parallel."),
]
FORMATS = ("csv", "json", "yaml")


@dataclass(frozen=True)
class LaunchOptions(ExecutorOptions):
    """How the trials of a sweep run."""

    take_over: TakeOverOption = False
    no_cache: NoCacheOption = False
    save_replays: Annotated[
        str,
        typer.Option("--save-replays", help="Record episodes of the best trials: none, best (of each mission) or all."),
    ] = "best"


@app.command("run")
@options
def run_command(
    *,
    config: Annotated[Path, typer.Argument(help="YAML or JSON file of the sweep.")],
    trials: TrialsOption = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="Replaces the file's strategy: grid, tpe, …")
    ] = None,
    parallel: ParallelOption = None,
    seed: NewSeedOption = None,
    new: Annotated[bool, typer.Option("--new", help="Start a new sweep, though the same one has been run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and print what the sweep would do; run nothing.")
    ] = False,
    launch: LaunchOptions,
    output: RunOptions,
) -> None:
    """Run the sweep in CONFIG. The same command resumes it, or shows the result of a complete one.

    \b
        daf sweep run sweep.yaml
        daf sweep run sweep.yaml --trials 200     # more trials of the same sweep
    """
    from daf.sweeps.library import config_from_file

    if not config.is_file():
        raise UsageError(f"{config}: no such file.")
    changes = {"num_trials": trials, "strategy": strategy, "num_parallel": parallel, "seed": seed}
    chosen = config_from_file(config)
    given = {name: value for name, value in changes.items() if value is not None}
    chosen = chosen.replace(**given) if given else chosen
    if dry_run:
        _show_plan(chosen, launch, output)
    else:
        _launch(chosen, launch, output, new=new)


@app.command("resume")
@options
def resume_command(
    *, run: RunArgument = "latest", trials: TrialsOption = None, launch: LaunchOptions, output: RunOptions
) -> None:
    """Resume an interrupted sweep, or add trials to a complete one.

    \b
        daf sweep resume
        daf sweep resume 20261120_101500 --trials 200
    """
    from daf.sweeps.resuming import config_of_run

    folder = _folder(run, output.output_dir)
    chosen = config_of_run(folder)
    if trials is not None:
        chosen = chosen.replace(num_trials=trials)
    _launch(chosen, launch, output, run=str(folder))


@app.command("status")
def status_command(
    run: RunArgument = "latest", output_dir: OutputDirOption = None, as_json: JsonOption = False
) -> None:
    """Print the progress of a sweep.

    \b
        daf sweep status
    """
    from daf.cli.show import emit, out
    from daf.sweeps.library import daf_sweep_status
    from daf.sweeps.result import SweepResult

    folder = _folder(run, output_dir)
    if as_json:
        emit(daf_sweep_status(folder))
        return
    result = SweepResult.load(folder)
    out.print(_headline(result), markup=False, soft_wrap=True)
    best = result.top_trials(1)
    if best:
        out.print(f"best so far: {_trial_text(best[0], result)}", markup=False, soft_wrap=True)
    out.print(f"run: {folder}", markup=False, soft_wrap=True)


@app.command("show")
def show_command(
    run: RunArgument = "latest",
    trial: Annotated[int | None, typer.Option("--trial", help="Show all details of one trial.")] = None,
    top: Annotated[int, typer.Option("--top", "-n", min=1, metavar="N", help="Show the N best trials.")] = 10,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a sweep: its best trials, the outcome of the others, and the held-out result.

    \b
        daf sweep show
        daf sweep show latest --trial 7
    """
    from daf.cli.show import emit
    from daf.sweeps.result import SweepResult

    result = SweepResult.load(_folder(run, output_dir))
    if trial is not None:
        found = next((there for there in result.trials if there.trial_id == trial), None)
        if found is None:
            raise UsageError(
                f"{result.name} has no trial {trial}; its {len(result.trials)} trials are numbered from 0."
            )
        if as_json:
            emit(_identity(result) | {"trial": found.to_data()})
        else:
            _show_trial(found, result)
        return
    if as_json:
        emit(result.to_data())
    else:
        _show(result, top)


@app.command("best")
def best_command(run: RunArgument = "latest", output_dir: OutputDirOption = None, as_json: JsonOption = False) -> None:
    """Print the best hyperparameters: of the winner on held-out seeds, otherwise of the best trial.

    \b
        daf sweep best
    """
    from daf.cli.show import emit, out
    from daf.sweeps.held_out_summary import held_out_finding
    from daf.sweeps.library import daf_sweep_best_config
    from daf.sweeps.result import SweepResult

    result = SweepResult.load(_folder(run, output_dir))
    best = daf_sweep_best_config(result)
    trial = next(there for there in result.trials if there.trial_id == best.trial)
    if as_json:
        emit(
            _identity(result)
            | {"trial": best.trial, "value": best.value, "held_out_value": best.held_out}
            | {"held_out_default": best.default, "hyperparameters": dict(best), "policy": trial.policy}
            | {"held_out_finding": None if result.held_out is None else held_out_finding(result.held_out)}
        )
        return
    there = "" if best.held_out is None else f" in the sweep, {best.held_out:.4g} on held-out seeds"
    out.print(f"trial {best.trial}, {result.objectives[0]} {best.value:.4g}{there}", markup=False)
    for name, value in best.items():
        out.print(f"  {name}: {value}", markup=False, soft_wrap=True)
    if trial.policy is not None:
        out.print(f"policy: {trial.policy}", markup=False, soft_wrap=True)
    _show_held_out(result)


@app.command("export")
def export_command(
    run: RunArgument = "latest",
    as_format: Annotated[
        str, typer.Option("--format", help="csv: all trials; json: everything; yaml: the best trial.")
    ] = "csv",
    target: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; stdout without it.")] = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a sweep's trials as CSV or JSON, or the best configuration as YAML.

    \b
        daf sweep export --format csv -o trials.csv
    """
    from daf.cli.show import emit, raw, say
    from daf.storage.atomic import write_text
    from daf.sweeps.export import exported
    from daf.sweeps.result import SweepResult

    if as_format not in FORMATS:
        raise UsageError(unknown("format", as_format, FORMATS))
    if as_json and target is None:
        raise UsageError("--json prints one object on stdout, so it needs --output FILE for the exported trials.")
    result = SweepResult.load(_folder(run, output_dir))
    text = exported(result, as_format)
    if target is None:
        raw(text)
        return
    write_text(target, text)
    if as_json:
        emit(_identity(result) | {"file": str(target), "trials": len(result.trials)})
    else:
        say(f"{target}: {len(result.trials)} trials")


def _show_plan(config: "DAFSweepConfig", options: LaunchOptions, output: RunOptions) -> None:
    from daf.cli._playing import open_output
    from daf.cli.show import emit, out, plain_table, short
    from daf.sweeps.dry_run import plan_sweep

    manager, _ = open_output(output)
    plan = plan_sweep(
        config,
        output=manager,
        jobs=options.jobs,
        executor=options.executor,
        cluster=cluster_options(options),
        save_replays=options.save_replays,
    )
    if output.as_json:
        emit({"run_id": None, "run_dir": None, "status": "ok", "plan": plan.to_data()})
        return
    training = "" if plan.training_steps is None else f"{plan.training_steps:,} agent steps of training and "
    lines = [
        f"{plan.name}: {plan.strategy} over {len(plan.space)} hyperparameters of {plan.policy}",
        f"missions: {', '.join(plan.missions)}; objective: {', '.join(plan.objectives)}",
        f"{plan.trials:,} trials, each with {training}{plan.episodes} episodes",
    ]
    if plan.finished:
        lines.append(f"{plan.finished:,} of the trials have already ended in an earlier run, which this one resumes")
    if plan.constraints:
        lines.append(f"constraints: {', '.join(f'{name} {bound}' for name, bound in plan.constraints.items())}")
    if plan.held_out[0]:
        lines.append(f"then {plan.held_out[1]} held-out episodes for each of the best {plan.held_out[0]} trials")
    if plan.train_seeds > 1:
        race = ", unless it falls behind the best one" if plan.race else ""
        lines.append(f"then {plan.train_seeds} training runs of each of these and of the default configuration{race}")
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
    table = plain_table("search space", header=False)
    table.add_column()
    table.add_column()
    for name, values in plan.space.items():
        table.add_row(escape(name), escape(values))
    out.print(table)
    if plan.proposals:
        names = list(dict.fromkeys(name for proposal in plan.proposals for name in proposal))
        table = plain_table("first trials")
        for name in ("trial", *names):
            table.add_column(escape(name), justify="right")
        for number, proposal in enumerate(plan.proposals):
            proposed = [proposal.get(name) for name in names]
            cells = ["–" if value is None else short(value) for value in proposed]
            table.add_row(str(number), *(escape(cell) for cell in cells))
        out.print(table)


def _launch(
    config: "DAFSweepConfig",
    options: LaunchOptions,
    output: RunOptions,
    *,
    run: str | None = None,
    new: bool = False,
) -> None:
    from daf.cli._playing import open_output
    from daf.cli.show import emit
    from daf.sweeps.operation import launch

    manager, settings = open_output(output)
    progress = _Progress(quiet=output.quiet, new=new, output_dir=output.output_dir)
    try:
        result = launch(
            config,
            output=manager,
            jobs=options.jobs,
            executor=options.executor,
            cluster=cluster_options(options),
            use_cache=not options.no_cache,
            gpu_allowed=settings.enable_gpu,
            gpu_memory_fraction=settings.gpu_memory_fraction,
            new=new,
            run=run,
            take_over=options.take_over,
            save_replays=options.save_replays,
            on_start=progress.start,
            on_trial=progress.trial,
            on_run=progress.training_run,
        )
    except KeyboardInterrupt:
        raise Interrupted(progress.how_to_resume()) from None
    if output.as_json:
        emit(result.to_data() | {"report": None if result.report is None else str(result.report)})
    else:
        _show(result, 10)
    if result.status != "done":
        raise typer.Exit(1)


class _Progress:
    """Print a line on stderr for every finished trial."""

    def __init__(self, *, quiet: bool, new: bool, output_dir: Path | None) -> None:
        self._quiet = quiet
        self._new = new
        self._output_dir = output_dir
        self._folder: Path | None = None
        self._ended = 0
        self._planned = 0

    def start(self, folder: Path, ended: int, planned: int) -> None:
        from daf.cli.show import say

        self._folder, self._ended, self._planned = folder, ended, planned
        if ended and not self._quiet:
            say(f"resuming in {folder}: {ended} of {planned} trials are complete")

    def trial(self, result: "SweepTrialResult", ended: int, planned: int) -> None:
        from daf.cli.show import say

        self._ended, self._planned = ended, planned
        if self._quiet:
            return
        value = "failed" if result.primary_metric is None else f"{result.primary_metric:.4g}"
        why = f" ({result.reason})" if result.reason else ""
        shown = ", ".join(f"{name}={_short(there)}" for name, there in result.hyperparameters.items())
        ending = {"stopped": "stopped at ", "infeasible": "infeasible, "}.get(result.status, "")
        line = f"{ended}/{planned} trial {result.trial_id}: {ending}{value}  {shown}{why}"
        say(line)

    def training_run(self, trial: int, seed: int, value: float | None, ended: int, most: int) -> None:
        from daf.cli.show import say

        if not self._quiet:
            name = "default" if trial < 0 else f"trial {trial}"
            say(f"training run {ended}/{most} {name}, seed {seed}: {'failed' if value is None else f'{value:.4g}'}")

    def how_to_resume(self) -> str:
        """The message of an interrupted sweep."""
        if self._folder is None:
            return "stopped before the first trial."
        place = [] if self._output_dir is None else ["--output-dir", remote.shown(self._output_dir)]
        resume = shlex.join(["daf", "sweep", "resume", self._folder.name, *place])
        text = f"stopped after {self._ended} of {self._planned} trials, which are kept in {self._folder}. `{resume}` "
        if self._new:
            return f"{text}resumes it; the same command with --new would start another sweep."
        return f"{text}resumes it, and so does the same command: {shlex.join(['daf', *sys.argv[1:]])}"


def _folder(run: str, output_dir: Path | None) -> Path:
    from daf.output_manager import find_run

    folder = Path(run)
    if folder.is_dir():
        return folder  # reading it fails for a directory that does not hold a sweep
    return find_run(run, output_dir, "sweeps").path


def _identity(result: "SweepResult") -> dict[str, Any]:
    return {"run_id": result.run_id, "run_dir": str(result.run_dir), "status": result.status}


def _headline(result: "SweepResult") -> str:
    counts = ", ".join(f"{count} {status}" for status, count in result.counts().items() if count) or "none yet"
    return (
        f"{result.name}: {result.status}; {result.strategy}, {len(result.trials)} of {result.planned} trials ({counts})"
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _trial_text(trial: "SweepTrialResult", result: "SweepResult") -> str:
    shown = ", ".join(f"{name}={_short(value)}" for name, value in trial.hyperparameters.items())
    values = ", ".join(f"{name} {value:.4g}" for name, value in zip(result.objectives, trial.values, strict=True))
    return f"trial {trial.trial_id}, {values}: {shown}"


def _show(result: "SweepResult", top: int) -> None:
    from daf.cli.show import out, plain_table
    from daf.render.text import same_decimals

    out.print(_headline(result), markup=False, soft_wrap=True)
    trials = result.pareto_trials() if len(result.objectives) > 1 else result.top_trials(top)
    if trials:
        title = "Pareto front" if len(result.objectives) > 1 else "Best trials"
        table = plain_table(title)
        table.add_column("trial", justify="right")
        for objective in result.objectives:
            table.add_column(escape(objective), justify="right")
        table.add_column("hyperparameters", overflow="fold")
        listed = trials[:top]
        scores = [same_decimals([trial.values[place] for trial in listed]) for place in range(len(result.objectives))]
        for trial, *values in zip(listed, *scores, strict=True):
            shown = ", ".join(f"{name}={_short(value)}" for name, value in trial.hyperparameters.items())
            table.add_row(str(trial.trial_id), *values, escape(shown))
        out.print(table)
    if result.step_limits():
        out.print(result.step_limits_text(), markup=False, soft_wrap=True)
    _show_held_out(result)
    printed = {entry.get("sentence") for entry in (result.held_out or {}).get("trials", [])}
    for note in result.notes:
        if note not in printed:
            out.print(f"[yellow]![/yellow] {escape(note)}", soft_wrap=True)
    out.print(f"run: {result.run_dir}", markup=False, soft_wrap=True)
    report = result.report
    if report is not None:
        out.print(f"report: {report}", markup=False, soft_wrap=True)


def _show_held_out(result: "SweepResult") -> None:
    from daf.cli.show import out, plain_table
    from daf.render.text import same_decimals
    from daf.sweeps.held_out_summary import held_out_finding

    held = result.held_out
    if held is None:
        return
    table = plain_table(f"On {held['episodes']} held-out episodes per mission (seeds from {held['seed']})")
    table.add_column("trial", justify="right")
    for name in ("in the sweep", "held out"):
        table.add_column(f"{held['objective']}, {name}", justify="right")
    default = held["default"]
    played = [*held["trials"], *([] if default is None else [default])]
    names = [f"{entry['trial']}{' *' if entry['trial'] == held['winner'] else ''}" for entry in held["trials"]]
    selected, again = (same_decimals([entry[key] for entry in played]) for key in ("in_the_sweep", "value"))
    for name, entry, before, value in zip([*names, "default"], played, selected, again, strict=False):
        table.add_row(name, before, "failed" if entry["value"] is None and entry is not default else value)
    out.print(table)
    if finding := held_out_finding(held):
        out.print(finding, markup=False, soft_wrap=True)
    for entry in held["trials"]:
        if entry.get("sentence"):
            out.print(f"  {entry['sentence']}", markup=False, soft_wrap=True)
    if held.get("training_seeds"):
        _show_training_seeds(held)


def _show_training_seeds(held: "Mapping[str, Any]") -> None:
    from daf.cli.show import out, plain_table
    from daf.render.text import estimates, interval, same_decimals
    from daf.stats.sentences import counted

    record = held["training_seeds"]
    table = plain_table(f"Over {counted(len(record['seeds']), 'training run')} with seeds from {record['seeds'][0]}")
    for name in ("trial", "runs", f"mean {held['objective']}", "interval", "spread"):
        table.add_column(escape(name), justify="right")
    entries = [*record["trials"], *([] if record["default"] is None else [record["default"]])]
    means, intervals = estimates(
        [entry["mean"] for entry in entries],
        [None if entry["ci"] is None else interval(*entry["ci"]) for entry in entries],
    )
    spreads = same_decimals([entry["spread"] for entry in entries])
    for entry, mean, ci, spread in zip(entries, means, intervals, spreads, strict=True):
        best = " *" if entry["trial"] == record["winner"] else ""
        name = "default" if entry["trial"] < 0 else f"{entry['trial']}{best}"
        table.add_row(name, str(len(entry["runs"])), mean, ci, spread)
    out.print(table)
    for sentence in record["sentences"]:
        out.print(sentence, markup=False, soft_wrap=True)
    if record["retrain"]:
        out.print(f"train the best configuration again: {record['retrain']}", markup=False, soft_wrap=True)


def _limit(entry: "Mapping[str, Any]") -> str:
    return f" of at most {entry['max_steps']:,} steps" if "max_steps" in entry else ""


def _show_trial(trial: "SweepTrialResult", result: "SweepResult") -> None:
    from daf.cli.show import out

    out.print(f"trial {trial.trial_id} of {result.name}: {trial.status}", markup=False)
    for name, value in trial.hyperparameters.items():
        out.print(f"  {name}: {value}", markup=False, soft_wrap=True)
    for name, number in zip(result.objectives, trial.values, strict=False):
        out.print(f"{name}: {number:.6g}", markup=False)
    for mission, entry in trial.mission_results.items():
        out.print(
            f"  on {mission}: {entry['value']:.6g} ({entry['n']} episodes{_limit(entry)})", markup=False, soft_wrap=True
        )
    facts = {
        "reason": trial.reason,
        "proposed by": trial.source,
        "attempts": trial.attempts if trial.attempts > 1 else None,
        "same as trial": trial.repeats,
        "seconds": None if trial.seconds is None else f"{trial.seconds:.1f}",
        "agent steps": trial.steps,
        "policy": trial.policy,
        "run": trial.run_dir,
    }
    for name, fact in facts.items():
        if fact is not None:
            out.print(f"{name}: {fact}", markup=False, soft_wrap=True)
    if trial.status == "stopped" and trial.run_dir is not None:
        command = f"daf train --config {trial.run_dir}.yaml --run-dir {trial.run_dir}"
        out.print(f"resume its training with: {command}", markup=False, soft_wrap=True)
