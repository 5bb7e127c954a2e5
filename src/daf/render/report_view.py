"""From a report's values to what its template prints: names printable, numbers as text, figures drawn.

The template only places things. Every name passes `labels` once, so that the same contender has the same label and the
same colour in every table and figure of the page.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from daf.render.findings import failure_groups, headline
from daf.render.interval_figure import IntervalRow, interval_figure, linked
from daf.render.report_data import EpisodeRow, EvaluationReport
from daf.render.theme import SeriesStyle, style
from daf.stats.sentences import labels, number, p_text
from daf.stats.summaries import PolicySummary
from daf.stats.verdicts import PairVerdict

EFFECT = {"better": "decided", "worse": "decided", "equal": "equal", "identical": "equal"}


@dataclass(frozen=True)
class Names:
    """Labels and styles of the contenders."""

    shown: Mapping[str, str]
    styles: Mapping[str, SeriesStyle]
    """By label."""

    def style(self, label: str) -> SeriesStyle:
        """The style of the contender with this label; one that is new takes the next."""
        return self.styles.get(label) or style(len(self.styles))


def names_of(report: EvaluationReport) -> Names:
    """The contenders in plan order, then those that only episodes or the ranking know."""
    names = list(dict.fromkeys([*report.contenders, *(episode.contender for episode in report.episodes)]))
    shown = labels(names)
    told = list(dict.fromkeys([*shown, *(summary.name for summary in report.ranking)]))
    return Names(
        shown=dict(zip(names, shown, strict=True)),
        styles={label: style(position) for position, label in enumerate(told)},
    )


def view_of(report: EvaluationReport) -> dict[str, object]:
    """All that `evaluation.html.j2` prints."""
    names = names_of(report)
    missions = _told_apart([mission.name for mission in report.missions])
    failed = [episode for episode in report.episodes if episode.status == "failed"]
    scored = list(report.by_mission)
    level = f"{100 * (1 - report.alpha):g} %"
    return {
        "title": printable(report.title),
        "report": report,
        "level": level,
        "duration": duration(report.seconds),
        "chips": _chips(report, len(failed)),
        "headline": headline(report),
        "notes": [printable(note) for note in report.notes],
        "failed": len(failed),
        "groups": [
            {"group": group, "name": names.shown[group.contender], "message": printable(group.message)}
            for group in failure_groups(report.episodes)
        ],
        "several_missions": len(scored) > 1,
        "ranking": [_summary(row, names) for row in report.ranking],
        "ranking_figure": _ranking_figure(report, names, level),
        "pairs": [_pair(pair) for pair in report.pairs if pair.stratum is None],
        "missions": [_mission(report, names, name, missions, level) for name in scored],
        "matrix": _matrix(report, names, missions) if len(scored) > 1 else None,
        "episodes": [_episode(episode, names, missions) for episode in report.episodes],
        "contender_labels": list(names.styles),
        "mission_labels": list(missions.values()),
        "mission_rows": [
            {"row": row, "name": missions[row.name], "size": "×".join(map(str, row.map_size or ()))}
            for row in report.missions
        ],
        "policies": [
            {
                "row": row,
                "contender": names.shown.get(row.contender, printable(row.contender)),
                "name": printable(row.name),
                "kwargs": json.dumps(dict(row.kwargs), default=str, ensure_ascii=False) if row.kwargs else "",
                "agents": "all" if row.agents is None else f"{row.agents:g}",
            }
            for row in report.policies
        ],
        "latencies": [
            {"name": printable(row.policy), "row": row, "slow": f"{row.slow:,}", "steps": f"{row.steps:,}"}
            for row in report.latencies
        ],
        "settings": [(name, _setting(value)) for name, value in report.settings.items()],
        "environment": [(name, printable(value)) for name, value in report.environment.items()],
        "replays": any(episode.replay for episode in report.episodes),
    }


def printable(text: str) -> str:
    """`text` on one line, with control characters and marks of direction written out."""
    return labels([text])[0] if text.strip() else ""


def duration(seconds: float) -> str:
    """ "0.8 s", "42 s", "3 min 5 s", "2 h 10 min"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _told_apart(names: Sequence[str]) -> dict[str, str]:
    distinct = list(dict.fromkeys(names))
    return dict(zip(distinct, labels(distinct), strict=True))


