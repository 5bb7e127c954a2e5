"""One number per policy from mixed teams, and whether one number is enough.

Teams on the same block (mission, seed) are compared by score. What two teams have in common cancels: "2 of A, 2 of C"
against "2 of B, 2 of C" is a match of two A against two B. Ratings are openskill's Plackett-Luce (Weng and Lin, JMLR
12, 2011), in which a team's strength is the sum of its agents'. It learns match by match; the mean over several orders
removes most of the effect of the order.

Limits: `sigma` counts matches as independent, which those of one block are not, so it is too small. And if A beats B,
B beats C and C beats A, every rating is wrong about one of them; such cycles among significant pairs are found and
reported.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from daf.errors import DataError, UsageError
from daf.stats.arrays import check_alpha, generator
from daf.stats.multiple import holm

Block = Sequence[tuple[Mapping[str, int], float]]
"""Teams that played the same episode: agents of each policy, and the team's score."""

MOST_MATCHES = 4_000
"""Maximum matches in a single order; if there are more, this number is sampled."""


@dataclass(frozen=True)
class Rating:
    """A policy's rating. ordinal: mu - 3 sigma, openskill's cautious rank. matches: those that it played in."""

    policy: str
    rank: int
    mu: float
    sigma: float
    ordinal: float
    matches: int


@dataclass(frozen=True)
class Ratings:
    """Ratings, best first. cycles: policies each of which beats the next, the last the first. warnings: sentences."""

    rows: tuple[Rating, ...]
    cycles: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]


def daf_rate_policies(blocks: Sequence[Block], *, alpha: float = 0.05, orders: int = 10, seed: int = 0) -> Ratings:
    """Rate the policies in `blocks` by the teams that they were in.

    alpha: for the pairs that may form a cycle, all together (Holm, sign test over blocks). orders: random orders of the
    matches, averaged. Raises `DataError` if no two teams of a block differ, or a score is not finite.
    """
    check_alpha(alpha)
    if orders < 1:
        raise UsageError(f"orders must be at least 1, got {orders}.")
    policies = list(dict.fromkeys(policy for block in blocks for counts, _ in block for policy in counts))
    if any(not np.isfinite(score) for block in blocks for _, score in block):
        raise DataError("a team's score must be a finite number.")
    matches = [match for block in blocks for match in _matches(block)]
    if len(policies) < 2 or not matches:
        raise DataError("ratings need at least two policies and blocks in which teams differ.")
    draws = generator(seed, 77)
    mu, sigma = np.zeros(len(policies)), np.zeros(len(policies))
    for _ in range(orders):
        order = draws.permutation(len(matches))[:MOST_MATCHES]
        found = _rate(policies, [matches[index] for index in order])
        mu += [found[policy][0] for policy in policies]
        sigma += [found[policy][1] for policy in policies]
    mu, sigma = mu / orders, sigma / orders
    played = {policy: sum(policy in first or policy in second for first, second, _ in matches) for policy in policies}
    ranks = 1 + np.sum(mu[None, :] > mu[:, None], axis=1)
    rows = tuple(
        Rating(
            policy=policies[index],
            rank=int(ranks[index]),
            mu=float(mu[index]),
            sigma=float(sigma[index]),
            ordinal=float(mu[index] - 3 * sigma[index]),
            matches=played[policies[index]],
        )
        for index in np.argsort(-mu, kind="stable")
    )
    cycles = tuple(_cycles(policies, _beats(policies, blocks, alpha)))
    warnings = [
        f"{' beats '.join([*cycle, cycle[0]])}: the results are cyclic, so no rating orders these policies correctly. "
        "Compare each pair."
        for cycle in cycles
    ]
    return Ratings(rows, cycles, tuple(warnings))


_Match = tuple[dict[str, int], dict[str, int], float]
"""Agents on either side, and the first's score less the second's."""


def _matches(block: Block) -> Iterator[_Match]:
    for (first, score), (second, other) in combinations(block, 2):
        one = {policy: n - second.get(policy, 0) for policy, n in first.items() if n > second.get(policy, 0)}
        two = {policy: n - first.get(policy, 0) for policy, n in second.items() if n > first.get(policy, 0)}
        if one and two:
            yield one, two, score - other


def _rate(policies: Sequence[str], matches: Sequence[_Match]) -> dict[str, tuple[float, float]]:
    from openskill.models import PlackettLuce

    model = PlackettLuce()
    ratings = {policy: model.rating(name=policy) for policy in policies}
    for first, second, ahead in matches:
        teams = [[ratings[policy] for policy, n in side.items() for _ in range(n)] for side in (first, second)]
        ranks = [1.0, 1.0] if ahead == 0 else [1.0, 2.0] if ahead > 0 else [2.0, 1.0]
        for side, rated in zip((first, second), model.rate(teams, ranks=ranks), strict=True):
            first_agent = 0
            for policy, n in side.items():
                # Agents of one policy get the same update, so the first represents all.
                ratings[policy] = rated[first_agent]
                first_agent += n
    return {policy: (float(rating.mu), float(rating.sigma)) for policy, rating in ratings.items()}


def _beats(policies: Sequence[str], blocks: Sequence[Block], alpha: float) -> dict[str, set[str]]:
    """The policies that each policy beats in teams that differ only in these two: sign tests over blocks, Holm."""
    from scipy.stats import binomtest

    pairs: list[tuple[str, str]] = []
    p: list[float] = []
    ahead: list[bool] = []
    for a, b in combinations(policies, 2):
        signs = [_lead(block, a, b) for block in blocks]
        wins, losses = sum(sign > 0 for sign in signs), sum(sign < 0 for sign in signs)
        pairs.append((a, b))
        p.append(float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0)
        ahead.append(wins > losses)
    beats: dict[str, set[str]] = {policy: set() for policy in policies}
    for (a, b), adjusted, first in zip(pairs, holm(p), ahead, strict=True):
        if adjusted <= alpha:
            beats[a if first else b].add(b if first else a)
    return beats


def _lead(block: Block, a: str, b: str) -> float:
    """By how much `a` leads `b` in one block, summed over the matches in which only these two differ."""
    lead = 0.0
    for first, second, ahead in _matches(block):
        if first.keys() == {a} and second.keys() == {b}:
            lead += ahead
        elif first.keys() == {b} and second.keys() == {a}:
            lead -= ahead
    return lead


def _cycles(policies: Sequence[str], beats: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """A shortest cycle through each group of policies that beat one another in a circle."""
    found: list[tuple[str, ...]] = []
    reported: set[str] = set()
    for start in policies:
        if start in reported:
            continue
        paths: list[tuple[str, ...]] = [(start,)]
        seen = {start}
        cycle: tuple[str, ...] | None = None
        while paths and cycle is None:
            path = paths.pop(0)
            for following in sorted(beats[path[-1]]):
                if following == start:
                    cycle = path
                    break
                if following not in seen:
                    seen.add(following)
                    paths.append((*path, following))
        if cycle is not None:
            found.append(cycle)
            reported |= set(cycle)
    return found
