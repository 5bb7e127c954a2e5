"""The progress of training: returns and lengths, and the optimizer's metrics.

A single run is drawn as it is (thin) with a moving mean (thick); several runs with the same label are repetitions,
drawn as their mean with an interval over runs. Evaluation results appear next to it, with their interval over episodes.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from daf.errors import DataError, UsageError, unknown
from daf.render.figures.curves import Curve, CurvePanel, curves_figure
from daf.stats.arrays import FloatArray
from daf.stats.smoothing import running_mean
from daf.stats.student import student_interval
from daf.visualization._plots import Look, Plot, finish, is_dark, titled
from daf.visualization.training_data import UNNAMED_RUN, EvaluationPoint, TrainingCurves, training_groups

RETURN = "episode/return"
CURVES = (RETURN, "episode/length", "reward/per_step", "loss/entropy")
DYNAMICS = (
    "loss/policy",
    "loss/value",
    "loss/approx_kl",
    "loss/clip_fraction",
    "loss/explained_variance",
    "gradient/norm",
    "schedule/learning_rate",
    "clock/sps",
)
LABELS: dict[str, tuple[str, str]] = {
    RETURN: ("Return", "reward per agent and episode"),
    "episode/length": ("Episode length", "steps"),
    "episode/count": ("Finished episodes per update", "episodes"),
    "reward/per_step": ("Reward per step", "reward per agent step"),
    "loss/policy": ("Policy loss", "loss"),
    "loss/value": ("Value loss", "loss"),
    "loss/entropy": ("Policy entropy", "nats"),
    "loss/total": ("Total loss", "loss"),
    "loss/approx_kl": ("Policy change", "approximate KL (nats)"),
    "loss/old_approx_kl": ("Policy change, first order", "approximate KL (nats)"),
    "loss/clip_fraction": ("Clipped ratios", "share of samples"),
    "loss/explained_variance": ("Explained variance", "share"),
    "gradient/norm": ("Gradient norm", "norm"),
    "schedule/learning_rate": ("Learning rate", "rate"),
    "schedule/clip_range": ("Clip range", "range"),
    "schedule/ent_coef": ("Entropy coefficient", "coefficient"),
    "clock/sps": ("Speed", "agent steps / s"),
    "system/cpu_percent": ("CPU", "%"),
    "system/memory_mb": ("Memory", "MB"),
    "system/gpu_memory_mb": ("GPU memory", "MB"),
}
"""Title and axis label of the metrics that DAF records; for others, their names."""
MOST_PANELS = 12
GRID = 200
"""Number of points at which runs with different steps are averaged."""
LEAST_TO_SMOOTH = 20


def daf_plot_training_curves(
    source: Any,
    output_path: str | Path | None = None,
    *,
    metrics: Sequence[str] | None = None,
    smooth: int | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw returns, lengths, rewards and entropy over agent steps.

    source: a training run (directory, id), several of them, {label: run or runs (seeds)}, rows, or columns of numbers;
    see `training_groups`. metrics: instead of these. smooth: updates in the moving mean (default: a twentieth of them).
    base_dir: where ids are looked up. Raises `DataError` if nothing was recorded or a value is not finite.
    """
    groups = training_groups(source, base_dir)
    panels, caption = training_panels(groups, metrics, CURVES, smooth)
    names = list(groups)
    figure = curves_figure(
        panels,
        names=names,
        x_label=x_label(groups),
        title=titled(look, training_title("Training", names)),
        caption=caption,
        size=(10.0, 20 / 3) if len(panels) in (3, 4) else None,
        dark=is_dark(look),
    )
    return finish(figure, "training_curves", output_path, look)


