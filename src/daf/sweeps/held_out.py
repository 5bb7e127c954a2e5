"""The winner's curse: the best trials played again on seeds that none of them was chosen by, beside the default.

The best of many looks better than it is, since luck was part of why it was best. On held-out seeds it has no such luck:
those numbers are the ones to believe. Each of the best is compared with the default configuration, block by block, and
the p values are corrected for their number (Holm), so that the chance of any false "better" is at most the sweep's
significance level. What is left out: a configuration is trained once, so that how much another training of it would
differ is in neither number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from daf.config.sweep import DAFSweepConfig
from daf.episodes.metrics_values import value
from daf.episodes.plan import MAX_SEED
from daf.errors import ConfigError
from daf.stats.multiple import holm
from daf.stats.permutation import sign_flip, smallest_p
from daf.stats.sentences import number, p_text
from daf.storage.hashing import canonical_json
from daf.sweeps.held_out_words import held_out_finding
from daf.sweeps.objective import Objective
from daf.sweeps.playing import Player, TrialFailed
from daf.sweeps.result import SweepResult, SweepTrialResult
from daf.sweeps.trial import TrialRunner

FEWEST = 20
"""Held-out episodes per mission, where the sweep names no number and plays fewer per trial."""
_APART = 1_000_000


def held_out_seeds(config: DAFSweepConfig) -> tuple[int, int]:
    """(first seed, episodes per mission). Raises `ConfigError` where they overlap the trials' own."""
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


def candidates(result: SweepResult, most: int) -> list[SweepTrialResult]:
    """The best complete trials, one of each configuration."""
    found: dict[bytes, SweepTrialResult] = {}
    for trial in result.top_trials(len(result.trials)):
        found.setdefault(canonical_json(dict(trial.hyperparameters)), trial)
        if len(found) == most:
            break
    return list(found.values())


def play_held_out(
    best: Sequence[SweepTrialResult], default: SweepTrialResult, runner: TrialRunner, player: Player
) -> dict[str, Any]:
    """Play `best` and `default` on held-out seeds and compare them. A trial without a result there is told as such."""
    config, objective = runner.config, runner.objectives[0]
    first, episodes = held_out_seeds(config)
    reference = _played(default, runner, player, objective) if default.success else None
    found: list[dict[str, Any]] = []
    for trial in best:
        entry: dict[str, Any] = {
            "trial": trial.trial_id,
            "hyperparameters": dict(trial.hyperparameters),
            "in_the_sweep": trial.values[0],
            "max_steps": _limits(trial),
        }
        scores = _played(trial, runner, player, objective)
        found.append(entry | scores)
    told = [entry for entry in found if entry["error"] is None]
    if reference is not None and reference["error"] is None and told:
        _compare(told, reference, objective, config)
    signed = [(entry["value"] * (1 if objective.direction == "maximize" else -1), -entry["trial"]) for entry in told]
    winner = told[signed.index(max(signed))]["trial"] if told else None
    for entry in found:
        entry.pop("blocks", None)
    record = {
        "objective": objective.name,
        "direction": objective.direction,
        "seed": first,
        "episodes": episodes,
        "significance_level": config.significance_level,
        "default": None
        if reference is None
        else {
            "in_the_sweep": runner.scales[0].over({m: there["value"] for m, there in default.mission_results.items()}),
            "value": reference["value"],
            "error": reference["error"],
            "max_steps": _limits(default),
        },
        "trials": found,
        "winner": winner,
        "default_failed": None if default.success else default.reason,
    }
    return record | {"finding": held_out_finding(record)}


def _limits(trial: SweepTrialResult) -> dict[str, int]:
    """The step limit of each mission's episodes."""
    return {
        mission: int(there["max_steps"]) for mission, there in trial.mission_results.items() if "max_steps" in there
    }


def _played(trial: SweepTrialResult, runner: TrialRunner, player: Player, objective: Objective) -> dict[str, Any]:
    """Value and values per block of one configuration on the held-out seeds."""
    first, episodes = held_out_seeds(runner.config)
    setting = runner.setting(dict(trial.hyperparameters))
    try:
        records = player.play(trial.policy or setting.policy, setting.missions, 0, episodes, seed=first)
    except TrialFailed as error:
        return {"value": None, "blocks": None, "error": str(error)}
    blocks = {mission: [value(record, objective.metric) for record in played] for mission, played in records.items()}
    total = runner.scales[0].over({mission: objective.of_episodes(sample) for mission, sample in blocks.items()})
    return {"value": total, "blocks": blocks, "error": None}


def _compare(
    told: Sequence[dict[str, Any]], reference: Mapping[str, Any], objective: Objective, config: DAFSweepConfig
) -> None:
    """Add to every entry how it stands to the default configuration."""
    sign = 1.0 if objective.direction == "maximize" else -1.0
    flips = []
    for entry in told:
        missions = list(entry["blocks"])
        apart = [np.subtract(entry["blocks"][m], reference["blocks"][m]) for m in missions]
        strata = np.repeat(np.arange(len(missions)), [len(part) for part in apart])
        flips.append((np.concatenate(apart), strata))
    tests = [sign_flip(apart, strata, alpha=config.significance_level, seed=config.seed) for apart, strata in flips]
    adjusted = holm([float(test.p) for test in tests])
    for entry, (blocks, _), test, p in zip(told, flips, tests, adjusted, strict=True):
        difference, n = float(test.difference), len(blocks)
        low, high = float(test.low), float(test.high)
        bounded = bool(np.isfinite(low) and np.isfinite(high))
        if not blocks.any():
            verdict = "identical"
        elif p <= config.significance_level:
            verdict = "better" if sign * difference > 0 else "worse"
        else:
            verdict = "too few" if smallest_p(n) * len(told) > config.significance_level else "undecided"
        entry.update(
            difference=difference,
            ci=[low, high] if bounded else None,
            p=float(test.p),
            p_adjusted=float(p),
            n=n,
            verdict=verdict,
            sentence=_sentence(entry["trial"], objective, difference, (low, high) if bounded else None, p, n, verdict),
        )


def _sentence(
    trial: int,
    objective: Objective,
    difference: float,
    ci: tuple[float, float] | None,
    p: float,
    n: int,
    verdict: str,
) -> str:
    half = 0.0 if ci is None else (ci[1] - ci[0]) / 2
    amount = f"{number(difference, half)}" + (f" [{number(ci[0], half)}, {number(ci[1], half)}]" if ci else "")
    unit, where = objective.metric.name, f"on {n} held-out episodes"
    return {
        "identical": f"Trial {trial} has exactly the same {unit} as the default configuration {where}.",
        "better": f"Trial {trial} beats the default configuration {where}: {amount} {unit}, adjusted {p_text(p)}.",
        "worse": f"Trial {trial} is worse than the default configuration {where}: {amount} {unit}, "
        f"adjusted {p_text(p)}.",
        "undecided": f"Trial {trial} is not told apart from the default configuration {where}: {amount} {unit}, "
        f"adjusted {p_text(p)}.",
        "too few": f"With {n} held-out episodes no test can tell trial {trial} from the default configuration: "
        f"{amount} {unit}.",
    }[verdict]
