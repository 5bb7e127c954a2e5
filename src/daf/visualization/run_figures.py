"""All figures that fit a run: `daf plot`.

The contents of the run directory determine which figures fit. A figure for which the data do not suffice (too few
episodes, nothing sampled) is left out with its reason, unless it was requested by name.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from daf.errors import DataError, UsageError, unknown
from daf.output_manager.kinds import Kind, kind_of
from daf.storage.names import file_name
from daf.visualization._behaviour_plots import (
    daf_plot_action_frequency,
    daf_plot_position_heatmap,
    daf_plot_resource_collection_timeline,
)
from daf.visualization._metric_values import records_given
from daf.visualization._plots import Look, Plot, is_dark
from daf.visualization._runs_given import run_folder
from daf.visualization.dashboard import daf_generate_summary_dashboard
from daf.visualization.metric_plots import (
    daf_plot_detailed_metrics_comparison,
    daf_plot_metric_correlations,
    daf_plot_metric_distributions,
    daf_plot_metrics_correlation_matrix,
    daf_plot_policy_radar,
)
from daf.visualization.policy_plots import (
    daf_plot_cumulative_performance,
    daf_plot_episode_reward_distribution,
    daf_plot_policy_comparison,
)
from daf.visualization.sweep_plots import (
    daf_plot_sweep_heatmap,
    daf_plot_sweep_parallel_coordinates,
    daf_plot_sweep_results,
)
from daf.visualization.training_data import seeds_together
from daf.visualization.training_plots import daf_plot_learning_dynamics, daf_plot_training_curves

type Draw = Callable[..., Plot]

DRAWN: dict[str, tuple[str, Draw]] = {
    "curves": ("training_curves", daf_plot_training_curves),
    "dynamics": ("learning_dynamics", daf_plot_learning_dynamics),
    "comparison": ("policy_comparison", daf_plot_policy_comparison),
    "rewards": ("episode_reward_distribution", daf_plot_episode_reward_distribution),
    "cumulative": ("cumulative_performance", daf_plot_cumulative_performance),
    "metrics": ("detailed_metrics_comparison", daf_plot_detailed_metrics_comparison),
    "distributions": ("metric_distributions", daf_plot_metric_distributions),
    "correlations": ("metric_correlations", daf_plot_metric_correlations),
    "matrix": ("metrics_correlation_matrix", daf_plot_metrics_correlation_matrix),
    "radar": ("policy_radar", daf_plot_policy_radar),
    "actions": ("action_frequency", daf_plot_action_frequency),
    "resources": ("resource_collection_timeline", daf_plot_resource_collection_timeline),
    "positions": ("position_heatmap", daf_plot_position_heatmap),
    "results": ("sweep_results", daf_plot_sweep_results),
    "heatmap": ("sweep_heatmap", daf_plot_sweep_heatmap),
    "parallel": ("sweep_parallel_coordinates", daf_plot_sweep_parallel_coordinates),
    "dashboard": ("summary_dashboard", daf_generate_summary_dashboard),
}
"""Every kind of figure: its file name, and the function that draws it."""
OF_EPISODES = (
    "comparison", "rewards", "cumulative", "metrics", "distributions", "correlations", "matrix", "radar", "actions",
    "resources", "positions", "dashboard",
)  # fmt: skip
OF_RUN: Mapping[Kind, Sequence[str]] = {
    "training": ("curves", "dynamics", "positions", "dashboard"),
    "evaluation": OF_EPISODES,
    "comparison": OF_EPISODES,
    "metrics": OF_EPISODES,
    "power": OF_EPISODES,
    "ablation": OF_EPISODES,
    "benchmark": OF_EPISODES,
    "crossplay": ("actions", "resources", "positions"),
    "score": ("actions", "resources", "positions"),
    "gate": ("actions", "resources", "positions"),
    "sweep": ("results", "heatmap", "parallel", "dashboard"),
    "logs": ("positions",),
    "replays": ("actions", "resources", "positions"),
}
PER_MISSION = ("distributions", "matrix", "radar")
"""Kinds with one figure per mission, if there are several."""
WITH_MISSION = (*PER_MISSION, "metrics", "correlations", "actions", "resources")
SEVERAL = ("curves", "dynamics", "dashboard")
"""The figures that can show several training runs together."""


@dataclass(frozen=True)
class RunFigures:
    """folder: the directory of the figures. run_id: of the run, or of the run directory created for the figures of
    several; None if there is neither. drawn: by kind. left_out: kinds whose data did not suffice, with the reason.
    """

    folder: Path
    run_id: str | None
    drawn: Mapping[str, Sequence[Plot]]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> list[Path]:
        """All files."""
        return [path for plots in self.drawn.values() for plot in plots for path in plot.paths]


def daf_plot_run(
    run: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    kinds: Sequence[str] = (),
    *,
    output_dir: str | Path | None = None,
    mission: str | None = None,
    metrics: Sequence[str] | None = None,
    over_seeds: bool = False,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> RunFigures:
    """Draw the figures that fit a run, or those of `kinds` (names of `DRAWN`).

    run: a directory or id, or a replay file; several training runs are drawn together. output_dir: where figures are
    written (default: the run's `visualizations`; for several runs or a replay file, this session's run directory).
    mission, metrics: only these, for figures that have them. over_seeds: training runs that differ only in their seed
    are drawn as their mean. base_dir: where ids are looked up. Raises `UsageError` for an unknown kind or one that does
    not fit, and whatever a figure that was requested by name raises.
    """
    is_dark(look)
    given = [run] if isinstance(run, str | os.PathLike) else list(run)
    for kind in kinds:
        if kind not in DRAWN:
            raise UsageError(unknown("kind of figure", kind, DRAWN))
    source, fitting, place = _fitting(given, base_dir)
    if over_seeds:
        if fitting != SEVERAL:
            raise UsageError("a mean over seeds needs at least two training runs.")
        source = seeds_together(source)
    for kind in kinds:
        if kind not in fitting:
            raise UsageError(f"a figure of kind {kind} does not fit {given[0]}; these do: {', '.join(fitting)}.")
    run_id = None if place is None else place.parent.name
    if output_dir is not None:
        folder = Path(output_dir).expanduser()
    elif place is not None:
        folder = place
    else:
        folder = _session(look)
        run_id = folder.name
    drawn: dict[str, list[Plot]] = {}
    left_out: dict[str, str] = {}
    for kind in kinds or fitting:
        try:
            drawn[kind] = _draw(kind, source, folder, mission, metrics, look)
        except (DataError, UsageError) as error:
            if kinds:
                raise
            left_out[kind] = str(error)
    if not drawn:
        reasons = "; ".join(f"{kind}: {reason}" for kind, reason in left_out.items())
        raise DataError(f"nothing of {given[0]} can be drawn. {reasons}")
    return RunFigures(folder, run_id, drawn, left_out)


def fitting_kinds(
    run: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, base_dir: str | Path | None = None
) -> dict[str, str]:
    """The kinds of figures that fit a run or runs, each with a description; their data may still not suffice."""
    given = [run] if isinstance(run, str | os.PathLike) else list(run)
    return {kind: _shows(DRAWN[kind][1]) for kind in _fitting(given, base_dir)[1]}


def _shows(draw: Draw) -> str:
    """The first sentence of a function's docstring, without its verb."""
    sentence = (draw.__doc__ or "").partition("\n\n")[0].removeprefix("Draw ").rstrip(".")
    return " ".join(sentence.partition(": ")[0].split())