def daf_plot_learning_dynamics(
    source: Any,
    output_path: str | Path | None = None,
    *,
    metrics: Sequence[str] | None = None,
    smooth: int | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw losses, the policy's change, gradients, the learning rate and the speed over agent steps.

    Takes the arguments of `daf_plot_training_curves`.
    """
    groups = training_groups(source, base_dir)
    panels, caption = training_panels(groups, metrics, DYNAMICS, smooth)
    names = list(groups)
    figure = curves_figure(
        panels,
        names=names,
        x_label=x_label(groups),
        title=titled(look, training_title("Learning dynamics", names)),
        caption=caption,
        dark=is_dark(look),
    )
    return finish(figure, "learning_dynamics", output_path, look)


type Groups = Mapping[str, Sequence[TrainingCurves]]


def training_panels(
    groups: Groups, metrics: Sequence[str] | None, usual: Sequence[str], smooth: int | None
) -> tuple[list[CurvePanel], str]:
    """Panels and caption of a training figure.

    Without `metrics`, the `usual` ones that were recorded; if none of them was, all that were, up to `MOST_PANELS`.
    """
    if smooth is not None and smooth < 1:
        raise UsageError(f"smooth={smooth}: must be at least 1 update.")
    every = [run for runs in groups.values() for run in runs]
    recorded = list(dict.fromkeys(metric for run in every for metric in run.values))
    if RETURN not in recorded and any(run.run is not None for run in every):
        recorded.insert(0, RETURN)  # a run without a finished episode states that, next to the evaluations
    chosen, left_out = _chosen(recorded, metrics, usual)
    panels = []
    for metric in chosen:
        title, unit = LABELS.get(metric, (metric, metric.rpartition("/")[2]))
        curves = [_curve(label, runs, metric, smooth) for label, runs in groups.items()]
        panels.append(CurvePanel(title, unit, [curve for curve in curves if curve is not None], _nothing(metric)))
    return panels, _caption(groups, smooth, chosen, left_out)


def _chosen(recorded: Sequence[str], wanted: Sequence[str] | None, usual: Sequence[str]) -> tuple[list[str], int]:
    if wanted is not None:
        for metric in wanted:
            if metric not in recorded:
                raise UsageError(unknown("training metric", metric, recorded))
        return list(wanted), 0
    if not recorded:
        raise DataError("nothing to draw: no metric was recorded in any of these runs.")
    known = [metric for metric in usual if metric in recorded]
    if known:
        return known, 0
    others = [metric for metric in recorded if metric != "update"]
    return others[:MOST_PANELS], max(0, len(others) - MOST_PANELS)


def _curve(label: str, runs: Sequence[TrainingCurves], metric: str, smooth: int | None) -> Curve | None:
    having = [run for run in runs if metric in run.values]
    points = _measured(runs) if metric == RETURN else []
    if not having:
        return Curve(label, (), (), points=points) if points else None
    if len(having) == 1:
        run = having[0]
        raw = run.values[metric]
        window = _window(len(raw), smooth)
        mean = running_mean(raw, window, _weights(run, metric))
        behind = raw.tolist() if window > 1 else None
        return Curve(label, run.steps[metric].tolist(), mean.tolist(), behind, points=points)
    steps, means = _on_one_grid(having, metric, smooth)
    bounds = student_interval(means.T, np.zeros(len(having), np.int64), "mean")
    low, high = (bound.tolist() for bound in bounds)
    return Curve(label, steps.tolist(), means.mean(axis=0).tolist(), low=low, high=high, points=points)


type Point = tuple[float, float, tuple[float, float] | None]


def _measured(runs: Sequence[TrainingCurves]) -> list[Point]:
    """Evaluation results; for several runs at one step, their mean, with the interval over runs."""
    by_step: dict[float, list[EvaluationPoint]] = {}
    for run in runs:
        for evaluated in run.evaluations:
            by_step.setdefault(evaluated.step, []).append(evaluated)
    points: list[Point] = []
    for step, found in sorted(by_step.items()):
        if len(found) == 1:
            points.append((step, found[0].mean, found[0].interval))
        else:
            means = np.array([[one.mean for one in found]])
            low, high = student_interval(means, np.zeros(len(found), np.int64), "mean")
            points.append((step, float(means.mean()), (float(low[0]), float(high[0]))))
    return points


def _on_one_grid(runs: Sequence[TrainingCurves], metric: str, smooth: int | None) -> tuple[FloatArray, FloatArray]:
    """Steps that all runs reached, and (runs, steps) of their moving means there, linear between updates."""
    first = max(float(run.steps[metric][0]) for run in runs)
    last = min(float(run.steps[metric][-1]) for run in runs)
    if last < first:
        raise DataError(f"{metric}: the runs of {runs[0].name} have no steps in common, so that they have no mean.")
    same = all(np.array_equal(run.steps[metric], runs[0].steps[metric]) for run in runs)
    steps = runs[0].steps[metric] if same else np.linspace(first, last, GRID)
    rows = []
    for run in runs:
        raw = run.values[metric]
        mean = running_mean(raw, _window(len(raw), smooth), _weights(run, metric))
        rows.append(np.interp(steps, run.steps[metric], mean))
    return steps, np.array(rows)


def _window(count: int, smooth: int | None) -> int:
    return smooth or (max(1, count // 20) | 1 if count >= LEAST_TO_SMOOTH else 1)


def _weights(run: TrainingCurves, metric: str) -> FloatArray:
    """Number of episodes behind each value of an episode metric, if they were counted; otherwise all count the same."""
    counts, steps = run.values.get("episode/count"), run.steps[metric]
    if counts is None or not metric.startswith(("episode/", "stats/")):
        return np.ones(len(steps))
    by_step = dict(zip(run.steps["episode/count"].tolist(), counts.tolist(), strict=True))
    return np.array([max(by_step.get(step, 1.0), 1.0) for step in steps.tolist()])


def _caption(groups: Groups, smooth: int | None, chosen: Sequence[str], left_out: int) -> str:
    runs = [run for of_label in groups.values() for run in of_label]
    several = {label: len(of_label) for label, of_label in groups.items() if len(of_label) > 1}
    parts = []
    if several:
        count = _range(several.values())
        parts.append(f"Lines: means of {count} runs (seeds), smoothed; shaded: 95 % interval over runs (Student).")
    if any(len(of_label) == 1 for of_label in groups.values()):
        counts = [len(run.values[metric]) for run in runs for metric in chosen if metric in run.values]
        windows = {_window(count, smooth) for count in counts}
        if max(windows, default=1) > 1:
            weighted = any("episode/count" in run.values for run in runs)
            alike = ", with equal weight for all episodes" if weighted else ""
            parts.append(
                f"Thin: single values (n = {_range(counts)}); thick: moving mean over {_range(windows)} of them{alike}."
            )
        else:
            parts.append(f"Single values, n = {_range(counts)}.")
    measured = [e for run in runs for e in run.evaluations]
    if RETURN in chosen and measured:
        known = [e.n for e in measured if e.n]
        n = f", n = {_range(known)} episodes each" if known else ""
        over = " over episodes, of several runs over runs" if several else " over episodes"
        bars = f"; bars: 95 % interval{over}" if any(e.interval for e in measured) else ""
        parts.append(f"Single marks: evaluations on fixed seeds{n}{bars}.")
    failed = sum(run.failed_evaluations for run in runs)
    if RETURN in chosen and failed:
        parts.append(
            f"{failed} evaluation{'s' if failed > 1 else ''} failed and {'are' if failed > 1 else 'is'} not drawn."
        )
    unusable = sum(run.not_finite for run in runs)
    if unusable:
        are = " is not a finite number and is" if unusable == 1 else "s are not finite numbers and are"
        parts.append(f"{unusable} value{are} omitted.")
    if left_out:
        more = f"{left_out} more metric{' was' if left_out == 1 else 's were'}"
        parts.append(f"{more} recorded; metrics= selects which to draw.")
    return " ".join(parts)


def _range(values: Iterable[int]) -> str:
    known = sorted(set(values))
    return "0" if not known else f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def _nothing(metric: str) -> str:
    return "no episode finished" if metric.startswith(("episode/", "stats/")) else f"{metric} was not recorded"


def x_label(groups: Groups) -> str:
    """The quantity on the x axis."""
    known = all(run.steps_known for runs in groups.values() for run in runs)
    return "agent steps" if known else "value number"


def training_title(what: str, names: Sequence[str]) -> str:
    """The figure's subject: `what`, and the runs if they have names."""
    subject = _subject(names)
    return what if subject == UNNAMED_RUN else f"{what}: {subject}"


def _subject(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} runs" if len(names) > 3 else ", ".join(names)
