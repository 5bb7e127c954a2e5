import numpy as np
import pytest
from reward_shapes import SHAPES, draw

from daf.errors import DataError, UsageError
from daf.stats.eprocess import betting, betting_interval, symmetry, symmetry_interval
from daf.stats.multiple import e_holm
from daf.stats.sequential import confidence, rounds, standings
from daf.stats.verdicts_so_far import SETTLED, verdicts_so_far
from tests.conftest import thinned


@pytest.mark.parametrize("shape", thinned(SHAPES, 3))
def test_looking_after_every_block_raises_no_false_alarm_more_often_than_alpha(shape):
    rng = np.random.default_rng(0)
    d = draw(shape, rng, (4000, 120)) - draw(shape, rng, (4000, 120))
    ever = (symmetry(d).both >= 20).any(axis=1).mean()
    assert ever <= 0.05
    assert ever >= 0.01, "a test that never errs has no power"


def test_without_symmetry_bets_on_the_mean_hold_their_level():
    rng = np.random.default_rng(1)
    d = np.where(rng.random((3000, 120)) < 0.9, 0.1, -0.9)
    assert (betting(d, low=-1, high=1).both >= 20).any(axis=1).mean() <= 0.05
    assert (betting(d + 0.0, low=-1, high=1, null=-0.2).above[:, -1] >= 20).mean() > 0.9


@pytest.mark.parametrize("shape", thinned(SHAPES, 3))
def test_a_real_difference_is_found_early(shape):
    rng = np.random.default_rng(2)
    d = draw(shape, rng, (300, 60)) - draw(shape, rng, (300, 60))
    fortunes = symmetry(d + d.std())
    assert (fortunes.above >= 20).any(axis=1).mean() > 0.95
    assert np.median((fortunes.above >= 20).argmax(axis=1)) < 25


@pytest.mark.parametrize(("shape", "bounded"), [*thinned(((s, False) for s in SHAPES), 3), ("bounded", True)])
def test_confidence_sequences_cover_and_shrink(shape, bounded):
    rng = np.random.default_rng(3)
    d = draw(shape, rng, (200, 40)) - draw(shape, rng, (200, 40))
    late = betting_interval(d, low=-1, high=1) if bounded else symmetry_interval(d)
    early = betting_interval(d[:, :15], low=-1, high=1) if bounded else symmetry_interval(d[:, :15])
    assert ((late[0] <= 0) & (late[1] >= 0)).mean() >= 0.95
    assert np.median(late[1] - late[0]) < np.median(early[1] - early[0])
    assert np.isfinite(late[0]).all()


def test_a_confidence_sequence_leaves_out_what_the_test_refutes():
    d = np.random.default_rng(4).normal(0.6, 1, size=60)
    low, high = symmetry_interval(d)
    for null in np.linspace(-1, 2, 31):
        fortunes = symmetry(d, null=null)
        refuted = fortunes.above[-1] >= 40 or fortunes.below[-1] >= 40
        assert refuted == (not low <= null <= high)


def test_three_blocks_settle_nothing_and_have_no_bounds():
    low, high = symmetry_interval(np.array([5.0, 5.0, 5.0]))
    assert (float(low), float(high)) == (-np.inf, np.inf)
    assert confidence(np.array([5.0, 5.0, 5.0])) is None
    assert confidence([]) is None


def test_scores_of_any_scale_give_the_same_evidence():
    d = np.random.default_rng(5).normal(0.5, 1, size=30)
    np.testing.assert_allclose(symmetry(d).above, symmetry(d * 1e-6).above)
    np.testing.assert_allclose(symmetry(d).above, symmetry(-d).below)


def test_differences_outside_the_declared_range_are_refused():
    with pytest.raises(DataError, match="outside the declared range"):
        betting(np.array([0.5, 1.5]), low=-1, high=1)
    with pytest.raises(UsageError, match="empty"):
        standings([np.ones(3)], bounds=(1.0, 1.0))


