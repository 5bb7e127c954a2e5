"""What agents did: their actions, what they collected and when, and where they went."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from daf.errors import DataError, UsageError, unknown
from daf.render.figures.curves import Curve, CurvePanel, curves_figure
from daf.render.figures.frame import finite_values
from daf.render.figures.map import map_figure
from daf.render.figures.means import Estimate, Group, MeansPanel, means_figure
from daf.stats.student import student_interval
from daf.stats.summaries import summarise
from daf.visualization._behaviour import Collected, Shares, action_shares, at_steps, collected, episodes_given, grid
from daf.visualization._plots import Look, Plot, finish, in_plan_order, is_dark, titled
from daf.visualization._visits import visited

MOST_ACTIONS = 20
MOST_PANELS = 12


@in_plan_order
def daf_plot_action_frequency(
    source: Any,
    output_path: str | Path | None = None,
    *,
    mission: str | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw in which share of their steps agents took each action, by policy.

    source: a run (directory, id), an evaluation, records, a replay or replays; or {action: count} or
    {policy: {action: count}}. mission: only this one. Raises `DataError` if nothing was counted.
    """
    counted = isinstance(source, Mapping)
    rows = _shares_given(source) if counted else action_shares(*episodes_given(source, base_dir))
    rows = _of_mission(rows, mission)
    policies = list(dict.fromkeys(row.policy for row in rows))
    missions = list(dict.fromkeys(row.mission for row in rows))
    totals: dict[str, float] = {}
    for row in rows:
        for action, share in row.shares.items():
            totals[action] = totals.get(action, 0.0) + share
    ranked = sorted(totals, key=lambda action: (-totals[action], action))
    panels = []
    for name in missions[:MOST_PANELS]:
        groups = []
        for action in ranked[:MOST_ACTIONS]:
            cells = {}
            for policy in policies:
                shares = [r.shares.get(action, 0.0) for r in rows if r.policy == policy and r.mission == name]
                if shares:
                    found = summarise([policy], [shares], resamples=1_000)[0]
                    inside = None if found.ci is None else (max(0.0, found.ci[0]), min(1.0, found.ci[1]))
                    cells[policy] = Estimate(found.mean, inside, found.n)
            groups.append(Group(action, cells))
        panels.append(MeansPanel(name, "share of actions" if counted else "share of agent steps", groups))
    left = len(ranked) - MOST_ACTIONS
    n = "" if counted else f" Bars: 95 % interval over episodes. {_episodes(rows)}"
    note = (
        ""
        if counted
        else " Shares may add up to more than 1: an agent can change its vibe in addition to another action."
    )
    figure = means_figure(
        panels,
        policies,
        title=titled(look, f"Actions of {_policies_text(policies)}"),
        caption=f"Marks: {'shares of the counts given' if counted else 'means over episodes'}.{n}{note}"
        + (f" {left} rarer actions are not drawn." if left > 0 else ""),
        dark=is_dark(look),
    )
    return finish(figure, "action_frequency", output_path, look)


@in_plan_order
def daf_plot_resource_collection_timeline(
    source: Any,
    output_path: str | Path | None = None,
    *,
    resources: Iterable[str] | None = None,
    mission: str | None = None,
    base_dir: str | Path | None = None,
    **look: Unpack[Look],
) -> Plot:
    """Draw how much of each resource an agent had collected by each step, by policy, with the interval over episodes.

    source: a run (directory, id), an evaluation or records with sampled `agent.NAME.gained`, a replay or replays.
    resources: which of those (default: all). mission: only this one. Raises `DataError` if there are no such data.
    """
    rows = _of_mission(collected(*episodes_given(source, base_dir)), mission)
    known = list(dict.fromkeys(name for row in rows for name in row.amounts))
    chosen = known if resources is None else list(resources)
    for name in chosen:
        if name not in known:
            raise UsageError(unknown("resource", name, known))
    missions = list(dict.fromkeys(row.mission for row in rows))
    policies = list(dict.fromkeys(row.policy for row in rows))
    panels = []
    for name in missions:
        of_mission = [row for row in rows if row.mission == name]
        steps = grid(of_mission)
        behind = f" · {name}" if len(missions) > 1 else ""
        for resource in chosen:
            if any(resource in row.amounts for row in of_mission):
                curves = [
                    _collected_curve(policy, [row for row in of_mission if row.policy == policy], resource, steps)
                    for policy in policies
                    if any(row.policy == policy for row in of_mission)
                ]
                panels.append(CurvePanel(resource + behind, "collected per agent", curves))
    most = len(panels) - MOST_PANELS
    where = f" on {missions[0]}" if len(missions) == 1 else ""
    figure = curves_figure(
        panels[:MOST_PANELS],
        names=policies,
        x_label="step",
        title=titled(look, f"Resources collected by {_policies_text(policies)}{where}"),
        caption="Lines: all that agents picked up so far, including what they no longer hold"
        f"{_bands(rows)} {_episodes(rows)}"
        + (f" {most} more panels are not drawn; choose with resources=." if most > 0 else ""),
        dark=is_dark(look),
    )
    return finish(figure, "resource_collection_timeline", output_path, look)


