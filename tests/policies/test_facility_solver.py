import pytest
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.game import missions
from daf.policies.facility_solver import FacilitySolverPolicy
from tests.game.small_games import assert_equal_outcomes, play


def test_the_solver_draws_nothing_so_an_episode_is_its_seeds() -> None:
    env = missions.resolve("assembler_2,max_steps=60")[0].config
    assert_equal_outcomes(*[play("object", env, [FacilitySolverPolicy], seed=4) for _ in range(2)])


def test_agents_in_one_anothers_way_go_round() -> None:
    """Seed 100 has two loaded agents meet again and again between their extractors and the assembler."""
    env = missions.resolve("assembler_2")[0].config
    assert play("object", env, [FacilitySolverPolicy], seed=100).game_stats["batteries.made"] >= 30


def test_a_mission_that_the_solver_cannot_read_is_refused() -> None:
    interface = PolicyEnvInterface.from_mg_cfg(missions.resolve("memory_mystery_path_easy")[0].config)
    with pytest.raises(ValueError, match="missions with extractors"):
        FacilitySolverPolicy(interface)
