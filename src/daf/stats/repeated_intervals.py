"""Intervals and estimates after a group-sequential comparison.

The repeated confidence interval of a pair holds the differences δ that its test, repeated with δ taken off every block,
has not rejected at any look so far. Boundaries depend on |d - δ|, so those of all looks are recomputed at every δ;
the remaining values need not be connected, and the interval is their hull. It covers at every look together, and all
pairs of a family together: the boundaries are those of the whole family, without step-down. It may therefore hold 0
where the closed test rejects 0.

The median-unbiased estimate is the δ at which outcomes at least as favourable as the observed one have probability
one half, in the stage-wise ordering: stopping earlier above counts for more, stopping earlier below for less.

Source: Jennison and Turnbull, Group Sequential Methods, 2000, chapters 8 and 9.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from daf.stats.arrays import FloatArray
from daf.stats.group_sequential import Comparisons, GroupSequential, Scope
from daf.stats.sign_vectors import ENUMERATED, drawn, enumerated
from daf.stats.signed_sums import TIE
from daf.stats.spending import spent

VECTORS = 2_000
"""This number of sign vectors fixes the bounds of an interval to a few hundredths of its width."""
_PER_LEVEL = 20
"""More are used for a family with a small part of alpha: this number should be able to cross."""
_BEYOND = (1.1, 1.3, 1.7)
"""Distances, relative to the first rejected one, at which the hull is looked for."""
_FARTHEST = 200.0
"""In standard errors: where nothing is rejected up to there, the interval has no bound."""
_BISECTIONS = 9


@dataclass(frozen=True)
class SequentialEstimate:
    """Of one pair. ci: None while it has no bounds. median_unbiased: None without complete blocks."""

    ci: tuple[float, float] | None
    median_unbiased: float | None


def estimates(test: GroupSequential, scope: Scope) -> list[SequentialEstimate]:
    """Of every pair of one family, each after the look at which it was settled, else the last one."""
    family = test.families[scope]
    looks = family.different.looks
    if looks == 0:
        return [SequentialEstimate(None, None)] * test.pairs
    terms = _terms(test, scope, looks)
    statistics = np.stack([each.at(0.0)[1] for each in terms], axis=0)  # (pairs, looks, vectors)
    order = np.argmax(statistics, axis=0)
    largest = statistics.max(axis=0)
    second = np.partition(statistics, -2, axis=0)[-2] if test.pairs > 1 else np.zeros_like(largest)
    vectors = statistics.shape[2]
    level = family.different.alpha
    last = family.end is not None and looks == len(test.design.looks)
    shares = [*family.information[:-1], 1.0 if last else family.information[-1]]
    allowed = [int(spent(test.design.spending, level, min(s, 1.0)) * vectors * (1 + 1e-12)) for s in shares]
    found = []
    for pair, term in enumerate(terms):
        until = 1 + min(family.different.rejected.get(pair, looks - 1), family.equal.get(pair, looks - 1))
        others = np.where(order == pair, second, largest)[:until]
        found.append(_estimate(term.until(until), others, allowed[:until], family, pair))
    return found


@dataclass(frozen=True)
class _Terms:
    """The statistic of one pair as a function of a shift δ, for every look and vector: sums of the missions' means are
    linear in δ, variances quadratic. Rows are looks; a term without vectors has one column."""

    missions: int
    mean: tuple[FloatArray, FloatArray]
    spread: tuple[FloatArray, FloatArray, FloatArray]
    squares: tuple[FloatArray, FloatArray, FloatArray]
    complete: FloatArray

    def until(self, looks: int) -> "_Terms":
        def cut(parts: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
            return tuple(part[:looks] for part in parts)

        return _Terms(self.missions, cut(self.mean), cut(self.spread), cut(self.squares), self.complete[:looks])  # type: ignore[arg-type]

    def at(self, shift: float) -> tuple[FloatArray, FloatArray]:
        """(looks, vectors): the mean of the flipped differences from `shift`, and t² / (1 + t²)."""
        mean = self.mean[0] - shift * self.mean[1]
        return mean, self._score(mean, self._variance(shift))

    def moved(self, shift: float) -> FloatArray:
        """(looks, vectors): signed t² / (1 + t²) of the data as they could have been if the difference were `shift`."""
        mean = self.mean[0] - shift * self.mean[1] + self.missions * shift
        return np.sign(mean) * self._score(mean, self._variance(shift))

    def _variance(self, shift: float) -> FloatArray:
        quadratic = [a - 2.0 * shift * b + shift * shift * c for a, b, c in (self.squares, self.spread)]
        return np.maximum(quadratic[0] - quadratic[1], 0.0)

    def _score(self, mean: FloatArray, variance: FloatArray) -> FloatArray:
        score = mean * mean
        whole = score + variance
        return np.asarray(score / np.where(whole > 0.0, whole, 1.0) * self.complete)


def _terms(test: GroupSequential, scope: Scope, looks: int) -> list[_Terms]:
    """For every pair."""
    missions = [scope] if scope is not None else list(range(len(test.missions)))
    total = sum(len(blocks) for mission in missions for blocks, _ in test.blocks[mission][:looks])
    level = test.families[scope].different.alpha
    vectors = min(test.design.vectors, max(VECTORS, int(np.ceil(_PER_LEVEL / level))))
    every = iter(enumerated(total)) if total <= ENUMERATED else None
    width = 2**total if every is not None else vectors + 1
    shape = (test.pairs, looks, width)
    mean, spread, cross, ones, ones_squared = (np.zeros(shape) for _ in range(5))
    squares, plain, counts = (np.zeros((test.pairs, looks, 1)) for _ in range(3))
    complete = np.ones((test.pairs, looks, 1))
    for mission in missions:
        signed, signs = np.zeros((test.pairs, width)), np.zeros((test.pairs, width))
        n, q, d = (np.zeros((test.pairs, 1)) for _ in range(3))
        for look, (blocks, differences) in enumerate(test.blocks[mission][:looks]):
            new = drawn(blocks, vectors) if every is None else np.array([next(every) for _ in blocks])
            if blocks:
                here = ~np.isnan(differences)
                filled = np.where(here, differences, 0.0)
                signed += filled @ new
                signs += here @ new
                n, d = n + here.sum(axis=1, keepdims=True), d + filled.sum(axis=1, keepdims=True)
                q = q + (filled**2).sum(axis=1, keepdims=True)
            whole, free = np.maximum(n, 1.0), np.maximum(n - 1.0, 1.0)
            known = (n > 1) / (whole**2 * free)
            mean[:, look] += signed / whole
            ones[:, look] += signs / whole
            spread[:, look] += known * signed**2
            cross[:, look] += known * signed * signs
            ones_squared[:, look] += known * signs**2
            squares[:, look] += q / (whole * free)
            plain[:, look] += d / (whole * free)
            counts[:, look] += n / (whole * free)
            complete[:, look] *= n > 0
    return [
        _Terms(
            len(missions),
            (mean[pair], ones[pair]),
            (spread[pair], cross[pair], ones_squared[pair]),
            (squares[pair], plain[pair], counts[pair]),
            complete[pair],
        )
        for pair in range(test.pairs)
    ]


def _estimate(
    terms: _Terms, others: FloatArray, allowed: Sequence[int], family: Comparisons, pair: int
) -> SequentialEstimate:
    if not terms.complete[-1, 0]:
        return SequentialEstimate(None, None)
    centre = float(terms.mean[0][-1, 0]) / terms.missions
    error = float(np.sqrt(terms._variance(centre)[-1, 0])) / terms.missions
    if error <= 1e-12 * abs(centre) or error == 0.0:
        return SequentialEstimate(None, centre)

    def rejected(shift: float) -> bool:
        return _rejects(terms.at(shift)[1], others, allowed)

    low, high = (_edge(rejected, centre, side * error) for side in (-1.0, 1.0))
    bounded = low is not None and high is not None
    boundaries = [family.different.shown[look] for look in range(len(allowed) - 1)]
    middle = _median(terms, boundaries, centre, error)
    return SequentialEstimate((low, high) if bounded else None, middle)  # type: ignore[arg-type]


def _rejects(own: FloatArray, others: FloatArray, allowed: Sequence[int]) -> bool:
    """Whether the pair itself crosses the family's boundary at any look; (looks, vectors)."""
    values = np.maximum(own, others)
    crossed = np.zeros(values.shape[1], dtype=np.bool_)
    for look, most in enumerate(allowed):
        room = most - int(crossed.sum())
        if room <= 0:
            continue
        waiting = np.where(crossed, -1.0, values[look])
        place = waiting.size - room - 1
        if place < 0:
            continue
        boundary = float(np.partition(waiting, place)[place]) + TIE
        if own[look, 0] > boundary:
            return True
        crossed |= waiting > boundary
    return False


