"""The group-sequential test against closed forms, enumeration and simulation."""

import itertools

import numpy as np
import pytest
from reward_shapes import draw, play

from daf.errors import UsageError
from daf.stats.closed_test import Family
from daf.stats.group_sequential import Design, GroupSequential, check_design, looks_of
from daf.stats.group_verdicts import family_looks, group_verdicts
from daf.stats.permutation import sign_flip
from daf.stats.repeated_intervals import estimates
from daf.stats.sign_vectors import drawn, enumerated
from daf.stats.signed_sums import SignedSums, statistics, student
from daf.stats.spending import even_design, even_looks, normal_design, spent


def run(differences: np.ndarray, design: Design, *, missions: int = 1, tag: str = "m", stop: bool = True):
    """A comparison of (pairs, blocks) or (missions, pairs, blocks) of differences, look by look."""
    d = differences.reshape(missions, -1, differences.shape[-1])
    test = GroupSequential(d.shape[1], [f"{tag}{mission}" for mission in range(missions)], design)
    before = 0
    for blocks in design.looks:
        test.look({m: (range(before, blocks), d[m][:, before:blocks]) for m in range(missions)})
        before = blocks
        if stop and test.ended:
            break
    return test


def pairs_of(scores: np.ndarray) -> np.ndarray:
    return np.array([scores[a] - scores[b] for a, b in itertools.combinations(range(len(scores)), 2)])


def test_spending_functions_are_the_published_ones():
    assert spent("hwang-shih-decani", 0.05, 0.5) == pytest.approx(0.05 * np.expm1(1.75) / np.expm1(3.5))
    assert spent("pocock", 0.05, 0.5) == pytest.approx(0.05 * np.log(1 + (np.e - 1) / 2))
    for name in ("hwang-shih-decani", "obrien-fleming", "pocock"):
        parts = [spent(name, 0.05, share) for share in np.linspace(0, 1, 9)]
        assert parts[0] == 0
        assert parts[-1] == 0.05
        assert (np.diff(parts) > 0).all()
    with pytest.raises(UsageError, match="pocock"):
        spent("pocok", 0.05, 0.5)


def test_normal_boundaries_are_the_published_ones():
    """Five looks, two-sided 5 %: the values that R's gsDesign and ldbounds print."""
    times = (0.2, 0.4, 0.6, 0.8, 1.0)
    obrien = normal_design(times, 0.05, "obrien-fleming").boundaries
    assert obrien == pytest.approx((4.8769, 3.3569, 2.6803, 2.2898, 2.0310), abs=1e-3)
    pocock = normal_design(times, 0.05, "pocock").boundaries
    assert pocock == pytest.approx((2.4380, 2.4268, 2.4101, 2.3966, 2.3859), abs=1e-3)


def test_sixteen_looks_need_few_more_blocks_at_most_and_far_fewer_on_average():
    design = even_design(16, 0.05)
    drift = design.drift(0.9)
    most = (drift / (1.959964 + 1.281552)) ** 2
    assert most == pytest.approx(1.046, abs=0.002)
    assert most * design.expected(drift) == pytest.approx(0.683, abs=0.005)
    assert most * design.expected(2 * drift) == pytest.approx(0.295, abs=0.005)
    rng = np.random.default_rng(0)
    z = np.cumsum(rng.normal(size=(40_000, 16)) / 4 + drift / 16, axis=1) / np.sqrt(np.arange(1, 17) / 16)
    crossed = np.abs(z) > np.array(design.boundaries)
    assert crossed.any(axis=1).mean() == pytest.approx(0.9, abs=0.006)


def test_looks_are_equal_steps_or_what_was_asked_for():
    assert even_looks(32) == tuple(range(2, 33, 2))
    assert even_looks(5) == (1, 2, 3, 4, 5)
    assert looks_of(50, [10, 20]) == (10, 20, 50)
    with pytest.raises(UsageError, match="the maximum, 6 blocks, is below the first look, 8 blocks"):
        looks_of(6, [8, 16])
    with pytest.raises(UsageError, match="rise"):
        looks_of(60, [8, 8])


