import numpy as np
import pytest

from daf.errors import UsageError
from daf.stats.effect import d_z, equivalence, improvement
from daf.stats.shapes import caveat_for_differences, caveat_for_scores


def test_d_z_is_the_mean_difference_over_its_standard_deviation():
    d = np.random.default_rng(0).normal(0.5, 2, size=(3, 17))
    np.testing.assert_allclose(d_z(d), d.mean(axis=1) / d.std(axis=1, ddof=1))


def test_d_z_of_differences_without_spread_is_zero_infinite_or_unknown():
    assert d_z(np.zeros(5)) == 0.0
    assert d_z(np.full(5, -0.3)) == -np.inf
    assert np.isnan(d_z(np.array([2.0])))


def test_improvement_counts_ties_half_and_every_mission_the_same():
    found = improvement(np.array([1.0, 2.0, 0.0, -1.0]))
    assert found.probability == pytest.approx(2.5 / 4)
    lopsided = improvement(np.array([1.0] * 8 + [-1.0, -1.0]), np.array([0] * 8 + [1] * 2))
    assert lopsided.probability == pytest.approx(0.5)


def test_improvement_intervals_are_the_exact_binomial_ones_where_nothing_ties():
    from scipy.stats import binomtest

    found = improvement(np.array([1.0] * 14 + [-1.0] * 6))
    exact = binomtest(14, 20).proportion_ci(method="exact")
    assert (float(found.low), float(found.high)) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize(("win", "tie"), [(0.5, 0.0), (0.1, 0.8), (0.9, 0.05), (0.02, 0.0)])
def test_improvement_intervals_cover_at_least_their_level(win, tie):
    rng = np.random.default_rng(1)
    for strata in (np.zeros(20, dtype=int), np.array([0] * 5 + [1] * 15)):
        u = rng.random((4000, 20))
        found = improvement(np.where(u < win, 1.0, np.where(u < win + tie, 0.0, -1.0)), strata)
        truth = win + tie / 2
        assert float(((found.low <= truth) & (truth <= found.high)).mean()) >= 0.94


def test_improvement_is_certain_at_neither_end():
    found = improvement(np.ones(10))
    assert float(found.high) == 1.0
    assert 0.6 < float(found.low) < 1.0


def test_a_difference_at_the_margin_is_called_equal_no_more_often_than_alpha():
    rng = np.random.default_rng(2)
    for truth in (0.5, -0.5):
        p = equivalence(truth + 0.3 * rng.normal(size=(3000, 12)), margin=0.5)
        assert 0.03 <= float((p <= 0.05).mean()) <= 0.062


def test_small_differences_are_found_equal_and_large_ones_are_not():
    rng = np.random.default_rng(3)
    noise = 0.3 * rng.normal(size=14)
    assert float(equivalence(noise, margin=0.5)) < 0.01
    assert float(equivalence(noise + 1.0, margin=0.5)) > 0.9
    assert float(equivalence(noise - 1.0, margin=0.5)) > 0.9
    assert float(equivalence(np.zeros(14), margin=0.5)) < 0.001


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_that_is_no_size_is_refused(margin):
    with pytest.raises(UsageError, match="practical difference"):
        equivalence(np.ones(4), margin=margin)


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([0.0] * 16 + [1.0, 2.0, 3.0, 1.5], "80% of the scores are 0"),
        ([4.0] * 6, "All 6 episodes scored the same"),
        ([1.0], "A single episode"),
        (list(np.random.default_rng(4).lognormal(sigma=1.5, size=30)), "skewed"),
    ],
)
def test_data_that_deceive_intervals_are_named(scores, says):
    assert says in caveat_for_scores(np.array(scores))


def test_plain_data_carry_no_caveat():
    plain = np.random.default_rng(5).normal(size=30)
    assert caveat_for_scores(plain) == ""
    assert caveat_for_differences(plain) == ""


def test_differences_that_are_ties_or_one_episode_are_named():
    assert "ties" in caveat_for_differences(np.array([0.0] * 7 + [1.0, -1.0, 2.0]))
    assert "A single episode" in caveat_for_differences(np.array([0.1, -0.1, 0.2, -0.2, 0.1, 0.15, -0.1, -0.2, 50.0]))
