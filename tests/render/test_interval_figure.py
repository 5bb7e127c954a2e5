"""What an interval figure draws, read from its SVG."""

import re

import pytest

from daf.errors import DataError
from daf.render.axis import axis_for
from daf.render.svg.intervals import MOST_LINKS, IntervalRow, cut_intervals, interval_figure, linked
from daf.render.text import shortened
from daf.render.theme import style


def drawn(rows, axis_title="x", description="d"):
    """The two drawings: with labels at the left, and for narrow screens."""
    wide, narrow, rest = interval_figure(rows, axis_title=axis_title, description=description).split("</svg>")
    assert rest == ""
    return wide, narrow


def row(label="a", mean=1.0, ci=(0.5, 1.5), points=None, position=0):
    return IntervalRow(label, style(position), mean, ci, None, points or {})


def test_values_lie_on_the_axis_where_its_ticks_say():
    axis = axis_for([0.0, 10.0], left=100, right=700)
    assert axis.at(5.0) == pytest.approx(400)
    assert axis.at(0.0) > 100
    assert axis.at(10.0) < 700
    assert 0.0 in axis.ticks
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, 1e-12, 1e12])
def test_a_single_value_lies_in_the_middle(value):
    axis = axis_for([value, value], left=0, right=100)
    assert axis.at(value) == pytest.approx(50)
    assert len(axis.ticks) >= 3


def test_an_interval_is_drawn_from_its_low_to_its_high_end():
    for svg in drawn([row(ci=(0.0, 2.0)), row("b", 3.0, (2.0, 4.0), position=1)]):
        found = re.findall(r'class="interval" d="M([\d.]+) [\d.]+H([\d.]+)', svg)
        (low, middle), (start, high) = [tuple(map(float, span)) for span in found]
        assert middle == start
        assert high - start == pytest.approx(middle - low, abs=0.2)


def test_without_an_interval_none_is_drawn_and_the_mean_is():
    svg = interval_figure([row(ci=None)], axis_title="x", description="d")
    assert 'class="interval"' not in svg
    assert "<title>a: 1.00</title>" in svg


def test_every_point_is_a_dot_and_the_same_block_is_joined():
    rows = [
        row("a", points={0: 1.0, 1: 2.0, 4: 0.5}),
        row("b", points={0: 1.5, 4: 1.0, 5: 3.0}, position=1),
    ]
    svg = drawn(rows)[0]
    assert [path.count("h0") for path in re.findall(r'class="dots" d="([^"]*)"', svg)] == [3, 3]
    assert re.search(r'class="links" d="([^"]*)"', svg)[1].count("M") == 2


def test_too_many_blocks_are_not_joined():
    points = {block: float(block) for block in range(MOST_LINKS + 1)}
    assert not linked([row(points=points), row(points=points)])
    assert linked([row(points={0: 1.0}), row(points={0: 1.0})])


def test_labels_and_titles_are_escaped():
    svg = interval_figure([row('<script>"&')], axis_title="<i>", description='"><b>')
    assert "<script>" not in svg
    assert "<i>" not in svg
    assert "&lt;script&gt;" in svg
    assert 'aria-label="&#34;&gt;&lt;b&gt;"' in svg


def test_a_long_label_keeps_both_ends():
    label = "checkpoint_" + "x" * 60 + "_step_4096"
    short = shortened(label)
    assert len(short) == 32
    assert short.startswith("checkpoint_")
    assert short.endswith("_step_4096")


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(DataError, match="not finite"):
        interval_figure([row(mean=float("nan"))], axis_title="x", description="d")
    with pytest.raises(DataError, match="needs a row"):
        interval_figure([], axis_title="x", description="d")


def test_an_interval_far_wider_than_the_data_ends_in_an_arrow_and_leaves_them_room():
    rows = [row(ci=(-900.0, 1.5), points={0: 0.5, 1: 1.5}), row("b", position=1)]
    svg = drawn(rows)[0]
    low = [float(at) for at in re.findall(r'class="interval" d="M([\d.]+)', svg)]
    assert [path.count("l") for path in re.findall(r'class="ends" d="([^"]*)"', svg)] == [2, 0]
    assert 0 < low[0] < low[1]
    assert low[1] - low[0] < 400
    assert cut_intervals(rows) == 1
    assert cut_intervals(rows[1:]) == 0


def test_on_a_narrow_screen_labels_are_above_their_rows_and_the_axis_has_the_whole_width():
    wide, narrow = drawn([row("a policy with a long name"), row("b", position=1)])
    width, height = map(float, re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', narrow).groups())
    labels = [float(y) for y in re.findall(r'class="label" x="20" y="([\d.]+)"', narrow)]
    intervals = [tuple(map(float, one)) for one in re.findall(r'class="interval" d="M[\d.]+ ([\d.]+)H', narrow) and
                 re.findall(r'class="interval" d="M([\d.]+) ([\d.]+)H([\d.]+)', narrow)]  # fmt: skip
    assert width == 360
    assert [y < middle for y, (_, middle, _) in zip(labels, intervals, strict=True)] == [True, True]
    assert max(right - left for left, _, right in intervals) > 0.8 * width
    assert height > float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', wide)[1])
