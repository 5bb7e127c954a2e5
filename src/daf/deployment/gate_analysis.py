"""Whether a candidate is worse than a reference by more than a margin, in any of the gate's teams.

Each mission and team is one comparison of the return of the seats that the candidate and the reference share, paired by
seed. It *holds* if the lower bound of the one-sided interval of candidate - reference is at least -margin. The gate
passes if every comparison holds. Since all must hold, each can use the whole alpha: the probability to pass a candidate
that is worse by more than the margin somewhere is at most alpha (an intersection-union test).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from daf.deployment.gate_teams import GateTeam
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult
from daf.errors import DataError, UsageError
from daf.stats.arrays import FloatArray
from daf.stats.change_effect import interval_of
from daf.stats.permutation import fewest_blocks, sign_flip
from daf.stats.power import MOST, needed
from daf.stats.sentences import amount_text, counted, half_width, number

GateVerdict = Literal["holds", "worse", "open", "failed"]


@dataclass(frozen=True, slots=True)
class GateRow:
    """A comparison. label: of the team. n: seeds that both finished; without any, the returns are None.

    candidate, reference: mean return of their agents. ci: two-sided at 2 alpha, so that each of its bounds is one-sided
    at alpha; None with too few seeds. failed: of the candidate's episodes. needed: seeds that would decide an open
    comparison with power 0.8 if the true difference is the observed one; None where it is not open, or no number would.
    """

    mission: str
    label: str
    n: int
    candidate: float | None
    reference: float | None
    difference: float | None
    ci: tuple[float, float] | None
    verdict: GateVerdict
    failed: int
    needed: int | None

    @property
    def low(self) -> float:
        """The lower bound; minus infinity without an interval."""
        return -math.inf if self.ci is None else self.ci[0]


@dataclass(frozen=True, slots=True)
class GateAnalysis:
    """All comparisons, by mission and team. left_out: seeds of a team that the reference did not finish."""

    candidate: str
    reference: str
    margin: float
    alpha: float
    rows: tuple[GateRow, ...]
    left_out: int

    @property
    def passed(self) -> bool:
        return all(row.verdict == "holds" for row in self.rows)

    def sentence(self) -> str:
        """The verdict, with the numbers of the comparisons that don't hold."""
        name, other, margin = self.candidate, self.reference, f"{self.margin:g}"
        if self.passed:
            worst = min(self.rows, key=lambda row: row.low)
            return (
                f"{name} is not worse than {other} by more than {margin} in any of {counted(len(self.rows), 'team')}; "
                f"the lowest bound is {number(worst.low, half_width(worst.ci))}, {worst.label} on {worst.mission}."
            )
        parts = []
        for verdict, start in (
            ("failed", f"{name} failed in episodes that {other} finished"),
            ("worse", f"{name} is worse than {other} by more than {margin}"),
            ("open", f"{name} may be worse than {other} by more than {margin}"),
        ):
            rows = [row for row in self.rows if row.verdict == verdict]
            if rows:
                parts.append(f"{start}: {'; '.join(_by_mission(rows))}.")
        return " ".join([*parts, *self._way_out()])

    def _way_out(self) -> list[str]:
        open_rows = [row for row in self.rows if row.verdict == "open"]
        if not open_rows or len(open_rows) < sum(row.verdict != "holds" for row in self.rows):
            return []
        numbers = [row.needed for row in open_rows]
        if None in numbers:
            return ["More seeds would not decide it if the difference is the one seen: allow a larger --margin."]
        most = max(count for count in numbers if count is not None)
        return [f"About {counted(most, 'seed')} would decide it (-e {most}), or a larger --margin."]


def least_seeds(alpha: float) -> int:
    """The fewest seeds with which a comparison can hold."""
    return fewest_blocks(2 * alpha)


