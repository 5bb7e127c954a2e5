"""Policies side by side: their returns, how these spread, and how they converge with the number of episodes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from daf.render.axis import room
from daf.render.figures.curves import Curve, CurvePanel, curves_figure
from daf.render.figures.means import Estimate, Group, MeansPanel, means_figure
from daf.render.figures.spread import Spread, SpreadPanel, spread_figure
from daf.stats.student import student_interval
from daf.visualization._plots import Look, Plot, finish, in_plan_order, is_dark, titled
from daf.visualization.returns import RETURN_UNIT, UNNAMED, Returns, returns_of

MOST_MISSIONS = 12
ENOUGH_TO_FRAME = 5
"""Intervals of fewer episodes than this may be cut at the edge of the figure."""


@in_plan_order
def daf_plot_policy_comparison(
    source: Any, output_path: str | Path | None = None, *, base_dir: str | Path | None = None, **look: Unpack[Look]
) -> Plot:
    """Draw the mean return of every policy with its interval: over all missions, and on each, over its episodes.

    source: see `returns_of`. Raises `DataError` if no episode finished, and for values that are not finite.
    """
    found = returns_of(source, base_dir)
    figure = means_figure(
        [comparison_panel(found)],
        found.policies,
        title=titled(look, f"Returns of {policies_label(found)}"),
        caption=comparison_caption(found),
        dark=is_dark(look),
    )
    return finish(figure, "policy_comparison", output_path, look)


@in_plan_order
def daf_plot_episode_reward_distribution(
    source: Any, output_path: str | Path | None = None, *, base_dir: str | Path | None = None, **look: Unpack[Look]
) -> Plot:
    """Draw the return of every episode, with quartiles and the mean's interval, per mission and policy.

    source: see `returns_of`.
    """
    found = returns_of(source, base_dir)
    figure = spread_figure(
        spread_panels(found),
        found.policies,
        title=titled(look, f"Returns of single episodes: {policies_label(found)}"),
        caption=spread_caption(found),
        dark=is_dark(look),
    )
    return finish(figure, "episode_reward_distribution", output_path, look)


@in_plan_order
def daf_plot_cumulative_performance(
    source: Any, output_path: str | Path | None = None, *, base_dir: str | Path | None = None, **look: Unpack[Look]
) -> Plot:
    """Draw the mean return over the first 1, 2, … episodes, in the order of the seeds, with its interval.

    It shows whether the number of episodes was sufficient. The interval at each number is valid for that number alone;
    to stop once a result is decided, use `daf compare --until-decided`. source: see `returns_of`.
    """
    found = returns_of(source, base_dir)
    panels = []
    for mission in found.missions[:MOST_MISSIONS]:
        curves = [
            _running(policy, list(found.values[policy][mission]), 1 - found.level)
            for policy in found.policies
            if len(found.values.get(policy, {}).get(mission, ()))
        ]
        panels.append(
            CurvePanel(mission_label(mission), RETURN_UNIT, curves, "no episode finished", limits=_limits(curves))
        )
    figure = curves_figure(
        panels,
        names=found.policies,
        x_label="episodes",
        title=titled(look, f"Mean return by number of episodes: {policies_label(found)}"),
        caption=f"Mean over the first episodes, in the order of their seeds; shaded: {100 * found.level:g} % interval "
        f"(Student) of that number of episodes, from the second on, cut where it "
        f"is very wide. {count_label(found)}{_left_out(found)}",
        dark=is_dark(look),
    )
    return finish(figure, "cumulative_performance", output_path, look)


def comparison_panel(found: Returns, title: str = "") -> MeansPanel:
    """A row for all missions together, if there are several, and one for each."""
    groups = []
    if len(found.missions) > 1 and found.overall:
        groups.append(
            Group(f"all {len(found.missions)} missions", found.overall, dict.fromkeys(found.policies, "not everywhere"))
        )
    for mission in found.missions:
        cells = {
            policy: Estimate(cell.mean, cell.ci, cell.n, tuple(found.values.get(policy, {}).get(mission, ())))
            for policy, cell in found.by_mission.get(mission, {}).items()
        }
        absent = {
            policy: f"all {found.failed_of(policy, mission)} failed" if found.failed_of(policy, mission) else "none"
            for policy in found.policies
            if policy not in cells
        }
        groups.append(Group(mission_label(mission), cells, absent))
    return MeansPanel(title, RETURN_UNIT, groups)


def comparison_caption(found: Returns) -> str:
    """An explanation of the marks of a comparison."""
    bars = found.interval_words()
    parts = ["Marks: means over episodes" + (f"; bars: {bars}" if bars else "") + "; dots: single episodes."]
    if any(cell.ci is None for cells in found.by_mission.values() for cell in cells.values()):
        parts.append("Hollow: no interval is known.")
    if len(found.missions) > 1:
        parts.append("Missions have equal weight.")
    return " ".join([*parts, count_label(found)])


def spread_panels(found: Returns) -> list[SpreadPanel]:
    """A panel for each mission, a row for each policy."""
    panels = []
    for mission in found.missions[:MOST_MISSIONS]:
        rows = []
        for policy in found.policies:
            cell = found.by_mission.get(mission, {}).get(policy)
            failed = found.failed_of(policy, mission)
            values = found.values.get(policy, {}).get(mission, ())
            rows.append(Spread(policy, values, cell.ci if cell else None, f"{failed} failed" if failed else ""))
        panels.append(SpreadPanel(mission_label(mission), RETURN_UNIT, rows))
    return panels


def spread_caption(found: Returns) -> str:
    """An explanation of the marks of a spread."""
    bars = found.interval_words()
    mean = f"diamond: mean{f', with its {bars}' if bars else ''}"
    return f"Dots: episodes; box: quartiles and median; {mean}. {count_label(found)}{_left_out(found)}"


def policies_label(found: Returns) -> str:
    """The policies, for a title."""
    names = found.policies
    policies = ", ".join(names) if len(names) <= 3 else f"{len(names)} policies"
    where = found.missions[0] if len(found.missions) == 1 and found.missions[0] != UNNAMED else ""
    return f"{policies} on {where}" if where else policies


def mission_label(mission: str) -> str:
    """A mission, for a panel's title; empty for numbers that came without one."""
    return "" if mission == UNNAMED else mission


