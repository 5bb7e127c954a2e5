"""Several training runs of the best configurations, to separate good configurations from lucky training runs.

The runs use training seeds that selected nothing: the trial's own run was chosen for its score, so it is not one of
them. All configurations, and the default, use the same seeds and are evaluated on the same held-out episodes. They are
ranked by the mean over training runs, with Student's interval; a configuration with a failed run is not ranked, because
the mean of the others would be biased upwards.

With `race`, a configuration that is behind the best one so far gets no more training seeds: after each seed, the paired
sign-flip test over the seeds, at the sweep's significance level, with Holm's correction over the open configurations.
Not corrected for the repeated looks, as in other races (Birattari et al., "A racing algorithm for configuring
metaheuristics", GECCO 2002).

Every run is in the journal before the next decision, so a resumed sweep trains only the missing ones.
"""

import queue
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from daf.config.sweep import DAFSweepConfig
from daf.errors import ConfigError
from daf.stats.multiple import holm
from daf.stats.permutation import fewest_blocks, sign_flip, smallest_p
from daf.stats.sentences import amount_text, counted, number, p_text
from daf.stats.student import student_interval
from daf.sweeps import journal
from daf.sweeps._coordinator import trial_pool
from daf.sweeps._trial import DEFAULT, TrialRunner
from daf.sweeps.held_out import held_out_seeds
from daf.sweeps.playing import TrialPlayer
from daf.sweeps.training_seeds_summary import retrain_command
from daf.sweeps.trial_result import SweepTrialResult

OnRun = Callable[[int, int, float | None, int, int], None]
"""Called after a training run: trial (-1: default), training seed, value, runs that have ended, most runs."""


def check_training_seeds(config: DAFSweepConfig) -> None:
    """Raise `ConfigError` if `train_seeds` has no meaning, or in a race, no difference could ever be significant."""
    if config.train_seeds > 1 and config.training is None:
        raise ConfigError("train_seeds counts training runs, and these trials only evaluate; leave it out.")
    if config.train_seeds > 1 and {"seed", "training.seed"} & set(config.search_space):
        raise ConfigError("train_seeds and a search over the training seed exclude each other; leave one out.")
    needed = fewest_blocks(config.significance_level)
    if config.race and config.train_seeds < needed:
        raise ConfigError(
            f"race: with train_seeds {config.train_seeds}, no difference can be significant at "
            f"{config.significance_level:g}, so the race would stop nothing. It takes at least {needed} seeds."
        )


def training_seeds(config: DAFSweepConfig) -> list[int]:
    """The training seeds: those after the trials' own."""
    assert config.training is not None
    return [config.training.seed + place for place in range(1, config.train_seeds + 1)]


def play_training_seeds(
    best: Sequence[SweepTrialResult],
    default: SweepTrialResult,
    runner: TrialRunner,
    players: Sequence[TrialPlayer],
    history: journal.SweepHistory,
    *,
    on_run: OnRun | None = None,
) -> dict[str, Any]:
    """Train and evaluate `best` and `default` with every training seed, and rank them."""
    config = runner.config
    seeds = training_seeds(config)
    open_trials = list(best)
    dropped: dict[int, dict[str, Any]] = {}
    pairs = [(trial.trial_id, seed) for seed in seeds for trial in [*best, default]]
    for place, seed in enumerate(seeds, start=1):
        contestants = [*open_trials, default] if default.success else open_trials
        missing = [trial for trial in contestants if (trial.trial_id, seed) not in history.seed_runs]

        def ended(run: dict[str, Any]) -> None:
            journal.seed_run(runner.run_dir, run)
            history.seed_runs[run["trial"], run["train_seed"]] = run
            if on_run is not None:
                on_run(
                    run["trial"],
                    run["train_seed"],
                    run["value"],
                    sum(map(history.seed_runs.__contains__, pairs)),
                    len(pairs),
                )

        _train_all(missing, seed, runner, players, ended)
        if config.race and place < len(seeds):
            behind = _behind(open_trials, seeds[:place], history, config, _sign(runner))
            dropped |= {trial: {"after": place, **why} for trial, why in behind.items()}
            open_trials = [
                trial
                for trial in open_trials
                if trial.trial_id not in dropped and _values(trial.trial_id, seeds[:place], history) is not None
            ]
    return _record(best, default, seeds, dropped, runner, history)