def test_sign_vectors_nest_and_depend_on_mission_and_seed_only():
    blocks = [("arena", seed) for seed in range(30)]
    many = drawn(blocks, 4_000)
    assert (many[:, 0] == 1).all()
    np.testing.assert_array_equal(many[:20, :801], drawn(blocks[:20], 800))
    np.testing.assert_array_equal(many[::-1], drawn(blocks[::-1], 4_000))
    assert (drawn([("other", 0)], 100) != many[:1, :101]).any()
    assert abs(np.corrcoef(many[:, 1:]) - np.eye(30)).max() < 0.08
    assert len(np.unique(enumerated(4), axis=1).T) == 16


def test_the_statistic_is_students_t_over_missions():
    rng = np.random.default_rng(1)
    parts, total, error = [], 0.0, 0.0
    for n, centre in ((5, 1.0), (9, -0.5)):
        d = rng.normal(centre, 2, size=(1, n))
        part = SignedSums(1, 1)
        part.add(d, np.ones((n, 1)))
        parts.append(part)
        total, error = total + d.mean(), error + d.var(ddof=1) / n
        assert float(student(statistics([part])[1][0, 0])) == pytest.approx(abs(d.mean()) / (d.std(ddof=1) / n**0.5))
    assert float(student(statistics(parts)[1][0, 0])) == pytest.approx(abs(total) / error**0.5)
    whole = SignedSums(1, 1)
    whole.add(np.array([[2.0, np.nan, 4.0]]), np.ones((3, 1)))
    assert float(statistics([whole], 3.0)[1][0, 0]) == 0.0


@pytest.mark.parametrize("n", [6, 9, 12])
def test_a_single_look_is_the_enumerated_sign_flip_test(n):
    rng = np.random.default_rng(n)
    for _ in range(8):
        d = rng.normal(0.6, 1, size=(1, n))
        test = run(d, Design((n,), 0.05))
        expected = float(sign_flip(d[0]).p)
        family = test.families[0].different
        assert family.p_adjusted(0) == pytest.approx(expected)
        assert (0 in family.rejected) == (expected <= 0.05)


def test_boundaries_over_looks_are_those_of_enumeration_by_hand():
    d = np.random.default_rng(4).normal(0.5, 1, size=12)
    looks = (6, 9, 12)
    boundaries = []
    for look in looks:
        every = list(itertools.product((1, -1), repeat=look))
        values = {}
        for signs in every:
            total = abs(sum(s * x for s, x in zip(signs, d, strict=False)))
            t = total / look / (np.std([s * x for s, x in zip(signs, d, strict=False)], ddof=1) / look**0.5)
            values[signs] = t
        allowed = int(spent("hwang-shih-decani", 0.2, look / 12) * len(every) + 1e-9)
        before = {
            signs
            for signs in every
            for earlier, boundary in zip(looks, boundaries, strict=False)
            if _t(d[:earlier], signs[:earlier]) > boundary + 1e-9
        }
        left = sorted((value for signs, value in values.items() if signs not in before), reverse=True)
        room = allowed - len(before)
        boundaries.append(left[room] if room > 0 else np.inf)
    test = run(d[None, :], Design(looks, 0.2, futility=0.0), stop=False)
    shown = [float(student(b)) if b < 1 else np.inf for b in test.families[0].different.shown]
    assert shown == pytest.approx(boundaries)


def _t(d, signs):
    flipped = np.array(signs) * d
    return abs(flipped.mean()) / (flipped.std(ddof=1) / len(d) ** 0.5)


def test_ties_do_not_cross_and_error_that_is_not_spent_carries_over():
    alike = run(np.ones((1, 12)), Design(looks_of(12, 12), 0.05, futility=0.0))
    family = alike.families[0].different
    assert family.rejected, "twelve equal differences to one side are evidence enough"
    assert all(boundary == np.inf for boundary in family.shown[:5]), "2 of 2^5 vectors are more than 5 %"
    nothing = run(np.zeros((1, 40)), Design(looks_of(40, 8), 0.05))
    assert nothing.families[0].end == "futility"
    assert not nothing.families[0].different.rejected
    assert nothing.families[0].different.p_adjusted(0) == 1.0


