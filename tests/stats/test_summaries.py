import json
from dataclasses import asdict

import numpy as np
import pytest

from daf.errors import DataError
from daf.stats.summaries import summarise


def test_policies_are_ranked_by_the_mean_over_missions():
    scores = np.array([[1.0] * 9 + [2.0], [2.0] * 9 + [0.0], [0.0] * 9 + [9.0]])
    found = summarise(["a", "b", "c"], scores, np.array([0] * 9 + [1]))
    assert [(row.name, row.rank, row.mean) for row in found] == [("c", 1, 4.5), ("a", 2, 1.5), ("b", 3, 1.0)]
    assert all(row.ci is None for row in found)


def test_equal_means_share_a_rank():
    scores = np.array([[0.1 + 0.2, 0.1], [0.3, 0.1], [9.0, 9.0], [0.0, 0.0]])
    assert [(row.name, row.rank) for row in summarise(list("abcd"), scores)] == [("c", 1), ("a", 2), ("b", 2), ("d", 4)]


def test_each_policy_has_intervals_of_mean_and_iqm_around_them():
    rng = np.random.default_rng(0)
    for row in summarise(["a", "b"], rng.normal(size=(2, 40)), np.repeat([0, 1], 20)):
        assert row.method == "studentized"
        assert row.ci is not None
        assert row.iqm_ci is not None
        assert row.ci[0] < row.mean < row.ci[1]
        assert row.iqm_ci[0] < row.iqm < row.iqm_ci[1]
        assert row.caveat == ""


@pytest.mark.parametrize(
    ("scores", "method", "caveat"),
    [
        ([0.0] * 5, "student", "All 5 episodes scored the same."),
        ([0.0] * 25, "studentized", "All 25 episodes scored the same."),
        ([0.0] * 24 + [3], "bca", "96% of the scores are 0"),
        ([2.0] * 24 + [3.0], "bca", "The scores are skewed"),
        ([1.0], None, "A single episode"),
    ],
)
def test_rows_whose_interval_cannot_be_trusted_say_so_and_stay_plain_json(scores, method, caveat):
    row = summarise(["a"], np.array([scores]))[0]
    assert (row.method, row.ci is None) == (method, method is None)
    assert caveat in row.caveat
    json.dumps(asdict(row), allow_nan=False)


def test_nan_is_refused():
    with pytest.raises(DataError, match="not finite"):
        summarise(["a"], np.array([[1.0, np.nan]]))


def test_an_interval_that_ran_away_is_replaced() -> None:
    # Most scores lie so close together that some resamples have next to no spread: studentized, the IQM's lower bound
    # was -509828.
    close = [119.0003, 118.9988, 118.9998, 118.9997, 118.9998, 119.0006, 118.9987, 119.001, 118.9989, 118.9998]
    far = [119.0009, 119.0007, 118.9993, 69.2356, 4.7295, 38.2259, 43.5014, 20.2452, 73.8991, 50.5127]
    (row,) = summarise(["solver"], [close + far])
    assert row.iqm_ci is not None
    low, high = row.iqm_ci
    assert 4.7 < low < row.iqm < high < 119.1
