import numpy as np
import pytest
from reward_shapes import draw

from daf.errors import DataError
from daf.stats import aggregates
from daf.stats.bootstrap import interval, resampled


@pytest.mark.parametrize("method", ["studentized", "bca", "percentile"])
def test_the_same_seed_gives_the_same_bits_whatever_the_batch(method):
    scores = np.random.default_rng(0).normal(size=(3, 23))
    strata = np.array([0] * 10 + [1] * 13)
    whole = interval(scores, strata, method=method, resamples=500, seed=-7)
    pieces = interval(scores, strata, method=method, resamples=500, seed=-7, batch=100)
    other = interval(scores, strata, method=method, resamples=500, seed=8)
    assert whole.low.tobytes() == pieces.low.tobytes()
    assert whole.high.tobytes() == pieces.high.tobytes()
    assert whole.low.tobytes() != other.low.tobytes()


@pytest.mark.parametrize("shape", ["normal", "bounded"])
@pytest.mark.parametrize("n", [10, 30])
def test_studentized_intervals_of_single_means_cover_what_they_say(shape, n):
    rng = np.random.default_rng(3)
    truth = float(draw(shape, np.random.default_rng(4), (1_000_000,)).mean())
    samples = draw(shape, rng, (2000, n))
    found = interval(samples, resamples=1000, seed=1)
    coverage = float(((found.low <= truth) & (truth <= found.high)).mean())
    assert 0.935 <= coverage <= 0.965, coverage


def test_studentized_intervals_of_the_iqm_cover_what_they_say():
    samples = np.random.default_rng(5).normal(size=(1500, 24))
    found = interval(samples, statistic=aggregates.iqm, resamples=600, seed=1)
    coverage = float(((found.low <= 0) & (found.high >= 0)).mean())
    assert 0.93 <= coverage <= 0.975, coverage


def test_stratified_intervals_leave_out_the_difference_between_missions():
    rng = np.random.default_rng(6)
    strata = np.repeat([0, 1], 20)
    scores = rng.normal(size=40) + 100.0 * strata
    together = interval(scores, resamples=2000, method="percentile")
    apart = interval(scores, strata, resamples=2000, method="percentile")
    assert float(apart.high - apart.low) < 2.0 < 10.0 < float(together.high - together.low)


def test_bca_agrees_with_scipy():
    from scipy import stats

    scores = np.random.default_rng(7).exponential(size=30)
    ours = interval(scores, method="bca", resamples=20_000, seed=1)
    theirs = stats.bootstrap((scores,), np.mean, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    width = theirs.high - theirs.low
    assert float(ours.low) == pytest.approx(theirs.low, abs=0.03 * width)
    assert float(ours.high) == pytest.approx(theirs.high, abs=0.03 * width)


def test_a_statistic_of_all_policies_together_sees_the_same_blocks_of_each():
    base = np.random.default_rng(8).normal(size=25)
    scores = np.stack([base, base + 1.0])
    gaps = resampled(scores, statistic=lambda drawn: np.diff(drawn.mean(axis=-1), axis=-1), resamples=200)
    np.testing.assert_allclose(gaps, 1.0)


@pytest.mark.parametrize("method", ["studentized", "bca", "percentile"])
def test_scores_that_never_differ_have_an_interval_of_one_point(method):
    found = interval(np.full((2, 6), 0.3), method=method, resamples=100)
    np.testing.assert_allclose(found.low, 0.3)
    np.testing.assert_allclose(found.high, 0.3)


def test_a_studentized_interval_has_no_bound_where_too_many_resamples_lack_spread():
    found = interval(np.array([0.0, 0, 0, 0, 1]), resamples=1000)
    assert float(found.high) == np.inf


def test_one_block_has_no_interval():
    with pytest.raises(DataError, match="at least 2"):
        interval(np.array([1.0, 2, 3]), np.array([0, 0, 1]))


def test_the_median_has_no_studentized_interval_but_a_bca_one():
    scores = np.random.default_rng(9).normal(size=21)
    with pytest.raises(DataError, match="percentile or bca"):
        interval(scores, statistic=aggregates.median)
    found = interval(scores, statistic=aggregates.median, method="bca", resamples=500)
    assert float(found.low) <= float(np.median(scores)) <= float(found.high)