def _setting(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(str(value))


def _count(number_of: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number_of:,} {noun if number_of == 1 else plural}"


def _chips(report: EvaluationReport, failed: int) -> list[str]:
    cached = sum(episode.cached for episode in report.episodes)
    chips = [
        _count(len(report.contenders), "policy"),
        _count(len(report.missions), "mission"),
        _count(len(report.episodes), "episode"),
    ]
    if cached:
        chips.append(f"{cached:,} read from the cache")
    if failed:
        chips.append(f"{failed:,} failed")
    return chips


def _summary(summary: PolicySummary, names: Names) -> dict[str, object]:
    half = (summary.ci[1] - summary.ci[0]) / 2 if summary.ci else 0.0
    iqm_half = (summary.iqm_ci[1] - summary.iqm_ci[0]) / 2 if summary.iqm_ci else 0.0
    return {
        "rank": summary.rank,
        "name": summary.name,
        "slot": names.style(summary.name).slot,
        "mean": number(summary.mean, half),
        "ci": _bounds(summary.ci),
        "iqm": number(summary.iqm, iqm_half),
        "iqm_ci": _bounds(summary.iqm_ci),
        "n": summary.n,
        "caveat": summary.caveat,
        "method": summary.method or "",
    }


def _bounds(bounds: tuple[float, float] | None) -> str:
    if bounds is None:
        return "–"
    half = (bounds[1] - bounds[0]) / 2
    return f"{number(bounds[0], half)} to {number(bounds[1], half)}"


def _pair(pair: PairVerdict) -> dict[str, object]:
    half = (pair.ci[1] - pair.ci[0]) / 2 if pair.ci else 0.0
    return {
        "sentence": pair.sentence,
        "verdict": pair.verdict,
        "kind": EFFECT.get(pair.verdict, "open"),
        "names": (pair.name_a, pair.name_b),
        "difference": number(pair.difference, half),
        "ci": _bounds(pair.ci),
        "p": p_text(pair.p).removeprefix("p").removeprefix("="),
        "p_adjusted": p_text(pair.p_adjusted).removeprefix("p").removeprefix("="),
        "effect": "–" if pair.effect_size is None else f"{pair.effect_size:.2f}",
        "improvement": f"{pair.prob_improvement:.0%}",
        "counts": f"{pair.wins} / {pair.ties} / {pair.losses}",
        "n": pair.n,
        "sort": (pair.p_adjusted, pair.difference, pair.effect_size),
    }


def _ranking_figure(report: EvaluationReport, names: Names, level: str) -> Markup | None:
    if not report.ranking:
        return None
    rows = [IntervalRow(row.name, names.style(row.name), row.mean, row.ci, row.iqm) for row in report.ranking]
    return interval_figure(
        rows,
        axis_title=f"mean return ({report.unit})",
        description=f"Mean return of each policy with its {level} interval",
    )


def _mission(
    report: EvaluationReport, names: Names, mission: str, shown: Mapping[str, str], level: str
) -> dict[str, object]:
    summaries = report.by_mission[mission]
    label = shown.get(mission, printable(mission))
    points: dict[str, dict[int, float]] = {}
    for episode in report.episodes:
        if episode.mission == mission and episode.reward_per_agent is not None:
            points.setdefault(names.shown[episode.contender], {})[episode.index] = episode.reward_per_agent
    rows = [
        IntervalRow(row.name, names.style(row.name), row.mean, row.ci, row.iqm, points.get(row.name, {}))
        for row in summaries
    ]
    planned = next((row for row in report.missions if row.name == mission), None)
    pairs = [_pair(pair) for pair in report.pairs if pair.stratum_name in (mission, label) and pair.stratum is not None]
    return {
        "name": label,
        "facts": f"{planned.agents} agents, at most {planned.max_steps:,} steps" if planned else "",
        "summaries": [_summary(row, names) for row in summaries],
        "figure": interval_figure(
            rows,
            axis_title=f"return on {label} ({report.unit})",
            description=f"Returns of each policy on {label}, episode by episode, with means and {level} intervals",
        ),
        "linked": linked(rows),
        "pairs": sorted(pairs, key=lambda pair: pair["kind"] != "decided"),
        "decided": sum(pair["kind"] == "decided" for pair in pairs),
        "n": summaries[0].n if summaries else 0,
    }


def _matrix(report: EvaluationReport, names: Names, missions: Mapping[str, str]) -> dict[str, object]:
    """Means by mission, policies in ranked order; the highest of a mission is marked."""
    order = [(row.policy, row.name) for row in report.ranking]
    rows = []
    for mission, summaries in report.by_mission.items():
        by_policy = {row.policy: row for row in summaries}
        found = [by_policy.get(policy) for policy, _ in order]
        best = max((row.mean for row in summaries), default=0.0)
        worst = min((row.mean for row in summaries), default=0.0)
        cells = [
            ("–", 0.0, False)
            if row is None
            else (_summary(row, names)["mean"], row.mean, row.rank == 1 and best > worst)
            for row in found
        ]
        rows.append({"mission": missions.get(mission, printable(mission)), "cells": cells})
    return {"names": [(name, names.style(name).slot) for _, name in order], "rows": rows}


def _episode(episode: EpisodeRow, names: Names, missions: Mapping[str, str]) -> dict[str, object]:
    label = names.shown[episode.contender]
    mixed = len(set(episode.assignment)) > 1
    each = [
        f"{reward:.4g}" + (f" (policy {episode.assignment[agent]})" if mixed else "")
        for agent, reward in enumerate(episode.rewards)
    ]
    return {
        "mission": missions.get(episode.mission, printable(episode.mission)),
        "index": episode.index,
        "seed": episode.seed,
        "contender": label,
        "slot": names.style(label).slot,
        "reward": "–" if episode.reward_per_agent is None else f"{episode.reward_per_agent:.3f}",
        "value": "" if episode.reward_per_agent is None else repr(episode.reward_per_agent),
        "steps": "–" if episode.steps is None else f"{episode.steps:,}",
        "status": episode.status,
        "cached": episode.cached,
        "failure": printable(episode.failure.message) if episode.failure else "",
        "agents": each,
        "key": printable(episode.key),
        "replay": episode.replay,
    }
