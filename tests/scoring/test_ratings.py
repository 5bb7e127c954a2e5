"""Ratings from mixed teams: the order of the truth, shared agents cancel, cycles are told."""

import numpy as np
import pytest

from daf.errors import DataError
from daf.scoring_analysis import daf_rate_policies

TEAMS = ({"a": 4}, {"b": 4}, {"c": 4}, {"a": 2, "b": 2}, {"b": 2, "c": 2}, {"a": 2, "c": 2})


def blocks_of(strengths: dict[str, float], blocks: int, noise: float = 0.5, seed: int = 0):
    draws = np.random.default_rng(seed)
    return [
        [
            (team, sum(strengths[policy] * n for policy, n in team.items()) / 4 + difficulty + draws.normal(0, noise))
            for team in TEAMS
        ]
        for difficulty in draws.normal(0, 5, blocks)
    ]


def test_ratings_order_policies_as_their_strengths_do() -> None:
    found = daf_rate_policies(blocks_of({"a": 0.0, "b": 2.0, "c": 1.0}, 20))
    assert [row.policy for row in found.rows] == ["b", "c", "a"]
    assert [row.rank for row in found.rows] == [1, 2, 3]
    assert found.cycles == ()
    assert all(row.ordinal == pytest.approx(row.mu - 3 * row.sigma) for row in found.rows)


def test_ratings_are_the_same_for_the_same_seed_and_near_for_another_order() -> None:
    blocks = blocks_of({"a": 0.0, "b": 2.0, "c": 1.0}, 10)
    first, second = daf_rate_policies(blocks, seed=3), daf_rate_policies(blocks, seed=3)
    assert first == second
    other = daf_rate_policies(blocks[::-1], seed=4)
    for row in first.rows:
        assert next(r.mu for r in other.rows if r.policy == row.policy) == pytest.approx(row.mu, abs=3)


def test_what_two_teams_share_says_nothing_about_it() -> None:
    blocks = [[({"a": 2, "c": 2}, 1.0 + block), ({"b": 2, "c": 2}, 0.0 + block)] for block in range(20)]
    found = {row.policy: row for row in daf_rate_policies(blocks).rows}
    assert found["a"].mu > 25 > found["b"].mu
    assert (found["c"].mu, found["c"].matches) == (25.0, 0)


def test_cyclic_results_are_reported() -> None:
    ahead = {("a", "b"), ("b", "c"), ("c", "a")}
    blocks = [
        [({first: 4}, 1.0 + block / 100), ({second: 4}, block / 100)]
        for block in range(15)
        for first, second in sorted(ahead)
    ]
    found = daf_rate_policies(blocks)
    assert found.cycles == (("a", "b", "c"),)
    assert "a beats b beats c beats a" in found.warnings[0]


def test_noise_is_not_called_a_cycle() -> None:
    cyclic = sum(
        bool(daf_rate_policies(blocks_of({"a": 1.0, "b": 1.0, "c": 1.0}, 12, 1.0, seed), orders=1).cycles)
        for seed in range(60)
    )
    assert cyclic <= 1, cyclic


def test_one_policy_has_no_rating() -> None:
    with pytest.raises(DataError, match="two policies"):
        daf_rate_policies([[({"a": 4}, 1.0)]])
    with pytest.raises(DataError, match="finite"):
        daf_rate_policies([[({"a": 4}, float("nan")), ({"b": 4}, 1.0)]])
