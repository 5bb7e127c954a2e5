"""Population-based training: after each interval the worst are replaced by changed copies of the best.

Source: Jaderberg et al., "Population Based Training of Neural Networks", 2017: truncation selection (exploit) and
perturbation or resampling of settings (explore). A generation is decided when the results of all its members are known.
A replacement is a separate run, which branches from its parent's checkpoint; a member that failed is replaced too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daf.core.adaptive.config import Parameter, PopulationSettings
from daf.core.adaptive.schedulers.interface import Known, Settings, Wanted, run_name
from daf.core.adaptive.schedulers.space import perturbed


@dataclass
class _Member:
    run: str
    settings: Settings
    why: str
    parent: tuple[str, int] | None = None


class PopulationBased:
    """settings: of the first generation. total: agent steps of every lineage. space: bounds of the changed settings.

    Without a space, the numbers in `settings` are changed within their bounds, and nothing is resampled. Policies and
    networks stay: a copy continues from another's weights.
    """

    def __init__(
        self,
        settings: Sequence[Settings],
        total: int,
        space: Mapping[str, Parameter],
        how: PopulationSettings,
        seed: int,
    ) -> None:
        self._settings = tuple(settings)
        self._space = space
        self._how = how
        self._seed = seed
        self.targets = [*range(how.interval, total, how.interval), total]

    def wanted(self, known: Mapping[str, Known]) -> tuple[Wanted, ...]:
        """All runs that were ever in the population; current members have the current generation's target."""
        members = [_Member(run_name(i), values, "first generation") for i, values in enumerate(self._settings)]
        everyone = list(members)
        targets: dict[str, int] = {}
        for generation, target in enumerate(self.targets):
            for member in members:
                targets[member.run] = target
            if not all(known.get(member.run, Known()).over(target) for member in members):
                break
            scores = {m.run: known[m.run].scores[target] for m in members if target in known[m.run].scores}
            if target == self.targets[-1] or not scores:
                break
            for slot, new in self._replacements(members, scores, generation, target, len(everyone)):
                members = [*members[:slot], new, *members[slot + 1 :]]
                everyone.append(new)
        return tuple(Wanted(m.run, m.settings, targets[m.run], m.why, m.parent) for m in everyone)

    def _replacements(
        self, members: Sequence[_Member], scores: Mapping[str, float], generation: int, target: int, next_index: int
    ) -> list[tuple[int, _Member]]:
        """(slot, new member) for each member replaced after a generation."""
        count = max(1, math.floor(self._how.fraction * len(members)))
        ranked = sorted(scores, key=lambda run: (-scores[run], run))
        best = ranked[:count]
        worst = {run for run in ranked[-count:] if scores[run] < scores[best[-1]]}
        found: list[tuple[int, _Member]] = []
        for slot, member in enumerate(members):
            if member.run in scores and member.run not in worst:
                continue
            draw = np.random.default_rng([self._seed, 1, generation, slot])
            parent = members[[m.run for m in members].index(best[int(draw.integers(len(best)))])]
            settings = perturbed(
                parent.settings, self._space, draw, factor=self._how.perturb, resample=self._how.resample_probability
            )
            had = f"scored {scores[member.run]:.6g}" if member.run in scores else "failed"
            why = (
                f"replaces {member.run}, which {had} at {target} steps: a changed copy of {parent.run} with "
                f"{scores[parent.run]:.6g}"
            )
            found.append((slot, _Member(run_name(next_index + len(found)), settings, why, (parent.run, target))))
        return found
