import random

import pytest
from mettagrid.runner.rollout import run_multi_episode_rollout

from daf.episodes.plan import Contender, plan_episodes
from daf.errors import UsageError
from daf.game import missions, policies
from tests.conftest import BUNDLES, SMALL, SMALLEST


def contender(*names: str, counts: tuple[float, ...] = (1,)) -> Contender:
    found = tuple(policies.resolve(name, cache=BUNDLES) for name in names)
    return Contender("+".join(names), found, counts)


def test_every_contender_meets_the_same_blocks() -> None:
    found = missions.resolve([SMALL, SMALLEST])
    plan = plan_episodes(found, [contender("starter"), contender("noop")], episodes=3, seed=11)
    assert len(plan.episodes) == 2 * 3 * 2
    blocks = [
        {(e.spec.mission, e.index, e.spec.seed, e.spec.assignment) for e in plan.episodes if e.contender == n}
        for n in (0, 1)
    ]
    assert blocks[0] == blocks[1]
    assert {e.spec.seed for e in plan.episodes} == {11, 12, 13}


def test_seeds_and_assignments_are_those_of_cogames() -> None:
    mission = missions.resolve("tutorial.miner,max_steps=3")[0]
    team = contender("starter", "noop", counts=(3, 1))
    plan = plan_episodes([mission], [team], episodes=5, seed=21)
    results, _ = run_multi_episode_rollout(
        policy_specs=[policy.spec() for policy in team.policies], assignments=[0, 0, 0, 1], env_cfg=mission.config,
        episodes=5, seed=21, max_action_time_ms=10_000, rng=random.Random(21),
    )  # fmt: skip
    assert [list(e.spec.assignment) for e in plan.episodes] == [episode.assignments for episode in results.episodes]


def test_a_longer_plan_begins_with_the_shorter_one() -> None:
    found = missions.resolve(SMALL)
    team = [contender("starter", "random", counts=(2, 2))]
    short = plan_episodes(found, team, episodes=3, seed=4)
    longer = plan_episodes(found, team, episodes=6, seed=4)
    rest = plan_episodes(found, team, episodes=6, seed=4, first=3)
    assert longer.episodes == short.episodes + rest.episodes


def test_shares_that_divide_the_agents_are_scaled() -> None:
    plan = plan_episodes(missions.resolve(SMALL), [contender("starter", "noop", counts=(6, 2))], episodes=1, seed=0)
    assert sorted(plan.episodes[0].spec.assignment) == [0, 0, 0, 1]


@pytest.mark.parametrize(("change", "says"), [
    ({"episodes": 0}, "must be at least 1, got 0"), ({"seed": -1}, "got -1"), ({"seed": 2**31 - 1}, "must be 0 to"),
])  # fmt: skip
def test_a_wrong_number_is_refused(change: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        plan_episodes(missions.resolve(SMALL), [contender("noop")], **{"episodes": 2, "seed": 1} | change)


@pytest.mark.parametrize("counts", [(99, 1), (2, 3), (1, 2)])
def test_a_team_that_does_not_fit_is_refused(counts: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="has 4 agents"):
        plan_episodes(missions.resolve(SMALL), [contender("starter", "noop", counts=counts)], episodes=1, seed=0)
