"""Analysis of a run's scores: rankings, paired verdicts, and notes for the reader."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from daf.episodes.blocks import Scores, scores_of
from daf.episodes.plan import merged_notes
from daf.episodes.run import RunResult
from daf.episodes.tables import stat_names
from daf.errors import unknown
from daf.playing.run import failure_notes
from daf.playing.settings import Settings
from daf.stats.group_verdicts import FamilyLooks
from daf.stats.pair_verdict import PairVerdict
from daf.stats.power import needed_notes
from daf.stats.profiles import Profile, profile
from daf.stats.sentences import counted
from daf.stats.summaries import PolicySummary, summarise
from daf.stats.verdicts import compare_pairs

THRESHOLDS = 51
"""Points of a performance profile."""


@dataclass(frozen=True)
class Analysis:
    """Conclusions from the scores.

    ranking: over all missions, best mean first; by_mission: the same for each mission. pairs: every pair overall, then
    on every mission (empty with fewer than two contenders). profiles: by mission, the rows in the order of the scores;
    empty with fewer than two contenders, and without missions on which all scores are equal. looks: of a comparison
    with planned looks, by family of comparisons. notes: what a reader must know about these numbers.
    """

    scores: Scores
    ranking: tuple[PolicySummary, ...]
    by_mission: Mapping[str, tuple[PolicySummary, ...]]
    pairs: tuple[PairVerdict, ...]
    notes: tuple[str, ...]
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    looks: tuple[FamilyLooks, ...] = ()


def analyse(result: RunResult, settings: Settings | None = None) -> Analysis:
    """Rank the contenders and compare every pair of them."""
    scores = scores_of(result)
    return analyse_scores(scores, settings or Settings(), _notes(result, scores))


def analyse_scores(scores: Scores, chosen: Settings, notes: Sequence[str] = ()) -> Analysis:
    """The same for scores from any source."""
    if not scores.scores.size:
        return Analysis(scores, (), {}, (), tuple(notes))
    summary_resamples = max(1_000, chosen.resamples // 2)
    ranking = summarise(
        scores.names, scores.scores, scores.strata, alpha=chosen.alpha, resamples=summary_resamples, seed=chosen.seed
    )
    by_mission = {}
    for index, mission in enumerate(scores.missions):
        columns = scores.strata == index
        by_mission[mission] = tuple(
            summarise(
                scores.names,
                scores.scores[:, columns],
                alpha=chosen.alpha,
                resamples=summary_resamples,
                seed=chosen.seed,
            )
        )
    pairs = compare_pairs(
        scores.names,
        scores.scores,
        scores.strata,
        scores.missions,
        alpha=chosen.alpha,
        seed=chosen.seed,
        resamples=chosen.resamples,
        margin=chosen.margin,
    )
    all_notes = (*notes, *needed_notes(pairs))
    return Analysis(scores, tuple(ranking), by_mission, tuple(pairs), all_notes, _profiles(scores, alpha=chosen.alpha))


def _profiles(scores: Scores, *, alpha: float) -> dict[str, Profile]:
    """Each mission has its own, because scores of different missions have no common scale."""
    found = {}
    for index, mission in enumerate(scores.missions):
        rows = scores.scores[:, scores.strata == index]
        low, high = float(rows.min()), float(rows.max())
        if len(rows) > 1 and low < high:
            found[mission] = profile(rows, thresholds=np.linspace(low, high, THRESHOLDS), alpha=alpha)
    return found


def _rescaled(result: RunResult) -> list[str]:
    """Notes on teams that play with other numbers of agents than in their name, because a mission has more or fewer."""
    notes = []
    for mission in result.plan.missions:
        for team in result.plan.contenders:
            if sum(team.counts) != mission.num_agents and (len(team.policies) > 1 or "=" in team.name):
                shares = [f"{c * mission.num_agents / sum(team.counts):g}" for c in team.counts]
                notes.append(
                    f"{mission.name} has {mission.num_agents} agents: {team.name} plays with {'+'.join(shares)} there."
                )
    return notes


def _never_sampled(result: RunResult) -> list[str]:
    """Notes on stats that were to be sampled over time but occur in no episode, most likely because of a wrong name."""
    series = next((record.spec.series for record in result.records if record.spec.series is not None), None)
    if series is None or not any(record.ok for record in result.records):
        return []
    agents, games = ({name for names in found.values() for name in names} for found in stat_names(result.records))
    notes = []
    for scope, asked, known in (("agent", series.agent, agents), ("game", series.game, games)):
        missing = [name for name in asked if name not in known]
        notes += [f"--series-stat {scope}.{name} never occurs: {unknown('stat', name, known)}" for name in missing]
    return notes


def _notes(result: RunResult, scores: Scores) -> list[str]:
    notes = [*merged_notes(result.plan), *_rescaled(result)]
    notes += failure_notes(result, scores.left_out if scores.names else 0)
    notes += [f"{name} finished no episode and is not ranked." for name in scores.absent]
    notes += _never_sampled(result)
    timed_out = sum(record.timed_out for record in result.records)
    if timed_out:
        notes.append(
            f"In {counted(timed_out, 'episode')}, actions timed out: results depend on the clock and are not cached."
        )
    if scores.scores.size and not scores.scores.any():
        notes.append("Every episode scored 0: these missions and step limits do not distinguish these policies.")
    return notes