def _fitting(
    given: Sequence[str | os.PathLike[str]], base_dir: str | Path | None
) -> tuple[Any, Sequence[str], Path | None]:
    """What to draw from, the kinds that fit it, and the directory for its figures, None if it has none."""
    if not given:
        raise UsageError("no run is named.")
    if len(given) == 1 and Path(given[0]).expanduser().is_file():
        return Path(given[0]).expanduser(), OF_RUN["replays"], None
    folders = [run_folder(one, base_dir) for one in given]
    kinds = {kind_of(folder) for folder in folders}
    if len(folders) > 1:
        if kinds != {"training"}:
            raise UsageError(
                "only training runs can share figures. `daf compare` plays policies on the same episodes, and its run "
                "has the figures."
            )
        return folders, SEVERAL, None
    kind = next(iter(kinds))
    if kind not in OF_RUN:
        raise UsageError(f"{folders[0]} has no data for figures (it is a run of kind {kind}).")
    return folders[0], OF_RUN[kind], folders[0] / "visualizations"


def _draw(
    kind: str, source: Any, folder: Path, mission: str | None, metrics: Sequence[str] | None, look: Look
) -> list[Plot]:
    name, draw = DRAWN[kind]
    suffix = f".{next(iter(look.get('formats', ())), 'png')}"
    extra: dict[str, Any] = {}
    if metrics is not None and kind in (
        "curves",
        "dynamics",
        "metrics",
        "distributions",
        "correlations",
        "matrix",
        "radar",
    ):
        extra["metrics"] = metrics
    if mission is not None and kind in WITH_MISSION:
        extra["mission"] = mission
    missions = [mission] if mission is not None or kind not in PER_MISSION else _missions(source)
    if len(missions) < 2:
        return [draw(source, folder / f"{name}{suffix}", **extra, **look)]
    plots = []
    for one in missions:
        target = folder / f"{name}_{file_name(str(one))}{suffix}"
        plots.append(draw(source, target, **(extra | {"mission": one}), **look))
    return plots


def _missions(source: Any) -> list[str | None]:
    given = records_given(source)
    return list(dict.fromkeys(record.spec.mission for record in given if record.ok))


def _session(look: Look) -> Path:
    from daf.output_manager import get_output_manager

    output = look.get("output_manager") or get_output_manager()
    return output.get_operation_dir("visualizations")
