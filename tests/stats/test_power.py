import numpy as np
import pytest
from scipy import stats

from daf.errors import DataError, UsageError
from daf.stats.power import deviation_of, needed, needed_note, power_of, runs_needed
from daf.stats.verdicts import compare_pairs


def test_the_fixed_number_is_the_least_with_that_power():
    for effect in (0.1, 0.25, 0.5, 1.0, 3.0):
        found = needed(effect, 1.0)
        assert found.fixed is not None
        assert power_of(effect, found.fixed) >= 0.9
        assert power_of(effect, found.fixed - 1) < 0.9 or found.fixed == 6
    assert needed(0.5, 1.0).fixed == 44
    assert needed(5.0, 1.0).fixed == 6, "fewer than 6 blocks cannot give p below 0.05"


def test_power_is_that_of_simulated_t_tests():
    d = np.random.default_rng(0).normal(0.4, 1, size=(20_000, 30))
    measured = (stats.ttest_1samp(d, 0, axis=1).pvalue <= 0.05).mean()
    assert power_of(0.4, 30) == pytest.approx(measured, abs=0.012)


def test_looks_need_a_few_blocks_more_at_most_and_fewer_on_average():
    found = needed(0.3, 1.0)
    assert found.fixed is not None
    assert found.most is not None
    assert found.expected is not None
    assert found.fixed < found.most <= 1.05 * found.fixed + 1
    assert 0.66 * found.fixed < found.expected < 0.73 * found.fixed


def test_several_missions_share_the_work():
    rng = np.random.default_rng(1)
    rows = [rng.normal(5, 1, size=400), rng.normal(-5, 2, size=400)]
    assert deviation_of(rows) == pytest.approx(np.sqrt(1 + 4) / 2, rel=0.06)


def test_training_runs_are_those_of_an_unpaired_t_test():
    runs = runs_needed(1.0, 1.0)
    rng = np.random.default_rng(2)
    a, b = rng.normal(0, 1, size=(4_000, runs)), rng.normal(1, 1, size=(4_000, runs))
    assert (stats.ttest_ind(a, b, axis=1).pvalue <= 0.05).mean() == pytest.approx(0.9, abs=0.02)
    assert runs == 23


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: needed(0.0, 1.0), UsageError, "difference must be above 0"),
        (lambda: needed(1.0, -1.0), UsageError, "deviation must be above 0"),
        (lambda: needed(1.0, 1.0, power=1.0), UsageError, "power must lie between"),
        (lambda: needed(1.0, 1.0, power=0.01), UsageError, "power must lie between"),
        (lambda: deviation_of([np.array([1.0])]), DataError, "one block"),
        (lambda: deviation_of([np.zeros(9)]), DataError, "all differences are the same"),
    ],
)
def test_plans_without_a_basis_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_differences_too_small_to_find_are_reported_as_such():
    assert needed(1e-4, 1.0).fixed is None


def test_an_undecided_verdict_names_the_episodes_that_would_settle_it():
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(2, 20)) + np.array([[0.25], [0.0]])
    (pair, _) = compare_pairs(["a", "b"], scores, np.zeros(20, dtype=np.int64), ["arena"])
    assert pair.verdict == "undecided"
    note = needed_note(pair)
    assert pair.effect_size is not None
    blocks = needed(abs(pair.effect_size), 1.0).fixed
    assert f"about {blocks:,} blocks of each" in note
    assert "--until-decided" in note
    decided, _ = compare_pairs(["a", "b"], scores + np.array([[9.0], [0.0]]), np.zeros(20, dtype=np.int64), ["arena"])
    assert needed_note(decided) == ""
