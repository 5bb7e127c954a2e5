"""Values over steps as inline SVG: lines, points with intervals, bands; any number of series in one figure.

The figure takes its colours from the page (`.s0` …), follows light and dark mode, and is complete without a script;
with one (`curves.js`), the pointer or the arrow keys read values from it, dragging zooms, and series can be hidden.

It is honest about degenerate data: a single value is a point, equal values are a line in the middle, a gap is a gap,
and if a few values would flatten all others they are cut off; `cut` counts them, and the caption must mention them.

A line of more than `MOST_POINTS` values is drawn through the lowest and the highest value of each bin of steps, so that
no spike is lost.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from markupsafe import Markup, escape

from daf.errors import DataError
from daf.render.axis import Axis, axis_for, log_ticks, marker
from daf.render.text import short_count, shortened
from daf.render.theme import SeriesStyle
from daf.stats.arrays import FloatArray
from daf.stats.sentences import number
from daf.stats.smoothing import running_mean

WIDTHS = {"half": 500, "full": 1020}
HEIGHTS = {"half": 230, "full": 330}
TICK_WIDTHS = {"half": 9.0, "full": 10.0}
"""Width that a character of a tick label may take: on narrow screens the page enlarges them (`report.css`)."""
MOST_POINTS = 600
SMOOTH_FROM = 40
"""Lines with at least this many values have a running mean, with the values drawn thin behind it."""
WINDOWS = 30
"""The window of the running mean is the number of values divided by this."""
CUT_BEYOND = 6.0
"""Values are cut if they span more than this many times the range of the middle 98 %."""
TOP, BOTTOM, RIGHT = 14, 48, 20


@dataclass(frozen=True)
class CurveSeries:
    """One series. x: ascending. y: finite. low, high: ends of intervals, one per value, or empty.

    points: draw markers at the values, with vertical intervals, as for single measurements; otherwise a line with a
    band. smooth: draw a running mean if there are many values. joined: draw a line through the points. raw: the values
    that `y` was smoothed from, drawn thin behind it. dots: single observations behind the line. bars: draw a bar from 0
    to each value instead of a line, as for a histogram.
    """

    label: str
    style: SeriesStyle
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = field(default_factory=tuple)
    high: Sequence[float] = field(default_factory=tuple)
    points: bool = False
    joined: bool = True
    smooth: bool = True
    notes: Sequence[str] = field(default_factory=tuple)
    raw: Sequence[float] = field(default_factory=tuple)
    dots: Sequence[tuple[float, float]] = field(default_factory=tuple)
    bars: bool = False


@dataclass(frozen=True)
class CurveFigure:
    """svg: the figure. cut: number of values beyond its axis, dots included. window: values in the running mean, 1
    without one.
    """

    svg: Markup
    cut: int
    window: int


def curve_figure(
    series: Sequence[CurveSeries],
    *,
    x_title: str,
    y_title: str,
    description: str,
    size: str = "half",
    zero: bool = False,
    without: Sequence[float] = (),
    x_log: bool = False,
) -> CurveFigure:
    """The figure of `series`. size: "half" or "full" of the page's width. zero: include 0 in the y axis. x_log: the x
    axis is logarithmic, and all of its positions are above 0.
    without: positions on the x axis that have no value, such as failed trials; shown as crosses at the lower edge.

    description: of the figure, for screen readers. Raises `DataError` without a value, or for one that is not finite.
    """
    shown = [one for one in series if len(one.x)]
    if not shown:
        raise DataError("a curve needs a value.")
    for one in shown:
        _check(one)
        if x_log and one.x[0] <= 0:
            raise DataError(f"{one.label}: a logarithmic axis cannot show {one.x[0]:g}.")
    if x_log:
        shown, without = [_logarithmic(one) for one in shown], [math.log10(x) for x in without]
    width, height = WIDTHS[size], HEIGHTS[size]
    values = np.concatenate([np.asarray([*one.y, *one.low, *one.high, *one.raw], dtype=float) for one in shown])
    low, high, cut = _reach(values)
    dots = np.asarray([y for one in shown for _, y in one.dots], dtype=float)
    if len(dots):
        low, high = min(low, float(np.quantile(dots, 0.01))), max(high, float(np.quantile(dots, 0.99)))
    from_zero = zero or any(one.bars for one in shown)
    y_axis = axis_for(
        [low, high, *([0.0] if from_zero else [])], left=height - BOTTOM, right=TOP, ticks=5 if size == "half" else 8
    )
    cut += int(((dots < y_axis.low) | (dots > y_axis.high)).sum())
    labels = [number(tick, _step(y_axis)) for tick in y_axis.ticks]
    left = 32 + TICK_WIDTHS[size] * max((len(text) for text in labels), default=1)
    xs = [x for one in shown for x in _ends(one)] + list(without)
    x_axis = _x_axis(min(xs), max(xs), left, width - RIGHT, size, log=x_log)
    window = max(_window(one) for one in shown)
    parts = [
        f'<svg class="figure curve {size}" role="img" tabindex="0" viewBox="0 0 {width} {height}" '
        f'aria-label="{escape(description)}" data-curve="{escape(_data(shown, x_axis, y_axis, log=x_log))}">',
        *_grid(x_axis, y_axis, _x_labels(x_axis, log=x_log), labels, width, height, x_title, y_title),
        _area(x_axis, y_axis),
    ]
    several = len(shown) > 1
    for position, one in enumerate(shown):
        parts.append(f'<g class="s{one.style.slot}" data-series="{position}">')
        parts += _drawn(one, x_axis, y_axis)
        parts.append("</g>")
    if len(without):
        base = height - BOTTOM - 5
        drawn = "".join(f"M{x_axis.at(x) - 3:.1f} {base - 3}l6 6m0 -6l-6 6" for x in without)
        parts.append(f'<path style="fill:none;stroke:var(--text);stroke-width:1.3" d="{drawn}"/>')
    parts.append('</svg><g class="pointer"></g></svg>')
    return CurveFigure(Markup(_legend(shown) if several else "") + Markup("".join(parts)), cut, window)


def _area(x_axis: Axis, y_axis: Axis) -> str:
    """The start of the part that a zoom moves: it has the coordinates of the figure and cuts off what lies outside."""
    x, y, width, height = x_axis.left - 1, TOP - 6, x_axis.right - x_axis.left + 2, y_axis.left - TOP + 12
    box = f"{x:.1f} {y} {width:.1f} {height:.1f}"
    return f'<svg class="area" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height:.1f}" viewBox="{box}">'


def _ends(one: CurveSeries) -> tuple[float, float]:
    """The first and the last step that the series is drawn at."""
    half = _bar_width(one) / 2 if one.bars else 0.0
    return float(one.x[0]) - half, float(one.x[-1]) + half


def _bar_width(one: CurveSeries) -> float:
    return float(np.diff(np.asarray(one.x, dtype=float)).min()) if len(one.x) > 1 else 1.0


def _check(one: CurveSeries) -> None:
    if len(one.y) != len(one.x) or any(len(more) not in (0, len(one.x)) for more in (one.low, one.high, one.raw)):
        raise DataError(f"{one.label}: {len(one.x)} steps, {len(one.y)} values; the numbers must be equal.")
    if not all(math.isfinite(value) for value in (*one.x, *one.y, *one.low, *one.high, *one.raw)):
        raise DataError(f"{one.label}: a figure cannot show a value that is not finite.")


def _reach(values: FloatArray) -> tuple[float, float, int]:
    """The range of the axis, and the number of values beyond it."""
    low, high = float(values.min()), float(values.max())
    if len(values) < 50:
        return low, high, 0
    inner_low, inner_high = (float(end) for end in np.quantile(values, [0.01, 0.99]))
    span = inner_high - inner_low
    if span <= 0 or high - low <= CUT_BEYOND * span:
        return low, high, 0
    low, high = max(low, inner_low - span), min(high, inner_high + span)
    return low, high, int(((values < low) | (values > high)).sum())


def _window(one: CurveSeries) -> int:
    many = len(one.y) >= SMOOTH_FROM and one.smooth and not (one.points or one.bars or len(one.raw))
    return max(3, len(one.y) // WINDOWS) | 1 if many and len(set(one.y)) > 2 else 1


def _step(axis: Axis) -> float:
    return axis.ticks[1] - axis.ticks[0] if len(axis.ticks) > 1 else 0.0


def _logarithmic(one: CurveSeries) -> CurveSeries:
    """The series with its steps as powers of ten."""
    return replace(one, x=[math.log10(x) for x in one.x], dots=[(math.log10(x), y) for x, y in one.dots])


def _x_axis(low: float, high: float, left: float, right: float, size: str, *, log: bool) -> Axis:
    if low == high:
        return Axis(low - 1, high + 1, left, right, (low,))
    count = 5 if size == "half" else 9
    found = axis_for([low, high], left=left, right=right, ticks=count)
    room = (high - low) * 0.02
    low, high = low - room, high + room
    if log:
        return Axis(low, high, left, right, tuple(map(math.log10, log_ticks(10**low, 10**high, count))))
    return Axis(low, high, left, right, tuple(tick for tick in found.ticks if low <= tick <= high))


def _x_labels(axis: Axis, *, log: bool) -> list[str]:
    return [f"{10**tick:.3g}" if log else short_count(tick) for tick in axis.ticks]


def _grid(
    x_axis: Axis,
    y_axis: Axis,
    across: Sequence[str],
    labels: Sequence[str],
    width: int,
    height: int,
    x_title: str,
    y_title: str,
) -> list[str]:
    base = height - BOTTOM
    parts = ['<g class="scale"><g class="grid">']
    for tick in y_axis.ticks:
        kind = ' class="zero"' if tick == 0 else ""
        parts.append(f'<path{kind} d="M{x_axis.left:.1f} {y_axis.at(tick):.1f}H{x_axis.right:.1f}"/>')
    parts.append(f'<path class="base" d="M{x_axis.left:.1f} {base}H{x_axis.right:.1f}"/></g>')
    parts.append('<g class="ticks" text-anchor="end">')
    parts += [
        f'<text x="{x_axis.left - 7:.1f}" y="{y_axis.at(tick) + 4:.1f}">{text}</text>'
        for tick, text in zip(y_axis.ticks, labels, strict=True)
    ]
    parts.append('</g><g class="ticks" text-anchor="middle">')
    parts += [
        f'<text x="{x_axis.at(tick):.1f}" y="{base + 16}">{text}</text>'
        for tick, text in zip(x_axis.ticks, across, strict=True)
    ]
    middle = (y_axis.left + y_axis.right) / 2
    parts.append(
        f'</g></g><text class="axis" text-anchor="middle" x="{(x_axis.left + x_axis.right) / 2:.1f}" '
        f'y="{height - 8}">{escape(x_title)}</text>'
        f'<text class="axis" text-anchor="middle" transform="translate(15 {middle:.1f}) rotate(-90)">'
        f"{escape(y_title)}</text>"
    )
    return parts


def _drawn(one: CurveSeries, x_axis: Axis, y_axis: Axis) -> list[str]:
    if one.bars:
        return [_bars(one, x_axis, y_axis)]
    x, y = _thinned(one.x, one.y)
    parts = []
    inside = [(place, value) for place, value in one.dots if y_axis.low <= value <= y_axis.high]
    if inside:
        drawn = "".join(f"M{x_axis.at(place):.1f} {y_axis.at(value):.1f}h0" for place, value in inside)
        parts.append(f'<path class="dots small" d="{drawn}"/>')
    if len(one.low) and len(one.high):
        parts += _intervals(one, x_axis, y_axis)
    if len(one.raw) > 1:
        parts.append(f'<path class="line raw" d="{_path(*_thinned(one.x, one.raw), x_axis, y_axis)}"/>')
    window = _window(one)
    if len(one.x) == 1 or one.points:
        if one.joined and len(one.x) > 1:
            parts.append(f'<path class="line" d="{_path(x, y, x_axis, y_axis)}"/>')
        parts.append('<g class="mean">')
        for place, value in zip(one.x, one.y, strict=True):
            parts.append(marker(one.style, x_axis.at(place), _held(y_axis, value), 4.2))
        parts.append("</g>")
    elif window > 1:
        parts.append(f'<path class="line raw" d="{_path(x, y, x_axis, y_axis)}"/>')
        smooth = running_mean(one.y, window)
        keep = np.unique(np.linspace(0, len(smooth) - 1, min(len(smooth), MOST_POINTS // 2)).round().astype(int))
        places = np.asarray(one.x, dtype=float)[keep]
        parts.append(f'<path class="line" d="{_path(places.tolist(), smooth[keep].tolist(), x_axis, y_axis)}"/>')
    else:
        parts.append(f'<path class="line" d="{_path(x, y, x_axis, y_axis)}"/>')
    return parts


def _bars(one: CurveSeries, x_axis: Axis, y_axis: Axis) -> str:
    half, base = _bar_width(one) / 2, _held(y_axis, 0.0)
    drawn = "".join(
        f"M{x_axis.at(x - half):.1f} {base:.1f}V{_held(y_axis, y):.1f}H{x_axis.at(x + half):.1f}V{base:.1f}Z"
        for x, y in zip(one.x, one.y, strict=True)
    )
    return f'<path class="histogram" d="{drawn}"/>'


def _intervals(one: CurveSeries, x_axis: Axis, y_axis: Axis) -> list[str]:
    ends = [
        (x_axis.at(place), _held(y_axis, low), _held(y_axis, high))
        for place, low, high in zip(one.x, one.low, one.high, strict=True)
    ]
    if one.points or len(ends) == 1:
        drawn = "".join(f"M{x:.1f} {low:.1f}V{high:.1f}m-3 0h6M{x - 3:.1f} {low:.1f}h6" for x, low, high in ends)
        return [f'<path class="bars" d="{drawn}"/>']
    upper = "L".join(f"{x:.1f} {high:.1f}" for x, _, high in ends)
    lower = "L".join(f"{x:.1f} {low:.1f}" for x, low, _ in reversed(ends))
    return [f'<path class="band" d="M{upper}L{lower}Z"/>']


def _held(axis: Axis, value: float) -> float:
    return axis.at(min(max(value, axis.low), axis.high))


def _path(x: Sequence[float], y: Sequence[float], x_axis: Axis, y_axis: Axis) -> str:
    return "M" + "L".join(
        f"{x_axis.at(place):.1f} {_held(y_axis, value):.1f}" for place, value in zip(x, y, strict=True)
    )


def _thinned(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    if len(x) <= MOST_POINTS:
        return list(x), list(y)
    values = np.asarray(y, dtype=float)
    kept: set[int] = {0, len(x) - 1}
    for stretch in np.array_split(np.arange(len(x)), MOST_POINTS // 2):
        kept.add(int(stretch[values[stretch].argmin()]))
        kept.add(int(stretch[values[stretch].argmax()]))
    order = sorted(kept)
    return [float(x[i]) for i in order], [float(y[i]) for i in order]


def _data(series: Sequence[CurveSeries], x_axis: Axis, y_axis: Axis, *, log: bool) -> str:
    """The data from which the script reads values: the axes and the (thinned) values of each series."""
    entries = []
    for one in series:
        x, y = _thinned(one.x, one.y)
        entry: dict[str, object] = {"label": one.label, "x": _rounded(x, 9), "y": _rounded(y, 5)}
        if len(x) == len(one.x):
            if len(one.low) and len(one.high):
                entry |= {"low": _rounded(one.low, 5), "high": _rounded(one.high, 5)}
            if one.notes:
                entry["notes"] = list(one.notes)
        entries.append(entry)
    axes = [[axis.low, axis.high, round(axis.left, 1), round(axis.right, 1)] for axis in (x_axis, y_axis)]
    return json.dumps(
        {"axes": axes, "series": entries} | ({"log": True} if log else {}), ensure_ascii=False, separators=(",", ":")
    )


def _rounded(values: Sequence[float], digits: int) -> list[float]:
    """The values with `digits` significant digits; whole numbers as integers, which take less room in JSON."""
    found = [float(f"{value:.{digits}g}") for value in values]
    return [int(value) if value.is_integer() and abs(value) < 1e15 else value for value in found]


def _legend(series: Sequence[CurveSeries]) -> str:
    items = "".join(
        f'<li><button type="button" aria-pressed="true" data-toggle="{position}" title="{escape(one.label)}">'
        f'<i class="swatch s{one.style.slot}"></i>{escape(shortened(one.label, 40))}</button></li>'
        for position, one in enumerate(series)
    )
    return f'<ul class="legend">{items}</ul>'
