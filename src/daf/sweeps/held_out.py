"""Correction for the winner's curse: the best trials are played again on seeds that selected none of them.

The best of many trials looks better than it is, because luck contributed to its rank. That luck does not carry over to
held-out seeds, so those are the numbers to trust. Each of the best trials is compared with the default configuration,
block by block, and the p values are corrected for their number (Holm), so that the chance of any false "better" is at
most the sweep's significance level. Missions have the same weights as in the ranking: each mission's differences are
divided by its unit. The comparison is of means, even if trials are ranked by another aggregate; the sentences state
this.

Not covered: the variation between training runs, because these are those of the sweep (`training_seeds` trains again).

The record holds the episodes block by block, so a resumed sweep plays only the missing ones.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from daf.config.sweep import DAFSweepConfig
from daf.episodes.metrics_values import value
from daf.episodes.plan import MAX_SEED
from daf.errors import ConfigError
from daf.stats.multiple import holm
from daf.stats.permutation import sign_flip, smallest_p
from daf.stats.sentences import amount_text, p_text
from daf.sweeps._scale_names import scaled_name
from daf.sweeps._trial import DEFAULT, TrialRunner
from daf.sweeps.held_out_summary import held_out_finding
from daf.sweeps.objective import Objective, Scale
from daf.sweeps.playing import TrialFailed, TrialPlayer
from daf.sweeps.trial_result import SweepTrialResult

FEWEST = 20
"""Held-out episodes per mission, if the sweep sets no number and plays fewer per trial."""
_APART = 1_000_000


def held_out_seeds(config: DAFSweepConfig) -> tuple[int, int]:
    """(first seed, episodes per mission). Raises `ConfigError` if they overlap the seeds of the trials."""
    episodes = config.held_out_episodes or max(FEWEST, config.episodes_per_trial)
    if config.held_out_seed is not None:
        first = config.held_out_seed
    else:
        above = config.seed + _APART + episodes <= MAX_SEED
        first = config.seed + _APART if above else config.seed - _APART
    ends = config.seed + config.episodes_per_trial, first + episodes
    if first < ends[0] and config.seed < ends[1]:
        raise ConfigError(
            f"held_out_seed: {first} to {ends[1] - 1} overlap the trials' seeds {config.seed} to {ends[0] - 1}."
        )
    if first + episodes > MAX_SEED:
        raise ConfigError(f"held_out_seed: {first} is above {MAX_SEED - episodes}, the last that leaves room.")
    return first, episodes


def play_held_out(
    best: Sequence[SweepTrialResult],
    default: SweepTrialResult,
    runner: TrialRunner,
    player: TrialPlayer,
    earlier: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Play `best` and `default` on held-out seeds and compare them. A trial without a result is reported as such.

    earlier: a record of the same sweep; the blocks that it has on these seeds are not played again.
    """
    config, objective = runner.config, runner.objectives[0]
    first, episodes = held_out_seeds(config)
    known = _known(earlier, first, episodes)
    reference = _scores(default, runner, player, known) if default.success else None
    found: list[dict[str, Any]] = []
    for trial in best:
        entry: dict[str, Any] = {
            "trial": trial.trial_id,
            "hyperparameters": dict(trial.hyperparameters),
            "in_the_sweep": trial.values[0],
            "max_steps": _limits(trial),
        }
        found.append(entry | _scores(trial, runner, player, known))
    scored = [entry for entry in found if entry["error"] is None]
    if reference is not None and reference["error"] is None and scored:
        _compare(scored, reference, objective, runner.scales[0], config)
    signed = [(entry["value"] * (1 if objective.direction == "maximize" else -1), -entry["trial"]) for entry in scored]
    winner = scored[signed.index(max(signed))]["trial"] if scored else None
    record = {
        "objective": scaled_name(objective.name, config.normalise, len(config.missions)),
        "difference_of": _compared(objective, config),
        "direction": objective.direction,
        "seed": first,
        "episodes": episodes,
        "significance_level": config.significance_level,
        "default": None
        if reference is None
        else {
            "in_the_sweep": runner.scales[0].over({m: there["value"] for m, there in default.mission_results.items()}),
            "max_steps": _limits(default),
            "violates": default.reason,
            **reference,
        },
        "trials": found,
        "winner": winner,
        "default_failed": None if default.success else default.reason,
    }
    return record | {"finding": held_out_finding(record)}


def _limits(trial: SweepTrialResult) -> dict[str, int]:
    """The step limit of the episodes by mission."""
    return {
        mission: int(there["max_steps"]) for mission, there in trial.mission_results.items() if "max_steps" in there
    }


def _known(earlier: Mapping[str, Any] | None, first: int, episodes: int) -> dict[int, Mapping[str, list[float]]]:
    """The blocks that a record has on these seeds, by trial number."""
    if earlier is None or (earlier["seed"], earlier["episodes"]) != (first, episodes):
        return {}
    entries = [(entry["trial"], entry) for entry in earlier["trials"]]
    entries += [(DEFAULT, earlier["default"])] if earlier["default"] is not None else []
    return {number: entry["blocks"] for number, entry in entries if entry.get("blocks") is not None}


