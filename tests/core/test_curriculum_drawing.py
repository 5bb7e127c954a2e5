import numpy as np
import pytest

from daf.core.curriculum import draw
from daf.errors import DataError


def test_a_draw_is_a_function_of_weights_seed_environment_and_episode_for_ever():
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    assert [draw(weights, 7, 3, episode) for episode in range(12)] == PINNED
    assert draw(weights * 17, 7, 3, 5) == PINNED[5], "the weights need not sum to 1"


PINNED = [2, 3, 1, 2, 2, 2, 3, 2, 3, 2, 0, 2]


def test_draws_come_as_often_as_the_weights_say():
    from scipy.stats import chisquare

    weights = np.array([0.5, 0.25, 0.0, 0.2, 0.05])
    drawn = [draw(weights, 1, environment, episode) for environment in range(100) for episode in range(200)]
    counts = np.bincount(drawn, minlength=5)
    assert counts[2] == 0
    inside = [0, 1, 3, 4]
    assert chisquare(counts[inside], weights[inside] * len(drawn)).pvalue > 0.001


@pytest.mark.parametrize("vary", ["seed", "environment", "episode"])
def test_draws_along_each_key_are_independent(vary):
    weights = np.full(2, 0.5)
    keys = {"seed": 3, "environment": 4, "episode": 5}
    drawn = np.array([draw(weights, **(keys | {vary: value})) for value in range(4000)])
    assert abs(drawn.mean() - 0.5) < 0.03
    assert abs(np.mean(drawn[1:] == drawn[:-1]) - 0.5) < 0.03


def test_seeds_of_any_size_are_taken():
    weights = np.ones(1000)
    assert draw(weights, -1, 0, 0) == draw(weights, 2**64 - 1, 0, 0)
    assert len({draw(weights, seed, 0, 0) for seed in (0, 2**63, -5, 10**30)}) > 1


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [np.nan, 1.0], [np.inf]])
def test_nothing_to_draw_from_is_an_error(weights):
    with pytest.raises(DataError, match="no task can be drawn"):
        draw(np.array(weights, dtype=float), 0, 0, 0)


def test_a_task_without_weight_is_never_drawn_even_at_the_end():
    weights = np.array([1e-300, 0.0])
    assert {draw(weights, seed, 0, 0) for seed in range(200)} == {0}
