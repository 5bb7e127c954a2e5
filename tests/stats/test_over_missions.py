import numpy as np
import pytest

from daf.stats.over_missions import paired_mean, studentized_sign_flip
from daf.stats.permutation import sign_flip


def simulated(missions, blocks, families, seed, lead=0.0):
    """Differences with effects of +2 and -2 spreads in turn, their mean `lead`."""
    effects = np.where(np.arange(missions) % 2 == 0, 2.0, -2.0)
    rng = np.random.default_rng([missions, blocks, seed])
    d = rng.normal(size=(families, missions, blocks)) + (effects - effects.mean() + lead)[None, :, None]
    return d.reshape(families, -1), np.repeat(np.arange(missions), blocks)


@pytest.mark.parametrize(("missions", "blocks"), [(2, 8), (4, 4), (10, 4)])
def test_opposite_effects_keep_the_level_and_the_power(missions, blocks):
    d, strata = simulated(missions, blocks, 500, 0)
    level = (studentized_sign_flip(d, strata, resamples=299).p <= 0.05).mean()
    assert level <= 0.05 + 3 * (0.05 * 0.95 / 500) ** 0.5
    assert (sign_flip(d, strata, resamples=299).p <= 0.05).mean() < 0.01
    d, strata = simulated(missions, blocks, 300, 1, lead=3.5 / (missions * blocks) ** 0.5)
    found = studentized_sign_flip(d, strata, resamples=299)
    assert (found.p <= 0.05).mean() > 0.8
    assert (sign_flip(d, strata, resamples=299).p <= 0.05).mean() < 0.4
    covered = (found.low <= 3.5 / (missions * blocks) ** 0.5) & (found.high >= 3.5 / (missions * blocks) ** 0.5)
    assert covered.mean() >= 0.92


@pytest.mark.parametrize("blocks", [1, 2, 6])
def test_policies_equal_on_every_mission_are_called_different_no_more_often_than_alpha(blocks):
    rng = np.random.default_rng(blocks)
    d = rng.exponential(size=(600, 6 * blocks)) * rng.choice([-1, 1], size=(600, 6 * blocks))
    strata = np.repeat(np.arange(6), blocks)
    rate = (studentized_sign_flip(d, strata, resamples=299).p <= 0.05).mean()
    assert rate <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5


def test_with_one_mission_nothing_changes():
    d = np.random.default_rng(3).normal(0.4, 1, size=(3, 20))
    plain, studentized = sign_flip(d), studentized_sign_flip(d)
    np.testing.assert_array_equal(plain.p, studentized.p)
    np.testing.assert_array_equal(plain.low, studentized.low)
    np.testing.assert_array_equal(plain.p, paired_mean(d).p)
