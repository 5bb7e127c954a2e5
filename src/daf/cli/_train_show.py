"""What `daf train` prints: the result, how to resume, and the table of hyperparameters."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.storage import remote

if TYPE_CHECKING:
    from daf.cli._options import OutputOptions
    from daf.training import TrainingResult


def result_data(result: "TrainingResult") -> dict[str, Any]:
    """What `--json` prints: the content of training.json, with complete paths."""
    from daf.storage.jsonable import jsonable

    data: dict[str, Any] = jsonable(result.to_data())
    final = None if result.final_checkpoint is None else str(result.final_checkpoint)
    report = None if result.report is None else str(result.report)
    places = {"run_id": result.run_id, "run_dir": str(result.run_dir)}
    return {**places, **data, "final_checkpoint": final, "report": report}


def show(result: "TrainingResult", *, quiet: bool) -> None:
    """Print the outcome and the paths."""
    from daf.cli.show import out, say, seconds
    from daf.core.training_progress import evaluation_text
    from daf.game.missions import without_rewards
    from daf.output_manager.layout import EXECUTION_LOG
    from daf.stats.sentences import number

    parts = [
        f"{result.status}: {result.steps:,} agent steps in {result.updates:,} updates",
        seconds(result.wall_seconds),
    ]
    parts += [f"{result.steps / result.wall_seconds:,.0f} steps/s without evaluations"] if result.wall_seconds else []
    returned = result.metrics.get("episode/return")
    parts += [f"return {number(returned)} per agent"] if returned is not None else []
    out.print(", ".join(parts), markup=False, soft_wrap=True)
    if result.evaluation is not None:
        out.print(evaluation_text(result.evaluation), markup=False, soft_wrap=True)
    out.print(result.learned["sentence"], markup=False, soft_wrap=True)
    if result.final_checkpoint is not None:
        out.print(f"checkpoint: {result.final_checkpoint}", markup=False, soft_wrap=True)
    out.print(f"run: {result.run_dir}", markup=False, soft_wrap=True)
    if result.report is not None:
        out.print(f"report: {result.report}", markup=False, soft_wrap=True)
    if result.status == "done" and not quiet:
        mission = result.hyperparameters.get("mission")
        on = without_rewards(mission if isinstance(mission, str) else mission[0]) if mission else "MISSION"
        listed = (
            result.run_dir / EXECUTION_LOG
        ).is_file()  # a directory named with --run-dir is not listed among the runs
        policy, run = (f"run:{result.run_id}", result.run_id) if listed else (result.run_dir, result.run_dir)
        report = [] if result.report is not None else [f"daf report {run}"]
        say("\nNext: " + ", ".join([f"daf evaluate -p {policy} -m {on}", *report, f"daf logs {result.run_dir}"]))


def show_elsewhere(result: "TrainingResult") -> None:
    """Print the outcome of a run of another machine, in which this one took part."""
    from daf.cli.show import out

    done = f"{result.status}: {result.steps:,} agent steps in {result.updates:,} updates"
    out.print(f"{done}; the run is on machine 0: {result.run_dir}", markup=False, soft_wrap=True)


def end(
    result: "TrainingResult",
    output: "OutputOptions",
    *,
    run_dir: Path | None,
    resumed: bool,
    elsewhere: bool = False,
    command: str = "train",
    where: Sequence[str] = (),
) -> None:
    """Print the error or how to resume with `command`, and exit with the status. elsewhere: the run is on another
    machine. where: the options that a resumed run needs again.
    """
    from daf.cli.show import say

    if result.status == "stopped" and not output.quiet and not elsewhere:
        run = result.run_dir if run_dir is not None else result.run_id
        say(f"Stopped with a checkpoint; resume with: {shlex.join(['daf', command, '--resume', str(run), *where])}")
    if result.status == "failed":
        error = result.error or {"type": "TrainingError", "message": "training failed."}
        say(f"{error['type']}: {error['message']}")
        raise SystemExit(1)
    if result.status == "interrupted":
        again = ["daf", *sys.argv[1:]]
        if run_dir is None and not resumed and not elsewhere:
            place = ["--output-dir", remote.shown(output.output_dir)] if output.output_dir is not None else []
            again = ["daf", command, "--resume", result.run_id, *where, *place]
        saved = f"stopped after {result.steps:,} agent steps, which are saved"
        say(f"Interrupted: {saved}. Resume with: {shlex.join(again)}")
        raise SystemExit(130)


def list_hyperparameters(as_json: bool) -> None:
    """Print the table of hyperparameters."""
    from dataclasses import asdict

    from daf.cli.show import emit, out, plain_table
    from daf.config.hyperparameters import HYPERPARAMETERS

    if as_json:
        rows = [asdict(hyper) | {"bounds": hyper.bounds} for hyper in HYPERPARAMETERS.values()]
        emit({"run_id": None, "run_dir": None, "status": "ok", "hyperparameters": rows})
        return
    for group in dict.fromkeys(hyper.group for hyper in HYPERPARAMETERS.values()):
        table = plain_table(group)
        table.add_column("name", no_wrap=True)
        for name in ("default", "bounds", "also called", "meaning"):
            table.add_column(name, overflow="fold")
        for hyper in HYPERPARAMETERS.values():
            if hyper.group == group:
                default = "none" if hyper.default is None else str(hyper.default).lower()
                table.add_row(hyper.name, default, hyper.bounds, ", ".join(hyper.aliases), hyper.meaning)
        out.print(table)
    out.print("Set the arguments of the policy's class in the same way: --set hidden_size=128.", markup=False)
