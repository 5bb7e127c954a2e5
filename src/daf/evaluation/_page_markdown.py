"""The findings of a report as Markdown (REPORT.md), for a terminal, a pull request or a chat.

It contains failures, finding, ranking, verdicts and how to reproduce them; the episodes are in the HTML report and in
the tables of the run. Names are escaped, so that none can become markup.
"""

from collections.abc import Sequence

from daf.evaluation._page_data import EvaluationReport
from daf.evaluation._page_rows import names_of
from daf.evaluation.findings import failure_groups, headline
from daf.render.pages.markdown import table
from daf.render.text import duration, estimates, same_decimals
from daf.stats.sentences import half_width, labels
from daf.stats.summaries import PolicySummary
from daf.storage.printable import markdown_code, markdown_text


def render_markdown(report: EvaluationReport) -> str:
    """Render `report` without its single episodes as GitHub-flavoured Markdown."""
    parts = [
        f"# {markdown_text(report.title)}",
        markdown_text(f"Run {report.run_id}, {report.started}, {duration(report.seconds)}."),
    ]
    groups = failure_groups(report.episodes)
    if report.notes:
        parts.append("\n".join(f"- **Note:** {markdown_text(note)}" for note in report.notes))
    if groups:
        names = names_of(report).contenders
        parts.append("## Failures")
        parts.append(
            "\n".join(
                f"- {markdown_text(f'{names[group.contender]}: {group.kind}: {group.message}')} "
                f"({len(group.episodes)}; seeds {markdown_text(group.seeds)})"
                for group in groups
            )
        )
    parts += ["## Finding", markdown_text(headline(report))]
    if report.ranking:
        parts += ["## Ranking", _ranking(report.ranking, report)]
    overall = [pair for pair in report.pairs if pair.stratum is None]
    if overall:
        parts += ["## Pairwise comparisons", "\n".join(f"- {markdown_text(pair.sentence)}" for pair in overall)]
    if len(report.by_mission) > 1:
        shown = labels(list(report.by_mission))
        for label, summaries in zip(shown, report.by_mission.values(), strict=True):
            parts += [f"## On {markdown_text(label)}", _ranking(summaries, report)]
    parts += ["## Reproduce", markdown_code(report.command)]
    parts.append(table(("setting", "value"), [(key, str(value)) for key, value in report.settings.items()], "ll"))
    parts.append(table(("version", "value"), list(report.environment.items()), "ll"))
    return "\n\n".join(part for part in parts if part) + "\n"


def _ranking(summaries: Sequence[PolicySummary], report: EvaluationReport) -> str:
    level = f"{100 * (1 - report.alpha):g} %"
    means, around = estimates([row.mean for row in summaries], [row.ci for row in summaries])
    middles = same_decimals([row.iqm for row in summaries], [half_width(row.iqm_ci) for row in summaries])
    return table(
        ("rank", "policy", "mean", level, "IQM", "blocks", "beware"),
        [
            (str(row.rank), row.name, mean, ci, middle, str(row.n), row.caveat)
            for row, mean, ci, middle in zip(summaries, means, around, middles, strict=True)
        ],
        "rlrrrrl",
    )