def _train_all(
    trials: Sequence[SweepTrialResult],
    seed: int,
    runner: TrialRunner,
    players: Sequence[TrialPlayer],
    ended: Callable[[dict[str, Any]], None],
) -> None:
    """Train `trials` with one seed, as many at a time as there are players; any exception ends all."""
    free: queue.SimpleQueue[TrialPlayer] = queue.SimpleQueue()
    for player in players:
        free.put(player)

    def one(trial: SweepTrialResult) -> dict[str, Any]:
        player = free.get()
        try:
            return _seed_run(trial, seed, runner, player)
        finally:
            free.put(player)

    pool = trial_pool(len(players))
    try:
        for future in [pool.submit(one, trial) for trial in trials]:
            ended(future.result())
    except BaseException:
        runner.stop.set()
        for player in players:
            player.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _seed_run(trial: SweepTrialResult, seed: int, runner: TrialRunner, player: TrialPlayer) -> dict[str, Any]:
    first, episodes = held_out_seeds(runner.config)
    result = runner.train_again(player, trial, seed, first=first, episodes=episodes)
    blocks = {mission: entry["values"] for mission, entry in result.mission_results.items()}
    return {
        "trial": trial.trial_id,
        "train_seed": seed,
        "value": result.primary_metric,
        "blocks": blocks or None,
        "error": None if result.success else result.reason,
        "checkpoint": result.checkpoint,
        "steps": result.steps,
        "seconds": result.seconds,
    }


def _sign(runner: TrialRunner) -> float:
    return 1.0 if runner.objectives[0].direction == "maximize" else -1.0


def _values(trial: int, seeds: Sequence[int], history: journal.SweepHistory) -> list[float] | None:
    """The value of each training run; None if one has no result."""
    runs = [history.seed_runs.get((trial, seed)) for seed in seeds]
    values = [run["value"] for run in runs if run is not None and run["value"] is not None]
    return values if len(values) == len(seeds) else None


def _behind(
    trials: Sequence[SweepTrialResult],
    seeds: Sequence[int],
    history: journal.SweepHistory,
    config: DAFSweepConfig,
    sign: float,
) -> dict[int, dict[str, Any]]:
    """The trials that are significantly behind the best one so far, by number, with the comparison."""
    scored = {
        trial.trial_id: np.array(values)
        for trial in trials
        if (values := _values(trial.trial_id, seeds, history)) is not None
    }
    if len(scored) < 2:
        return {}
    best = max(scored, key=lambda trial: (sign * scored[trial].mean(), -trial))
    others = [trial for trial in scored if trial != best]
    tests = [sign_flip(scored[best] - scored[trial], alpha=config.significance_level) for trial in others]
    adjusted = holm([float(test.p) for test in tests])
    return {
        trial: {"behind": best, "p_adjusted": float(p)}
        for trial, test, p in zip(others, tests, adjusted, strict=True)
        if p <= config.significance_level and sign * float(test.difference) > 0
    }


def _record(
    best: Sequence[SweepTrialResult],
    default: SweepTrialResult,
    seeds: Sequence[int],
    dropped: Mapping[int, Mapping[str, Any]],
    runner: TrialRunner,
    history: journal.SweepHistory,
) -> dict[str, Any]:
    sign, alpha = _sign(runner), runner.config.significance_level
    entries = [_entry(trial.trial_id, seeds, dropped.get(trial.trial_id), history, alpha) for trial in best]
    reference = _entry(DEFAULT, seeds, None, history, alpha) if default.success else None
    ranked = sorted(
        (entry for entry in entries if entry["mean"] is not None and entry["dropped"] is None),
        key=lambda entry: (-sign * entry["mean"], entry["trial"]),
    )
    winner = ranked[0] if ranked else None
    record: dict[str, Any] = {
        "asked": [list(seeds), runner.config.race],
        "seeds": list(seeds),
        "race": runner.config.race,
        "trials": entries,
        "default": reference,
        "winner": None if winner is None else winner["trial"],
        "sentences": [],
        "retrain": None,
    }
    if winner is not None:
        record["sentences"] = _sentences(winner, ranked[1:], reference, sign, alpha)
        record["retrain"] = retrain_command(runner.run_dir, winner["trial"], seeds[0])
    record["sentences"] += [_dropped_sentence(entry) for entry in entries if entry["dropped"] is not None]
    record["sentences"] += [
        f"{_name(entry['trial'])} is not ranked: {len(entry['errors'])} of "
        f"{counted(len(entry['runs']), 'training run')} failed ({entry['errors'][0]})."
        for entry in [*entries, *([] if reference is None else [reference])]
        if entry["errors"]
    ]
    return record


