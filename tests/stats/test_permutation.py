from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_shapes import SHAPES, draw

from daf.errors import DataError
from daf.stats.permutation import fewest_blocks, patterns, sign_flip, smallest_p
from tests.conftest import thinned


def by_hand(differences, weights):
    signs = np.array(list(product([1, -1], repeat=len(differences))))
    observed = abs(np.sum(weights * differences))
    return float(np.mean(np.abs(signs @ (weights * differences)) >= observed - 1e-9))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9), st.data())
def test_small_samples_are_tested_by_all_sign_patterns(differences, data):
    strata = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(differences), max_size=len(differences))))
    d = np.array(differences, dtype=float) * 0.1
    labels, counts = np.unique(strata, return_counts=True)
    weights = np.array([1 / (len(labels) * counts[list(labels).index(s)]) for s in strata])
    result = sign_flip(d, strata)
    assert result.exact
    assert float(result.p) == pytest.approx(by_hand(d, weights))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-5, 9), min_size=6, max_size=10), st.floats(-4, 6))
def test_the_interval_holds_the_shifts_that_the_test_does_not_reject(differences, shift):
    d = np.array(differences, dtype=float)
    result = sign_flip(d)
    low, high = float(result.low), float(result.high)
    rejected = float(sign_flip(d - shift).p) <= 0.05
    if abs(shift - low) > 1e-6 and abs(shift - high) > 1e-6:
        assert rejected == (not low <= shift <= high)


def test_random_patterns_count_the_observed_one_and_agree_with_all_patterns():
    d = np.random.default_rng(0).normal(0.4, 1, size=14)
    exact = float(sign_flip(d).p)
    signs = 1 - 2.0 * patterns(20, resamples=50_000, seed=3)[:, :14]
    estimate = (1 + int(np.sum(np.abs(signs @ d) >= abs(d.sum()) - 1e-9))) / 50_001
    assert estimate == pytest.approx(exact, abs=0.004)
    assert float(sign_flip(np.ones(40), resamples=999).p) == 1 / 1000


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_ones():
    d = np.random.default_rng(1).normal(0.3, 1, size=(4, 40))
    first, again, other = (sign_flip(d, resamples=2000, seed=s) for s in (5, 5, 6))
    assert first.p.tobytes() == again.p.tobytes()
    assert first.low.tobytes() == again.low.tobytes()
    assert first.low.tobytes() != other.low.tobytes()


@pytest.mark.parametrize("shape", thinned(SHAPES, 3))
def test_equal_policies_are_distinguished_no_more_often_than_alpha(shape):
    rng = np.random.default_rng(2)
    for n in (8, 25):
        scores = draw(shape, rng, (2, 4000, n))
        p = sign_flip(scores[0] - scores[1], resamples=999, seed=int(rng.integers(1000))).p
        for alpha in (0.01, 0.05, 0.2):
            assert float((p <= alpha).mean()) <= alpha + 3 * np.sqrt(alpha / 4000), (n, alpha)


def test_p_values_of_continuous_scores_are_uniform_when_policies_are_equal():
    d = np.random.default_rng(3).normal(size=(5000, 30))
    p = sign_flip(d, resamples=999).p
    for q in (0.05, 0.25, 0.5, 0.9):
        assert float((p <= q).mean()) == pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / 5000))


@pytest.mark.parametrize("shape", thinned(SHAPES, 3))
def test_intervals_of_paired_differences_cover_at_least_their_level(shape):
    scores = draw(shape, np.random.default_rng(4), (2, 3000, 20))
    result = sign_flip(scores[0] - scores[1] + 0.7, resamples=1999)
    coverage = float(((result.low <= 0.7) & (result.high >= 0.7)).mean())
    assert coverage >= 0.94, coverage


@pytest.mark.parametrize("few", [5, 9])
@pytest.mark.parametrize("shape", thinned(SHAPES, 3))
def test_stratified_intervals_cover_with_unequal_missions(shape, few):
    rng = np.random.default_rng(5)
    strata = np.array([0] * few + [1] * 18)
    scale = np.where(strata == 0, 3.0, 1.0)
    d = (draw(shape, rng, (2000, strata.size)) - draw(shape, rng, (2000, strata.size))) * scale + 0.5
    result = sign_flip(d, strata, resamples=1999)
    assert float(((result.low <= 0.5) & (result.high >= 0.5)).mean()) >= 0.94


@pytest.mark.parametrize(("n", "least"), [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_least_p_of_few_blocks_is_known_and_attained(n, least):
    assert smallest_p(n) == least
    assert float(sign_flip(np.arange(1.0, n + 1)).p) == least


def test_six_blocks_are_the_fewest_that_can_reach_five_percent():
    assert fewest_blocks(0.05) == 6
    assert fewest_blocks(0.01) == 8
    assert float(sign_flip(np.ones(5)).low) == -np.inf
    assert float(sign_flip(np.arange(1.0, 7)).low) > -np.inf


def test_no_differences_at_all_give_p_one_and_an_interval_of_nothing():
    result = sign_flip(np.zeros(20))
    assert (float(result.p), float(result.low), float(result.high)) == (1.0, 0.0, 0.0)


def test_ties_carry_no_evidence():
    d = np.array([1.0, 2.0, 3.0] + [0.0] * 9)
    assert float(sign_flip(d).p) == 0.25
    assert float(sign_flip(d).low) == 0.0


def test_sums_that_differ_by_rounding_only_count_as_ties():
    d = np.array([0.1, 0.2, -0.3, 0.3, 0.1, -0.2])
    assert float(sign_flip(d).p) == pytest.approx(by_hand(d, np.full(6, 1 / 6)))


def test_differences_that_are_not_numbers_are_refused():
    with pytest.raises(DataError, match="not finite"):
        sign_flip(np.array([1.0, np.nan]))
    with pytest.raises(DataError, match="strata"):
        sign_flip(np.ones(3), np.array([0, 1]))


@pytest.mark.parametrize(("blocks", "missions"), [(9, 2), (9, 6), (20, 2)])
def test_intervals_over_missions_cover_and_leave_out_how_missions_differ(blocks, missions):
    rng = np.random.default_rng(8)
    strata = np.repeat(np.arange(missions), blocks)
    effects = np.linspace(0.0, 20.0, missions)
    noise = rng.normal(size=(1500, strata.size))
    result = sign_flip(noise + effects[strata], strata, resamples=1999)
    assert float(((result.low <= 10.0) & (result.high >= 10.0)).mean()) >= 0.94
    assert float((result.high - result.low).mean()) < 2.0


def test_missions_with_a_single_block_make_the_interval_wide_and_not_wrong():
    result = sign_flip(np.array([0.0, 10.0, 0.1, 10.1, 0.2, 10.2, 0.3, 10.3]), np.arange(8))
    assert float(result.low) < 1.0
    assert float(result.high) > 9.0
