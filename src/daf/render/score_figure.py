"""Value over replacement by the candidate's share of the team: a line with intervals for each mission, as a PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daf.errors import DataError
from daf.render.text import shortened
from daf.render.theme import MATPLOTLIB_DASHES, MATPLOTLIB_MARKERS, ground, legend, save_figure, style, themed


@dataclass(frozen=True)
class Curve:
    """One mission. points: share of the agents (0 to 1), value, interval if there is one."""

    name: str
    points: Sequence[tuple[float, float, tuple[float, float] | None]]


def score_figure(curves: Sequence[Curve], *, title: str, caption: str, path: str | Path) -> Path:
    """Write the figure to `path`. Raises `DataError` without a curve."""
    if not curves:
        raise DataError("a figure of scores needs a mission.")
    from matplotlib.figure import Figure

    with themed():
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=ground().muted, linewidth=1)
        lines = []
        for position, curve in enumerate(curves):
            look = style(position)
            shift = 0.006 * (position - (len(curves) - 1) / 2)
            shares = [share + shift for share, _, _ in curve.points]
            lines += axes.plot(
                shares,
                [value for _, value, _ in curve.points],
                color=look.color(),
                marker=MATPLOTLIB_MARKERS[look.marker],
                linestyle=MATPLOTLIB_DASHES[look.dash],
            )
            for share, (_, _, bounds) in zip(shares, curve.points, strict=True):
                if bounds is not None:
                    axes.vlines(share, *bounds, color=look.color(), linewidth=1.4)
        axes.set_xlim(-0.03, 1.05)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlabel("candidate's share of the team's agents")
        axes.set_ylabel("value over replacement\n(reward per agent)")
        axes.set_title(shortened(title, 84))
        if len(curves) > 1:
            legend(figure, lines, [shortened(curve.name, 48) for curve in curves], loc="outside upper right", ncols=2)
        figure.supxlabel(caption, fontsize=9, color=ground().muted, x=0.99, ha="right")
        return save_figure(figure, path)