def test_only_crossings_of_kept_boundaries_count_when_the_vectors_are_replaced():
    rng = np.random.default_rng(7)
    first, second = rng.random((1, 64)), rng.random((1, 64))
    first[0, 0] = second[0, 0] = 0.0
    family = Family(1, 0.2)
    family.look([first], 0.1)
    kept = family.intersection([0]).boundaries[0]
    assert (first > kept + 1e-9).sum() == 6
    others, later = rng.random((1, 500)), rng.random((1, 500))
    others[0, 0] = later[0, 0] = 0.0
    family.look([others, later], 0.2)
    test = family.intersection([0])
    assert test.boundaries[0] == kept
    before = others[0] > kept + 1e-9
    room = 100 - int(before.sum())
    assert test.boundaries[1] == pytest.approx(np.sort(later[0][~before])[::-1][room])
    assert test.crossed.sum() == 100


def test_the_closed_test_agrees_with_its_adjusted_p_values_at_the_last_look():
    rng = np.random.default_rng(8)
    for seed in range(12):
        scores = rng.normal(size=(4, 24)) + np.array([0.0, 0.0, 0.7, 1.2])[:, None]
        test = run(pairs_of(scores), Design(looks_of(24, 6), 0.05, vectors=400, futility=0.0), tag=str(seed))
        family = test.families[0].different
        for pair in range(6):
            assert (family.p_adjusted(pair) <= 0.05) == (pair in family.rejected)
            assert family.p_adjusted(pair) >= family.p(pair) - 1e-12 or pair in family.rejected


def test_a_rejection_lets_a_hypothesis_cross_an_earlier_boundary_of_the_rest():
    """The second pair does not cross the boundary of both at the first look, but that of itself alone."""
    vectors = 1_000
    rng = np.random.default_rng(0)
    first = rng.random((2, vectors)) * 0.5
    first[:, 0] = 0.9, float(np.quantile(np.maximum(*first), 0.93))
    family = Family(2, 0.05)
    family.look([first], 0.05)
    alone = family.intersection([1])
    assert first[1, 0] < family.intersection([0, 1]).boundaries[0]
    assert first[1, 0] > alone.boundaries[0]
    assert family.rejected == {0: 0, 1: 0}


@pytest.mark.parametrize(
    ("policies", "lead", "families", "missions"),
    [
        (2, [0, 0], 300, 1),
        pytest.param(3, [0, 0, 0], 150, 1, marks=pytest.mark.thorough),
        pytest.param(3, [0, 0, 1.2], 150, 1, marks=pytest.mark.thorough),
        pytest.param(2, [0, 0], 100, 2, marks=pytest.mark.thorough),
    ],
)
def test_no_more_false_findings_than_alpha_also_where_some_pairs_differ(policies, lead, families, missions):
    rng = np.random.default_rng([5, policies, missions])
    wrong = 0
    alpha = 0.1
    design = Design(looks_of(20, 5), alpha, vectors=299, futility=0.0)
    for family in range(families):
        scores = np.stack([play("bimodal", rng, 1, policies, 20)[0] for _ in range(missions)])
        scores += 2.0 * np.array(lead)[None, :, None]
        test = run(np.stack([pairs_of(each) for each in scores]), design, missions=missions, tag=f"{family}-")
        equal = [index for index, (a, b) in enumerate(itertools.combinations(range(policies), 2)) if lead[a] == lead[b]]
        wrong += any(index in each.different.rejected for each in test.families.values() for index in equal)
    rate = wrong / families
    assert rate <= alpha + 3 * (alpha * (1 - alpha) / families) ** 0.5, rate
    assert rate >= alpha / 6, "a test that never errs wastes its alpha"


@pytest.mark.thorough
def test_power_and_episodes_are_those_of_the_normal_design():
    most = 48
    design = even_design(8, 0.05)
    effect = design.drift(0.9) / most**0.5
    rng = np.random.default_rng(6)
    found, blocks, families = 0, [], 250
    plan = Design(looks_of(most, 8), 0.05, vectors=400)
    for family in range(families):
        test = run(rng.normal(effect, 1, size=(1, most)), plan, tag=f"{family}-")
        found += bool(test.families[0].different.rejected)
        blocks.append(plan.looks[test.looks - 1])
    assert found / families == pytest.approx(0.9, abs=0.06)
    more = np.mean(blocks) / most - design.expected(design.drift(0.9))
    assert -0.02 < more < 0.08, "few sign flips of few blocks reject later than normal boundaries would"


