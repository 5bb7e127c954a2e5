"""The criterion of success on a mission: one or more comparisons of metrics, all of which must hold.

    game.cogs/aligned.junction.gained >= 2     reward > 0.5 and agent.death@sum < 1

If nobody states a criterion, it follows from the mission's reward: its goal, its junctions, or the counter with the
largest positive term, at least once. Gear, hearts and visited cells are means to an end: they count only if nothing
else is rewarded. A mission without rewards has no criterion.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from daf.episodes.metrics_values import Metric, parse, select, value
from daf.episodes.record import EpisodeRecord
from daf.errors import MetricError, UsageError
from daf.game import mission_facts
from daf.game.mission import Mission

_OPERATORS = (">=", "<=", "==", ">", "<")
_TERM = re.compile(r"\s*(?P<metric>[^\s<>=]+)\s*(?P<operator>>=|<=|==|=|>|<)\s*(?P<bound>\S+)\s*")


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison."""

    metric: Metric
    operator: str
    bound: float

    def holds(self, found: float) -> bool:
        """Whether `found` fulfils it."""
        match self.operator:
            case ">=":
                return found >= self.bound
            case "<=":
                return found <= self.bound
            case ">":
                return found > self.bound
            case "<":
                return found < self.bound
            case _:
                return found == self.bound

    def part(self, found: float) -> float:
        """The share of it that is reached, 0 to 1: `found` against a positive bound from below, else all or nothing."""
        if self.holds(found):
            return 1.0
        if self.operator in (">=", ">") and self.bound > 0:
            return min(max(found / self.bound, 0.0), 1.0)
        return 0.0


@dataclass(frozen=True, slots=True)
class Criterion:
    """When an episode is a success. text: as it was stated. stated: by the user, not derived from the reward."""

    text: str
    terms: tuple[Term, ...]
    stated: bool

    def fulfilled(self, record: EpisodeRecord) -> bool:
        """Whether the episode is a success. Raises `DataError` for a metric that is not a number."""
        return all(term.holds(value(record, term.metric)) for term in self.terms)

    def completion(self, record: EpisodeRecord) -> float:
        """The share of the criterion that the episode reached, 0 to 1: of its least reached term."""
        return min(term.part(value(record, term.metric)) for term in self.terms)


def criterion(text: str, *, stated: bool = True) -> Criterion:
    """Parse a criterion from `text`. Raises `UsageError` if it does not parse, `MetricError` for an unknown
    metric.
    """
    terms = []
    for part in re.split(r"\s+and\s+", text.strip()):
        found = _TERM.fullmatch(part)
        if found is None or found["operator"] == "=":
            raise UsageError(
                f'"{part}" is not a condition. Write METRIC {"|".join(_OPERATORS)} NUMBER, joined by "and", as in '
                '--success "reward > 0.5 and agent.death@sum < 1".'
            )
        try:
            bound = float(found["bound"])
        except ValueError:
            raise UsageError(f'"{part}": the bound must be a number, got {found["bound"]}.') from None
        if not math.isfinite(bound):
            raise UsageError(f'"{part}": the bound must be finite, got {found["bound"]}.')
        metric = parse(found["metric"])
        if any(character in metric.base for character in "*?["):
            raise MetricError(f'"{part}": a condition needs a single metric, not a wildcard.')
        terms.append(Term(metric, found["operator"], bound))
    return Criterion(" and ".join(f"{t.metric.name} {t.operator} {t.bound:g}" for t in terms), tuple(terms), stated)


def check(found: Criterion, mission: str, names: Sequence[str]) -> None:
    """Raise `MetricError` with the nearest names if the mission never counts a metric of the criterion."""
    for term in found.terms:
        select([term.metric.name], {mission: names})


def default_criterion(mission: Mission) -> Criterion | None:
    """The criterion that the mission's reward implies; None without a reward."""
    terms = mission_facts.reward_terms(mission)
    if any(term.teams for term in terms):
        return criterion("agent.junction.aligned_by_agent@sum >= 1", stated=False)
    paying = [term for term in terms if term.weight is None or term.weight > 0]
    if not paying:
        return None
    means = tuple(f"{item}." for item in (*mission_facts.roles(mission), "heart", "cell"))
    ends = [term for term in paying if not all(name.startswith(means) for _, name in term.stats)]
    best = max(ends or paying, key=lambda term: term.weight or 0.0)
    if len(best.stats) == 1:
        scope, name = best.stats[0]
        what = f"agent.{name}@sum" if scope == "agent" else f"game.{name}"
        return criterion(f"{what} >= 1", stated=False)
    return criterion("reward > 0", stated=False)
