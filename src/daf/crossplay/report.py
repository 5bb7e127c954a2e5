"""A cross-play as a page, as Markdown and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from daf.crossplay._words import amount, headline, pair_words, policy_words
from daf.crossplay.analysis import CrossplayAnalysis, Paired, PartnerReturn
from daf.render.figures.matrix import matrix_figure
from daf.render.svg.matrix import MatrixCell, matrix_svg
from daf.render.text import ABSENT, bounds_text, duration, estimates, printable
from daf.render.theme import save_figure, style, themed
from daf.stats.sentences import counted, half_width, labels, number, p_text

if TYPE_CHECKING:
    from daf.crossplay.result import CrossplayReport

_MARKS = {"more": "▲", "less": "▼", "same": "", "open": ""}
_KINDS = {"more": "decided", "less": "decided", "same": "equal", "open": "open"}


def view_of(report: "CrossplayReport") -> dict[str, object]:
    """The variables of `crossplay.html.j2`."""
    analysis = report.analysis
    names = labels(list(analysis.names))
    return {
        "title": printable(report.title),
        "run_id": report.run_id,
        "started": report.run.started_text,
        "duration": duration(report.seconds),
        "command": printable(report.run.command),
        "chips": [
            counted(len(names), "policy"),
            counted(analysis.n, "block"),
            counted(len(report.result.records), "episode"),
            f"{report.mixes} mixes",
        ],
        "notes": [printable(note) for note in report.notes],
        "failed": bool(report.result.failures),
        "headline": printable(headline(analysis)),
        "level": f"{100 * (1 - analysis.alpha):g} %",
        "alpha": analysis.alpha,
        "family": analysis.family,
        "n": counted(analysis.n, "block"),
        "matrix": matrix_svg(names, _cells(analysis), description="Own return of each policy with each partner"),
        "pairs": [
            {
                "sentence": printable(pair_words(analysis, pair)),
                "first": names[pair.first],
                "second": names[pair.second],
                "own_first": _own(analysis.cell(pair.first, pair.second)),
                "own_second": _own(analysis.cell(pair.second, pair.first)),
                "gain_first": _paired(analysis.cell(pair.first, pair.second).gain),
                "gain_second": _paired(analysis.cell(pair.second, pair.first).gain),
                "team": number(pair.team, half_width(pair.team_ci)),
                "team_ci": bounds_text(pair.team_ci),
                "apart": _paired(pair.apart),
                "relation": printable(pair.relation),
                "kind": "open" if pair.relation in ("no significant difference", "no change") else "decided",
            }
            for pair in analysis.pairs
        ],
        "policies": [
            {
                "sentence": printable(policy_words(analysis, row)),
                "name": names[row.policy],
                "slot": style(row.policy).slot,
                **dict(zip(("self", "self_ci", "cross", "cross_ci"), texts, strict=True)),
                "gap": _paired(row.gap),
                "best": names[row.best] + ("" if row.best_decided else " ?"),
            }
            for row, *texts in zip(analysis.policies, *_own_columns(analysis), strict=True)
        ],
        "mixes": [
            {
                "mission": printable(row.mission),
                "team": " + ".join(f"{count} {names[policy]}" for policy, count in enumerate(row.counts) if count),
                "value": number(row.team, half_width(row.ci)),
                "ci": bounds_text(row.ci),
                "own": ", ".join(
                    f"{names[policy]} {number(value, half_width(row.ci))}"
                    for policy, value in enumerate(row.own)
                    if value is not None
                ),
            }
            for row in analysis.mixes
        ],
        "ratings": [
            {
                "rank": row.rank,
                "name": printable(row.policy),
                "mu": f"{row.mu:.1f}",
                "sigma": f"{row.sigma:.1f}",
                "ordinal": f"{row.ordinal:.1f}",
                "matches": f"{row.matches:,}",
            }
            for row in report.ratings.rows
        ],
        "cycles": [printable(warning) for warning in report.ratings.warnings],
    }


def _own_columns(analysis: CrossplayAnalysis) -> Sequence[list[str]]:
    """The columns of self-play, of cross-play, and of the intervals of both."""
    rows = analysis.policies
    alone = estimates([row.self_play for row in rows], [row.self_ci for row in rows])
    return (*alone, *estimates([row.cross_play for row in rows], [row.cross_ci for row in rows]))


def _own(cell: PartnerReturn) -> str:
    return number(cell.own, half_width(cell.ci))


def _paired(value: Paired | None) -> dict[str, str]:
    if value is None:
        return {"text": ABSENT, "p": ABSENT, "kind": "open", "mark": ""}
    p = p_text(value.p_adjusted).removeprefix("p").removeprefix("=")
    return {"text": amount(value, signed=True), "p": p, "kind": _KINDS[value.change], "mark": _MARKS[value.change]}


def _cells(analysis: CrossplayAnalysis) -> list[list[MatrixCell]]:
    count = len(analysis.names)
    return [
        [
            MatrixCell(
                value=cell.own,
                text=_own(cell),
                below=bounds_text(cell.ci) if cell.ci else "",
                mark=_MARKS[cell.gain.change] if cell.gain else "",
            )
            for cell in (analysis.cell(i, j) for j in range(count))
        ]
        for i in range(count)
    ]


def markdown_of(report: "CrossplayReport") -> str:
    """The same findings as Markdown."""
    analysis = report.analysis
    names = labels(list(analysis.names))
    lines = [f"# {printable(report.title)}", "", printable(headline(analysis)), ""]
    lines += [f"> {printable(note)}\n" for note in report.notes]
    lines += ["| own return | " + " | ".join(f"with {name}" for name in names) + " |"]
    lines += ["| --- |" + " ---: |" * len(names)]
    for name, row in zip(names, _cells(analysis), strict=True):
        lines.append(f"| {name} | " + " | ".join(f"{cell.text} ({cell.below}) {cell.mark}" for cell in row) + " |")
    lines += ["", *(f"- {printable(pair_words(analysis, pair))}" for pair in analysis.pairs)]
    lines += [f"- {printable(policy_words(analysis, row))}" for row in analysis.policies]
    lines += ["", "| rank | policy | mu | sigma |", "| ---: | --- | ---: | ---: |"]
    lines += [
        f"| {row.rank} | {printable(row.policy)} | {row.mu:.1f} | {row.sigma:.1f} |" for row in report.ratings.rows
    ]
    lines += ["", f"Run {report.run_id}, {report.run.started_text}.", "", f"    {printable(report.run.command)}", ""]
    return "\n".join(lines)


def figure_of(report: "CrossplayReport", path: Path) -> Path:
    """Write the PNG of the matrix."""
    analysis = report.analysis
    level = f"{100 * (1 - analysis.alpha):g} %"
    names, rows = labels(list(analysis.names)), _cells(analysis)
    figure = matrix_figure(
        np.array([[cell.value for cell in row] for row in rows]),
        names,
        names,
        texts=[
            [f"{cell.text} {cell.mark}".strip() + (f"\n{cell.below}" if cell.below else "") for cell in row]
            for row in rows
        ],
        title=f"Own return per agent on {', '.join(printable(name) for name in analysis.missions)}",
        caption=f"{counted(analysis.n, 'block')}; {level} bootstrap intervals; "
        "▲ gain, ▼ loss compared with self-play (significant).",
        unit="own return per agent",
        row_label="policy",
        column_label="partner (diagonal: self-play)",
    )
    with themed():
        return save_figure(figure, path)