def test_the_order_of_arrival_within_a_look_changes_nothing():
    d = np.random.default_rng(9).normal(0.3, 1, size=(3, 40))
    design = Design(looks_of(40, 4), vectors=500)
    results = []
    for order in (np.arange(10), np.random.default_rng(0).permutation(10)):
        test = GroupSequential(3, ["m"], design)
        for start in range(0, 40, 10):
            test.look({0: ([int(start + o) for o in order], d[:, start + order])})
        results.append((test.families[0].different.shown, test.families[0].different.rejected))
    assert results[0][0] == pytest.approx(results[1][0])
    assert results[0][1] == results[1][1]


def test_a_policy_stops_playing_only_when_all_its_pairs_are_rejected():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(3, 60)) + np.array([0.0, 0.0, 6.0])[:, None]
    test = GroupSequential(3, ["m"], Design((20, 40, 60), vectors=2_000, futility=0.0))
    test.look({0: (range(20), pairs_of(scores[:, :20]))})
    assert set(test.families[0].different.rejected) == {1, 2}
    assert test.open_pairs(0) == {0}
    d = pairs_of(scores[:, 20:40])
    d[1:] = np.nan  # the third policy plays no more
    test.look({0: (range(20, 40), d)})
    assert test.families[0].information == pytest.approx([1 / 3, 2 / 3])


def test_blocks_that_failed_are_no_information():
    d = np.random.default_rng(3).normal(2, 1, size=(1, 20))
    d[0, 5:10] = np.nan
    test = run(d, Design((10, 20), vectors=500, futility=0.0), stop=False)
    assert test.families[0].information == pytest.approx([0.25, 0.75])
    assert test.families[0].different.spent[-1] == 0.05, "the last look spends what is left"
    assert (
        group_verdicts(test, [(0, 1)], ["a", "b"], ["m"])[0].verdict.n == 5 or 0 in test.families[0].different.rejected
    )


@pytest.mark.thorough
def test_futility_ends_a_mission_and_keeps_the_power():
    rng = np.random.default_rng(12)
    ended = [
        run(rng.normal(size=(1, 64)), Design(looks_of(64, 16), vectors=300), tag=f"{i}-").families[0] for i in range(40)
    ]
    early = [family for family in ended if family.end == "futility"]
    assert len(early) > 25
    assert all(family.conditional_power[-1] < 0.05 for family in early)
    effect = even_design(16, 0.05).drift(0.9) / 8
    found = sum(
        bool(
            run(rng.normal(effect, 1, size=(1, 64)), Design(looks_of(64, 16), vectors=300), tag=f"{i}+")
            .families[0]
            .different.rejected
        )
        for i in range(100)
    )
    assert found / 100 >= 0.9 - 3 * (0.9 * 0.1 / 100) ** 0.5


def test_practically_equal_policies_are_found_and_others_are_not():
    rng = np.random.default_rng(13)
    design = Design(looks_of(60, 6), vectors=300, margin=1.0)
    equal = run(rng.normal(0.0, 1, size=(1, 60)), design).families[0]
    assert equal.end == "decided"
    assert list(equal.equal) == [0]
    false = sum(bool(run(rng.normal(1.0, 1, size=(1, 60)), design, tag=f"{i}-").families[0].equal) for i in range(60))
    assert false / 60 <= 0.05 + 3 * (0.05 * 0.95 / 60) ** 0.5


def test_missions_with_opposite_effects_have_their_power_over_all():
    """The plain sign-flip test counts the missions' effects as noise and never decides."""
    rng = np.random.default_rng(14)
    design = Design((12,), 0.05, vectors=400, futility=0.0)
    found = flat = 0
    for family in range(80):
        d = rng.normal(size=(2, 1, 12)) + np.array([4.0, -2.0])[:, None, None]
        found += 0 in run(d, design, missions=2, tag=f"{family}-").families[None].different.rejected
        d = rng.normal(size=(2, 1, 12)) + np.array([3.0, -3.0])[:, None, None]
        flat += 0 in run(d, design, missions=2, tag=f"{family}+").families[None].different.rejected
    assert found > 70
    assert flat / 80 <= 0.025 + 3 * (0.025 * 0.975 / 80) ** 0.5


