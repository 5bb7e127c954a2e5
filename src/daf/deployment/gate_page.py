"""The page of a gate: the verdict, and every comparison with its numbers."""

from daf.deployment.gate_analysis import GateRow, GateVerdict
from daf.deployment.gate_report import GateReport
from daf.render.pages.parts import Alert, Cell, Code, Column, Facts, RunPage, Section, Table, cell
from daf.render.text import bounds_text, duration
from daf.stats.sentences import counted, half_width, number

VERDICTS: dict[GateVerdict, tuple[str, str]] = {
    "holds": ("ok", "holds"),
    "worse": ("failed", "worse"),
    "open": ("open", "not shown"),
    "failed": ("failed", "failed"),
}
"""The look and the word of each verdict."""
READING = (
    ("Team", "alone: the candidate has every seat. 2+6: it has 2, and the policies of the pool share the other 6."),
    ("Return", "Mean return of the agents of the candidate, or of the reference in the same seats."),
    ("Difference", "Candidate less reference, paired by seed."),
    (
        "Interval",
        "Each bound is one-sided at alpha. A comparison holds if the lower bound is at least minus the margin; the "
        "gate passes if all hold, so that no correction for their number is needed.",
    ),
)


def page_of(report: GateReport) -> RunPage:
    """The page."""
    analysis = report.analysis
    run = report.run
    pool = ", ".join(name for name, _ in report.pool) or "none: only self-play was compared"
    return RunPage(
        report.title,
        f"{run.run_id} · {run.started_text} · {duration(run.seconds)}",
        chips=[counted(len(analysis.rows), "comparison"), counted(len(report.result.records), "episode")],
        alerts=[Alert(note) for note in report.notes],
        finding=analysis.sentence(),
        sections=[
            Section("comparisons", "Comparisons", [Table(_columns(), [_cells(row) for row in analysis.rows])]),
            Section(
                "configuration",
                "Configuration",
                [
                    Facts([
                        ("Candidate", analysis.candidate),
                        ("Reference", analysis.reference),
                        ("Pool", pool),
                        ("Margin", f"{analysis.margin:g}"),
                        ("Alpha, one-sided", f"{analysis.alpha:g}"),
                        ("Seed", str(report.result.plan.seed)),
                    ]),
                    Code(run.command),
                ],
            ),
        ],
        reading=READING,
    )  # fmt: skip


def _columns() -> list[Column]:
    numbers = ("Seeds", "Candidate", "Reference", "Difference", "Interval")
    return [Column("Mission"), Column("Team"), Column("Verdict"), *(Column(name, number=True) for name in numbers)]


def _cells(row: GateRow) -> list[Cell]:
    tag, word = VERDICTS[row.verdict]
    half = half_width(row.ci)
    values = [None if v is None else number(v, half) for v in (row.candidate, row.reference, row.difference)]
    return [
        cell(row.mission), cell(row.label), cell(word, tag=tag), cell(row.n), *(cell(value) for value in values),
        cell(None if row.ci is None else bounds_text(row.ci)),
    ]  # fmt: skip
