"""Paired verdicts that may be computed after every episode, for comparisons that run until they are decided.

The same list, family and sentences as `daf.stats.verdicts`, from e-processes instead of the sign-flip test: however
often one looks, and whenever each comparison stops, the probability that any "better" or "worse" is ever false is at
most alpha. `p` is 1 / e, valid at the moment it is read. The overall comparison proceeds by rounds, one block from
every mission.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from daf.errors import DataError
from daf.stats.arrays import FloatArray, IntArray, finite
from daf.stats.effect import paired_measures
from daf.stats.pair_verdict import PairVerdict, Verdict
from daf.stats.sentences import labels
from daf.stats.sequential import Standing, confidence, rounds, standings
from daf.stats.shapes import caveat_for_differences
from daf.stats.verdicts import family_shares, where_of

Key = tuple[int, int, int]
"""Policy a, policy b (a < b), mission."""

SETTLED: frozenset[Verdict] = frozenset({"better", "worse", "equal"})
"""Verdicts after which a comparison needs no more episodes."""


def verdicts_so_far(
    names: Sequence[str],
    differences: Mapping[Key, ArrayLike],
    stratum_names: Sequence[str],
    *,
    alpha: float = 0.05,
    margin: float | None = None,
    bounds: tuple[float, float] | None = None,
    unit: str = "reward per agent",
    earlier: Sequence[PairVerdict] = (),
) -> list[PairVerdict]:
    """Every pair in `differences`, over all its missions and on each, as far as it has been played.

    differences: (n_blocks,) scores of a minus scores of b per pair and mission, in the order of play, of any length.
    The keys are the family and must stay the same from look to look; a comparison not yet played has an empty array.
    margin, bounds: as in `standings`. earlier: what the last look gave; verdicts that were settled then are kept.
    Raises `DataError` for NaN, and for keys that name no policy or mission or miss a mission for a pair.
    """
    pairs, missions = _family(differences, len(names), len(stratum_names))
    rows: dict[Key, FloatArray] = {}
    for key, values in differences.items():
        array = np.asarray(values, dtype=np.float64).reshape(-1)
        rows[key] = finite(array, what=f"differences of {key}") if array.size else array
    several = len(missions) > 1
    tested: list[int | None] = [None, *missions] if several else [None]
    played = {(pair, scope): _played(rows, pair, scope, missions) for scope in tested for pair in pairs}
    shares = np.concatenate([family_shares(scope, len(pairs), len(missions)) for scope in tested])
    found = standings(
        [_sequence(*blocks) for blocks in played.values()], alpha=alpha, margin=margin, bounds=bounds, weights=shares
    )
    standing = dict(zip(played, zip(found, shares, strict=True), strict=True))
    kept = {(v.a, v.b, v.stratum): v for v in earlier if v.verdict in SETTLED}
    policy_labels, stratum_labels = labels(names), labels(stratum_names)
    result = []
    for scope in [None, *missions]:
        for pair in pairs:
            if (*pair, scope) in kept:
                result.append(kept[(*pair, scope)])
                continue
            at = (pair, scope if several else None)
            now, share = standing[at]
            result.append(
                _verdict(
                    now,
                    *played[at],
                    pair=pair,
                    names=(policy_labels[pair[0]], policy_labels[pair[1]]),
                    scope=scope,
                    stratum_name=None if scope is None else stratum_labels[scope],
                    where=where_of(scope, missions, stratum_labels),
                    alpha=alpha,
                    margin=margin,
                    bounds=bounds,
                    unit=unit,
                    family=shares.size,
                    share=float(share),
                )
            )
    return result


def _family(
    differences: Mapping[Key, ArrayLike], n_names: int, n_strata: int
) -> tuple[list[tuple[int, int]], list[int]]:
    pairs = sorted({(a, b) for a, b, _ in differences})
    missions = sorted({mission for _, _, mission in differences})
    for a, b, mission in differences:
        if not (0 <= a < b < n_names and 0 <= mission < n_strata):
            raise DataError(
                f"({a}, {b}, {mission}) must be a pair a < b of {n_names} policies on one of {n_strata} missions."
            )
    missing = [(*pair, mission) for pair in pairs for mission in missions if (*pair, mission) not in differences]
    if missing:
        raise DataError(f"no differences for {missing[0]}; a comparison not yet played has an empty array.")
    return pairs, missions


def _played(
    rows: Mapping[Key, FloatArray], pair: tuple[int, int], scope: int | None, missions: list[int]
) -> tuple[FloatArray, IntArray]:
    """The differences that count for one comparison, and the mission of each: for all missions, whole rounds only."""
    wanted = missions if scope is None else [scope]
    parts = [rows[(*pair, mission)] for mission in wanted]
    whole = min(part.size for part in parts)
    return np.concatenate([part[:whole] for part in parts]), np.repeat(np.array(wanted, dtype=np.int64), whole)


def _sequence(blocks: FloatArray, groups: IntArray) -> FloatArray:
    return rounds(blocks, groups) if blocks.size else blocks


def _verdict(
    now: Standing,
    blocks: FloatArray,
    groups: IntArray,
    *,
    pair: tuple[int, int],
    names: tuple[str, str],
    scope: int | None,
    stratum_name: str | None,
    where: str,
    alpha: float,
    margin: float | None,
    bounds: tuple[float, float] | None,
    unit: str,
    family: int,
    share: float,
) -> PairVerdict:
    verdict: Verdict = "undecided" if now.state == "open" else now.state
    if not blocks.size:
        verdict = "too few"
    elif not blocks.any() and not now.settled:
        verdict = "identical"
    return PairVerdict(
        a=pair[0],
        b=pair[1],
        name_a=names[0],
        name_b=names[1],
        stratum=scope,
        stratum_name=stratum_name,
        where=where,
        **paired_measures(blocks, groups, alpha=alpha),
        difference=now.difference,
        ci=confidence(_sequence(blocks, groups), alpha=alpha, bounds=bounds),
        p=_p(now.e),
        p_adjusted=_p(now.e_adjusted),
        p_equal=None if now.e_equal is None else _p(now.e_equal),
        verdict=verdict,
        caveat=caveat_for_differences(blocks) if blocks.size else "",
        alpha=alpha,
        margin=margin,
        unit=unit,
        family=family,
        share=share,
    )


def _p(e: float) -> float:
    return 1.0 if e <= 1.0 else 1.0 / e
