"""Curves as SVG: what is drawn is what was given, also where there is little or nothing to draw."""

import json
import math
import re

import numpy as np
import pytest

from daf.errors import DataError
from daf.render.pages.parts import Column, Table, cell
from daf.render.svg.curves import CurveFigure, CurveSeries, curve_figure
from daf.render.text import short_count
from daf.render.theme import style
from daf.stats.smoothing import running_mean


def figure(*series: CurveSeries) -> CurveFigure:
    return curve_figure(series, x_title="steps", y_title="reward", description="a test")


def series(values: list[float], **more: object) -> CurveSeries:
    return CurveSeries("mine", style(0), list(range(len(values))), values, **more)  # type: ignore[arg-type]


def axes(found: CurveFigure) -> list[list[float]]:
    text = re.search(r'data-curve="([^"]*)"', found.svg).group(1)  # type: ignore[union-attr]
    data: list[list[float]] = json.loads(text.replace("&#34;", '"'))["axes"]
    return data


def points(found: CurveFigure, name: str = "line") -> list[tuple[float, float]]:
    """The corners of the path of this class, as values."""
    (x_low, x_high, left, right), (y_low, y_high, bottom, top) = axes(found)
    text = re.search(rf'class="{name}" d="M([^"Z]*)', found.svg).group(1)  # type: ignore[union-attr]
    corners = [[float(part) for part in pair.split()] for pair in text.split("L")]
    return [
        (
            x_low + (x - left) / (right - left) * (x_high - x_low),
            y_low + (y - bottom) / (top - bottom) * (y_high - y_low),
        )
        for x, y in corners
    ]


def test_the_line_goes_through_the_values():
    values = [0.0, 2.0, 1.0, 5.0]
    drawn = points(figure(series(values)))
    assert [x for x, _ in drawn] == pytest.approx([0, 1, 2, 3], abs=0.02)
    assert [y for _, y in drawn] == pytest.approx(values, abs=0.05)


def test_a_band_lies_between_low_and_high():
    drawn = points(figure(series([1.0, 2.0], low=[0.0, 1.0], high=[3.0, 4.0])), "band")
    assert [y for _, y in drawn] == pytest.approx([3.0, 4.0, 1.0, 0.0], abs=0.05)


def test_a_single_value_is_a_marker_and_equal_values_are_a_line_inside_the_axis():
    alone = figure(series([3.0]))
    assert "<circle" in alone.svg
    assert 'class="line"' not in alone.svg
    low, high = axes(figure(series([2.0, 2.0, 2.0])))[1][:2]
    assert low < 2.0 < high


def test_nothing_and_what_is_not_finite_are_refused():
    with pytest.raises(DataError, match="needs a value"):
        figure(series([]))
    with pytest.raises(DataError, match="mine: a figure cannot show a value that is not finite"):
        figure(series([1.0, math.nan]))
    with pytest.raises(DataError, match="3 steps, 2 values"):
        figure(CurveSeries("mine", style(0), [0, 1, 2], [1.0, 2.0]))


def test_many_values_have_a_running_mean_over_every_spike():
    generator = np.random.default_rng(1)
    values = generator.normal(size=3_000)
    values[1_234] = 5.0
    found = figure(series(values.tolist()))
    assert found.window == 101
    assert max(y for _, y in points(found, "line raw")) == pytest.approx(5.0, abs=0.05)
    assert len(points(found, "line raw")) <= 602
    assert max(abs(y) for _, y in points(found)) < 1.0


def test_values_far_beyond_all_others_are_cut_off_and_counted():
    values = [float(position % 10) for position in range(500)]
    values[7] = 1e6
    found = figure(series(values))
    assert found.cut == 1
    assert axes(found)[1][1] < 30


def test_the_running_mean_is_of_the_values_around():
    assert running_mean([1.0, 2.0, 6.0, 3.0], 3).tolist() == pytest.approx([1.5, 3.0, 11 / 3, 4.5])
    assert running_mean([4.0], 9).tolist() == [4.0]


def test_counts_of_steps_are_short():
    assert [short_count(value) for value in (0, 950, 12_000, 1_500_000, 2e9)] == ["0", "950", "12k", "1.5M", "2G"]


def test_a_table_with_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns"):
        Table([Column("a"), Column("b")], [[cell("x")]])
