"""Scores from plain numbers: upstream's results, intervals that cover, budgets that hold."""

import random
import uuid
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daf.errors import DataError, UsageError
from daf.scoring_analysis import (
    budget_for,
    daf_allocate_agents,
    daf_compute_vor,
    daf_compute_weighted_score,
    daf_scoring_summary,
    daf_validate_proportions,
)


def test_vor_of_two_numbers_is_their_difference() -> None:
    found = daf_compute_vor(1.25, 0.5)
    assert (found.vor, found.ci) == (0.75, None)


def test_vor_of_paired_episodes_is_sharper_than_its_parts() -> None:
    draws = np.random.default_rng(1)
    difficulty = draws.normal(0, 5, 30)
    found = daf_compute_vor((difficulty + 1 + draws.normal(0, 0.1, 30)).tolist(), difficulty.tolist())
    assert found.ci is not None
    assert 0.9 < found.ci[0] < found.vor < found.ci[1] < 1.1


def test_vor_of_episodes_that_cannot_be_paired_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be paired"):
        daf_compute_vor([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="not finite"):
        daf_compute_vor([1.0, float("nan")], [1.0, 2.0])


def test_weighted_scores_are_upstreams_to_the_bit() -> None:
    from metta_alo.scoring import compute_weighted_scores

    draws = random.Random(5)
    names = {name: uuid.UUID(int=number) for number, name in enumerate(("a", "b", "c"))}
    scores, agents = [], []
    for _ in range(40):
        there = draws.sample(list(names), draws.randint(1, 3))
        scores.append({name: draws.gauss(0, 1) for name in there})
        agents.append({name: draws.randint(0, 4) for name in there})
    matches = [
        SimpleNamespace(
            assignments=[],
            policy_version_ids=[],
            policy_scores={names[k]: v for k, v in score.items()},
            policy_agent_counts={names[k]: v for k, v in counts.items()},
        )
        for score, counts in zip(scores, agents, strict=True)
    ]
    expected = compute_weighted_scores(list(names.values()), matches)
    found = daf_compute_weighted_score(scores, agents)
    assert {name: expected[identity] for name, identity in names.items()} == {n: found[n].score for n in names}
    for row in found.values():
        assert row.ci is not None
        assert row.ci[0] < row.score < row.ci[1]


def test_intervals_of_weighted_scores_cover_the_truth() -> None:
    draws, covered = np.random.default_rng(7), 0
    for repeat in range(300):
        agents = draws.integers(1, 5, size=30)
        values = draws.normal(2.0, 1.0, size=30)
        found = daf_compute_weighted_score(
            [{"a": float(v), "b": 0.0} for v in values],
            [{"a": int(k), "b": 5 - int(k)} for k in agents],
            resamples=400,
            seed=repeat,
        )["a"]
        assert found.ci is not None
        covered += found.ci[0] <= 2.0 <= found.ci[1]
    assert 0.91 <= covered / 300 <= 0.985, covered


@given(st.integers(0, 50), st.lists(st.floats(0.01, 100), min_size=1, max_size=6))
def test_allocated_agents_add_up_and_stay_within_one_of_their_share(total: int, weights: list[float]) -> None:
    counts = daf_allocate_agents(total, weights)
    assert sum(counts) == total
    assert all(abs(count - total * w / sum(weights)) < 1 for count, w in zip(counts, weights, strict=True))


def test_a_mapping_of_weights_gives_a_mapping_of_agents() -> None:
    assert daf_allocate_agents(5, {"a": 1, "b": 1}) == {"a": 3, "b": 2}


@pytest.mark.parametrize(
    ("proportions", "policies", "message"),
    [
        ([1.0], 2, "1 proportions for 2 policies"),
        ([0.0, 0.0], 2, "add up to 0"),
        ([2.0, -1.0], 2, "finite and at least 0"),
        ([float("nan"), 1.0], 2, "finite and at least 0"),
        ([float("inf"), 1.0], 2, "finite and at least 0"),
    ],
)
def test_proportions_that_do_not_fit_are_refused(proportions: list[float], policies: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        daf_validate_proportions(proportions, policies)


def test_proportions_that_fit_pass() -> None:
    daf_validate_proportions(None, 3)
    daf_validate_proportions([0.0, 1.0], 2)


def test_a_summary_is_sorted_and_over_its_baseline() -> None:
    rows = daf_scoring_summary(
        {"low": [2.0, 4.0, 6.0], "high": [12.0, 16.0, 20.0]}, agent_counts={"low": 2, "high": 4}, baseline="low"
    )
    assert [(row.policy, row.per_agent, row.vor) for row in rows] == [("high", 4.0, 2.0), ("low", 2.0, None)]
    assert rows[0].vor_ci is not None
    with pytest.raises(UsageError, match="baseline"):
        daf_scoring_summary({"a": [1.0]}, baseline="b")


def test_a_budget_gives_about_the_interval_that_was_wanted() -> None:
    from daf.stats.bootstrap import interval

    draws = np.random.default_rng(2)
    budget = budget_for(draws.normal(size=400), precision=0.2, episodes_per_block=5)
    assert budget.low <= budget.blocks <= budget.high
    assert budget.episodes == 5 * budget.blocks
    widths = []
    for seed in range(40):
        found = interval(draws.normal(size=budget.blocks), resamples=1000, seed=seed)
        widths.append(float(found.high - found.low) / 2)
    assert np.mean(widths) == pytest.approx(0.2, rel=0.08)


def test_the_range_of_a_budget_holds_the_true_one_nine_times_of_ten() -> None:
    draws = np.random.default_rng(4)
    true = budget_for(draws.normal(size=100_000), precision=0.1, episodes_per_block=1).blocks
    held = 0
    for _ in range(400):
        budget = budget_for(draws.normal(size=10), precision=0.1, episodes_per_block=1)
        held += budget.low <= true <= budget.high
    assert 0.86 <= held / 400 <= 0.94, held


def test_what_missions_differ_in_does_not_widen_the_interval_of_their_mean() -> None:
    from daf.stats.over_missions import paired_mean

    covered, widths = 0, []
    for seed in range(300):
        draws = np.random.default_rng(seed)
        values = np.concatenate([draws.normal(3.0, 1.0, 12), draws.normal(-1.0, 1.0, 12)])
        found = paired_mean(values, np.repeat([0, 1], 12), seed=seed, resamples=2000)
        covered += bool(found.low <= 1.0 <= found.high)
        widths.append(float(found.high - found.low) / 2)
    assert 0.92 <= covered / 300 <= 0.985, covered
    assert np.mean(widths) < 0.5


@pytest.mark.parametrize(("missions", "blocks"), [(1, 10), (2, 5), (4, 3)])
def test_missions_that_cancel_are_called_different_no_more_often_than_alpha(missions: int, blocks: int) -> None:
    from daf.stats.over_missions import paired_mean

    effects = np.resize([2.0, -2.0], missions) if missions > 1 else np.zeros(1)
    rows = np.random.default_rng(1).normal(size=(1000, missions, blocks)) + effects[:, None]
    strata = np.repeat(np.arange(missions), blocks)
    found = paired_mean(rows.reshape(1000, -1), strata, resamples=2000, seed=3)
    assert np.mean(found.p <= 0.05) <= 0.05 + 2 * (0.05 * 0.95 / 1000) ** 0.5
