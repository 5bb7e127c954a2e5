"""A search over settings: its trials in order, the value over each setting, and all settings side by side.

Failed trials have no value: they appear as crosses on the edge, never at 0. Trials that were stopped early are hollow,
because their values are not comparable with full ones, and never count as best.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from daf.errors import DataError
from daf.render.axis import room
from daf.render.figures.frame import WIDTH, figure_of, head, nothing
from daf.render.scales import SearchedRange, SettingScale, searched_setting, setting_of
from daf.render.text import shortened
from daf.render.theme import DARK, LIGHT, ground, themed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SLICES = 12
MOST_LINES = 2_000
"""Maximum number of lines in parallel coordinates; with more trials, only the best are drawn, with a note."""


@dataclass(frozen=True)
class Trial:
    """One trial. value: None if it failed. ci: of the value, if known."""

    number: int
    settings: "Mapping[str, Any]"
    value: float | None
    status: Literal["complete", "infeasible", "stopped", "failed", "running"]
    ci: tuple[float, float] | None = None


@dataclass(frozen=True)
class Search:
    """A sweep's trials in order. names: of the settings. maximize: whether higher is better. ranges: by setting, the
    range that was searched; the values decide about settings that are not in it.
    """

    trials: Sequence[Trial]
    names: Sequence[str]
    objective: str
    maximize: bool
    ranges: "Mapping[str, SearchedRange]" = field(default_factory=dict)

    @property
    def complete(self) -> list[Trial]:
        """The trials that count, best first; ties go to the earlier one."""
        found = [trial for trial in self.trials if trial.status == "complete" and trial.value is not None]
        sign = -1.0 if self.maximize else 1.0
        return sorted(found, key=lambda trial: (sign * (trial.value or 0.0), trial.number))

    def settings(self) -> list[SettingScale]:
        """The settings that occur in any trial, with their scales."""
        return [
            searched_setting(name, [t.settings[name] for t in self.trials if name in t.settings], self.ranges.get(name))
            for name in self.names
        ]


def search_figure(search: Search, *, title: str, caption: str, dark: bool = False) -> "Figure":
    """The value by trial with the best so far, and below it a plot for every setting that varied.

    Raises `DataError` without a trial.
    """
    _check(search)
    varied = [setting for setting in search.settings() if setting.varies][:MOST_SLICES]
    columns = min(3, max(1, len(varied)))
    rows = -(-len(varied) // columns) if varied else 0
    height = 3.6 + 2.5 * rows + 0.7
    with themed(dark=dark):
        figure = figure_of(WIDTH, height)
        grid = figure.add_gridspec(rows + 1, columns, height_ratios=[1.3, *([1.0] * rows)])
        draw_history(figure.add_subplot(grid[0, :]), search, dark=dark)
        for place, setting in enumerate(varied):
            axes = figure.add_subplot(grid[1 + place // columns, place % columns])
            draw_slice(axes, search, setting, label=place % columns == 0, dark=dark)
        head(figure, title, caption, width=WIDTH, dark=dark)
    return figure


def parallel_figure(search: Search, *, title: str, caption: str, dark: bool = False) -> "Figure":
    """Every trial as a line through its settings to its value. Raises `DataError` without a complete trial."""
    import matplotlib as mpl
    from matplotlib.collections import LineCollection

    _check(search)
    ranked = search.complete
    if not ranked:
        raise DataError(f"no trial is complete: there is no value of {search.objective} to draw.")
    settings = [setting for setting in search.settings() if setting.varies] or search.settings()
    names = [setting.name for setting in settings]
    whole = [trial for trial in ranked if all(name in trial.settings for name in names)]
    drawn = whole[:MOST_LINES][::-1]
    if not drawn:
        raise DataError("no complete trial has all of the settings; choose fewer with names=.")
    values = [trial.value or 0.0 for trial in drawn]
    goal = setting_of(search.objective, values, log=False)
    axes_of = [*settings, goal]
    low, high = min(values), max(values)
    with themed(dark=dark):
        figure = figure_of(max(WIDTH, 1.35 * len(axes_of) + 1.5), 5.4)
        axes = figure.add_subplot()
        colors = mpl.colormaps["cividis" if dark else "cividis_r"]
        lines = [
            [
                (place, setting.at(trial.settings[setting.name] if place < len(settings) else trial.value))
                for place, setting in enumerate(axes_of)
            ]
            for trial in drawn
        ]
        shade = [colors((value - low) / (high - low) if high > low else 1.0) for value in values]
        alpha = max(0.15, min(0.8, 40 / len(drawn)))
        axes.add_collection(LineCollection(lines, colors=shade, linewidths=1.3, alpha=alpha))
        best = np.array(lines[-1])
        axes.plot(best[:, 0], best[:, 1], color=(DARK if dark else LIGHT)[1], linewidth=2.8, marker="o", zorder=4)
        _upright(axes, axes_of, dark=dark)
        bar = figure.colorbar(
            mpl.cm.ScalarMappable(mpl.colors.Normalize(*room(low, high, 0.0)), colors), ax=axes, pad=0.02, shrink=0.85
        )
        bar.set_label(shortened(search.objective, 40))
        bar.outline.set_visible(False)
        left = len(search.trials) - len(drawn)
        why = "failed, infeasible, stopped, running, or lacking a setting"
        more = f" Not drawn: {left} of {len(search.trials)} trials ({why})."
        if len(whole) > len(drawn):
            more = f" Drawn are the best {len(drawn):,} of {len(whole):,} trials."
        note = f"Thick: trial {drawn[-1].number}, the best." + (more if left else "")
        head(figure, title, f"{caption} {note}", width=figure.get_figwidth(), dark=dark)
    return figure


def draw_history(axes: "Axes", search: Search, *, columns: int = 4, dark: bool) -> None:
    """Draw the values in trial order, and the best so far as a staircase. columns: of the legend."""
    palette, around = (DARK if dark else LIGHT), ground(dark=dark)
    shown = [trial for trial in search.trials if trial.value is not None]
    axes.set_title("Value by trial")
    if not shown:
        nothing(axes, _no_value(search), dark=dark)
        return
    bars = [(trial.number, *trial.ci) for trial in shown if trial.ci is not None]
    if bars:
        axes.vlines(*zip(*bars, strict=True), color=palette[0], linewidth=1.2, alpha=0.5)
    _scatter(axes, [(trial.number, trial) for trial in shown], dark=dark)
    ordered = sorted((t for t in shown if t.status == "complete"), key=lambda trial: trial.number)
    if ordered:
        best = (np.maximum if search.maximize else np.minimum).accumulate([trial.value or 0.0 for trial in ordered])
        last = max(trial.number for trial in search.trials)
        x = [trial.number for trial in ordered]
        axes.plot([*x, last], [*best, best[-1]], drawstyle="steps-post", color=palette[1], label="best so far")
    failed = [trial.number for trial in search.trials if trial.status == "failed"]
    if failed:
        place = axes.get_xaxis_transform()
        axes.plot(
            failed, [0.03] * len(failed), "x", transform=place, color=around.text, markersize=6, label="failed",
            clip_on=False,
        )  # fmt: skip
    axes.legend(loc="best", ncols=columns, handlelength=1.4, columnspacing=1.2)
    axes.set_xlabel("trial")
    axes.set_ylabel(shortened(search.objective, 34))
    axes.locator_params(axis="x", integer=True)


def draw_slice(axes: "Axes", search: Search, setting: SettingScale, *, label: bool, dark: bool) -> None:
    """Draw the values over one setting."""
    pairs = [(setting.place(t.settings[setting.name]), t) for t in search.trials if setting.name in t.settings]
    axes.set_title(shortened(setting.name, 30) + ("  (log)" if setting.log else ""))
    if not any(trial.value is not None for _, trial in pairs):
        nothing(axes, _no_value(search), dark=dark)
        return
    _scatter(axes, [(x, trial) for x, trial in pairs if trial.value is not None], dark=dark)
    failed = [x for x, trial in pairs if trial.status == "failed"]
    if failed:
        axes.plot(
            failed, [0.04] * len(failed), "x", transform=axes.get_xaxis_transform(), color=ground(dark=dark).text,
            markersize=5, clip_on=False,
        )  # fmt: skip
    setting.scale(axes, "x")
    axes.set_ylabel(shortened(search.objective, 22) if label else "")


def _scatter(axes: "Axes", pairs: Sequence[tuple[float, Trial]], *, dark: bool) -> None:
    color, around = (DARK if dark else LIGHT)[0], ground(dark=dark)
    faces = {"complete": color, "infeasible": around.background, "stopped": around.background, "running": around.grid}
    for status, face in faces.items():
        found = [(x, trial.value) for x, trial in pairs if trial.status == status]
        if found:
            x, y = zip(*found, strict=True)
            axes.plot(
                x, y, linestyle="none", marker="v" if status == "infeasible" else "o",
                markersize=5 if len(pairs) < 200 else 3, markerfacecolor=face, markeredgecolor=color,
                markeredgewidth=1.1, alpha=0.85, label=_STATUS_LABELS[status],
            )  # fmt: skip


_STATUS_LABELS = {"complete": "complete", "infeasible": "infeasible", "stopped": "stopped early", "running": "running"}


def _upright(axes: "Axes", settings: Sequence[SettingScale], *, dark: bool) -> None:
    """Draw a vertical axis with its own ticks at every setting."""
    around = ground(dark=dark)
    axes.grid(visible=False)
    for place, setting in enumerate(settings):
        axes.axvline(place, color=around.muted, linewidth=1, zorder=1)
        for value, text in setting.ticks():
            y = setting.at(value)
            axes.plot([place - 0.015, place + 0.015], [y, y], color=around.muted, linewidth=1)
            box = {"facecolor": around.background, "alpha": 0.7, "edgecolor": "none", "pad": 1.0}
            axes.text(
                place + 0.03, y, shortened(text, 16), va="center", fontsize=7.5, color=around.text, bbox=box, zorder=5
            )
    labels = [f"{shortened(setting.name, 22)}{'  (log)' if setting.log else ''}" for setting in settings]
    axes.set_xticks(range(len(settings)), labels)
    if max(len(label) for label in labels) * len(labels) > 120:
        axes.tick_params(axis="x", rotation=20)
    axes.set_yticks([])
    axes.set_xlim(-0.15, len(settings) - 0.5)
    axes.set_ylim(-0.05, 1.05)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)


def _check(search: Search) -> None:
    if not search.trials:
        raise DataError("the sweep has no trials yet.")


def _no_value(search: Search) -> str:
    running = sum(trial.status == "running" for trial in search.trials)
    failed = sum(trial.status == "failed" for trial in search.trials)
    return f"no trial has a value: {failed} failed, {running} running"
