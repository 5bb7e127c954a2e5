"""Verdicts of a group-sequential comparison, in the form that every comparison has.

The same list and sentences as `daf.stats.verdicts`. `p` is the stage-wise p value of the pair alone within its part of
alpha; `p_adjusted` that of the closed test, scaled to the alpha of all comparisons together, so that a verdict is
"better" or "worse" exactly where it is at most alpha. Each verdict rests on the blocks up to the look that settled it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daf.stats.arrays import FloatArray, IntArray
from daf.stats.effect import paired_measures
from daf.stats.group_sequential import Comparisons, End, GroupSequential, Scope
from daf.stats.pair_verdict import PairVerdict, Verdict
from daf.stats.permutation import smallest_p
from daf.stats.repeated_intervals import estimates
from daf.stats.sentences import labels
from daf.stats.shapes import caveat_for_differences
from daf.stats.signed_sums import student
from daf.stats.verdicts import where_of

INCLUDES_ZERO = (
    "The interval includes 0 although the test rejects it: intervals use the boundary of all pairs together, the test "
    "that of the pairs which are still open."
)


@dataclass(frozen=True)
class SequentialVerdict:
    """A verdict with what only a sequential comparison knows. look: the number of the look that settled it, from 1;
    None for one that is not settled.
    """

    verdict: PairVerdict
    median_unbiased: float | None
    look: int | None


@dataclass(frozen=True)
class Look:
    """One look of a family. blocks: per mission. information: complete blocks as a share of the maximum. spent: part of
    alpha so far. boundary: |t| of the pairs still open; None where nothing could be rejected. open: undecided pairs
    after it. conditional_power: greatest chance of any of them to be settled by the maximum; None where nobody asks.
    """

    blocks: int
    information: float
    spent: float
    boundary: float | None
    open: int
    conditional_power: float | None


@dataclass(frozen=True)
class FamilyLooks:
    """The looks of the comparisons of one mission, or over all. end: why it ended; None if the run ended before."""

    where: str
    alpha: float
    end: End | None
    looks: tuple[Look, ...]


def group_verdicts(
    test: GroupSequential,
    pairs: Sequence[tuple[int, int]],
    names: Sequence[str],
    stratum_names: Sequence[str],
    *,
    unit: str = "reward per agent",
) -> list[SequentialVerdict]:
    """Every pair over all missions, then on each. names: of the policies; stratum_names: of the missions."""
    several = len(test.missions) > 1
    missions = list(range(len(test.missions)))
    scopes: list[Scope] = [None, *missions]
    policy_labels, stratum_labels = labels(names), labels(stratum_names)
    estimated = {scope: estimates(test, scope) for scope in test.families}
    found = []
    for scope in scopes:
        at = scope if several or scope is not None else 0
        for index, (a, b) in enumerate(pairs):
            verdict, look = _verdict(
                test, at, index, named=(a, b, policy_labels[a], policy_labels[b]), shown=scope,
                where=where_of(scope, missions, stratum_labels),
                stratum_name=None if scope is None else stratum_labels[scope], ci=estimated[at][index].ci, unit=unit,
            )  # fmt: skip
            found.append(SequentialVerdict(verdict, estimated[at][index].median_unbiased, look))
    return found


def family_looks(test: GroupSequential, stratum_names: Sequence[str]) -> list[FamilyLooks]:
    """The course of every family."""
    missions = list(range(len(test.missions)))
    stratum_labels = labels(stratum_names)
    found = []
    for scope, family in test.families.items():
        looks = []
        for look, spent in enumerate(family.different.spent):
            boundary = family.different.shown[look]
            rejected = [pair for pair, when in family.different.rejected.items() if when <= look]
            equal = [pair for pair, when in family.equal.items() if when <= look and pair not in rejected]
            looks.append(
                Look(
                    blocks=test.design.looks[look],
                    information=family.information[look],
                    spent=spent,
                    boundary=float(student(boundary)) if 0.0 <= boundary < 1.0 else None,
                    open=test.pairs - len(rejected) - len(equal),
                    conditional_power=family.conditional_power[look],
                )
            )
        where = where_of(scope, missions, stratum_labels)
        found.append(FamilyLooks(where, family.different.alpha, family.end, tuple(looks)))
    return found


def _verdict(
    test: GroupSequential,
    scope: Scope,
    index: int,
    *,
    named: tuple[int, int, str, str],
    shown: Scope,
    where: str,
    stratum_name: str | None,
    ci: tuple[float, float] | None,
    unit: str,
) -> tuple[PairVerdict, int | None]:
    family, design = test.families[scope], test.design
    settled = family.different.rejected.get(index, family.equal.get(index))
    looks = (family.different.looks if settled is None else settled + 1) if family.different.looks else 0
    blocks, groups = _played(test, scope, index, looks)
    level = family.different.alpha
    difference = _mean(blocks, groups)
    verdict = _kind(family, index, blocks, difference)
    caveat = caveat_for_differences(blocks) if blocks.size else ""
    if verdict in ("better", "worse") and ci is not None and ci[0] <= 0.0 <= ci[1]:
        caveat = f"{caveat} {INCLUDES_ZERO}".strip()
    scale = design.alpha / level
    return PairVerdict(
        a=named[0],
        b=named[1],
        name_a=named[2],
        name_b=named[3],
        stratum=shown,
        stratum_name=stratum_name,
        where=where,
        **paired_measures(blocks, groups, alpha=design.alpha),
        difference=difference,
        ci=ci,
        p=family.different.p(index) if blocks.size else 1.0,
        p_adjusted=min(1.0, scale * family.different.p_adjusted(index)) if blocks.size else 1.0,
        p_equal=_p_equal(family, index, scale, blocks.size),
        verdict=verdict,
        caveat=caveat,
        alpha=design.alpha,
        margin=design.margin,
        unit=unit,
        family=test.pairs * len(test.families),
        share=level / design.alpha,
    ), None if settled is None else settled + 1


def _kind(family: Comparisons, index: int, blocks: FloatArray, difference: float) -> Verdict:
    if index in family.different.rejected:
        return "better" if difference > 0 else "worse"
    if index in family.equal:
        return "equal"
    if not blocks.size:
        return "too few"
    if not blocks.any():
        return "identical"
    return "too few" if smallest_p(blocks.size) > family.different.alpha else "undecided"


def _p_equal(family: Comparisons, index: int, scale: float, blocks: int) -> float | None:
    if family.similar is None:
        return None
    if not blocks:
        return 1.0
    sides = (index, index + len(family.similar.current) // 2)
    return min(1.0, scale * max(family.similar.p_adjusted(side) for side in sides))


def _played(test: GroupSequential, scope: Scope, index: int, looks: int) -> tuple[FloatArray, IntArray]:
    """The differences of one pair up to a look, and the mission of each."""
    missions = [scope] if scope is not None else list(range(len(test.missions)))
    parts = [np.concatenate([np.empty(0), *(d[index] for _, d in test.blocks[m][:looks])]) for m in missions]
    parts = [part[~np.isnan(part)] for part in parts]
    if not all(part.size for part in parts):
        return np.empty(0), np.empty(0, dtype=np.int64)
    return np.concatenate(parts), np.repeat(np.arange(len(parts)), [part.size for part in parts])


def _mean(blocks: FloatArray, groups: IntArray) -> float:
    """Every mission counts the same."""
    if not blocks.size:
        return 0.0
    return float(np.mean([blocks[groups == group].mean() for group in range(int(groups.max()) + 1)]))
