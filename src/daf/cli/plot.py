"""`daf plot`: the figures of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daf.cli._options import JsonOption, OutputDirOption, QuietOption

if TYPE_CHECKING:
    from daf.visualization import Look

app = typer.Typer(rich_markup_mode=None, add_completion=False)

RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN...", help="Run id, a prefix of one, OPERATION/ID, latest, a run directory, or a replay file."
    ),
]
KindOption = Annotated[
    list[str] | None, typer.Option("--kind", "-k", help="Only this figure; see --list. Repeatable, or with commas.")
]
FormatOption = Annotated[str, typer.Option("--format", help="png, pdf, svg, or several with commas.")]
ListOption = Annotated[bool, typer.Option("--list", help="List the figures of RUN without drawing them.")]
ToOption = Annotated[Path | None, typer.Option("--to", help="Put figures here (default: the run's visualizations).")]
MissionOption = Annotated[str | None, typer.Option("--mission", "-m", help="Only this mission of the run.")]
MetricOption = Annotated[
    list[str] | None, typer.Option("--metric", help="Draw this metric instead of the default ones. Repeatable.")
]


@app.command()
def plot(
    runs: RunsArgument = None,
    kinds: KindOption = None,
    formats: FormatOption = "png",
    dark: Annotated[bool, typer.Option("--dark", help="Use a dark background.")] = False,
    dpi: Annotated[int, typer.Option("--dpi", help="Resolution of PNG files, in pixels per inch.")] = 150,
    mission: MissionOption = None,
    metrics: MetricOption = None,
    over_seeds: Annotated[
        bool,
        typer.Option(
            "--over-seeds", help="Draw the mean, with interval, of training runs that differ only in their seed."
        ),
    ] = False,
    listed: ListOption = False,
    to: ToOption = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Draw the figures of RUN (default: latest): all that fit its kind, or those that --kind names.

    Several training runs are drawn together. A figure without sufficient data is left out with the reason; if --kind
    names it, that is an error.

    \b
        daf plot latest
        daf plot training/20261120_101500 training/20261120_113000 --kind curves --format pdf
        daf plot RUN_1 RUN_2 RUN_3 --over-seeds
        daf plot latest --kind positions --kind actions --dark
    """
    from daf.cli.show import emit, err, out
    from daf.output_manager import OutputManager
    from daf.visualization import daf_plot_run
    from daf.visualization.run_figures import fitting_kinds

    named = list(runs or ["latest"])
    if listed:
        fitting = fitting_kinds(named, base_dir=output_dir)
        if as_json:
            emit({"run_id": None, "run_dir": None, "status": "ok", "kinds": fitting})
        else:
            for kind, what in fitting.items():
                out.print(f"{kind:<14}{what}", markup=False)
        return
    look: Look = {"dark": dark, "dpi": dpi, "formats": _commas([formats]), "output_manager": OutputManager(output_dir)}
    made = daf_plot_run(
        named,
        _commas(kinds or []),
        output_dir=to,
        mission=mission,
        metrics=metrics,
        over_seeds=over_seeds,
        base_dir=output_dir,
        **look,
    )
    if as_json:
        emit(_data(made))
        return
    for path in made.paths:
        out.print(str(path), markup=False, soft_wrap=True)
    if not quiet:
        for kind, reason in made.left_out.items():
            err.print(f"{kind} is not drawn: {reason}", markup=False, soft_wrap=True)


def _commas(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _data(made: Any) -> dict[str, Any]:
    return {
        "run_id": made.run_id,
        "run_dir": str(made.folder),
        "status": "ok",
        "figures": [
            {"kind": kind, "name": plot.name, "files": [str(path) for path in plot.paths]}
            for kind, plots in made.drawn.items()
            for plot in plots
        ],
        "left_out": dict(made.left_out),
    }
