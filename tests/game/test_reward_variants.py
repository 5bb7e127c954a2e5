"""Reward variants are upstream's, change what is paid and nothing else, and are left out where it counts."""

import pytest
from cogames.games.cogs_vs_clips.train.reward_variants import AVAILABLE_REWARD_VARIANTS, apply_reward_variants

from daf.config import DAFTrainingConfig
from daf.core.adaptive_controller import DAFAdaptiveConfig
from daf.core.curriculum import from_config
from daf.errors import MissionError
from daf.game import missions
from daf.game.mission import dump_config, load_config
from daf.game.reward_variants import REWARD_VARIANTS


def one(text: str) -> missions.Mission:
    return missions.resolve(text)[0]


def test_the_names_are_upstreams() -> None:
    assert tuple(REWARD_VARIANTS) == AVAILABLE_REWARD_VARIANTS


@pytest.mark.parametrize("names", ["credit", "milestones+credit", "objective_mine:25", "no_objective+scout"])
def test_rewards_are_what_upstream_makes_of_them_and_nothing_else_changes(names: str) -> None:
    shaped, plain = one(f"arena,cogs=2,rewards={names},max_steps=30"), one("arena,cogs=2,max_steps=30")
    assert shaped.name == f"arena,cogs=2,max_steps=30,rewards={names}"
    expected = plain.config.model_copy(deep=True)
    apply_reward_variants(expected, variants=names.split("+"))
    assert shaped.config == expected
    assert shaped.config_hash != plain.config_hash
    for config in (shaped.config, expected):
        config.label = ""
        for agent in config.game.agents:
            agent.rewards = {}
    for agent in plain.config.game.agents:
        agent.rewards = {}
    plain.config.label = ""
    assert shaped.config == plain.config


def test_a_mission_without_them_is_the_mission_itself() -> None:
    shaped = one("tutorial.miner,cogs=2,rewards=credit,variants=talk")
    assert missions.unshaped(shaped).name == "tutorial.miner,cogs=2,variants=talk"
    assert missions.unshaped(shaped).config_hash == one("tutorial.miner,cogs=2,variants=talk").config_hash
    plain = one("arena,cogs=2")
    assert missions.unshaped(plain) is plain
    own = missions.resolve(("mine,rewards=credit", shaped.config))[0]
    assert missions.unshaped(own) is own


def test_experiments_score_runs_without_them() -> None:
    shaped = ["arena,rewards=credit,cogs=2", "arena,cogs=2", "tutorial.miner"]
    training = DAFTrainingConfig(mission=shaped, policy="stateless", total_timesteps=100)
    config = DAFAdaptiveConfig(experiment_id="one", training=training)
    assert config.evaluated_on == ["arena,cogs=2", "tutorial.miner"]
    asked = DAFAdaptiveConfig(experiment_id="one", training=training, evaluation={"missions": shaped[:1]})
    assert asked.evaluated_on == shaped[:1]


@pytest.mark.parametrize(("text", "says"), [
    ("arena,rewards=credits", "Nearest: credit"),
    ("arena,reward=credit+credit", "one of the rewards is given twice"),
    ("arena,rewards=+", "rewards has no value"),
    ("arena,rewards=objective_mine:-1", "must be > 0"),
    ("memory_mystery_path_easy,rewards=role_conditional", "do not fit this mission"),
])  # fmt: skip
def test_what_cannot_be_paid_is_refused(text: str, says: str) -> None:
    with pytest.raises(MissionError, match=says):
        missions.resolve(text)


def test_the_other_game_has_none() -> None:
    with pytest.raises(MissionError, match="is of overcogged"):
        missions.resolve("classic,rewards=credit", game="overcogged")


def test_a_curriculum_may_draw_them() -> None:
    config = {"missions": ["arena,cogs=2"], "options": {"rewards": [["credit", "milestones"], "none"]}}
    curriculum = from_config(config, seed=1)
    assert [task.mission for task in curriculum.tasks()] == ["arena,cogs=2,rewards=credit+milestones", "arena,cogs=2"]
    assert [task.axes["rewards"] for task in curriculum.tasks()] == ["credit+milestones", "none"]


@pytest.mark.parametrize("names", [*REWARD_VARIANTS])
def test_a_config_is_the_same_after_it_was_stored(names: str) -> None:
    """mettagrid's own JSON does not distinguish a minimum, which caps a reward, from a sum."""
    made = one("arena,cogs=2,max_steps=30").config.model_copy(deep=True)
    apply_reward_variants(made, variants=[names])
    assert load_config(dump_config(made)) == made
