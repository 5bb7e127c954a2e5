import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from reward_shapes import SHAPES, draw

from daf.errors import DataError, UsageError
from daf.stats.sentences import labels, number
from daf.stats.verdicts import compare_pairs
from tests.conftest import thinned


def two_missions(n=15, seed=0):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=2 * n)
    scores = np.stack([base + 0.5, base + 0.3 * rng.normal(size=2 * n), base])
    return scores, np.repeat([0, 1], n)


def test_every_pair_is_compared_overall_and_on_every_mission():
    scores, strata = two_missions()
    found = compare_pairs(["A", "B", "C"], scores, strata, ["arena", "machina_1"])
    where = [(v.a, v.b, v.stratum) for v in found]
    assert where == [(a, b, s) for s in (None, 0, 1) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert [v.verdict for v in found] == ["better", "better", "undecided"] * 3
    assert found[0].stratum_name is None
    assert found[3].stratum_name == "arena"


def test_a_clear_lead_is_reported_in_one_sentence():
    d = np.linspace(-0.4, 3.0, 30)
    found = compare_pairs(["A", "B"], np.stack([d, np.zeros(30)]), np.zeros(30, dtype=int), ["arena"])[0]
    assert (
        found.sentence == "A beats B on arena by 1.3 [0.9, 1.7] reward per agent, p<0.0001; ahead in 26 of 30 episodes."
    )
    swapped = compare_pairs(["B", "A"], np.stack([np.zeros(30), d]), np.zeros(30, dtype=int), ["arena"])[0]
    assert swapped.verdict == "worse"
    assert swapped.sentence == found.sentence


def test_with_three_episodes_no_test_can_decide_and_the_sentence_says_so():
    scores, strata = two_missions()
    found = compare_pairs(["A", "B"], scores[:2, :3], strata[:3], ["arena"])[0]
    assert found.verdict == "too few"
    assert found.ci is None
    assert "With 3 episodes no test can reach p < 0.05" in found.sentence


def test_a_family_that_needs_more_episodes_names_how_many():
    scores = np.stack([np.arange(2.0, 9.0), np.zeros(7), np.ones(7), np.full(7, 2.0)])
    found = compare_pairs(list("ABCD"), scores, np.zeros(7, dtype=int), ["arena"])[0]
    assert found.verdict == "too few"
    assert "With 7 episodes and 6 comparisons no test can reach p < 0.05 (8 can)" in found.sentence
    scores = np.concatenate([scores, scores[:, :1] + [[9.0], [0], [0], [0]]], axis=1)
    assert compare_pairs(list("ABCD"), scores, np.zeros(8, dtype=int), ["arena"])[0].verdict == "better"


def test_a_single_mission_counts_once_in_the_family():
    scores, strata = two_missions()
    found = compare_pairs(["A", "B"], scores[:2, :15], strata[:15], ["arena", "unused"])
    assert [(v.stratum, v.family, v.p_adjusted == v.p) for v in found] == [(None, 1, True), (0, 1, True)]


def test_asking_about_missions_costs_the_overall_verdict_a_factor_of_two():
    rng = np.random.default_rng(1)
    strata = np.repeat(np.arange(10), 5)
    a = rng.normal(size=50)
    found = compare_pairs(["A", "B"], np.stack([a, np.zeros(50)]), strata, [f"m{i}" for i in range(10)])
    assert found[0].p_adjusted == pytest.approx(min(1.0, 2 * found[0].p))


@pytest.mark.parametrize("n", [1, 5, 30])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_policies_that_never_differ_are_identical_and_not_undecided(n, value):
    found = compare_pairs(["A", "B"], np.full((2, n), value), np.zeros(n, dtype=int), ["arena"], margin=0.5)[0]
    assert found.verdict == "identical"
    assert (found.p, found.effect_size, found.prob_improvement) == (1.0, 0.0, 0.5)
    assert "exactly the same on arena" in found.sentence


def test_scores_that_differ_by_rounding_are_the_same():
    a = np.array([0.1 + 0.2, 0.7, 1.1] * 5)
    b = np.array([0.3, 0.7, 1.1] * 5)
    assert compare_pairs(["A", "B"], np.stack([a, b]), np.zeros(15, dtype=int), ["arena"])[0].verdict == "identical"


def test_a_margin_finds_practical_equality_and_says_so():
    scores, strata = two_missions()
    found = compare_pairs(["B", "C"], scores[1:], strata, ["arena", "machina_1"], margin=0.4)[0]
    assert found.verdict == "equal"
    assert "practically equal over 2 missions" in found.sentence
    assert found.p_equal is not None
    assert found.p_equal <= 0.05


def test_one_policy_has_no_pairs():
    assert compare_pairs(["A"], np.ones((1, 4)), np.zeros(4, dtype=int), ["arena"]) == []


def test_names_of_users_need_be_neither_unique_nor_printable():
    scores, strata = two_missions()
    found = compare_pairs(["p\n", "p\n", ""], scores, strata, ["m", "m"])
    assert (found[0].name_a, found[0].name_b, found[1].name_b) == ("p\\n (#1)", "p\\n (#2)", "(unnamed)")
    assert {v.stratum_name for v in found} == {None, "m (#1)", "m (#2)"}
    assert all("\n" not in v.sentence for v in found)
    assert len(set(labels(["a", "a", "a (#1)"]))) == 3


def test_a_verdict_is_plain_json():
    for scale in (0.0, 1.0):
        scores = np.stack([np.arange(4.0) * scale + scale, np.arange(4.0) * scale])
        for found in compare_pairs(["A", "B"], scores, np.zeros(4, dtype=int), ["arena"], margin=1.0):
            json.dumps(asdict(found), allow_nan=False)


def test_a_family_too_large_for_its_sign_patterns_says_so_and_blames_no_lack_of_episodes(monkeypatch):
    monkeypatch.setattr("daf.stats.verdicts.MOST_PATTERNS", 300)
    scores = np.random.default_rng(11).normal(size=(5, 80)) + np.arange(5.0)[:, None]
    found = compare_pairs(list("ABCDE"), scores, np.repeat([0, 1], 40), ["x", "y"], resamples=300)
    mission = found[-1]
    assert mission.verdict == "undecided"
    assert "30 comparisons are more than 300 sign patterns can decide" in mission.sentence


def test_ties_are_a_caveat_in_the_sentence():
    scores = np.stack([np.array([0.0] * 16 + [1.0, -1.0, 2.0, 1.0]), np.zeros(20)])
    found = compare_pairs(["A", "B"], scores, np.zeros(20, dtype=int), ["arena"])[0]
    assert found.ties == 16
    assert found.sentence.endswith("80% of the episodes are ties, which carry no evidence.")


def test_nan_scores_are_refused_with_their_place():
    scores = np.ones((2, 3))
    scores[1, 2] = math.nan
    with pytest.raises(DataError, match=r"1 of 6 are not finite numbers up to 1e\+100; the first is nan at \(1, 2\)"):
        compare_pairs(["A", "B"], scores, np.zeros(3, dtype=int), ["arena"])


@pytest.mark.parametrize(
    ("names", "strata", "stratum_names", "alpha", "error"),
    [
        (["A"], [0, 0], ["m"], 0.05, DataError),
        (["A", "B"], [0, 2], ["m"], 0.05, DataError),
        (["A", "B"], [0], ["m"], 0.05, DataError),
        (["A", "B"], [0, 0], ["m"], 5.0, UsageError),
    ],
)
def test_what_does_not_fit_is_refused(names, strata, stratum_names, alpha, error):
    with pytest.raises(error):
        compare_pairs(names, np.ones((2, 2)), np.array(strata), stratum_names, alpha=alpha)


@pytest.mark.parametrize("shape", thinned(SHAPES, 3))
@pytest.mark.parametrize("n_policies", [2, 5])
def test_equal_policies_get_a_false_verdict_anywhere_no_more_often_than_alpha(shape, n_policies):
    rng = np.random.default_rng(6)
    families, strata = 300, np.repeat([0, 1], 8)
    names = [str(i) for i in range(n_policies)]
    false = 0
    for family in range(families):
        found = compare_pairs(names, draw(shape, rng, (n_policies, 16)), strata, ["x", "y"], resamples=400, seed=family)
        false += any(v.verdict in ("better", "worse") for v in found)
    assert false / families <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / families)


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (2e12, 1e9, "2e+12"),
        (3e-9, 1e-9, "3e-09"),
        (1.3333, 0.45, "1.3"),
        (0.5, 0.11, "0.50"),
        (1234.5, 400.0, "1,234"),
        (-0.001, 0.5, "0.0"),
        (0.0, 0.0, "0"),
        (0.382, 3.5, "0.4"),
        (-12.0, 90.0, "-12"),
    ],
)
def test_digits_follow_the_interval(value, half, text):
    assert number(value, half) == text


def test_skew_is_a_caveat_that_states_the_measured_coverage():
    rng = np.random.default_rng(0)
    scores = np.stack([rng.lognormal(0, 1, size=20) + 3, np.zeros(20)])
    found = compare_pairs(["A", "B"], scores, np.zeros(20, dtype=int), ["arena"])[0]
    assert "a 95 % interval covers about 87 to 91 % for such differences and 20 blocks." in found.sentence
    sparse = np.stack([np.array([0.0] * 16 + [1.0, 1.0, 2.0, 1.0]), np.zeros(20)])
    found = compare_pairs(["A", "B"], sparse, np.zeros(20, dtype=int), ["arena"])[0]
    assert "a 95 % interval covers about 78 % for such differences and 20 blocks." in found.sentence
