"""Rows of a report's tables as text: display names, digits according to the interval, a dash for absent values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daf.evaluation._page_data import EpisodeRow, EvaluationReport
from daf.render.text import ABSENT, estimates, printable, same_decimals
from daf.render.theme import SeriesStyle, style
from daf.stats.pair_verdict import PairVerdict, Verdict
from daf.stats.sentences import half_width, labels, number, p_text
from daf.stats.summaries import PolicySummary

KINDS: Mapping[Verdict, str] = {"better": "decided", "worse": "decided", "equal": "equal", "identical": "equal"}


@dataclass(frozen=True)
class DisplayNames:
    """Display names of contenders and missions: the same label and colour everywhere in a report.

    contenders, missions: label by name. styles: by label, in plan order.
    """

    contenders: Mapping[str, str]
    missions: Mapping[str, str]
    styles: Mapping[str, SeriesStyle]

    def style(self, label: str) -> SeriesStyle:
        """The style of the contender with this label; an unknown one takes the next."""
        return self.styles.get(label) or style(len(self.styles))


def names_of(report: EvaluationReport) -> DisplayNames:
    """The names in plan order, then those that occur only in episodes or results."""
    contenders = _labelled([*report.contenders, *(episode.contender for episode in report.episodes)])
    missions = _labelled(
        [
            *(mission.name for mission in report.missions),
            *report.by_mission,
            *(episode.mission for episode in report.episodes),
        ]
    )
    shown = dict.fromkeys([*contenders.values(), *(summary.name for summary in report.ranking)])
    return DisplayNames(contenders, missions, {label: style(position) for position, label in enumerate(shown)})


def _labelled(names: Sequence[str]) -> dict[str, str]:
    distinct = list(dict.fromkeys(names))
    return dict(zip(distinct, labels(distinct), strict=True))


def summary_rows(summaries: Sequence[PolicySummary], names: DisplayNames) -> list[dict[str, object]]:
    """The rows of a ranking table; the numbers of a column have the same number of decimals."""
    means, around = estimates([row.mean for row in summaries], [row.ci for row in summaries])
    middles, around_middles = estimates([row.iqm for row in summaries], [row.iqm_ci for row in summaries])
    texts = zip(summaries, means, around, middles, around_middles, strict=True)
    return [_summary_row(names, *row) for row in texts]


def _summary_row(
    names: DisplayNames, summary: PolicySummary, mean: str, ci: str, iqm: str, iqm_ci: str
) -> dict[str, object]:
    return {
        "rank": summary.rank,
        "name": summary.name,
        "slot": names.style(summary.name).slot,
        "mean": mean,
        "ci": ci,
        "iqm": iqm,
        "iqm_ci": iqm_ci,
        "n": summary.n,
        "caveat": summary.caveat,
    }


def pair_rows(pairs: Sequence[PairVerdict]) -> list[dict[str, object]]:
    """The rows of a table of pairs, with their sentences; the numbers of a column have the same number of decimals."""
    texts = estimates([pair.difference for pair in pairs], [pair.ci for pair in pairs])
    return [_pair_row(*row) for row in zip(pairs, *texts, strict=True)]


def _pair_row(pair: PairVerdict, difference: str, ci: str) -> dict[str, object]:
    return {
        "sentence": pair.sentence,
        "caveat": pair.caveat,
        "verdict": pair.verdict,
        "kind": KINDS.get(pair.verdict, "open"),
        "first": pair.name_a,
        "second": pair.name_b,
        "difference": difference,
        "ci": ci,
        "p": p_text(pair.p).removeprefix("p").removeprefix("="),
        "p_adjusted": p_text(pair.p_adjusted).removeprefix("p").removeprefix("="),
        "effect": ABSENT if pair.effect_size is None else f"{pair.effect_size:.2f}",
        "improvement": f"{pair.prob_improvement:.0%}",
        "counts": f"{pair.wins} / {pair.ties} / {pair.losses}",
    }


def reward_decimals(episodes: Sequence[EpisodeRow]) -> dict[str, int]:
    """By mission, the number of decimals that shows the largest reward with four digits, for a uniform column."""
    largest: dict[str, float] = {}
    for episode in episodes:
        reach = abs(episode.reward_per_agent or 0.0)
        largest[episode.mission] = max(largest.get(episode.mission, 0.0), reach)
    return {
        mission: min(9, max(0, 3 - math.floor(math.log10(reach)))) if reach else 0 for mission, reach in largest.items()
    }


def episode_row(episode: EpisodeRow, names: DisplayNames, decimals: int) -> dict[str, object]:
    """A row of the table of all episodes; agents: the return of each agent, with its policy in a mixed team."""
    label = names.contenders[episode.contender]
    mixed = len(set(episode.assignment)) > 1
    return {
        "mission": names.missions[episode.mission],
        "index": episode.index,
        "seed": episode.seed,
        "contender": label,
        "slot": names.style(label).slot,
        "reward": "" if episode.reward_per_agent is None else f"{episode.reward_per_agent:.{decimals}f}",
        "steps": "" if episode.steps is None else f"{episode.steps:,}",
        "status": episode.status,
        "cached": episode.cached,
        "failure": printable(episode.failure.message) if episode.failure else "",
        "agents": [
            f"{reward:.4g}" + (f" (policy {episode.assignment[agent]})" if mixed else "")
            for agent, reward in enumerate(episode.rewards)
        ],
        "key": printable(episode.key),
        "replay": episode.replay,
        "player": episode.player,
    }


def mean_rows(report: EvaluationReport, names: DisplayNames) -> list[dict[str, object]]:
    """Means by mission, policies in ranked order; the highest of a mission is marked unless all are equal."""
    rows: list[dict[str, object]] = []
    for mission, summaries in report.by_mission.items():
        means = same_decimals([row.mean for row in summaries], [half_width(row.ci) for row in summaries])
        differ = len({row.rank for row in summaries}) > 1
        shown = {row.policy: (mean, differ and row.rank == 1) for row, mean in zip(summaries, means, strict=True)}
        cells = [shown.get(row.policy, ("", False)) for row in report.ranking]
        rows.append({"mission": names.missions[mission], "cells": cells})
    return rows


def lead_rows(report: EvaluationReport, names: DisplayNames) -> list[dict[str, object]]:
    """Row policy against column policy, in ranked order: the difference, and whether it is significant."""
    found: dict[tuple[int, int], tuple[str, str]] = {}
    for pair in report.pairs:
        if pair.stratum is None:
            half, kind = half_width(pair.ci), KINDS.get(pair.verdict, "open")
            for a, b, difference in ((pair.a, pair.b, pair.difference), (pair.b, pair.a, -pair.difference)):
                sign = "ahead" if difference > 0 else "behind"
                found[a, b] = (number(difference, half), sign if kind == "decided" else kind)
    order = [row.policy for row in report.ranking]
    return [
        {
            "rank": row.rank,
            "name": row.name,
            "slot": names.style(row.name).slot,
            "cells": [found.get((row.policy, other), ("", "self")) for other in order],
        }
        for row in report.ranking
    ]
