"""`daf report`: a page about a run of any kind, and leaderboards of runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daf.cli._options import JsonOption, OutputDirOption, QuietOption
from daf.errors import UsageError, unknown

if TYPE_CHECKING:
    from daf.reporting import ReportFiles

FORMATS = ("page", "marl-eval")

app = typer.Typer(rich_markup_mode=None, add_completion=False, help="Write a page about a run of any kind.")

RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN...",
        help="Run id, a prefix of one, OPERATION/ID, latest, a run directory, a directory of logs, or a replay file.",
    ),
]
PdfOption = Annotated[bool, typer.Option("--pdf", help="Also write report.pdf; needs Chromium or Chrome.")]
BoardOption = Annotated[
    str | None,
    typer.Option("--leaderboard", metavar="FORMAT", help="Rank the runs' policies instead; markdown, json or html."),
]
ToOption = Annotated[
    Path | None, typer.Option("--to", help="File for the leaderboard or marl-eval's JSON (default: stdout).")
]
FormatOption = Annotated[
    str, typer.Option("--format", help="page, or marl-eval: training runs and evaluations as that tool reads them.")
]


@app.command()
def report(
    runs: RunsArgument = None,
    pdf: PdfOption = False,
    leaderboard: BoardOption = None,
    format_: FormatOption = "page",
    to: ToOption = None,
    output_dir: OutputDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the report of RUN (default: latest) into its directory: report.html, a single file, and REPORT.md.

    It works for evaluations, comparisons, scores, cross-plays, analyses, training, adaptive experiments, sweeps,
    pipelines, logs and replays, also while they run.

    \b
        daf report latest --pdf
        daf report training/20261120_101500
        daf report comparisons/2026 comparisons/20261120_09 --leaderboard markdown
        daf report training/20261120 evaluations/20261121 --format marl-eval --to marl.json
    """
    named = list(runs or ["latest"])
    if format_ not in FORMATS:
        raise UsageError(unknown("format of reports", format_, FORMATS))
    if format_ == "marl-eval":
        if pdf or leaderboard is not None:
            raise UsageError("--format marl-eval can't be combined with --pdf or --leaderboard.")
        _marl_eval(named, to, output_dir, as_json, quiet)
        return
    if leaderboard is not None:
        if pdf:
            raise UsageError("--pdf can't be combined with --leaderboard, which is written as markdown, json or html.")
        _board(named, leaderboard, to, output_dir, as_json, quiet)
        return
    if to is not None:
        raise UsageError("--to needs --leaderboard or --format marl-eval; a report is written into its run directory.")
    from daf.cli.show import emit, out
    from daf.reporting import daf_report

    reports = [daf_report(run, pdf=pdf, base_dir=output_dir) for run in named]
    written = list({files.html.resolve(): files for files in reports}.values())
    if as_json:
        data = [_data(files) for files in written]
        emit({"run_id": data[0]["run_id"], "run_dir": data[0]["run_dir"], "status": "ok", "reports": data})
        return
    for files in written:
        for path in files.written:
            out.print(str(path), markup=False, soft_wrap=True)
        if files.kept and not quiet:
            from daf.cli.show import err

            err.print(f"{files.html.name} is the page that the run wrote itself.", markup=False, soft_wrap=True)


def _marl_eval(runs: list[str], to: Path | None, output_dir: Path | None, as_json: bool, quiet: bool) -> None:
    import json

    from daf.cli.show import emit, out, raw, say
    from daf.reporting import daf_export_marl_eval

    file = daf_export_marl_eval(runs, to, base_dir=output_dir)
    if as_json:
        written = str(to.expanduser()) if to else None
        data = {"marl_eval": file.data, "notes": list(file.notes), "written": written}
        emit({"run_id": None, "run_dir": None, "status": "ok", **data})
        return
    if not quiet:
        for note in file.notes:
            say(f"Note: {note}")
    if to is None:
        raw(json.dumps(file.data, indent=1, ensure_ascii=False) + "\n")
    elif not quiet:
        out.print(str(to), markup=False, soft_wrap=True)


def _data(files: "ReportFiles") -> dict[str, object]:
    return {
        "run_id": files.run_id,
        "run_dir": str(files.run_dir),
        "kind": files.kind,
        "html": str(files.html),
        "markdown": str(files.markdown) if files.markdown else None,
        "pdf": str(files.pdf) if files.pdf else None,
        "kept": files.kept,
    }


def _board(runs: list[str], format_: str, to: Path | None, output_dir: Path | None, as_json: bool, quiet: bool) -> None:
    import json

    from daf.cli.show import emit, out, raw
    from daf.reporting import daf_generate_leaderboard

    text = daf_generate_leaderboard(runs, to, format_, base_dir=output_dir)  # type: ignore[arg-type]
    if as_json:
        board = json.loads(daf_generate_leaderboard(runs, format="json", base_dir=output_dir))
        written = str(to.expanduser()) if to else None
        emit({"run_id": None, "run_dir": None, "status": "ok", "leaderboard": board, "written": written})
    elif to is None:
        raw(text)
    elif not quiet:
        out.print(str(to), markup=False, soft_wrap=True)
