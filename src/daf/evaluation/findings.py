"""The headline of a report, and its failures grouped by cause."""

from collections.abc import Sequence
from dataclasses import dataclass

from daf.evaluation._page_data import EpisodeRow, EvaluationReport
from daf.stats.pair_verdict import PairVerdict
from daf.stats.sentences import amount_text, counted, labels
from daf.stats.summaries import PolicySummary

MOST_NAMES = 6
LONGEST_TRACEBACK = 12_000
DECIDED = ("better", "worse")


@dataclass(frozen=True)
class FailureGroup:
    """Episodes of one contender that failed with the same message. traceback: of the first of them."""

    contender: str
    kind: str
    message: str
    traceback: str
    tracebacks: int
    episodes: tuple[EpisodeRow, ...]

    @property
    def seeds(self) -> str:
        """ "arena: 42, 43; machina_1: 42", with the first 12 seeds of a mission."""
        by_mission: dict[str, list[int]] = {}
        for episode in self.episodes:
            by_mission.setdefault(episode.mission, []).append(episode.seed)
        return "; ".join(
            f"{mission}: {', '.join(str(seed) for seed in seeds[:12])}"
            + (f" and {len(seeds) - 12} more" if len(seeds) > 12 else "")
            for mission, seeds in by_mission.items()
        )


def failure_groups(episodes: Sequence[EpisodeRow]) -> list[FailureGroup]:
    """The failed episodes by contender and message, the most frequent first."""
    found: dict[tuple[str, str, str], list[EpisodeRow]] = {}
    for episode in episodes:
        if episode.status == "failed":
            failure = episode.failure
            kind, message = (failure.kind, failure.message) if failure else ("unknown", "no reason recorded")
            key = (episode.contender, kind, message)
            found.setdefault(key, []).append(episode)
    groups = []
    for (contender, kind, message), members in sorted(found.items(), key=lambda item: -len(item[1])):
        traces = [episode.failure.traceback for episode in members if episode.failure]
        groups.append(
            FailureGroup(
                contender=contender,
                kind=kind,
                message=message,
                traceback=_cut(traces[0]) if traces else "",
                tracebacks=len(set(traces)),
                episodes=tuple(members),
            )
        )
    return groups


def _cut(text: str) -> str:
    left_out = len(text) - LONGEST_TRACEBACK
    if left_out <= 0:
        return text
    half = LONGEST_TRACEBACK // 2
    return f"{text[:half]}\n… {left_out:,} characters omitted …\n{text[-half:]}"


def headline(report: EvaluationReport) -> str:
    """The finding in one or two sentences that claim no more than the tests support."""
    if not report.episodes and not report.ranking:
        return "No episode was played."
    if report.episodes and not any(episode.status == "ok" for episode in report.episodes):
        return "No episode finished, so these policies have no score."
    if not report.ranking:
        return "No block was finished by every policy, so they cannot be compared."
    top = report.ranking[0]
    overall = [pair for pair in report.pairs if pair.stratum is None]
    where = _where(report)
    if len(report.ranking) == 1:
        return f"{top.name} scores {amount(top)} {report.unit} {where} ({counted(top.n, 'episode')})."
    if overall and all(pair.verdict == "identical" for pair in overall):
        episodes = "the one episode" if top.n == 1 else f"all {top.n} episodes"
        return f"All {len(report.ranking)} policies score exactly the same {where} in {episodes}."
    if len(report.ranking) == 2 and overall:
        return overall[0].sentence + _on_single_missions(report, top)
    first = [summary.name for summary in report.ranking if summary.rank == 1]
    lead = f"{top.name} ranks first" if len(first) == 1 else f"{_list(first)} share first place"
    against = _against(top, report.ranking, overall)
    return f"{lead} with {amount(top)} {report.unit} {where}. {against}".strip() + _on_single_missions(report, top)


def _on_single_missions(report: EvaluationReport, top: PolicySummary) -> str:
    """The number of significant comparisons on single missions, if one over all missions is undecided."""
    leads = [pair for pair in report.pairs if top.policy in (pair.a, pair.b)]
    single = [pair for pair in leads if pair.stratum is not None] if len(report.by_mission) > 1 else []
    decided = sum(pair.verdict in DECIDED for pair in single)
    if not decided or all(pair.verdict in DECIDED for pair in leads if pair.stratum is None):
        return ""
    are = "is" if decided == 1 else "are"
    return f" On single missions, {decided} of {top.name}'s {len(single)} comparisons {are} significant."


def amount(summary: PolicySummary) -> str:
    """ "1.30 [0.90, 1.71]", or the mean alone if it has no interval."""
    return amount_text(summary.mean, summary.ci)


def _where(report: EvaluationReport) -> str:
    scored = list(report.by_mission)
    if len(scored) == 1:
        return f"on {labels(scored)[0]}"
    return f"over {len(scored)} missions" if scored else "over all missions"


def _against(top: PolicySummary, ranking: Sequence[PolicySummary], overall: Sequence[PairVerdict]) -> str:
    names = {summary.policy: summary.name for summary in ranking}
    beaten, alike, few, open_ = [], [], [], []
    for pair in overall:
        if top.policy not in (pair.a, pair.b):
            continue
        other = names[pair.b if pair.a == top.policy else pair.a]
        if pair.verdict == ("better" if pair.a == top.policy else "worse"):
            beaten.append(other)
        elif pair.verdict in ("equal", "identical"):
            alike.append(other)
        elif pair.verdict == "too few":
            few.append(other)
        else:
            open_.append(other)
    others = len(ranking) - 1
    if len(beaten) == others:
        return f"{top.name} beats {'both' if others == 2 else f'all {others}'} others."
    sentences = [f"{top.name} beats {len(beaten)} of {others} others."] if beaten else []
    if alike:
        sentences.append(f"{top.name} is equal to {_list(alike)}.")
    if open_:
        sentences.append(f"{top.name} does not differ significantly from {_list(open_)}.")
    if few:
        sentences.append(f"There are too few episodes to compare {top.name} with {_list(few)}.")
    return " ".join(sentences)


def _list(names: Sequence[str]) -> str:
    if len(names) > MOST_NAMES:
        return f"{len(names)} policies"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
