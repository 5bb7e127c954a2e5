"""Early stopping: who goes on at a rung, and what a worse trial is."""

import numpy as np
import pytest

from daf.config import DAFEarlyStopping
from daf.sweeps.result import SweepTrialResult
from daf.sweeps.stopping import beaten_at_rung, rungs, scheme, worse_than_best

HALVING = DAFEarlyStopping(method="halving", min_steps=100, factor=3)
HYPERBAND = DAFEarlyStopping(method="hyperband", min_steps=100, factor=3)
WILCOXON = DAFEarlyStopping(method="wilcoxon", p=0.05, min_blocks=8)


def at_rung(*values):
    return [
        SweepTrialResult(n, {}, value, values=(value,), status="stopped", rungs=((100, value),))
        for n, value in enumerate(values)
    ]


def played(values, number=0):
    return SweepTrialResult(
        number, {}, float(np.mean(values)), values=(float(np.mean(values)),), status="complete", success=True,
        mission_results={"m": {"values": list(values)}},
    )  # fmt: skip


def test_rungs_grow_by_the_factor_and_end_below_the_total():
    assert rungs(HALVING, 2700, 0) == [100, 300, 900]
    assert rungs(HALVING, 900, 0) == [100, 300]
    assert rungs(None, 900, 0) == rungs(WILCOXON, 900, 0) == []
    assert rungs(DAFEarlyStopping(method="halving"), 2700, 0) == [100, 300, 900]


def test_hyperband_has_schemes_that_begin_at_later_rungs():
    assert [rungs(HYPERBAND, 900, n) for n in range(4)] == [[100, 300], [300], [], [100, 300]]
    assert [scheme(HYPERBAND, 900, n) for n in range(4)] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("value", "others", "goes_on"),
    [
        (1.0, [], True),  # nobody to compare with
        (1.0, [2.0], True),  # fewer than the factor
        (1.0, [2.0, 3.0], False),
        (3.5, [2.0, 3.0], True),
        (4.5, [1.0, 2.0, 3.0, 4.0, 5.0], True),  # place 2 of 6: the best 2 go on
        (3.5, [1.0, 2.0, 3.0, 4.0, 5.0], False),
        (3.0, [3.0, 3.0], True),  # nobody is better
    ],
)
def test_one_in_factor_continues(value, others, goes_on):
    assert (beaten_at_rung(value, 100, at_rung(*others), HALVING, "maximize") is None) == goes_on
    mirrored = at_rung(*(-other for other in others))
    assert (beaten_at_rung(-value, 100, mirrored, HALVING, "minimize") is None) == goes_on


def test_a_rung_compares_only_with_trials_that_reached_it():
    assert beaten_at_rung(1.0, 300, at_rung(2.0, 3.0, 4.0), HALVING, "maximize") is None


def test_equally_good_trials_are_seldom_stopped_and_worse_ones_mostly():
    random = np.random.default_rng(1)
    stopped = {0.0: 0, -1.5: 0}
    for shift in stopped:
        for _ in range(200):
            best, trial = random.normal(size=12), random.normal(size=12) + shift
            stopped[shift] += (
                worse_than_best({"m": trial}, {"m": 1.0}, [played(best)], WILCOXON, "maximize") is not None
            )
    assert stopped[0.0] <= 0.09 * 200  # 5 % at one look, and its noise
    assert stopped[-1.5] >= 0.8 * 200


def test_the_best_complete_trial_is_the_judge_in_either_direction():
    low, high = played([1.0] * 8, 0), played([5.0] * 8, 1)
    values = {"m": [3.0, 3.1, 2.9, 3.0, 3.2, 2.8, 3.0, 3.1]}
    assert "trial 1" in worse_than_best(values, {"m": 1.0}, [low, high], WILCOXON, "maximize")
    assert "trial 0" in worse_than_best(values, {"m": 1.0}, [low, high], WILCOXON, "minimize")
    assert worse_than_best(values, {"m": 1.0}, [low], WILCOXON, "maximize") is None
    assert worse_than_best(values, {"m": 1.0}, [], WILCOXON, "maximize") is None