def _edge(rejected: Callable[[float], bool], centre: float, step: float) -> float | None:
    """The farthest shift from `centre` in the direction of `step` that is not rejected; None if there is no end."""
    inside, outside = 0.0, 2.0
    while not rejected(centre + outside * step):
        inside, outside = outside, 1.6 * outside
        if outside > _FARTHEST:
            return None
    for beyond in _BEYOND:
        if not rejected(centre + beyond * outside * step):
            inside, outside = beyond * outside, 1.6 * beyond * outside
            while not rejected(centre + outside * step):
                inside, outside = outside, 1.6 * outside
                if outside > _FARTHEST:
                    return None
            break
    for _ in range(_BISECTIONS):
        middle = (inside + outside) / 2
        if rejected(centre + middle * step):
            outside = middle
        else:
            inside = middle
    return centre + outside * step


def _median(terms: _Terms, boundaries: Sequence[float], centre: float, error: float) -> float:
    """The shift at which half of the vectors have an outcome at least as favourable as the observed one."""
    observed = float(terms.moved(0.0)[-1, 0])

    def favourable(shift: float) -> float:
        signed = terms.moved(shift)
        above, going = np.zeros(signed.shape[1], dtype=np.bool_), np.ones(signed.shape[1], dtype=np.bool_)
        for look, boundary in enumerate(boundaries):
            above |= going & (signed[look] > boundary + TIE)
            going &= np.abs(signed[look]) <= boundary + TIE
        ahead = going & (signed[-1] > observed + TIE)
        level = going & (np.abs(signed[-1] - observed) <= TIE)
        return float(np.mean(above | ahead) + 0.5 * np.mean(level))

    low, high = centre - 5.0 * error, centre + 5.0 * error
    for _ in range(14):
        middle = (low + high) / 2
        if favourable(middle) < 0.5:
            low = middle
        else:
            high = middle
    return (low + high) / 2