def daf_plot_position_heatmap(
    source: Any, output_path: str | Path | None = None, *, base_dir: str | Path | None = None, **look: Unpack[Look]
) -> Plot:
    """Draw where agents were, on the map.

    source: a replay or replays, a run (directory, id) with replays, sampled positions or training logs, records, or an
    array of counts by row and column. Raises `DataError` if no position is known.
    """
    found = visited(source, base_dir)
    if not any(one.visits.any() for one in found.maps):
        raise DataError("no position was recorded: all counts are 0.")
    more = f" {found.left_out} more maps, visited less, are not drawn." if found.left_out else ""
    absent = "are not in the records" if found.sampled else "were never visited"
    walls = " Grey: walls." if any(one.walls is not None for one in found.maps) else ""
    figure = map_figure(
        found.maps,
        title=titled(look, "Where the agents were"),
        caption=f"{found.what}. Colours on a logarithmic scale; cells without colour {absent}.{walls}{more}",
        unit=found.unit,
        dark=is_dark(look),
    )
    return finish(figure, "position_heatmap", output_path, look)


def _shares_given(source: Mapping[Any, Any]) -> list[Shares]:
    named = source if all(isinstance(value, Mapping) for value in source.values()) else {"actions": source}
    rows = []
    for policy, counts in named.items():
        values = finite_values(list(counts.values()), f"counts of {policy}")
        if (values < 0).any():
            raise DataError(f"{policy}: {list(counts)[int(np.argmin(values))]} is counted {values.min():g} times.")
        if not values.sum():
            raise DataError(f"{policy}: no action was counted.")
        shares = dict(zip(map(str, counts), (values / values.sum()).tolist(), strict=True))
        rows.append(Shares(str(policy), "", shares))
    if not rows:
        raise DataError("no action was counted: the mapping is empty.")
    return rows


def _of_mission[T: (Shares, Collected)](rows: Sequence[T], mission: str | None) -> list[T]:
    if mission is None:
        return list(rows)
    known = list(dict.fromkeys(row.mission for row in rows))
    if mission not in known:
        raise UsageError(unknown("mission", mission, known))
    return [row for row in rows if row.mission == mission]


def _collected_curve(policy: str, rows: Sequence[Collected], resource: str, steps: np.ndarray) -> Curve:
    table = at_steps(rows, resource, steps)
    mean = table.mean(axis=0).tolist()
    if len(rows) < 2:
        return Curve(policy, steps.tolist(), mean)
    low, high = student_interval(table.T, np.zeros(len(rows), np.int64), "mean")
    return Curve(policy, steps.tolist(), mean, low=np.maximum(low, 0.0).tolist(), high=high.tolist())


def _counts(rows: Sequence[Shares] | Sequence[Collected]) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        counts[row.policy, row.mission] = counts.get((row.policy, row.mission), 0) + 1
    return counts


def _bands(rows: Sequence[Collected]) -> str:
    if max(_counts(rows).values()) < 2:
        return "."
    return "; means over episodes; shaded: 95 % interval (Student). After an episode ends, its last amounts count."


def _episodes(rows: Sequence[Shares] | Sequence[Collected]) -> str:
    counts = _counts(rows)
    least, most = min(counts.values()), max(counts.values())
    n = f"{least}" if least == most else f"{least} to {most}"
    several = " and mission" if len({mission for _, mission in counts}) > 1 else ""
    return f"n = {n} episode{'s' if most > 1 else ''} per policy{several}."


def _policies_text(policies: Sequence[str]) -> str:
    return ", ".join(policies) if len(policies) <= 3 else f"{len(policies)} policies"
