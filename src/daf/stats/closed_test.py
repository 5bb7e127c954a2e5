"""One family of hypotheses over all looks: max-T boundaries from sign vectors, and which hypotheses they reject.

`Family` gets the statistics of every hypothesis and every sign vector at each look. An intersection of hypotheses is
tested by the largest statistic among them: at look k at most ⌊α_k V⌋ of its V vectors, the identity among them, may
have crossed a boundary by then. A vector that ties with the boundary does not cross. Where that number is 0, nothing is
rejected, and the error stays for later looks.

Up to `CLOSED` open hypotheses, one is rejected when every intersection that holds it is (closed testing; Marcus, Peritz
and Gabriel, Biometrika 63, 1976). Every intersection has its own boundaries from the first look on, and once it has
crossed one of them it stays rejected. With more open hypotheses than that, step-down max-T is the approximation: one is
rejected when it crosses a boundary of all that are open (Romano and Wolf, Econometrica 73, 2005).
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from daf.stats.arrays import BoolArray, FloatArray, IntArray
from daf.stats.signed_sums import TIE

CLOSED = 6
"""Up to this number of open hypotheses, every intersection is tested."""

Top = tuple[IntArray, FloatArray]
"""The sign vectors with the largest statistics of one hypothesis at one look, and these statistics."""


class Intersection:
    """The test of several hypotheses at once by their largest statistic, over the looks so far."""

    def __init__(self, members: Sequence[int]) -> None:
        self.members = tuple(members)
        self.boundaries: list[float] = []
        """By look; a statistic must exceed it by more than rounding. Kept when the vectors are replaced."""
        self.crossed: BoolArray = np.zeros(0, dtype=np.bool_)
        self.rejected: int | None = None
        """The look at which the data crossed."""
        self.p = 1.0
        """Stage-wise p value at that look."""
        self._waiting: list[tuple[int, FloatArray]] = []

    def restart(self, vectors: int) -> None:
        """Forget who crossed, not the boundaries: other vectors follow, from the first look on."""
        self.crossed = np.zeros(vectors, dtype=np.bool_)
        self._waiting = []

    def advance(self, look: int, tops: Sequence[Top], allowed: int, scratch: FloatArray) -> None:
        """Take in a look. tops: of all hypotheses. scratch: one number per vector, all -inf."""
        index = np.concatenate([tops[member][0] for member in self.members])
        value = np.concatenate([tops[member][1] for member in self.members])
        np.maximum.at(scratch, index, value)
        listed = np.unique(index)
        waiting = listed[~self.crossed[listed]]
        values = scratch[waiting]
        observed = float(scratch[0])
        scratch[listed] = -np.inf
        before = int(self.crossed.sum())
        self._waiting.append((before, values))
        if look == len(self.boundaries):
            self.boundaries.append(_boundary(values, allowed - before))
        boundary = self.boundaries[look] + TIE
        if self.rejected is None and observed > boundary:
            self.rejected = look
            self.p = self.crossing_p(look, observed)
        self.crossed[waiting[values > boundary]] = True

    def crossing_p(self, look: int, statistic: float) -> float:
        """The stage-wise p value of a `statistic` above the boundary of `look`."""
        before, values = self._waiting[look]
        return (before + int(np.sum(values >= statistic - TIE))) / self.crossed.size

    def stagewise(self, statistic: float, values: FloatArray) -> float:
        """The p value of a `statistic` at this look: vectors that crossed a boundary before, or reach it now.

        values: (vectors,) largest statistics among the members now.
        """
        return float(np.mean(self.crossed | (values >= statistic - TIE)))


def _boundary(values: FloatArray, room: int) -> float:
    if room <= 0:
        return np.inf
    if values.size <= room:
        return np.inf
    return float(np.partition(values, values.size - room - 1)[values.size - room - 1])


class Family:
    """Hypotheses that share `alpha`, from look to look."""

    def __init__(self, hypotheses: int, alpha: float) -> None:
        self.alpha = alpha
        self.open = list(range(hypotheses))
        self.rejected: dict[int, int] = {}
        """The look at which each rejected hypothesis was."""
        self.allowed: list[int] = []
        """By look, how many vectors may have crossed."""
        self.spent: list[float] = []
        """By look, the part of alpha."""
        self.observed: list[FloatArray] = []
        """By look, (hypotheses,) statistics of the data."""
        self.shown: list[float] = []
        """By look, the boundary of the hypotheses that were open when it began."""
        self.current: FloatArray = np.zeros((hypotheses, 1))
        """(hypotheses, vectors) statistics at the last look."""
        self._tops: list[list[Top]] = []
        self._tested: dict[tuple[int, ...], Intersection] = {}
        self._adjusted: dict[int, float] = {}
        self._scratch = np.full(1, -np.inf)

    @property
    def vectors(self) -> int:
        """Sign vectors in use, the identity among them."""
        return int(self.current.shape[1])

    @property
    def looks(self) -> int:
        """Looks so far."""
        return len(self.spent)

    def look(self, statistics: Sequence[FloatArray], spent: float) -> None:
        """Take in a look: `statistics` (hypotheses, vectors) of this look, and of all looks if the vectors are others
        than before. spent: the part of alpha up to this look. Rejects what can be rejected.
        """
        self.spent.append(spent)
        if len(statistics) > 1 or self.looks == 1:
            self._replace(statistics)
        else:
            self._append(statistics[0])
        self.shown.append(self.intersection(self.open).boundaries[-1] if self.open else np.inf)
        self._reject()

    def intersection(self, members: Sequence[int]) -> Intersection:
        """The test of `members` at the last look."""
        key = tuple(members)
        found = self._tested.get(key)
        if found is None:
            found = self._tested[key] = Intersection(key)
            found.restart(self.vectors)
        if found.rejected is None:
            for look in range(len(found.boundaries), self.looks):
                found.advance(look, self._tops[look], self.allowed[look], self._scratch)
        return found

    def _reject(self) -> None:
        """Reject the open hypotheses that the last look allows to."""
        while self.open:
            newly = self._closed() if len(self.open) <= CLOSED else self._stepped()
            if not newly:
                return
            for hypothesis in newly:
                self.open.remove(hypothesis)
                self.rejected[hypothesis] = self.looks - 1

    def p(self, hypothesis: int) -> float:
        """Stage-wise p value of one hypothesis alone, at the part of alpha that the family has."""
        return self._p_of((hypothesis,))

    def p_adjusted(self, hypothesis: int) -> float:
        """Stage-wise p value within the family: at most `alpha` exactly where the hypothesis is rejected."""
        if hypothesis in self._adjusted:
            return self._adjusted[hypothesis]
        if len(self.open) <= CLOSED:
            return max(self._p_of(members) for members in self._holding(hypothesis, self.open))
        values = self.current[self.open].max(axis=0)
        return self._open_p(self.intersection(self.open), float(self.observed[-1][hypothesis]), values)

    def _closed(self) -> list[int]:
        newly = []
        for hypothesis in self.open:
            tests = (self.intersection(members) for members in self._holding(hypothesis, self.open))
            if all(test.rejected is not None for test in tests):
                newly.append(hypothesis)
        for hypothesis in newly:
            p = max(self.intersection(members).p for members in self._holding(hypothesis, self.open))
            self._adjusted[hypothesis] = p
        return newly

    def _stepped(self) -> list[int]:
        test = self.intersection(self.open)
        if test.rejected is None:
            return []
        least = max(self._adjusted.values(), default=0.0)
        newly = []
        for hypothesis in self.open:
            for look, boundary in enumerate(test.boundaries):
                statistic = float(self.observed[look][hypothesis])
                if statistic > boundary + TIE:
                    newly.append(hypothesis)
                    self._adjusted[hypothesis] = max(least, test.crossing_p(look, statistic))
                    break
        return newly

    @staticmethod
    def _holding(hypothesis: int, among: Sequence[int]) -> list[tuple[int, ...]]:
        """The subsets of `among` that hold `hypothesis`, the largest first: it is the first to fail under the null."""
        others = [other for other in among if other != hypothesis]
        return [
            tuple(sorted((hypothesis, *some)))
            for size in range(len(others), -1, -1)
            for some in combinations(others, size)
        ]

    def _p_of(self, members: tuple[int, ...]) -> float:
        test = self.intersection(members)
        if test.rejected is not None:
            return test.p
        values = self.current[list(members)].max(axis=0)
        return self._open_p(test, float(values[0]), values)

    def _open_p(self, test: Intersection, statistic: float, values: FloatArray) -> float:
        """Of a test that is not rejected. Only a part of alpha is spent before the last look, and a p value has to
        compare with all of it: so the share of vectors is divided by the part that is spent.
        """
        part = self.spent[-1] / self.alpha
        return min(1.0, test.stagewise(statistic, values) / part) if part > 0 else 1.0

    def _replace(self, statistics: Sequence[FloatArray]) -> None:
        self._tops, self.observed = [], []
        vectors = statistics[0].shape[1]
        self.allowed = [int(np.floor(part * vectors * (1 + 1e-12))) for part in self.spent]
        self._scratch = np.full(vectors, -np.inf)
        for each in statistics:
            self._keep(each)
        for test in self._tested.values():
            test.restart(vectors)
            for look in range(min(len(test.boundaries), self.looks - 1)):
                test.advance(look, self._tops[look], self.allowed[look], self._scratch)

    def _append(self, statistics: FloatArray) -> None:
        self.allowed.append(int(np.floor(self.spent[-1] * statistics.shape[1] * (1 + 1e-12))))
        self._keep(statistics)

    def _keep(self, statistics: FloatArray) -> None:
        """Keep what boundaries may need: of every hypothesis one vector more than may ever cross."""
        self.current = statistics
        self.observed.append(statistics[:, 0].copy())
        count = min(statistics.shape[1], int(self.alpha * statistics.shape[1] * (1 + 1e-12)) + 1)
        self._tops.append(_tops(statistics, count))


def _tops(statistics: FloatArray, count: int) -> list[Top]:
    """Of each row, the `count` vectors with the largest values, or some more; the identity always."""
    found: list[Top] = []
    for row in statistics:
        index = _largest(row, count)
        index = np.append(index[index != 0], 0)
        found.append((index, row[index]))
    return found


def _largest(row: FloatArray, count: int) -> IntArray:
    """Where the `count` largest values are, or somewhat more. A threshold from a part of the values mostly finds them,
    several times faster than sorting."""
    if row.size <= 1000:
        return np.argpartition(row, row.size - count)[row.size - count :]
    some = row[: row.size // 8]
    expected = min(some.size, int(1.3 * count / 8) + 5)
    index = np.flatnonzero(row >= np.partition(some, some.size - expected)[some.size - expected])
    if count <= index.size <= 4 * count + 100:
        return index
    return np.argpartition(row, row.size - count)[row.size - count :]
