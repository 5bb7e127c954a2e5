"""Convert a report's values to the input of its template: printable names, numbers as text, figures drawn.

The template only arranges them. Content that would be too long (12 policies, 20 missions) is collapsed, and nothing is
left out except episodes beyond `MOST_EPISODES`.
"""

import json
from collections.abc import Sequence

from markupsafe import Markup

from daf.evaluation._page_data import EpisodeRow, EvaluationReport, PolicyRow
from daf.evaluation._page_rows import (
    DisplayNames,
    episode_row,
    lead_rows,
    mean_rows,
    names_of,
    pair_rows,
    reward_decimals,
    summary_rows,
)
from daf.evaluation.findings import failure_groups, headline
from daf.playing.recording import how_to_record
from daf.render.pages.parts import Plot, Plots
from daf.render.svg.curves import CurveSeries, curve_figure
from daf.render.svg.intervals import IntervalRow, cut_intervals, interval_figure, linked
from daf.render.text import duration, printable
from daf.stats.group_verdicts import FamilyLooks
from daf.stats.sentences import counted

MOST_SENTENCES = 15
"""With more pairs, a matrix is shown first and the sentences are collapsed."""
MOST_OPEN_MISSIONS = 4
MOST_BANDS = 5
"""With more policies, the bands of performance profiles would hide the curves; they are in results.json."""
MOST_EPISODES = 10_000
"""A page with more rows would be too large to open; it states the number of rows left out."""


def view_of(report: EvaluationReport) -> dict[str, object]:
    """The input of `evaluation.html.j2`."""
    names = names_of(report)
    level = f"{100 * (1 - report.alpha):g} %"
    decimals = reward_decimals(report.episodes)
    scored = list(report.by_mission)
    overall = pair_rows([pair for pair in report.pairs if pair.stratum is None])
    return {
        "title": printable(report.title),
        "report": report,
        "level": level,
        "duration": duration(report.seconds),
        "chips": _chips(report),
        "headline": headline(report),
        "notes": [printable(note) for note in report.notes],
        "groups": [
            {"group": group, "name": names.contenders[group.contender], "message": printable(group.message)}
            for group in failure_groups(report.episodes)
        ],
        "nothing_finished": all(episode.status == "failed" for episode in report.episodes),
        "intervals": any(row.ci for row in report.ranking),
        "few_blocks": any(row.method == "student" for row in report.ranking),
        "ranking": summary_rows(report.ranking, names),
        "ranking_figure": _ranking_figure(report, names, level),
        "pairs": overall,
        "pairs_folded": len(overall) > MOST_SENTENCES,
        "leads": lead_rows(report, names) if len(overall) > MOST_SENTENCES else [],
        "families": [family_view(family) for family in report.looks],
        "several_missions": len(scored) > 1,
        "missions_folded": len(scored) > MOST_OPEN_MISSIONS,
        "missions": [_mission(report, names, name, level) for name in scored],
        "profiles": _profiles(report, names),
        "profiles_have_bands": len(report.ranking) <= MOST_BANDS,
        "means": mean_rows(report, names) if len(scored) > 1 else [],
        "episodes": [episode_row(episode, names, decimals[episode.mission]) for episode in _listed(report.episodes)],
        "contender_labels": list(names.styles),
        "mission_labels": list(names.missions.values()),
        "replays": any(episode.replay for episode in report.episodes),
        "recording": _recording(report),
        "mission_rows": [
            {"row": row, "name": names.missions[row.name], "size": "×".join(map(str, row.map_size or ()))}
            for row in report.missions
        ],
        "policies": [_policy(row, names) for row in report.policies],
        "latencies": [{"row": row, "name": printable(row.policy)} for row in report.latencies],
        "settings": [(printable(name), _setting(value)) for name, value in report.settings.items()],
        "environment": [(printable(name), printable(value)) for name, value in report.environment.items()],
    }


_ENDS = {
    "decided": "every pair is settled",
    "futility": "no open pair was likely to be settled by the maximum",
    "maximum": "the maximum was reached",
    None: "the run ended before",
}


def family_view(family: FamilyLooks) -> dict[str, object]:
    """The looks of one family of comparisons as text."""
    return {
        "where": family.where,
        "alpha": f"{family.alpha:.3g}",
        "end": _ENDS[family.end],
        "looks": [
            {
                "blocks": look.blocks,
                "information": f"{look.information:.0%}",
                "spent": f"{look.spent:.2g}",
                "boundary": "–" if look.boundary is None else f"{look.boundary:.2f}",
                "open": look.open,
                "chance": "–" if look.conditional_power is None else f"{look.conditional_power:.0%}",
            }
            for look in family.looks
        ],
    }


