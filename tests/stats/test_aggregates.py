import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daf.errors import DataError
from daf.stats import aggregates


def test_iqm_of_a_multiple_of_four_is_the_mean_of_the_middle_half():
    assert aggregates.iqm(np.array([100.0, 1, 2, 3, 4, 5, 6, -100])) == pytest.approx(3.5)


def test_iqm_weighs_the_values_at_the_quartiles_by_the_part_that_lies_inside():
    # n = 6: the quartiles lie at 1.5 and 4.5, so the values 2 and 5 count half.
    assert aggregates.iqm(np.array([1.0, 2, 3, 4, 5, 60])) == pytest.approx((0.5 * 2 + 3 + 4 + 0.5 * 5) / 3)


@pytest.mark.parametrize(("scores", "expected"), [([7.0], 7.0), ([1.0, 3.0], 2.0), ([0.0, 0.0, 9.0], 1.5)])
def test_iqm_is_defined_for_fewer_than_four_episodes(scores, expected):
    assert aggregates.iqm(np.array(scores)) == pytest.approx(expected)


@settings(deadline=None)
@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)))
def test_iqm_lies_between_the_extremes_and_moves_with_shift_and_scale(scores):
    value = float(aggregates.iqm(scores))
    assert scores.min() - 1e-6 <= value <= scores.max() + 1e-6
    assert float(aggregates.iqm(3 * scores + 5)) == pytest.approx(3 * value + 5, rel=1e-9, abs=1e-4)


def test_an_aggregate_of_a_stack_is_the_stack_of_aggregates():
    stack = np.random.default_rng(0).normal(size=(5, 3, 11))
    for statistic in (aggregates.mean, aggregates.iqm, aggregates.median):
        one_by_one = np.array([[statistic(row) for row in rows] for rows in stack])
        np.testing.assert_allclose(statistic(stack), one_by_one)


def test_every_mission_counts_the_same_whatever_its_number_of_episodes():
    scores = np.array([[0.0, 0, 0, 0, 0, 0, 0, 0, 10.0], [1, 1, 1, 1, 1, 1, 1, 1, 1]])
    strata = np.array([4] * 8 + [9])
    np.testing.assert_allclose(aggregates.stratified(scores, strata), [5.0, 1.0])


def test_standard_errors_match_the_spread_of_many_samples():
    samples = np.random.default_rng(1).normal(size=(4000, 40))
    for statistic in (aggregates.mean, aggregates.iqm):
        error = aggregates.standard_error(statistic)
        assert float(error(samples).mean()) == pytest.approx(float(statistic(samples).std()), rel=0.06)


@pytest.mark.parametrize("bad", [[1.0, float("nan")], [float("inf")], [-1e200], []])
def test_what_is_not_a_number_is_refused_and_not_dropped(bad):
    with pytest.raises(DataError):
        aggregates.stratified(np.array(bad))
