import numpy as np
import pytest

from daf.errors import DataError
from daf.stats.profiles import profile


def test_a_profile_is_the_share_of_episodes_above_each_score_with_missions_equal():
    found = profile(np.array([[0.0, 1.0, 1.0, 2.0, 9.0]]), np.array([0, 0, 0, 0, 1]), thresholds=[-1.0, 0.5, 5.0, 9.0])
    np.testing.assert_allclose(found.share, [[1.0, 0.875, 0.5, 0.0]])


def test_curves_fall_and_bands_hold_them():
    scores = np.random.default_rng(0).normal(size=(3, 40))
    for band in ("simultaneous", "pointwise"):
        found = profile(scores, band=band)
        assert (np.diff(found.share, axis=1) <= 0).all()
        assert (found.low <= found.share + 1e-12).all()
        assert (found.share <= found.high + 1e-12).all()


@pytest.mark.parametrize("strata", [np.zeros(30, dtype=int), np.array([0] * 10 + [1] * 20)])
def test_a_simultaneous_band_holds_the_whole_curve_and_a_pointwise_one_each_height(strata):
    from scipy.stats import norm

    at = np.linspace(-2, 2, 21)
    truth = norm.sf(at)
    rng = np.random.default_rng(1)
    whole, each = [], []
    for seed in range(300):
        scores = rng.normal(size=(1, 30))
        wide = profile(scores, strata, thresholds=at)
        narrow = profile(scores, strata, thresholds=at[5:16], band="pointwise", resamples=300, seed=seed)
        whole.append(((wide.low <= truth) & (truth <= wide.high)).all())
        each.append(((narrow.low <= truth[5:16]) & (truth[5:16] <= narrow.high)).mean())
    assert np.mean(whole) >= 0.94
    assert np.mean(each) >= 0.9


def test_thresholds_must_rise():
    with pytest.raises(DataError, match="increasing"):
        profile(np.ones((1, 3)), thresholds=[2.0, 1.0])
