import numpy as np
import pytest
from scipy import stats

from daf.stats.aggregates import iqm
from daf.stats.student import student_interval
from daf.stats.summaries import summarise


def test_the_interval_of_one_missions_mean_is_students():
    scores = np.array([[1.0, 2.0, 4.0, 4.5, 9.0, -1.0]])
    low, high = student_interval(scores, np.zeros(6, dtype=np.int64), "mean", alpha=0.1)
    expected = stats.t.interval(0.9, 5, loc=scores.mean(), scale=stats.sem(scores[0]))
    assert (low[0], high[0]) == pytest.approx(expected)


def test_two_missions_of_equal_spread_have_the_degrees_of_freedom_of_both():
    rng = np.random.default_rng(1)
    one = rng.normal(size=6)
    scores, strata = np.concatenate([one, one + 100])[None, :], np.repeat([0, 1], 6)
    low, high = student_interval(scores, strata, "mean")
    error = np.sqrt(2 * one.var(ddof=1) / 6) / 2
    assert high[0] - low[0] == pytest.approx(2 * stats.t.ppf(0.975, 10) * error)
    assert (low[0] + high[0]) / 2 == pytest.approx(one.mean() + 50)


@pytest.mark.parametrize("n", [5, 8, 12])
def test_intervals_from_few_normal_scores_cover_what_they_say(n):
    scores = np.random.default_rng(n).normal(size=(8_000, n))
    strata = np.zeros(n, dtype=np.int64)
    covered = {}
    for centre in ("mean", "iqm"):
        low, high = student_interval(scores, strata, centre)
        covered[centre] = np.mean((low <= 0) & (high >= 0))
    assert covered["mean"] == pytest.approx(0.95, abs=0.008)
    assert 0.91 <= covered["iqm"] <= 0.96


def test_an_outlier_moves_the_interval_of_the_iqm_little():
    scores = np.array([[1.0, 2, 3, 4, 5, 6, 7, 8], [1.0, 2, 3, 4, 5, 6, 7, 8000]])
    low, high = student_interval(scores, np.zeros(8, dtype=np.int64), "iqm")
    assert (low[0], high[0]) == pytest.approx((low[1], high[1]))
    assert low[0] < iqm(scores[0]) < high[0]


def test_scores_that_are_all_the_same_have_an_interval_of_no_width():
    low, high = student_interval(np.full((1, 4), 2.5), np.zeros(4, dtype=np.int64), "mean")
    assert (low[0], high[0]) == (2.5, 2.5)


def test_a_ranking_from_few_episodes_never_runs_away():
    """Scores within 0 and 6 once gave an IQM between -97 and 39."""
    rng = np.random.default_rng(3)
    for n in (5, 8, 12):
        for row in summarise(["a"], rng.integers(0, 7, size=(1, n)).astype(float)):
            assert row.method == "student"
            assert -6 < row.ci[0] < row.ci[1] < 12
            assert (row.iqm_ci is None) == (n < 8)
            assert row.iqm_ci is None or -9 < row.iqm_ci[0] <= row.iqm_ci[1] < 15


def test_intervals_over_many_missions_take_time_in_proportion_to_the_blocks():
    """Selecting each mission's blocks from all of them once took a time quadratic in the number of missions."""
    rng = np.random.default_rng(4)
    scores, strata = rng.normal(size=(1, 6_000)), rng.permutation(np.repeat(np.arange(2_000), 3))
    touched = []

    class Counting(np.ndarray):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            touched.append(np.size(found))
            return found

    low, high = student_interval(scores.view(Counting), strata, "mean")
    assert sum(touched) <= 10 * scores.size
    one = [scores[0, strata == group] for group in range(2_000)]
    assert (low[0] + high[0]) / 2 == pytest.approx(np.mean([part.mean() for part in one]))
