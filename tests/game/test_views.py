"""What counts as the same view of an agent, and episodes that end when there is nothing new to see."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.game import missions, policies
from daf.game._views import Views
from daf.game.observations import END
from daf.game.teaching import WHOLE, Teaching
from daf.game.training_world import TRUNCATED, Games, Rows, World

INTERFACE = PolicyEnvInterface.from_mg_cfg(missions.resolve("arena")[0].config)
FEATURES = {feature.name: feature.id for feature in INTERFACE.obs_features}
OWN, OTHER, EVERYWHERE = 6 << 4 | 6, 2 << 4 | 3, 0xFE
VIEW = [(EVERYWHERE, "episode_completion_pct", 3), (OWN, "inv:energy", 90), (OWN, "tag", 7), (OTHER, "tag", 20)]


@pytest.fixture(scope="module")
def games() -> Games:
    return Games([missions.resolve("arena,max_steps=60")[0].config])


def observed(*tokens: tuple[int, str, int]) -> npt.NDArray[np.uint8]:
    """One agent's observation."""
    found = np.full((1, 8, 3), END, dtype=np.uint8)
    for place, (location, feature, value) in enumerate(tokens):
        found[0, place] = location, FEATURES[feature], value
    return found


@pytest.mark.parametrize(("changed", "again"), [
    (VIEW, True),
    (VIEW[::-1], True),
    ([(EVERYWHERE, "episode_completion_pct", 4), *VIEW[1:]], True),
    ([VIEW[0], (OWN, "inv:energy", 80), *VIEW[2:]], True),
    ([*VIEW, (OTHER, "aoe_mask", 1), (EVERYWHERE, "last_action", 2)], True),
    ([*VIEW, (OTHER, "inv:heart", 2)], True),
    ([*VIEW, (OWN, "inv:heart", 1)], False),
    ([VIEW[0], *VIEW[2:]], False),
    ([*VIEW[:3], (OTHER, "tag", 13)], False),
    ([*VIEW[:3], (OTHER + 1, "tag", 20)], False),
    (VIEW[:3], False),
])  # fmt: skip
def test_a_view_is_what_lies_where_and_what_the_agent_carries(changed: list[tuple[int, str, int]], again: bool) -> None:
    views = Views(INTERFACE, 1)
    views.look(observed(*VIEW))
    views.look(observed(*changed))
    assert views.counts.tolist() == [2 if again else 1]
    assert views.unchanged == int(again)
    views.look(observed(*VIEW))
    assert views.counts.tolist() == [3 if again else 2]


def test_agents_are_counted_apart_and_nothing_is_new_only_if_it_is_for_none() -> None:
    views = Views(INTERFACE, 2)
    here, there = observed(*VIEW), observed(*VIEW[:3])
    unchanged = []
    for first, second in ((here, here), (here, there), (here, here), (there, there)):
        views.look(np.concatenate([first, second]))
        unchanged.append(views.unchanged)
    assert unchanged == [0, 0, 1, 0]
    assert views.counts.tolist() == [1, 2]


def world(games: Games, folder: Path, environment: int, idle: int | None) -> tuple[World, Rows]:
    agents = games.configs[0].game.num_agents
    teacher = policies.resolve("starter", cache=folder / "cache")
    rows = Rows.empty(agents, INTERFACE.observation_space.shape[0])
    return World(environment, 3, games, rows, Teaching((teacher,), (0,) * agents, 1.0, 3, idle=idle)), rows


def test_an_episode_in_which_nothing_new_is_seen_is_cut_but_not_in_one_environment_of_eight(
    games: Games, tmp_path: Path
) -> None:
    found = []
    for environment, idle in ((1, 5), (1, 9), (WHOLE, 5), (1, None)):
        one, rows = world(games, tmp_path, environment, idle)
        one.begin(0, 0)
        ended = None
        while ended is None:
            rows.actions[:] = 0  # all agents stay where they are
            ended = one.step()
        assert rows.done[0] == TRUNCATED
        found.append((ended.steps, ended.cut))
    assert found == [(6, True), (10, True), (60, False), (60, False)]


def test_a_restored_episode_has_the_same_views_and_is_cut_at_the_same_step(games: Games, tmp_path: Path) -> None:
    one, rows = world(games, tmp_path, 1, 5)
    one.begin(0, 0)
    moves = np.random.default_rng(0).integers(0, 5, (10, len(rows.actions)))
    for actions in moves:
        rows.actions[:] = actions
        one.step()
    other, others = world(games, tmp_path, 1, 5)
    other.restore(one.state())
    assert others.views.tolist() == rows.views.tolist() != [0] * len(rows.views)
    ends = []
    for each, its in ((one, rows), (other, others)):
        ended = None
        while ended is None:
            its.actions[:] = 0
            ended = each.step()
        ends.append((ended.steps, ended.cut))
    assert ends[0] == ends[1]
    assert ends[0][1]


def test_without_its_teacher_an_episode_goes_on_to_its_end(games: Games, tmp_path: Path) -> None:
    one, rows = world(games, tmp_path, 1, 5)
    one.begin(0, 0)
    ended = None
    while ended is None:
        if one.steps == 5:  # one more step would be the last
            one.dismiss_teacher()
        rows.actions[:] = 0
        ended = one.step()
    assert (ended.steps, ended.cut) == (60, False)
    assert set(rows.views.tolist()) == {0}
