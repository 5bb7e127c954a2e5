"""What is said of the best trials on held-out seeds."""

import pytest

from daf.sweeps.held_out_summary import held_out_finding


def record(*trials, default, winner, direction="maximize"):
    entries = [
        {"trial": trial, "in_the_sweep": before, "value": value, "error": None} for trial, before, value in trials
    ]
    entry = None if default is None else {"in_the_sweep": 1.0, "value": default, "error": None}
    return {
        "objective": "reward", "direction": direction, "episodes": 12, "trials": entries, "default": entry,
        "winner": winner,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            record((5, 16.8, 2.1), (2, 16.0, 2.4), (7, 15.0, 2.0), default=2.9, winner=2),
            "On 12 held-out episodes per mission, trial 2 is best, with 2.40 reward; the best in the sweep, trial 5, "
            "has 2.10. The default configuration has 2.90 there: it did better than all 3 trials.",
        ),
        (
            record((5, 3.0, 2.5), (2, 2.0, 2.4), default=2.0, winner=5),
            "On 12 held-out episodes per mission, trial 5, the best in the sweep, is best again, with 2.50 reward. The "
            "default configuration has 2.00 there, behind trial 5.",
        ),
        (
            record((5, 3.0, 2.5), (2, 3.5, 4.0), default=3.0, winner=5, direction="minimize"),
            "On 12 held-out episodes per mission, trial 5, the best in the sweep, is best again, with 2.50 reward. The "
            "default configuration has 3.00 there, behind trial 5, ahead of 1 of the 2 trials.",
        ),
        (
            record((5, 3.0, None), (2, 2.0, 2.0), default=2.0, winner=2),
            "On 12 held-out episodes per mission, trial 2 is best, with 2.00 reward; the best in the sweep, trial 5, "
            "has no result there. The default configuration has 2.00 there, tied with trial 2.",
        ),
        (
            record((5, 3.0, 2.0), default=None, winner=5),
            "On 12 held-out episodes per mission, trial 5, the best in the sweep, has 2.00 reward.",
        ),
        (record((5, 3.0, None), default=2.0, winner=None), ""),
    ],
)
def test_the_finding_names_both_best_trials_and_where_the_default_stands(given, says):
    assert held_out_finding(given) == says