def _entry(
    trial: int,
    seeds: Sequence[int],
    dropped: Mapping[str, Any] | None,
    history: journal.SweepHistory,
    alpha: float,
) -> dict[str, Any]:
    trained = seeds if dropped is None else seeds[: dropped["after"]]
    runs = [run for seed in trained if (run := history.seed_runs.get((trial, seed))) is not None]
    values = _values(trial, trained, history)
    ci = None
    if values is not None and len(values) > 1:
        low, high = student_interval(np.array([values]), np.zeros(len(values), dtype=np.intp), "mean", alpha=alpha)
        ci = [float(low[0]), float(high[0])]
    kept = ("train_seed", "value", "error", "checkpoint", "steps", "seconds")
    return {
        "trial": trial,
        "runs": [{name: run[name] for name in kept} for run in runs],
        "mean": None if values is None else statistics.fmean(values),
        "ci": ci,
        "spread": statistics.stdev(values) if values is not None and len(values) > 1 else None,
        "errors": [run["error"] for run in runs if run["error"] is not None],
        "dropped": None if dropped is None else dict(dropped),
    }


def _sentences(
    winner: Mapping[str, Any],
    others: Sequence[Mapping[str, Any]],
    reference: Mapping[str, Any] | None,
    sign: float,
    alpha: float,
) -> list[str]:
    """How the winner compares with the runner-up and with the default configuration."""
    n = len(winner["runs"])
    bounds = None if winner["ci"] is None else (winner["ci"][0], winner["ci"][1])
    mean = f"Over {counted(n, 'training run')}, trial {winner['trial']} is best, with a mean of "
    found = [f"{mean}{amount_text(winner['mean'], bounds)}."]
    if others:
        second = others[0]
        lead = sign * (winner["mean"] - second["mean"])
        spreads = [entry["spread"] for entry in (winner, second) if entry["spread"] is not None]
        spread = float(np.sqrt(np.mean(np.square(spreads)))) if len(spreads) == 2 else None
        text = f"It leads trial {second['trial']} by {number(lead, spread or 0.0)}"
        if spread is None:
            text += "; with one training run each, the spread over training seeds is unknown."
        elif lead <= spread:
            text += (
                f", which is within the spread over training seeds (standard deviation {number(spread)}): other seeds "
                "may change the order."
            )
        else:
            text += f", more than the spread over training seeds (standard deviation {number(spread)})."
        found.append(text)
    if reference is not None and reference["mean"] is not None:
        pairs = [np.array([run["value"] for run in entry["runs"]]) for entry in (winner, reference)]
        test = sign_flip(pairs[0] - pairs[1], alpha=alpha)
        difference = float(test.difference)
        amount = f"{number(difference)}, over {counted(n, 'training run')} each"
        if smallest_p(n) > alpha:
            found.append(
                f"Its difference from the default configuration is {amount}: too few runs for a significant "
                f"difference, which takes {fewest_blocks(alpha)}."
            )
        elif test.p <= alpha:
            better = "better" if sign * difference > 0 else "worse"
            found.append(f"It is {better} than the default configuration by {amount} ({p_text(float(test.p))}).")
        else:
            found.append(
                f"It does not differ significantly from the default configuration: {amount} ({p_text(float(test.p))})."
            )
    return found


def _dropped_sentence(entry: Mapping[str, Any]) -> str:
    race = entry["dropped"]
    return (
        f"Trial {entry['trial']} left the race after {counted(race['after'], 'training run')}, behind trial "
        f"{race['behind']} (adjusted {p_text(race['p_adjusted'])})."
    )


def _name(trial: int) -> str:
    return "The default configuration" if trial == DEFAULT else f"Trial {trial}"