@pytest.mark.thorough
def test_repeated_intervals_cover_and_the_median_unbiased_estimate_is_less_biased():
    rng = np.random.default_rng(15)
    design = Design(looks_of(32, 8), vectors=300, futility=0.0)
    covered, unbiased, plain, families = 0, [], [], 120
    for family in range(families):
        test = run(rng.normal(0.8, 1, size=(1, 32)), design, tag=f"{family}-")
        (found,) = estimates(test, 0)
        assert found.median_unbiased is not None
        covered += found.ci is None or found.ci[0] <= 0.8 <= found.ci[1]
        unbiased.append(found.median_unbiased)
        plain.append(float(np.concatenate([d[0] for _, d in test.blocks[0]]).mean()))
    assert covered / families >= 0.95 - 3 * (0.05 * 0.95 / families) ** 0.5
    assert abs(np.median(unbiased) - 0.8) < 0.08
    assert abs(np.mean(unbiased) - 0.8) < abs(np.mean(plain) - 0.8)


def test_an_interval_excludes_what_the_single_step_test_rejects():
    d = np.random.default_rng(16).normal(0.9, 1, size=(1, 24))
    test = run(d, Design(looks_of(24, 6), vectors=800, futility=0.0))
    (found,) = estimates(test, 0)
    assert 0 in test.families[0].different.rejected
    assert found.ci is not None
    assert found.ci[0] > 0
    look = test.looks
    for shift, inside in ((found.ci[0] + 0.05, True), (found.ci[0] - 0.05, False)):
        again = run(d - shift, Design(looks_of(24, 6), vectors=800, futility=0.0), stop=False)
        crossed = again.families[0].different.rejected.get(0, 99) < look
        assert crossed != inside


def test_verdicts_have_the_sentences_of_every_comparison():
    rng = np.random.default_rng(17)
    scores = rng.normal(size=(3, 40)) + np.array([0.0, 0.0, 3.0])[:, None]
    test = run(pairs_of(scores), Design(looks_of(40, 8), vectors=300))
    found = group_verdicts(test, list(itertools.combinations(range(3), 2)), ["a", "b", "c"], ["arena"])
    assert [f.verdict.stratum for f in found] == [None] * 3 + [0] * 3
    beats = found[1].verdict
    assert (beats.verdict, beats.name_b) == ("worse", "c")
    assert beats.sentence.startswith("c beats a on arena by ")
    assert found[1].look is not None
    assert beats.n == test.design.looks[found[1].look - 1]
    assert beats.p_adjusted <= 0.05 < found[0].verdict.p_adjusted
    (family,) = family_looks(test, ["arena"])
    assert family.looks[-1].open == 1
    assert family.end in ("futility", "maximum")


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (Design((4,)), "a maximum of 4 blocks gives no p value below 0.12; alpha 0.05 needs at least 6 blocks"),
        (Design((1,)), "a maximum of 1 block gives no p value below 1"),
        (Design((100,), 1e-5), "cannot resolve alpha 1e-05.*at least 99,999 can"),
        (Design((100,), 1.5), "alpha must be between 0 and 1"),
        (Design((100,), futility=1.0), "futility"),
        (Design((100,), margin=-1.0), "above 0"),
    ],
)
def test_designs_that_can_decide_nothing_are_refused(design, message):
    with pytest.raises(UsageError, match=message):
        check_design(design, 1)


@pytest.mark.thorough
def test_a_skewed_difference_is_not_promised_but_equal_policies_are():
    """Equal policies have symmetric differences, however skewed their scores are."""
    rng = np.random.default_rng(19)
    design = Design(looks_of(20, 5), 0.1, vectors=299, futility=0.0)
    wrong = 0
    for family in range(300):
        d = draw("lognormal", rng, (1, 20)) - draw("lognormal", rng, (1, 20))
        wrong += bool(run(d, design, tag=f"{family}-").families[0].different.rejected)
    assert wrong / 300 <= 0.1 + 3 * (0.09 / 300) ** 0.5