def _recording(report: EvaluationReport) -> tuple[str, str] | None:
    """How to record the episodes without a replay; `None` if all have one, or the run is not known."""
    without = next((one for one in report.episodes if one.replay is None and one.status == "ok"), None)
    if without is None or not report.run_id:
        return None
    return how_to_record(report.command, team=without.contender, mission=without.mission, seed=without.seed)


def _listed(episodes: Sequence[EpisodeRow]) -> Sequence[EpisodeRow]:
    """The episodes of the table, in plan order: all, or the failed ones and the first others up to `MOST_EPISODES`."""
    if len(episodes) <= MOST_EPISODES:
        return episodes
    by_need = sorted(range(len(episodes)), key=lambda position: episodes[position].status != "failed")
    return [episodes[position] for position in sorted(by_need[:MOST_EPISODES])]


def _setting(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))


def _policy(row: PolicyRow, names: DisplayNames) -> dict[str, object]:
    return {
        "row": row,
        "contender": names.contenders.get(row.contender, printable(row.contender)),
        "name": printable(row.name),
        "class": printable(row.class_path),
        "data": printable(row.data_path or ""),
        "kwargs": json.dumps(dict(row.kwargs), default=str, ensure_ascii=False) if row.kwargs else "",
        "agents": "all" if row.agents is None else f"{row.agents:g}",
    }


def _chips(report: EvaluationReport) -> list[str]:
    counts = {"policy": len(report.contenders), "mission": len(report.missions), "episode": len(report.episodes)}
    chips = [counted(count, noun) for noun, count in counts.items() if count]  # 0: unknown, of returns added by hand
    cached = sum(episode.cached for episode in report.episodes)
    failed = sum(episode.status == "failed" for episode in report.episodes)
    return chips + [f"{cached:,} from cache"] * (cached > 0) + [f"{failed:,} failed"] * (failed > 0)


def _ranking_figure(report: EvaluationReport, names: DisplayNames, level: str) -> Markup | None:
    if not report.ranking:
        return None
    return interval_figure(
        [IntervalRow(row.name, names.style(row.name), row.mean, row.ci, row.iqm) for row in report.ranking],
        axis_title=f"mean return ({report.unit})",
        description=f"Mean return of each policy with its {level} interval",
    )


def _profiles(report: EvaluationReport, names: DisplayNames) -> Plots | None:
    """A figure per mission: for every score, the percentage of each policy's episodes above it."""
    plots = []
    several = len(report.profiles) > 1
    for mission, found in report.profiles.items():
        rows = sorted(report.by_mission[mission], key=lambda row: row.policy)
        bands = len(rows) <= MOST_BANDS
        series = [
            CurveSeries(
                row.name,
                names.style(row.name),
                found.thresholds.tolist(),
                (100 * found.share[row.policy]).tolist(),
                (100 * found.low[row.policy]).tolist() if bands else (),
                (100 * found.high[row.policy]).tolist() if bands else (),
                smooth=False,
            )
            for row in rows
        ]
        label = names.missions[mission]
        figure = curve_figure(
            series,
            x_title=f"score ({report.unit})",
            y_title="episodes above the score (%)",
            description=f"Performance profile of each policy on {label}",
            size="half" if several else "full",
            zero=True,
        )
        blocks = f"n = {rows[0].n} block" + "s" * (rows[0].n > 1)
        plots.append(Plot(label, figure.svg, blocks, "half" if several else "full"))
    return Plots(plots, linked=False) if plots else None


def _mission(report: EvaluationReport, names: DisplayNames, mission: str, level: str) -> dict[str, object]:
    label, summaries = names.missions[mission], report.by_mission[mission]
    points: dict[str, dict[int, float]] = {}
    for episode in report.episodes:
        if episode.mission == mission and episode.reward_per_agent is not None:
            points.setdefault(names.contenders[episode.contender], {})[episode.index] = episode.reward_per_agent
    rows = [
        IntervalRow(row.name, names.style(row.name), row.mean, row.ci, row.iqm, points.get(row.name, {}))
        for row in summaries
    ]
    planned = next((row for row in report.missions if row.name == mission), None)
    pairs = pair_rows([pair for pair in report.pairs if pair.stratum_name in (mission, label)])
    return {
        "name": label,
        "facts": f"{counted(planned.agents, 'agent')}, at most {planned.max_steps:,} steps" if planned else "",
        "summaries": summary_rows(summaries, names),
        "figure": interval_figure(
            rows,
            axis_title=f"return ({report.unit})",
            description=f"Returns of each policy on {label}, episode by episode, with means and {level} intervals",
        ),
        "linked": linked(rows),
        "cut": cut_intervals(rows) > 0,
        "pairs": pairs,
        "decided": [pair for pair in pairs if pair["kind"] == "decided"],
        "n": summaries[0].n if summaries else 0,
        "more": sum(len(row.points) for row in rows) > sum(row.n for row in summaries),
    }
