"""One sheet on a training run, a comparison or a sweep: 1,800 × 1,200 pixels, for a slide or a message."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from daf.errors import DataError, UsageError
from daf.output_manager.kinds import kind_of
from daf.render.figures.means import Group, MeansPanel
from daf.render.figures.sheet import Cell, Facts, HistoryPanel, SlicePanel, dashboard_figure
from daf.stats.sentences import amount_text, number
from daf.visualization._metric_values import metric_table
from daf.visualization._plots import Look, Plot, finish, in_plan_order, is_dark, titled
from daf.visualization._runs_given import is_run, run_folder
from daf.visualization.metric_plots import metric_unit
from daf.visualization.policy_plots import (
    comparison_caption,
    comparison_panel,
    mission_label,
    policies_label,
    spread_panels,
)
from daf.visualization.returns import Returns, returns_of
from daf.visualization.sweep_plots import search_of, sweep_caption, sweep_name, sweep_of
from daf.visualization.training_data import TrainingCurves, training_groups
from daf.visualization.training_plots import CURVES, Groups, training_panels, training_title, x_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Subject = Literal["training", "policies", "sweep"]
ON_SHEET = (*CURVES, "loss/value")


@in_plan_order
def daf_generate_summary_dashboard(
    source: Any, output_path: str | Path | None = None, *, base_dir: str | Path | None = None, **look: Unpack[Look]
) -> Plot:
    """Draw one sheet on a run, a comparison or a sweep: main curves or comparisons next to the facts.

    source: a run (directory, id) of training, evaluation, comparison or sweep; a comparison's report; an evaluation; a
    `SweepResult`; rows or columns of training metrics; or a mapping with any of "training", "returns" and "sweep", each
    as the single figures take it. Raises `DataError` if there is nothing to show.
    """
    dark = is_dark(look)
    given = _given(source, base_dir)
    sheets = {"training": _training, "policies": _policies, "sweep": _sweep}
    if len(given) == 1:
        subject, one = next(iter(given.items()))
        figure = sheets[subject](one, base_dir, look, dark)
    else:
        figure = _mixed(given, base_dir, look, dark)
    return finish(figure, "summary_dashboard", output_path, look)


def _given(source: Any, base_dir: str | Path | None) -> dict[Subject, Any]:
    from daf.sweeps.result import SweepResult

    names: dict[str, Subject] = {
        "training": "training",
        "returns": "policies",
        "policies": "policies",
        "sweep": "sweep",
    }
    if isinstance(source, Mapping) and source and set(source) <= names.keys():
        return {names[name]: one for name, one in source.items()}
    if isinstance(source, SweepResult):
        return {"sweep": source}
    if is_run(source):
        path = Path(source).expanduser()
        kind = "training" if path.is_file() else kind_of(run_folder(source, base_dir))
        if kind == "sweep":
            return {"sweep": source}
        return {"training": source} if kind == "training" else {"policies": source}
    behind = (hasattr(source, name) for name in ("evaluation", "analysis", "policy_mission_rewards"))
    return {"policies": source} if any(behind) else {"training": source}


def _training(source: Any, base_dir: str | Path | None, look: Look, dark: bool) -> "Figure":
    groups = training_groups(source, base_dir)
    panels, caption = training_panels(groups, None, ON_SHEET, None)
    cells: list[Cell] = [*panels[:5], _training_facts(groups)]
    title = titled(look, training_title("Training", list(groups)))
    return dashboard_figure(cells, list(groups), title=title, caption=caption, x_label=x_label(groups), dark=dark)


def _policies(source: Any, base_dir: str | Path | None, look: Look, dark: bool) -> "Figure":
    found = returns_of(source, base_dir)
    cells: list[Cell] = [comparison_panel(found, "Mean return"), *spread_panels(found)[:2]]
    try:
        table = metric_table(source, None, most=5 - len(cells), base_dir=base_dir)
    except (DataError, UsageError):  # plain returns have no metrics; then the sheet is smaller
        table = None
    for metric in table.metrics if table else ():
        groups = [
            Group(mission_label(name), {one.policy: one.estimate() for one in table.of(metric, name)} if table else {})
            for name in (table.missions if table else ())
        ]
        cells.append(MeansPanel(metric, metric_unit(metric), groups, longest=18))
    title = titled(look, f"Comparison of {policies_label(found)}")
    caption = comparison_caption(found) + " Boxes: quartiles and median; diamonds: means with their intervals."
    sheet = [*cells, _policy_facts(found)]
    return dashboard_figure(sheet, found.policies, title=title, caption=caption, lines=False, dark=dark)


def _sweep(source: Any, base_dir: str | Path | None, look: Look, dark: bool) -> "Figure":
    sweep, search = search_of(source, None, base_dir)
    varied = [setting.name for setting in search.settings() if setting.varies]
    slices = [SlicePanel(search, name) for name in varied[:4]]
    cells: list[Cell] = [HistoryPanel(search), *slices, _sweep_facts(source, base_dir)]
    title = titled(look, sweep_name(sweep, first=True))
    return dashboard_figure(cells, (), title=title, caption=sweep_caption(sweep, search), dark=dark)


def _mixed(given: Mapping[Subject, Any], base_dir: str | Path | None, look: Look, dark: bool) -> "Figure":
    cells: list[Cell] = []
    captions, names, label = [], [], ""
    if "training" in given:
        groups = training_groups(given["training"], base_dir)
        panels, caption = training_panels(groups, None, ON_SHEET, None)
        cells += panels[:2]
        captions.append(caption)
        names += list(groups)
        label = x_label(groups)
    if "policies" in given:
        found = returns_of(given["policies"], base_dir)
        cells += [comparison_panel(found, "Mean return"), *spread_panels(found)[:1]]
        captions.append(comparison_caption(found))
        names += [name for name in found.policies if name not in names]
    if "sweep" in given:
        sweep, search = search_of(given["sweep"], None, base_dir)
        cells += [HistoryPanel(search), _sweep_facts(given["sweep"], base_dir)]
        captions.append(sweep_caption(sweep, search))
    title = titled(look, "Summary")
    return dashboard_figure(cells, names, title=title, caption=" ".join(captions), x_label=label, dark=dark)


def _training_facts(groups: Groups) -> Facts:
    runs = [run for of_label in groups.values() for run in of_label]
    if len(runs) > 1:
        names = [run.name if run.run is None else run.run.path.name for run in runs]
        return Facts("Runs, last return", [(name, _last(run)) for name, run in zip(names, runs, strict=True)])
    result = runs[0].run.result if runs[0].run is not None else {}
    rows = [
        (name, str(result[name])) for name in ("status", "mission", "policy", "seed") if result.get(name) is not None
    ]
    steps = max((float(found[-1]) for found in runs[0].steps.values() if len(found)), default=0.0)
    if runs[0].steps_known:
        rows.append(("agent steps", f"{steps:,.0f}"))
    if result.get("total_timesteps"):
        rows.append(("planned", f"{result['total_timesteps']:,}"))
    if result.get("wall_seconds"):
        rows.append(("wall time", f"{result['wall_seconds']:,.0f} s"))
    rows.append(("last return", _last(runs[0])))
    if runs[0].evaluations:
        last = runs[0].evaluations[-1]
        rows.append(("last evaluation", amount_text(last.mean, last.interval)))
    error = result.get("error")
    if isinstance(error, Mapping):
        rows.insert(0, ("error", str(error.get("message", error))))
    return Facts("The run", rows)


def _last(run: TrainingCurves) -> str:
    values = run.values.get(CURVES[0])
    return number(float(values[-1])) if values is not None and len(values) else "no episode ended"


def _policy_facts(found: Returns) -> Facts:
    where = ", all missions" if len(found.missions) > 1 else ""
    means = found.overall or found.by_mission.get(found.missions[0], {})
    ranked = sorted(means, key=lambda policy: -means[policy].mean)
    rows = []
    for policy in ranked:
        cell = means[policy]
        rows.append((policy, amount_text(cell.mean, cell.ci)))
    least, most = found.episodes
    rows.append(("episodes", f"{least:,} each" if least == most else f"{least:,} to {most:,} each"))
    if found.failures:
        rows.append(("failed", f"{found.failures:,} episodes"))
    return Facts(f"Mean return{where}", rows)


def _sweep_facts(source: Any, base_dir: str | Path | None) -> Facts:
    sweep = sweep_of(source, base_dir)
    rows = [("status", sweep.status), *((name, str(count)) for name, count in sweep.counts().items() if count)]
    best = sweep.top_trials(1)
    if best:
        rows += [("best trial", f"{best[0].trial_id}: {best[0].primary_metric:.4g}")]
        rows += [
            (name, f"{value:.4g}" if isinstance(value, float) else str(value))
            for name, value in best[0].hyperparameters.items()
        ]
    return Facts("The sweep", rows)