def test_e_holm_is_the_least_mean_over_subsets():
    from itertools import combinations

    rng = np.random.default_rng(6)
    e, w = rng.exponential(5, size=6), rng.random(6) + 0.1
    adjusted = e_holm(e, w)
    for i in range(6):
        subsets = [(i, *rest) for k in range(6) for rest in combinations([j for j in range(6) if j != i], k)]
        assert adjusted[i] == pytest.approx(min(np.average(e[list(s)], weights=w[list(s)]) for s in subsets))


@pytest.mark.parametrize("shape", thinned(SHAPES, 3))
def test_a_family_that_stops_each_comparison_by_itself_keeps_its_error(shape):
    rng = np.random.default_rng(7)
    families = 150
    false = 0
    for _ in range(families):
        scores = draw(shape, rng, (4, 40))
        differences = [scores[a] - scores[b] for a in range(4) for b in range(a)]
        open_ = set(range(6))
        stopped = [0] * 6
        for n in range(5, 41, 5):
            for i in open_:
                stopped[i] = n
            found = standings([d[:k] for d, k in zip(differences, stopped, strict=True)])
            if any(s.state in ("better", "worse") for s in found):
                false += 1
                break
            open_ -= {i for i, s in enumerate(found) if s.settled}
    assert false / families <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / families)


def test_differences_that_do_not_matter_are_settled_as_equal():
    rng = np.random.default_rng(8)
    found = standings([0.2 * rng.normal(size=60), rng.normal(size=60) + 2, -2 + rng.normal(size=60)], margin=0.4)
    assert [s.state for s in found] == ["equal", "better", "worse"]
    assert standings([0.4 + 0.2 * rng.normal(size=60)], margin=0.3)[0].state == "better"
    assert standings([np.zeros(30)], margin=0.1)[0].state == "equal"
    assert standings([np.zeros(30)])[0].state == "open"


def test_rounds_take_one_block_of_every_mission():
    np.testing.assert_allclose(rounds(np.array([1.0, 2, 3, 10, 20]), np.array([0, 0, 0, 1, 1])), [5.5, 11.0])


def test_verdicts_so_far_cover_every_mission_and_say_so_in_words():
    rng = np.random.default_rng(10)
    differences = {
        (0, 1, 0): 2 + rng.normal(size=30),
        (0, 1, 1): 2 + rng.normal(size=20),
        (0, 2, 0): 0.2 * rng.normal(size=60),
        (0, 2, 1): 0.2 * rng.normal(size=60),
        (1, 2, 0): rng.normal(size=4),
        (1, 2, 1): np.empty(0),
    }
    found = verdicts_so_far(["A", "B", "C"], differences, ["arena", "machina_1"], margin=0.4)
    by_key = {(v.a, v.b, v.stratum): v for v in found}
    assert [by_key[0, 1, s].verdict for s in (None, 0, 1)] == ["better"] * 3
    assert [by_key[0, 2, s].verdict for s in (None, 0, 1)] == ["equal"] * 3
    assert by_key[0, 1, None].n == 40
    assert by_key[0, 1, 0].sentence.startswith("A beats B on arena by ")
    assert by_key[1, 2, 0].verdict == "undecided"
    assert by_key[1, 2, 1].sentence == "B and C have not played the same episodes on machina_1 yet."
    assert by_key[1, 2, None].n == 0


def test_a_settled_verdict_stands_at_later_looks():
    d = {(0, 1, 0): np.full(12, 1.0) + 0.1 * np.arange(12)}
    first = verdicts_so_far(["A", "B"], d, ["arena"])
    assert {v.verdict for v in first} <= SETTLED
    later = verdicts_so_far(["A", "B"], {(0, 1, 0): -d[0, 1, 0]}, ["arena"], earlier=first)
    assert later == first


@pytest.mark.parametrize("differences", [{(1, 0, 0): [1.0]}, {(0, 2, 0): [1.0]}, {(0, 1, 0): [1.0], (0, 1, 5): [1.0]}])
def test_comparisons_of_nobody_are_refused(differences):
    with pytest.raises(DataError):
        verdicts_so_far(["A", "B"], differences, ["arena"])
