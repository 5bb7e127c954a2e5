"""Changed against unchanged, block by block: one family of tests for all components and missions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daf.ablation._components import Cells, Component
from daf.ablation._report import AblationReport, ComponentResult
from daf.episodes.metrics_values import Metric, value
from daf.errors import DataError
from daf.game.mission import Mission
from daf.playing.run import PlayedRun
from daf.stats.change_effect import change_effect
from daf.stats.multiple import holm
from daf.stats.permutation import SignFlipResult, sign_flip
from daf.stats.sentences import counted


def report_of(
    policy: str,
    played: Sequence[Mission],
    changes: Sequence[Component],
    cells: Cells,
    metric: Metric,
    run: PlayedRun,
) -> AblationReport:
    """Pair the changed with the unchanged episodes and test every component, overall and on each mission."""
    result, settings = run.result, run.settings
    found: dict[tuple[str, str], dict[int, float]] = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        if record.ok:
            contender = result.plan.contenders[planned.contender].name
            found.setdefault((contender, record.spec.mission), {})[planned.index] = value(record, metric)
    rows = {
        change.name: _paired(found, policy, played, {m.name: cells[change.name, m.name] for m in played})
        for change in changes
    }
    names = [mission.name for mission in played]
    tests: list[tuple[Component, str | None, _Pairs]] = []
    for change in changes:
        scopes: list[str | None] = [None, *names] if len(names) > 1 else [None]
        tests += [(change, scope, rows[change.name].only(scope)) for scope in scopes]
    tested = [(change, scope, pairs) for change, scope, pairs in tests if len(pairs.unchanged)]
    if not tested:
        raise DataError(
            "no block was finished both with and without any component; see the records of the run for failures."
        )
    flips = [
        sign_flip(pairs.changed - pairs.unchanged, pairs.strata, alpha=settings.alpha, resamples=settings.resamples,
                  seed=settings.seed)
        for _, _, pairs in tested
    ]  # fmt: skip
    adjusted = holm([float(flip.p) for flip in flips])
    results = [
        _row(policy, metric, change, scope, pairs, flip, float(p), settings.alpha, len(tested))
        for (change, scope, pairs), flip, p in zip(tested, flips, adjusted, strict=True)
    ]
    return AblationReport(
        policy=policy,
        missions=tuple(names),
        metric=metric.name,
        overall=tuple(sorted((row for row in results if row.mission is None), key=lambda row: row.difference)),
        by_mission=tuple(row for row in results if row.mission is not None),
        notes=(*run.failure_notes(), *_notes(rows)),
        alpha=settings.alpha,
        run=run,
    )


@dataclass(frozen=True)
class _Pairs:
    """The metric without and with a change on the blocks that both finished. missions: per block."""

    unchanged: NDArray[np.float64]
    changed: NDArray[np.float64]
    missions: tuple[str, ...]
    left_out: int

    @property
    def strata(self) -> NDArray[np.int64]:
        order = list(dict.fromkeys(self.missions))
        return np.array([order.index(mission) for mission in self.missions], dtype=np.int64)

    def only(self, mission: str | None) -> "_Pairs":
        """The blocks of one mission, or all."""
        if mission is None:
            return self
        here = np.array([name == mission for name in self.missions], dtype=bool)
        return _Pairs(self.unchanged[here], self.changed[here], (mission,) * int(here.sum()), self.left_out)


def _paired(
    found: Mapping[tuple[str, str], Mapping[int, float]],
    policy: str,
    played: Sequence[Mission],
    places: Mapping[str, tuple[str, str]],
) -> _Pairs:
    before, after, names, left_out = [], [], [], 0
    for mission in played:
        unchanged, changed = found.get((policy, mission.name), {}), found.get(places[mission.name], {})
        for index in sorted(unchanged.keys() | changed.keys()):
            if index in unchanged and index in changed:
                before.append(unchanged[index])
                after.append(changed[index])
                names.append(mission.name)
            else:
                left_out += 1
    return _Pairs(np.array(before), np.array(after), tuple(names), left_out)


def _row(
    policy: str,
    metric: Metric,
    change: Component,
    scope: str | None,
    pairs: _Pairs,
    flip: SignFlipResult,
    adjusted: float,
    alpha: float,
    family: int,
) -> ComponentResult:
    effect = change_effect(
        pairs.changed - pairs.unchanged, flip, adjusted, family=family, alpha=alpha, strata=pairs.strata
    )
    n, amount, p = effect.n, effect.amount, effect.p_shown
    where = f" on {scope}" if scope is not None else ""
    unit = "reward per agent" if metric.name == "reward" else metric.name
    episodes, all_of = counted(n, "episode"), "the only episode" if n == 1 else f"all {n} episodes"
    head = f"{policy} {change.words}{where}"
    sentence = {
        "identical": f"{head} has exactly the same {unit} in {all_of}.",
        "raises": f"{head} has more {unit}: {amount}, {p}, {episodes}.",
        "lowers": f"{head} has less {unit}: {amount}, {p}, {episodes}.",
        "undecided": f"{head} does not differ significantly from {policy}: {amount} {unit}, {p}, {episodes}.",
        "too few": f"{episodes} cannot give a significant difference in {counted(family, 'comparison')}; "
        f"{head}: {amount} {unit}.",
    }[effect.verdict]
    strata = pairs.strata
    groups = range(int(strata.max()) + 1)
    return ComponentResult(
        component=change.name,
        mission=scope,
        unchanged=float(np.mean([pairs.unchanged[strata == group].mean() for group in groups])),
        changed=float(np.mean([pairs.changed[strata == group].mean() for group in groups])),
        difference=effect.difference,
        ci=effect.ci,
        p=effect.p,
        p_adjusted=adjusted,
        effect_size=effect.effect_size,
        n=n,
        more=effect.more,
        less=effect.less,
        same=effect.same,
        verdict=effect.verdict,
        sentence=sentence,
    )


def _notes(rows: Mapping[str, _Pairs]) -> list[str]:
    notes = []
    for name, pairs in rows.items():
        if not len(pairs.unchanged):
            notes.append(f"{name}: no block was finished both with and without it.")
        elif pairs.left_out:
            verb = "is" if pairs.left_out == 1 else "are"
            notes.append(f"{name}: {counted(pairs.left_out, 'block')} {verb} excluded, because an episode failed.")
    return notes