def count_label(found: Returns) -> str:
    """n, and the failures."""
    least, most = found.episodes
    n = f"n = {most:,}" if least == most else f"n = {least:,} to {most:,}"
    failed = f"; {found.failures} episodes failed and are not counted" if found.failures else ""
    return f"{n} episodes per policy{' and mission' if len(found.missions) > 1 else ''}{failed}."


def _left_out(found: Returns) -> str:
    more = len(found.missions) - MOST_MISSIONS
    return f" {more} more missions are not drawn." if more > 0 else ""


def _running(policy: str, values: Sequence[float], alpha: float) -> Curve:
    count = np.arange(1, len(values) + 1)
    means = np.cumsum(values) / count
    low, high = [math.nan], [math.nan]
    for n in range(2, len(values) + 1):
        below, above = student_interval(np.array([values[:n]]), np.zeros(n, np.int64), "mean", alpha=alpha)
        low.append(float(below[0]))
        high.append(float(above[0]))
    return Curve(policy, count.tolist(), means.tolist(), low=low, high=high)


def _limits(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """Room for all means and for the intervals of enough episodes: those of two would flatten all others."""
    ends = [end for curve in curves for end in curve.y]
    for curve in curves:
        for bounds in (curve.low, curve.high):
            ends += [end for end in (bounds or ())[ENOUGH_TO_FRAME - 1 :] if math.isfinite(end)]
    return room(min(ends), max(ends)) if ends else None