def analyse_gate(
    result: RunResult,
    teams: Mapping[str, Sequence[tuple[GateTeam, str, str]]],
    names: tuple[str, str],
    *,
    margin: float,
    alpha: float,
    resamples: int,
    seed: int,
) -> GateAnalysis:
    """Analyse what was played.

    teams: by mission the team with the names of the contenders in which the candidate and the reference play it. names:
    of candidate and reference. Raises `DataError` for a team of which the reference finished no episode.
    """
    played: dict[tuple[str, str], dict[int, EpisodeRecord]] = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        contender = result.plan.contenders[planned.contender].name
        played.setdefault((record.spec.mission, contender), {})[planned.index] = record
    rows, left_out = [], 0
    for mission, there in teams.items():
        for team, ours, theirs in there:
            own, other = played[mission, ours], played[mission, theirs]
            finished = [index for index, record in sorted(other.items()) if record.ok]
            left_out += len(other) - len(finished)
            if not finished:
                raise DataError(
                    f"{names[1]} finished no episode on {mission} ({team.label}), so there is nothing to compare "
                    f"with: {_reason(other)}."
                )
            both = [index for index in finished if own[index].ok]
            pairs = np.array(
                [[own[index].reward_per_agent(0), other[index].reward_per_agent(0)] for index in both]
            ).reshape(-1, 2)
            failed = len(finished) - len(both)
            rows.append(
                compare_seats(
                    mission, team.label, pairs, failed, margin=margin, alpha=alpha, resamples=resamples, seed=seed
                )
            )
    return GateAnalysis(names[0], names[1], margin, alpha, tuple(rows), left_out)


def compare_seats(
    mission: str, label: str, pairs: FloatArray, failed: int, *, margin: float, alpha: float, resamples: int, seed: int
) -> GateRow:
    """One comparison. pairs: (n, 2) returns of candidate and reference by seed. failed: of the candidate's episodes."""
    if not len(pairs):
        return GateRow(mission, label, 0, None, None, None, None, "failed", failed, None)
    differences = pairs[:, 0] - pairs[:, 1]
    test = sign_flip(differences, alpha=2 * alpha, resamples=resamples, seed=seed)
    ci = interval_of(test)
    verdict: GateVerdict = "open"
    if failed:
        verdict = "failed"
    elif ci is not None and ci[0] >= -margin:
        verdict = "holds"
    elif ci is not None and ci[1] < -margin:
        verdict = "worse"
    candidate, reference = (float(mean) for mean in pairs.mean(axis=0))
    wanted = _needed(differences, margin, alpha) if verdict == "open" else None
    return GateRow(
        mission, label, len(pairs), candidate, reference, float(test.difference), ci, verdict, failed, wanted
    )


def _needed(differences: FloatArray, margin: float, alpha: float) -> int | None:
    lead = float(differences.mean()) + margin
    deviation = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    if not (lead > 0 and deviation > 0):
        return None
    found = needed(lead, deviation, alpha=2 * alpha, power=0.8).fixed
    return None if found is None or found > MOST else max(found, len(differences) + 1)


def check_gate(margin: float, alpha: float, episodes: int) -> None:
    """Raise `UsageError` for a gate that can't pass."""
    if not margin >= 0 or not np.isfinite(margin):
        raise UsageError(f"--margin must be 0 or more, got {margin:g}: the loss in return per agent that is accepted.")
    if not 0 < alpha < 0.5:
        raise UsageError(f"--alpha must be between 0 and 0.5 for a gate, got {alpha:g}.")
    least = least_seeds(alpha)
    if episodes < least:
        raise UsageError(
            f"{counted(episodes, 'seed')} can't show that a candidate is within the margin at alpha {alpha:g}: use "
            f"-e {least} or more."
        )


def _by_mission(rows: Sequence[GateRow]) -> list[str]:
    """ "on arena: alone -0.3 [-0.5, -0.1], 2+6 -0.2 [-0.4, 0.0] (20 seeds)"."""
    found = []
    for mission in dict.fromkeys(row.mission for row in rows):
        there = [row for row in rows if row.mission == mission]
        shown = ", ".join(f"{row.label} {_amount(row)}" for row in there)
        seeds = "" if there[0].failed else f" ({counted(min(row.n for row in there), 'seed')})"
        found.append(f"on {mission}: {shown}{seeds}")
    return found


def _amount(row: GateRow) -> str:
    if row.failed:
        return f"{row.failed} of {row.failed + row.n}"
    return "unknown" if row.difference is None else amount_text(row.difference, row.ci)


def _reason(records: Mapping[int, EpisodeRecord]) -> str:
    failure = next((record.failure for record in records.values() if record.failure is not None), None)
    return "none was played" if failure is None else failure.message.rstrip(".")
