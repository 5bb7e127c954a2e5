"""Comparison of changed missions with the base mission, by seed: one family of tests for all variants and pairs.

A variant that changes nothing in the mission's config is recognised before anything is played. It is not tested, so it
costs the others no power.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from daf.episodes.metrics_values import Metric, value
from daf.game.mission import Mission
from daf.playing.run import PlayedRun
from daf.playing.settings import Settings
from daf.stats.arrays import FloatArray
from daf.stats.change_effect import change_effect, interval_of
from daf.stats.multiple import holm
from daf.stats.permutation import SignFlipResult, sign_flip
from daf.stats.sentences import counted
from daf.sweeps.variants_result import VariantResult, VariantSweepResult

Combination = tuple[str, ...]
Values = Mapping[int, float]
"""The metric by episode number."""


@dataclass(frozen=True)
class _Family:
    """State shared by all rows. unit: the metric in words; size: number of tests; alpha: family-wise error rate."""

    unit: str
    size: int
    alpha: float


def compared(
    run: PlayedRun,
    base: Mission,
    combinations: Sequence[Combination],
    missions: Mapping[Combination, Mission],
    refused: Mapping[Combination, str],
    metric: Metric,
) -> VariantSweepResult:
    """Build the result with a row for each combination, including refused ones."""
    result, settings = run.result, run.settings
    values: dict[str, dict[int, float]] = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        if record.ok:
            values.setdefault(record.spec.mission, {})[planned.index] = value(record, metric)
    plain = values.get(base.name, {})
    found = {combination: values.get(mission.name, {}) for combination, mission in missions.items()}
    compared = [combination for combination in combinations if found.get(combination, {}).keys() & plain.keys()]
    flips = [_flip(_apart(found[combination], plain), settings) for combination in compared]
    tested = [place for place, c in enumerate(compared) if missions[c].config_hash != base.config_hash]
    adjusted = dict(zip(tested, holm([float(flips[i].p) for i in tested]), strict=True)) if tested else {}
    unit = "reward per agent" if metric.name == "reward" else metric.name
    family = _Family(unit, len(tested), settings.alpha)
    rows = []
    for combination in combinations:
        if combination not in compared:
            name = missions[combination].name if combination in missions else f"{base.name} + {'+'.join(combination)}"
            reason = refused.get(combination, "no episode was finished both with and without it.")
            sentence = f"{'+'.join(combination)} was not compared: {reason}"
            rows.append(VariantResult(combination, name, "refused", sentence, reason=reason))
            continue
        place = compared.index(combination)
        both = found[combination], plain
        rows.append(_row(combination, missions[combination], base, both, flips[place], adjusted.get(place), family))
    together: dict[Combination, SignFlipResult] = {
        pair: _flip(_beyond([found[pair], found[pair[:1]], found[pair[1:]], plain]), settings)
        for pair in compared
        if len(pair) == 2 and _shared([found[pair], found[pair[:1]], found[pair[1:]], plain])
    }
    return VariantSweepResult(
        policy=result.plan.contenders[0].name,
        mission=base.name,
        metric=metric.name,
        episodes=settings.episodes,
        seed=settings.seed,
        alpha=settings.alpha,
        base_mean=float(np.mean(list(plain.values()))) if plain else None,
        rows=tuple(_with_together(row, together.get(row.variants)) for row in rows),
        notes=(*run.failure_notes(), *_notes(refused, missions, base)),
        status=run.status,
        run_id=run.run_id,
        run_dir=run.run_dir,
        run=run,
    )


def _shared(several: Sequence[Values]) -> list[int]:
    """Episodes that finished in all of these."""
    found = set(several[0])
    for other in several[1:]:
        found &= other.keys()
    return sorted(found)


def _apart(changed: Values, plain: Values) -> FloatArray:
    return np.array([changed[i] - plain[i] for i in _shared([changed, plain])])


def _beyond(several: Sequence[Values]) -> FloatArray:
    """Effect of a pair minus the sum of its single effects, by episode. several: the pair, first, second, base."""
    pair, first, second, plain = several
    return np.array([pair[i] - first[i] - second[i] + plain[i] for i in _shared(several)])


def _flip(apart: FloatArray, settings: Settings) -> SignFlipResult:
    return sign_flip(apart, alpha=settings.alpha, resamples=settings.resamples, seed=settings.seed)


def _row(
    combination: Combination,
    mission: Mission,
    base: Mission,
    values: tuple[Values, Values],
    flip: SignFlipResult,
    adjusted: float | None,
    family: _Family,
) -> VariantResult:
    """values: with the change and without. adjusted: None if nothing is tested."""
    changed, plain = values
    shared, name = _shared(values), "+".join(combination)
    effect = change_effect(_apart(changed, plain), flip, adjusted, family=family.size, alpha=family.alpha)
    reason = "it changes nothing in this mission" if mission.config_hash == base.config_hash else None
    n, amount, p = effect.n, effect.amount, effect.p_shown
    unit, episodes = family.unit, counted(n, "episode")
    all_of = "the only episode" if n == 1 else f"all {n} episodes"
    sentence = {
        "identical": f"With {name} the {unit} is exactly the same in {all_of}" + (f": {reason}." if reason else "."),
        "raises": f"{name} raises the {unit}: {amount}, {p}, {episodes}.",
        "lowers": f"{name} lowers the {unit}: {amount}, {p}, {episodes}.",
        "undecided": f"{name} does not differ significantly from the base mission: {amount} {unit}, {p}, {episodes}.",
        "too few": f"{episodes} cannot give a significant difference in {counted(family.size, 'comparison')}; "
        f"{name}: {amount} {unit}.",
    }[effect.verdict]
    return VariantResult(
        variants=combination,
        mission=mission.name,
        verdict=effect.verdict,
        sentence=sentence,
        base=float(np.mean([plain[i] for i in shared])),
        mean=float(np.mean([changed[i] for i in shared])),
        difference=effect.difference,
        ci=effect.ci,
        p=None if adjusted is None else effect.p,
        p_adjusted=adjusted,
        effect_size=effect.effect_size,
        n=n,
        more=effect.more,
        less=effect.less,
        same=effect.same,
        reason=reason,
    )


def _with_together(row: VariantResult, flip: SignFlipResult | None) -> VariantResult:
    return row if flip is None else replace(row, together=float(flip.difference), together_ci=interval_of(flip))


def _notes(refused: Mapping[Combination, str], missions: Mapping[Combination, Mission], base: Mission) -> list[str]:
    notes = []
    if refused:
        names = ", ".join("+".join(combination) for combination in refused)
        notes.append(
            f"{len(refused)} of {len(refused) + len(missions)} could not be played: {names}. Their rows say why."
        )
    agents = sorted({mission.num_agents for mission in missions.values()} - {base.num_agents})
    if agents:
        counts = ", ".join(map(str, agents))
        notes.append(f"Some variants change the number of agents ({base.num_agents} to {counts}).")
    return notes
