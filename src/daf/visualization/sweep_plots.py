"""The results of a search: its history, two hyperparameters against each other, and all of them side by side."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from daf.errors import DataError, UsageError, unknown
from daf.render.figures.pair import pair_figure
from daf.render.figures.trials import MOST_SLICES, Search, Trial, parallel_figure, search_figure
from daf.stats.summaries import summarise
from daf.sweeps.analysis_columns import searched_ranges
from daf.sweeps.result import SweepResult, SweepTrialResult, hyperparameter_names
from daf.visualization._plots import Look, Plot, finish, is_dark, titled
from daf.visualization._runs_given import is_run, run_folder

MOST_INTERVALS = 500
"""With more trials than this, their intervals would cover the figure; they are left out."""


def daf_plot_sweep_results(
    source: Any,
    output_path: str | Path | None = None,
    *,
    names: Iterable[str] | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw the objective of every trial in order with the best so far, and over each hyperparameter.

    source: a `SweepResult`, a sweep's run (directory, id) or saved JSON, or trials. names: hyperparameters (default:
    those that varied, up to 12). Raises `DataError` if there is no trial.
    """
    sweep, search = search_of(source, names, base_dir)
    figure = search_figure(
        search,
        title=titled(look, sweep_name(sweep, first=True)),
        caption=sweep_caption(sweep, search),
        dark=is_dark(look),
    )
    return finish(figure, "sweep_results", output_path, look)


def daf_plot_sweep_heatmap(
    source: Any,
    output_path: str | Path | None = None,
    *,
    x: str | None = None,
    y: str | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw the objective over two hyperparameters: a matrix of means where they took few values, else the trials.

    x, y: hyperparameters (default: the first that varied). The other arguments are those of `daf_plot_sweep_results`.
    Raises `UsageError` if fewer than two varied.
    """
    sweep, search = search_of(source, None, base_dir)
    varied = [setting.name for setting in search.settings() if setting.varies]
    for name in (x, y):
        if name is not None and name not in search.names:
            raise UsageError(unknown("hyperparameter", name, search.names))
    left = [name for name in varied if name not in (x, y)]
    across = x or (left.pop(0) if left else None)
    down = y or (left.pop(0) if left else None)
    if across is None or down is None or across == down:
        raise UsageError(
            f"a heat map needs two hyperparameters that vary; in this sweep, these vary: {', '.join(varied)}."
        )
    others = [name for name in varied if name not in (across, down)]
    mixed = f" {', '.join(others)} varied too." if others else ""
    figure = pair_figure(
        search.trials,
        across,
        down,
        objective=search.objective,
        ranges=search.ranges,
        title=titled(look, f"{search.objective} by {across} and {down}: {sweep_name(sweep)}"),
        caption=_counts(sweep) + mixed,
        dark=is_dark(look),
    )
    return finish(figure, "sweep_heatmap", output_path, look)


def daf_plot_sweep_parallel_coordinates(
    source: Any,
    output_path: str | Path | None = None,
    *,
    names: Iterable[str] | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw every complete trial as a line through its hyperparameters to its objective.

    Takes the arguments of `daf_plot_sweep_results`. Raises `DataError` if no trial is complete.
    """
    sweep, search = search_of(source, names, base_dir)
    figure = parallel_figure(
        search, title=titled(look, f"Trials of {sweep_name(sweep)}"), caption=_counts(sweep), dark=is_dark(look)
    )
    return finish(figure, "sweep_parallel_coordinates", output_path, look)


def sweep_of(source: Any, base_dir: str | Path | None = None) -> SweepResult:
    """The sweep that `source` holds or refers to. Raises `DataError`, `UsageError`."""
    if isinstance(source, SweepResult):
        return source
    if is_run(source):
        path = Path(os.fspath(source)).expanduser()
        return SweepResult.load(path if path.exists() else run_folder(source, base_dir))
    if isinstance(source, Sequence):
        trials = [
            one if isinstance(one, SweepTrialResult) else _trial_of(one, place) for place, one in enumerate(source)
        ]
        result = SweepResult()
        for trial in trials:
            result.add_trial(trial)
        return result.finalize()
    raise UsageError(
        f"{type(source).__name__} holds no sweep: give a SweepResult, the run of a sweep (directory or id), or its "
        "trials."
    )


def _trial_of(row: Any, place: int) -> SweepTrialResult:
    if not isinstance(row, Mapping) or "hyperparameters" not in row:
        raise DataError(f"trial {place}: a trial needs its hyperparameters and primary_metric, got {str(row)[:60]}.")
    value = row.get("primary_metric")
    known = {} if "status" in row else {"success": value is not None}
    return SweepTrialResult.from_data({"trial_id": place, **known, **row})


def search_of(source: Any, names: Iterable[str] | None, base_dir: str | Path | None) -> tuple[SweepResult, Search]:
    """The sweep, and its trials for drawing. Raises `DataError` if it has none, `UsageError`."""
    sweep = sweep_of(source, base_dir)
    if not sweep.trials:
        raise DataError(f"sweep {sweep.name} has no trials yet.")
    known = hyperparameter_names(sweep.trials)
    chosen = known if names is None else list(names)
    for name in chosen:
        if name not in known:
            raise UsageError(unknown("hyperparameter", name, known))
    bars = len(sweep.trials) <= MOST_INTERVALS
    trials = [
        Trial(one.trial_id, one.hyperparameters, one.primary_metric, one.status, _interval(one) if bars else None)
        for one in sweep.trials
    ]
    return sweep, Search(trials, chosen, sweep.objectives[0], sweep.directions[0] == "maximize", searched_ranges(sweep))


def _interval(trial: SweepTrialResult) -> tuple[float, float] | None:
    """95 % interval over the trial's episodes, if its objective is their mean over missions; otherwise not known."""
    parts = [list(found.get("values", ())) for found in trial.mission_results.values()]
    if trial.primary_metric is None or not parts or min(len(part) for part in parts) < 2:
        return None
    flat = [value for part in parts for value in part]
    strata = np.array([index for index, part in enumerate(parts) for _ in part])
    row = summarise(["trial"], [flat], strata, resamples=1_000)[0]
    return row.ci if abs(row.mean - trial.primary_metric) <= 1e-9 * max(1.0, abs(row.mean)) else None


def sweep_name(sweep: SweepResult, *, first: bool = False) -> str:
    """The sweep, for a title; first: at its beginning."""
    if sweep.name == "sweep":
        return "A sweep" if first else "a sweep"
    return f"{'Sweep' if first else 'sweep'} {sweep.name}"


def sweep_caption(sweep: SweepResult, search: Search) -> str:
    """n, and the facts needed to read the marks."""
    parts = [_counts(sweep)]
    if any(trial.ci for trial in search.trials):
        parts.append("Bars: 95 % interval over the trial's episodes.")
    parts.append("The best of many trials is biased upwards: evaluate it on other seeds.")
    varied = sum(setting.varies for setting in search.settings())
    fixed = len(search.names) - varied
    if fixed:
        parts.append(f"{fixed} more did not vary.")
    if varied > MOST_SLICES:
        parts.append(f"{varied - MOST_SLICES} more varied; choose with names=.")
    return " ".join(parts)


def _counts(sweep: SweepResult) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in sweep.counts().items() if count)
    direction = "more is better" if sweep.directions[0] == "maximize" else "less is better"
    return f"n = {len(sweep.trials)} trials: {counts}; {direction}."
