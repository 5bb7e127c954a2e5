"""Successive halving: all runs train to the first rung, and the best of each rung to the next (`core.search.halving`).

A rung is cut when the results of all its runs are known, so that the cut does not depend on timing. All scores of a
rung are from the same episodes.
"""

from collections.abc import Mapping, Sequence

from daf.core.adaptive.schedulers.interface import Known, Settings, Wanted, run_name
from daf.core.search import halving


class SuccessiveHalving:
    """settings: of each run. total: agent steps of the last rung. first: of the first. factor: between rungs."""

    def __init__(self, settings: Sequence[Settings], total: int, first: int, factor: int) -> None:
        self._settings = tuple(settings)
        self._factor = factor
        self.targets = [*halving.rungs(first, total, factor), total]

    def wanted(self, known: Mapping[str, Known]) -> tuple[Wanted, ...]:
        """Runs with the rung that each has reached; a complete rung is cut."""
        entered = [run_name(index) for index in range(len(self._settings))]
        targets = dict.fromkeys(entered, self.targets[0])
        why = dict.fromkeys(entered, f"first rung, {self.targets[0]} steps")
        for number, rung in enumerate(self.targets[:-1]):
            if not all(known.get(run, Known()).over(rung) for run in entered):
                break
            scores = {run: known[run].scores[rung] for run in entered if rung in known[run].scores}
            ranked = sorted(scores, key=lambda run: (-scores[run], run))
            kept = ranked[: halving.places(len(entered), self._factor)]
            for place, run in enumerate(kept, 1):
                targets[run] = self.targets[number + 1]
                why[run] = f"place {place} of {len(entered)} at {rung} steps with {scores[run]:.6g}"
            entered = sorted(kept)
        return tuple(
            Wanted(run_name(index), values, targets[run_name(index)], why[run_name(index)])
            for index, values in enumerate(self._settings)
        )