def _scores(
    trial: SweepTrialResult, runner: TrialRunner, player: TrialPlayer, known: Mapping[int, Mapping[str, list[float]]]
) -> dict[str, Any]:
    """Value and values per block of one configuration on the held-out seeds.

    machine: the machine caused the error, and the trial is played again when the sweep resumes.
    """
    objective = runner.objectives[0]
    try:
        blocks = known.get(trial.trial_id) or _played(trial, runner, player)
    except TrialFailed as error:
        return {"value": None, "blocks": None, "error": str(error), "machine": error.machine}
    total = runner.scales[0].over({mission: objective.of_episodes(sample) for mission, sample in blocks.items()})
    return {"value": total, "blocks": blocks, "error": None}


def _played(trial: SweepTrialResult, runner: TrialRunner, player: TrialPlayer) -> dict[str, list[float]]:
    """The primary metric of every block. Retried up to `max_retries` times if the machine fails."""
    if trial.checkpoint is not None and not Path(trial.checkpoint).exists():
        raise TrialFailed(f"its checkpoint {trial.checkpoint} was deleted; checkpoint_best_n says how many are kept")
    first, episodes = held_out_seeds(runner.config)
    setting, metric = runner.setting(dict(trial.hyperparameters)), runner.objectives[0].metric
    failures = 0
    while True:
        try:
            records = player.play(trial.policy or setting.policy, setting.missions, 0, episodes, seed=first)
            return {mission: [value(record, metric) for record in played] for mission, played in records.items()}
        except TrialFailed as error:
            if not error.machine or runner.retries.seconds_until_retry(failures) is None:
                raise
            failures += 1


def _compared(objective: Objective, config: DAFSweepConfig) -> str:
    """Describe the compared value: the metric, its scale, and that it is the mean if trials are ranked otherwise."""
    name = objective.metric.name if objective.aggregate == "mean" else f"mean {objective.metric.name}"
    return scaled_name(name, config.normalise, len(config.missions))


def _compare(
    scored: Sequence[dict[str, Any]],
    reference: Mapping[str, Any],
    objective: Objective,
    scale: Scale,
    config: DAFSweepConfig,
) -> None:
    """Add to every entry how its mean compares with the default configuration's, in the unit of `scale`."""
    sign = 1.0 if objective.direction == "maximize" else -1.0
    unit, ranked = _compared(objective, config), objective.aggregate_name
    caveat = "" if objective.aggregate == "mean" else f" Trials are ranked by the {ranked}; this compares means."
    flips = []
    for entry in scored:
        missions = list(entry["blocks"])
        apart = [np.subtract(entry["blocks"][m], reference["blocks"][m]) / scale.unit[m] for m in missions]
        strata = np.repeat(np.arange(len(missions)), [len(part) for part in apart])
        flips.append((np.concatenate(apart), strata))
    tests = [sign_flip(apart, strata, alpha=config.significance_level, seed=config.seed) for apart, strata in flips]
    adjusted = holm([float(test.p) for test in tests])
    for entry, (blocks, _), test, p in zip(scored, flips, tests, adjusted, strict=True):
        difference, n = float(test.difference), len(blocks)
        low, high = float(test.low), float(test.high)
        bounded = bool(np.isfinite(low) and np.isfinite(high))
        if not blocks.any():
            verdict = "identical"
        elif p <= config.significance_level:
            verdict = "better" if sign * difference > 0 else "worse"
        else:
            verdict = "too few" if smallest_p(n) * len(scored) > config.significance_level else "undecided"
        entry.update(
            difference=difference,
            ci=[low, high] if bounded else None,
            p=float(test.p),
            p_adjusted=float(p),
            n=n,
            verdict=verdict,
            sentence=_sentence(entry["trial"], unit, difference, (low, high) if bounded else None, p, n, verdict)
            + caveat,
        )


def _sentence(
    trial: int,
    unit: str,
    difference: float,
    ci: tuple[float, float] | None,
    p: float,
    n: int,
    verdict: str,
) -> str:
    amount = amount_text(difference, ci)
    where = f"on {n} held-out episodes"
    return {
        "identical": f"Trial {trial} has exactly the same {unit} as the default configuration {where}.",
        "better": f"Trial {trial} beats the default configuration {where}: {amount} {unit}, adjusted {p_text(p)}.",
        "worse": f"Trial {trial} is worse than the default configuration {where}: {amount} {unit}, "
        f"adjusted {p_text(p)}.",
        "undecided": f"Trial {trial} does not differ significantly from the default configuration {where}: "
        f"{amount} {unit}, adjusted {p_text(p)}.",
        "too few": f"{n} held-out episodes are too few for a significant difference between trial {trial} and the "
        f"default configuration: {amount} {unit}.",
    }[verdict]
