from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_shapes import SHAPES, draw

from daf.errors import DataError
from daf.stats.multiple import holm, max_t
from daf.stats.permutation import sign_flip

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def pairs(scores):
    return np.array([scores[a] - scores[b] for a, b in combinations(range(len(scores)), 2)])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=7))
def test_holm_is_the_closed_test_of_bonferronis(p):
    n = len(p)
    for i, adjusted in enumerate(holm(p)):
        subsets = [(i, *rest) for k in range(n) for rest in combinations([j for j in range(n) if j != i], k)]
        assert adjusted == pytest.approx(max(min(1.0, len(s) * min(p[j] for j in s)) for s in subsets))


@settings(deadline=None)
@given(probabilities)
def test_holm_never_lowers_a_p_value_nor_changes_the_order(p):
    adjusted = holm(p)
    assert (adjusted >= np.array(p)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_weights_share_out_alpha():
    np.testing.assert_allclose(holm([0.01, 0.01], weights=[0.8, 0.2]), [0.0125, 0.0125])
    np.testing.assert_allclose(holm([0.03, 0.001], weights=[0.8, 0.2]), [0.03, 0.005])


@pytest.mark.parametrize(("p", "weights"), [([0.5, 1.2], None), ([float("nan")], None), ([0.1, 0.2], [1.0, 0.0])])
def test_holm_refuses_invalid_p_values_and_weights(p, weights):
    with pytest.raises(DataError):
        holm(p, weights)


def test_max_t_of_one_comparison_is_the_sign_flip_test():
    d = np.random.default_rng(0).normal(0.4, 1, size=(1, 12))
    assert max_t(d).overall[0] == float(sign_flip(d[0]).p)


def test_max_t_gives_the_same_bits_for_the_same_seed():
    d = pairs(np.random.default_rng(1).normal(size=(4, 60)))
    strata = np.repeat([0, 1, 2], 20)
    first, again = (max_t(d, strata, resamples=2500, seed=3) for _ in range(2))
    assert first.by_stratum.tobytes() == again.by_stratum.tobytes()
    assert first.overall.tobytes() == again.overall.tobytes()
    assert first.by_stratum.tobytes() != max_t(d, strata, resamples=2500, seed=4).by_stratum.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_max_t_keeps_the_family_wise_error(shape):
    rng = np.random.default_rng(2)
    families, strata = 400, np.repeat([0, 1], 12)
    false = 0
    for family in range(families):
        found = max_t(pairs(draw(shape, rng, (4, 24))), strata, resamples=399, seed=family)
        false += min(found.overall.min(), found.by_stratum.min()) <= 0.05
    assert false / families <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / families)


def test_max_t_finds_what_is_there_and_is_sharper_than_holm():
    rng = np.random.default_rng(3)
    base = rng.normal(size=(6, 40)) * 0.5
    base[0] += 0.6
    d = pairs(base)
    sharper = max_t(d, resamples=4000).overall
    plain = holm(sign_flip(d, resamples=4000).p)
    assert (sharper[:5] <= 0.05).all()
    assert sharper.sum() < plain.sum()


def test_ten_policies_on_twenty_missions_are_one_family():
    d = pairs(np.random.default_rng(4).normal(size=(10, 200)))
    found = max_t(d, np.repeat(np.arange(20), 10), resamples=200)
    assert found.overall.shape == (45,)
    assert found.by_stratum.shape == (45, 20)


def test_rows_without_any_difference_have_p_one():
    d = np.zeros((2, 20))
    d[0] = np.linspace(1, 2, 20)
    np.testing.assert_allclose(max_t(d, resamples=500).overall, [1 / 501, 1.0], atol=0.002)
