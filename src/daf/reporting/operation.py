"""`daf report`: one page about a run of any kind.

The page is derived from the files in the run directory, and can be deleted and rebuilt. Evaluations, scores and
cross-plays are analysed again from their records. If the page that a run itself wrote holds more than its files
(ablations, benchmarks, sequential comparisons), that page is kept.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from daf.errors import DataError
from daf.output_manager.kinds import Kind, kind_of, run_of
from daf.render.pages.files import HTML, SWEEP, Pages, pages_of, write_pages
from daf.render.pages.run_facts import RunFacts, facts_of
from daf.render.replays.players import recordings, write_players
from daf.reporting._files import ReportFiles
from daf.storage.containment import own

if TYPE_CHECKING:
    from daf.output_manager import RunInfo


def daf_report(run: str | Path, *, pdf: bool = False, base_dir: str | Path | None = None) -> ReportFiles:
    """Write `report.html` and `REPORT.md` of a run into its directory, and with `pdf` also `report.pdf`.

    The page of a sweep is its `sweep.html`.
    run: an id, a prefix of one, `OPERATION/ID`, "latest", a directory, or a replay file. base_dir: where runs are
    stored. Raises `UsageError` (no such run), `DataError` (nothing to report on), `StorageError`, and with pdf
    `EnvironmentCheckError` if there is no Chromium, before anything is written.
    """
    if pdf:
        from daf.reporting._pdf import find_chromium

        find_chromium()
    path = Path(run)
    if path.is_file():
        from daf.reporting._replay_page import write_replay_report

        return _printed(write_replay_report(path), pdf)
    info = run_of(run, base_dir)
    kind = kind_of(info.path)
    write_players(info.path, recordings(info.path))
    made = _pages(info, kind)
    html, markdown = write_pages(info.path, made, SWEEP if kind == "sweep" else HTML)
    files = ReportFiles(
        run_id=info.run_id,
        run_dir=info.path,
        kind=kind,
        html=html,
        markdown=markdown if markdown.is_file() else None,
        pdf=None,
        kept=made.html is None,
    )
    return _printed(files, pdf)


def report_html(run: "RunInfo") -> str:
    """The report of a run as one HTML page, without writing it.

    Raises `DataError` (nothing to report on), `StorageError`.
    """
    from daf.reporting._played_pages import own_text

    text = _pages(run, kind_of(run.path)).html
    if text is None:
        text = own_text(run.path)
    if text is None:
        raise DataError(f"{run.path} has no report.")
    return text


def _pages(info: "RunInfo", kind: Kind) -> Pages:
    """The report of a run of this kind, as text."""
    from daf.reporting import _played_pages as played_pages

    facts = facts_of(info)
    match kind:
        case "evaluation" | "comparison":
            return played_pages.evaluation(facts)
        case "score":
            return played_pages.score(facts)
        case "crossplay":
            return played_pages.crossplay(facts)
        case "ablation" | "benchmark" | "analysis" | "metrics" | "power" | "gate":
            return played_pages.own_page(facts)
        case "logs":
            from daf.reporting._logs_page import logs_report

            return logs_report(facts)
        case _:
            return _assembled(facts, kind)


def _assembled(facts: RunFacts, kind: Kind) -> Pages:
    match kind:
        case "training":
            from daf.core.recorded_training import read_training_run
            from daf.core.training_report.page import training_page

            page = training_page(read_training_run(facts.info.path), facts)
        case "sweep":
            from daf.sweeps.pages.sweep_page import sweep_page
            from daf.sweeps.result import SweepResult

            page = sweep_page(SweepResult.load(facts.info.path), facts)
        case "variants":
            from daf.sweeps.pages.variants_page import variants_page

            page = variants_page(facts)
        case "adaptive":
            from daf.core.adaptive.record import read
            from daf.reporting._adaptive_page import adaptive_page

            page = adaptive_page(read(facts.info.path), facts)
        case "pipeline":
            from daf.reporting._pipeline_page import pipeline_page

            page = pipeline_page(facts)
        case "tests":
            from daf.test_runner.report import TestReportGenerator

            page = TestReportGenerator(facts.info.path).page(facts)
        case "replays":
            from daf.reporting._replay_page import replays_page

            page = replays_page(facts)
        case _:
            from daf.reporting._plain_page import plain_page

            page = plain_page(facts)
    return pages_of(page)


def _printed(files: ReportFiles, pdf: bool) -> ReportFiles:
    if not pdf:
        return files
    from daf.reporting._pdf import print_pdf

    if not files.html.is_file():
        raise DataError(f"there is no {files.html} to print.")
    return replace(files, pdf=print_pdf(files.html, own(files.run_dir, files.html.with_suffix(".pdf").name)))
