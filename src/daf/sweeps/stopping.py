"""Early stopping of trials: by training steps (successive halving, Hyperband), or by evaluation blocks.

A trial is compared only with trials that ended before it could be proposed (`Proposer.judges`), regardless of which
others have ended since, so stopping does not depend on the speed of workers. No trial waits at a rung for others to
catch up. The price is that the first trials are compared with few or none and continue.

Successive halving (`core.search.halving`): at the rungs min_steps · factor^k a trial continues if it is among the best
1 / factor of those that have reached the rung; with fewer than `factor` of them it continues. Hyperband runs several
such schemes in parallel, trial n in scheme n mod their number. Scheme k skips the first k rungs, so that slow starters
have a chance. Source: Li et al., "Hyperband", JMLR 18, 2018; the asynchronous form is Optuna's.

Wilcoxon: all trials play the same blocks, so a trial is stopped if it is worse than the best so far, block by block, by
the one-sided signed-rank test at level p, applied after every `min_blocks` blocks. The level is that of a single test:
with several, more than p of equally good trials are stopped. Source: Optuna's WilcoxonPruner.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import wilcoxon

from daf.config.sweep import DAFEarlyStopping
from daf.core.search import halving
from daf.sweeps.trial_result import SweepTrialResult


def rungs(stopping: DAFEarlyStopping | None, total: int, number: int) -> list[int]:
    """The agent steps below `total` at which trial `number` is evaluated."""
    if stopping is None or stopping.method == "wilcoxon":
        return []
    return _all_rungs(stopping, total)[scheme(stopping, total, number) :]


def scheme(stopping: DAFEarlyStopping, total: int, number: int) -> int:
    """The Hyperband scheme of trial `number`; plain halving has only scheme 0."""
    return number % (len(_all_rungs(stopping, total)) + 1) if stopping.method == "hyperband" else 0


def beaten_at_rung(
    value: float, steps: int, judges: Sequence[SweepTrialResult], stopping: DAFEarlyStopping, direction: str
) -> str | None:
    """The reason to stop a trial with `value` after `steps`, or None to continue. judges: trials of the same scheme."""
    others = [there for trial in judges for at, there in trial.rungs if at == steps]
    sign = 1.0 if direction == "maximize" else -1.0
    better = sum(sign * other > sign * value for other in others)
    compared = len(others) + 1
    places = halving.places(compared, stopping.factor)
    if compared < stopping.factor or better < places:
        return None
    best = "the best continues" if places == 1 else f"the best {places} continue"
    return f"after {steps:,} steps it was at {value:.4g}, place {better + 1} of {compared}; {best}"


def worse_than_best(
    played: Mapping[str, Sequence[float]],
    units: Mapping[str, float],
    judges: Sequence[SweepTrialResult],
    stopping: DAFEarlyStopping,
    direction: str,
) -> str | None:
    """The reason to stop a trial with these values per episode, by mission, or None to continue."""
    sign = 1.0 if direction == "maximize" else -1.0
    complete = [trial for trial in judges if trial.success]
    if not complete:
        return None
    best = max(complete, key=lambda trial: (sign * trial.values[0], -trial.trial_id))
    gains: list[float] = []
    for mission, values in played.items():
        there = best.mission_results[mission]["values"]
        gains += [sign * (a - b) / units[mission] for a, b in zip(values, there, strict=False)]
    differences = np.asarray(gains)
    if len(differences) < stopping.min_blocks or not differences.any() or differences.mean() >= 0:
        return None
    p = float(wilcoxon(differences, alternative="less", zero_method="zsplit").pvalue)
    if p >= stopping.p:
        return None
    return f"after {len(differences)} blocks it was worse than trial {best.trial_id} (signed-rank test, p = {p:.2g})"


def _all_rungs(stopping: DAFEarlyStopping, total: int) -> list[int]:
    return halving.rungs(stopping.min_steps or max(1, total // stopping.factor**3), total, stopping.factor)
