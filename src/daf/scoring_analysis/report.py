"""A score as a page, as Markdown and as a figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import bounds_text, duration, estimates, printable
from daf.render.theme import save_figure, style, themed
from daf.scoring_analysis.vor import MissionScore, ScenarioScore, sentence
from daf.stats.sentences import counted, half_width, number, p_text

if TYPE_CHECKING:
    from daf.scoring_analysis.result import ScoreReport


def view_of(report: "ScoreReport") -> dict[str, object]:
    """The variables of `score.html.j2`."""
    analysis = report.analysis
    level = f"{100 * (1 - analysis.alpha):g} %"
    return {
        "title": printable(report.title),
        "run_id": report.run_id,
        "started": report.run.started_text,
        "duration": duration(report.seconds),
        "command": printable(report.run.command),
        "chips": [
            counted(analysis.n, "block"),
            counted(len(report.result.records), "episode"),
            *(["as cogames pickup"] if report.as_pickup else []),
        ],
        "notes": [printable(note) for note in report.notes],
        "failed": bool(report.result.failures),
        "headline": printable(sentence(analysis, report.candidate)),
        "caveat": analysis.caveat,
        "budget": analysis.budget.sentence if analysis.budget else "",
        "level": level,
        "candidate": printable(report.candidate),
        "pool": [printable(name) for name in report.pool],
        "overall": {
            "value": number(analysis.value, half_width(analysis.ci)),
            "ci": bounds_text(analysis.ci),
            "p": p_text(analysis.p).removeprefix("p").removeprefix("="),
        },
        "missions": [_mission(row, level) for row in _overall_rows(analysis.missions)],
        "overview": _overview(analysis.missions, level) if len(analysis.missions) > 1 else None,
    }


def _overall_rows(missions: Sequence[MissionScore]) -> list[tuple[MissionScore, tuple[str, ...]]]:
    """Each mission with its value and replacement, and their intervals; numbers of a column share their decimals."""
    values = estimates([score.value for score in missions], [score.value_ci for score in missions])
    replacements = estimates([score.replacement for score in missions], [score.replacement_ci for score in missions])
    return [(score, tuple(texts)) for score, *texts in zip(missions, *values, *replacements, strict=True)]


def _mission(row: tuple[MissionScore, tuple[str, ...]], level: str) -> dict[str, object]:
    score, texts = row
    rows = [
        {
            "label": scenario.label,
            "candidate": scenario.candidate,
            "pool": " / ".join(str(count) for count in scenario.pool),
            **dict(zip(("mean", "ci", "value", "value_ci"), texts, strict=True)),
        }
        for scenario, *texts in zip(score.scenarios, *scenario_columns(score.scenarios), strict=True)
    ]
    figure = interval_figure(
        [
            *(
                IntervalRow(f"{s.candidate} of {score.agents} agents", style(0), s.value, s.value_ci)
                for s in score.scenarios
                if s.value is not None
            ),
            IntervalRow("overall", style(1), score.value, score.value_ci),
        ],
        axis_title="value over replacement (reward per agent)",
        description=f"Value over replacement by number of agents, with {level} intervals",
    )
    return {
        "name": printable(score.mission),
        "agents": score.agents,
        "n": score.n,
        "seeds": counted(score.n, "seed"),
        **dict(zip(("value", "ci", "replacement", "replacement_ci"), texts, strict=True)),
        "caveat": score.caveat,
        "rows": rows,
        "figure": figure,
    }


def scenario_columns(scenarios: Sequence[ScenarioScore]) -> Sequence[list[str]]:
    """The columns of scores, of values over replacement, and of the intervals of both."""
    scores = estimates([one.mean for one in scenarios], [one.ci for one in scenarios])
    return (*scores, *estimates([one.value for one in scenarios], [one.value_ci for one in scenarios]))


def _overview(missions: Sequence[MissionScore], level: str) -> object:
    return interval_figure(
        [IntervalRow(printable(score.mission), style(1), score.value, score.value_ci) for score in missions],
        axis_title="value over replacement (reward per agent)",
        description=f"Value over replacement by mission, with {level} intervals",
    )


def markdown_of(report: "ScoreReport") -> str:
    """The same findings as Markdown."""
    analysis = report.analysis
    lines = [f"# {printable(report.title)}", "", printable(sentence(analysis, report.candidate)), ""]
    lines += [f"> {printable(note)}\n" for note in report.notes]
    if analysis.caveat:
        lines += [f"> {analysis.caveat}\n"]
    for score in analysis.missions:
        value = f"{number(score.value, half_width(score.value_ci))} ({bounds_text(score.value_ci)})"
        lines += [f"## {printable(score.mission)}", "", f"Overall VOR {value}; {counted(score.n, 'seed')}.", ""]
        lines += ["| scenario | score | interval | VOR | interval |", "| --- | ---: | ---: | ---: | ---: |"]
        for scenario, *texts in zip(score.scenarios, *scenario_columns(score.scenarios), strict=True):
            lines.append("| " + " | ".join([scenario.label, *texts]) + " |")
        lines.append("")
    if analysis.budget:
        lines += [analysis.budget.sentence, ""]
    lines += [f"Run {report.run_id}, {report.run.started_text}.", "", f"    {printable(report.run.command)}", ""]
    return "\n".join(lines)


def figure_of(report: "ScoreReport", path: Path) -> Path:
    """Write the PNG of value over replacement by number of agents, a line per mission."""
    from daf.render.figures.curves import Curve, CurvePanel, curves_figure

    names = [printable(score.mission) for score in report.analysis.missions]
    curves = []
    for place, (name, score) in enumerate(zip(names, report.analysis.missions, strict=True)):
        shift = 0.6 * (place - (len(names) - 1) / 2)  # so that intervals at the same share stand side by side
        known = [
            (100 * s.candidate / score.agents + shift, s.value, s.value_ci)
            for s in score.scenarios
            if s.value is not None
        ]
        curves.append(Curve(name, [x for x, _, _ in known], [value for _, value, _ in known], points=known))
    level = f"{100 * (1 - report.analysis.alpha):g} %"
    figure = curves_figure(
        [CurvePanel("Value over replacement", "reward per agent", curves, zero=True)],
        x_label="candidate's share of the team's agents (%)",
        title=f"{printable(report.candidate)} over {', '.join(printable(name) for name in report.pool)}",
        caption=f"{counted(report.analysis.n, 'block')}; bars: {level} intervals by the sign-flip test.",
        names=names,
        size=(8.0, 5.0),
    )
    with themed():
        return save_figure(figure, path)
