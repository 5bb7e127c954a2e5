"""Each way to fail, on episodes made to show it and on episodes made not to."""

from dataclasses import replace
from typing import Any

import pytest

from daf.episodes.record import EpisodeRecord
from daf.episodes.spec import EpisodeSpec
from daf.errors import DataError
from daf.game.outcome import Outcome, Series
from daf.mission_analysis._key_events import key_events
from daf.mission_analysis.failure_modes import FailureMode, failure_modes
from daf.mission_analysis.failure_signs import MODES
from daf.mission_analysis.success import criterion
from daf.mission_analysis.watching import Rules, Watched

SAMPLES = tuple(range(10, 101, 10))
RULES = Rules(
    gear=("aligner", "scrambler", "miner", "scout"),
    goods=("carbon", "oxygen"),
    energy=4.0,
    items=("hp", "heart", "energy", "carbon", "oxygen", "aligner", "scrambler", "miner", "scout"),
    events=("junction.aligned_by_agent", "junction.scrambled_by_agent"),
    teams=("cogs",),
    team_of=("cogs",) * 3,
    junctions=True,
    aligning=True,
)
AWAY = [(row, 7 * row) for row in range(10)]
"""Places of an agent that gets about."""


FED = {"energy.amount": [20.0] * 10}


def watched(
    agents: list[dict[str, float]],
    *,
    series: list[dict[str, list[float]]] | None = None,
    places: list[list[tuple[int, int]]] | None = None,
    game: dict[str, list[float]] | None = None,
    rules: Rules = RULES,
    seed: int = 0,
    **outcome: Any,
) -> Watched:
    """An episode of 100 steps with these counters, samples every 10 steps, and places."""
    count = len(agents)
    spec = EpisodeSpec("made", "00", (), (0,) * count, seed, 100)
    at = places or [AWAY] * count
    sampled = Series(
        interval=10,
        steps=SAMPLES,
        game={name: tuple(values) for name, values in (game or {}).items()},
        agents=tuple({n: tuple(v) for n, v in (FED | agent).items()} for agent in (series or [{}] * count)),
        positions=tuple(tuple(at[agent][step] for agent in range(count)) for step in range(10)),
    )
    got_about = {"cell.unique_visited": 40.0, "action.move.success": 90.0}
    values: dict[str, Any] = {
        "rewards": (0.0,) * count,
        "steps": 100,
        "game_stats": {},
        "agent_stats": tuple(got_about | agent for agent in agents),
        "time_averaged_game_stats": {},
        "timeouts": (0,) * count,
        "series": sampled,
    }
    return Watched(EpisodeRecord(spec, Outcome(**(values | outcome))), rules)


def seen(*episodes: Watched, success: str | None = None) -> dict[str, FailureMode]:
    found = failure_modes(list(episodes), criterion(success) if success else None)
    return {mode.name: mode for mode in found}


WELL = {
    "aligner.gained": 1.0, "heart.gained": 1.0, "heart.lost": 1.0, "junction.aligned_by_agent": 1.0,
    "carbon.gained": 4.0, "carbon.lost": 4.0,
}  # fmt: skip


def test_an_episode_that_goes_well_shows_no_mode() -> None:
    held = {"cogs/aligned.junction.held": [float(10 * step) for step in range(10)]}
    assert seen(watched([WELL] * 3, game=held), success="agent.junction.aligned_by_agent@sum >= 1") == {}


def test_who_never_moves_is_called_only_that() -> None:
    still = {"cell.unique_visited": 1.0, "action.noop.success": 100.0}
    found = seen(watched([still, WELL, WELL], places=[[(3, 3)] * 10, AWAY, AWAY]))
    assert found["never_moves"].agents == 1
    assert found["never_moves"].example.agent == 0
    assert "stuck" not in found
    assert "no_gear" not in found


@pytest.mark.parametrize(("inside", "stuck"), [(4, False), (6, True), (10, True)])
def test_stuck_is_half_the_episode_in_a_box(inside: int, stuck: bool) -> None:
    places = [(step % 3, step % 2) for step in range(inside)] + AWAY[4 : 4 + 10 - inside]
    found = seen(watched([WELL], places=[places]))
    assert ("stuck" in found) == stuck
    if stuck:
        assert f"{(inside - 1) * 10} of 100 steps" in found["stuck"].example.evidence


def test_standing_still_at_the_goal_is_not_stuck() -> None:
    rules = Rules((), (), 0.0, (), ("goal.reached",), (), (None,), False, False)
    reached = [{"goal.reached": [0.0] * 3 + [1.0] * 7}]
    places = [[(0, 0), (9, 9), (18, 18), *[(20, 20)] * 7]]
    at_goal = watched([{"goal.reached": 1.0, "action.move.failed": 99.0}], series=reached, places=places, rules=rules)
    assert seen(at_goal) == {}
    never = watched([{"goal.reached": 0.0, "action.move.failed": 99.0}], places=places, rules=rules)
    assert set(seen(never)) == {"stuck", "blocked"}


def test_starving_is_recognised_by_the_energy_that_a_step_costs() -> None:
    low = [{"energy.amount": [20.0] * 6 + [3.0] * 4}]
    found = seen(watched([WELL | {"action.move.failed": 31.0}], series=low))["starves"]
    assert "less energy than a step costs (4)" in found.example.evidence
    assert "40%" in found.example.evidence
    assert "31 of its moves failed" in found.example.evidence
    assert "starves" not in seen(watched([WELL], series=[{"energy.amount": [20.0] * 8 + [3.0] * 2}]))


def test_a_death_is_early_in_the_first_half() -> None:
    early = [{"death": [0.0, 0.0, 1.0] + [1.0] * 7}]
    late = [{"death": [0.0] * 7 + [1.0] * 3}]
    assert "dead by step 30 of 100" in seen(watched([WELL], series=early))["dies_early"].example.evidence
    assert "dies_early" not in seen(watched([WELL], series=late))


@pytest.mark.parametrize(
    ("gear", "used", "evidence"),
    [
        ("miner", {"carbon.gained": 3.0, "carbon.lost": 3.0}, "never gathers"),
        ("aligner", {"junction.aligned_by_agent": 1.0}, "never aligns a junction"),
        ("scrambler", {"junction.scrambled_by_agent": 1.0}, "never scrambles"),
    ],
)
def test_gear_that_is_never_used_is_reported_by_role(gear: str, used: dict[str, float], evidence: str) -> None:
    held = [{f"{gear}.gained": [1.0] * 10, f"{gear}.amount": [1.0] * 10}]
    found = seen(watched([{f"{gear}.gained": 1.0}], series=held))["gear_unused"]
    assert evidence in found.example.evidence
    assert found.by_role == {gear: (1, 1)}
    assert "gear_unused" not in seen(watched([{f"{gear}.gained": 1.0} | used], series=held))


def test_gathering_without_depositing_and_hearts_without_use_are_seen() -> None:
    found = seen(watched([WELL | {"carbon.lost": 0.0, "heart.lost": 0.0}, WELL]))
    assert found["hoards"].agents == 1
    assert "gathers 4 resources" in found["hoards"].example.evidence
    assert found["hearts_unused"].agents == 1


def test_lost_junctions_are_found_in_the_series() -> None:
    rises = {"cogs/aligned.junction.held": [0.0, 20, 40, 60, 60, 60, 60, 60, 60, 60]}
    found = seen(watched([WELL], game=rises))["loses_junctions"]
    assert "holds 2 junctions around step 20 and 0 at the end" in found.example.evidence
    keeps = {"cogs/aligned.junction.held": [0.0, 20, 40, 60, 80, 100, 120, 140, 160, 180]}
    assert "loses_junctions" not in seen(watched([WELL], game=keeps))


def test_one_agent_that_does_it_all_is_named() -> None:
    alone = [WELL | {"carbon.gained": 40.0, "carbon.lost": 40.0}, *[WELL | {"carbon.gained": 0.0}] * 2]
    found = seen(watched(alone))["alone"]
    assert "agent 0" in found.example.evidence
    assert "100% of 40 gathered resources" in found.example.evidence
    assert "alone" not in seen(watched([WELL | {"carbon.gained": 40.0, "carbon.lost": 1.0}] * 3))


def test_the_step_limit_without_success_is_out_of_time() -> None:
    text = "agent.junction.aligned_by_agent@sum >= 4"
    found = seen(watched([WELL] * 2), success=text)["out_of_time"]
    assert "50% reached" in found.example.evidence
    assert "out_of_time" not in seen(watched([WELL] * 4), success=text)
    assert "out_of_time" not in seen(watched([WELL] * 2, steps=60), success=text)


def test_gear_held_from_the_start_is_gear() -> None:
    bare = {"junction.aligned_by_agent": 1.0}
    assert "no_gear" in seen(watched([bare]))
    assert "no_gear" not in seen(watched([bare], series=[{"aligner.amount": [1.0] * 10}]))


def test_never_aligning_is_a_failure_only_where_the_reward_pays_for_it() -> None:
    idle = WELL | {"junction.aligned_by_agent": 0.0, "aligner.gained": 0.0, "miner.gained": 1.0}
    assert "agents with aligner gear: 0" in seen(watched([idle] * 2))["never_aligns"].example.evidence
    assert "never_aligns" not in seen(watched([idle] * 2, rules=replace(RULES, aligning=False)))


def test_steps_lost_to_the_time_out_are_counted() -> None:
    assert "time limit in 12 of 100 steps" in seen(watched([WELL], timeouts=(12,)))["slow"].example.evidence


def test_modes_are_counted_over_episodes_and_sorted_by_share() -> None:
    bad = WELL | {"heart.lost": 0.0}
    found = failure_modes([watched([bad, bad], seed=1), watched([WELL, bad | {"carbon.lost": 0.0}], seed=2)], None)
    assert [(mode.name, mode.episodes, mode.agents, mode.of_agents) for mode in found] == [
        ("hearts_unused", 2, 3, 4),
        ("hoards", 1, 1, 4),
    ]
    assert found[1].example.seed == 2
    assert len({mode.name for mode in MODES}) == len(MODES) >= 14


def test_first_events_are_those_of_the_first_agent_and_absent_where_they_never_happen() -> None:
    heart = [{"heart.gained": [0.0] * 4 + [1.0] * 6}, {"heart.gained": [0.0] * 2 + [1.0] * 8}]
    with_hearts = watched([{"heart.gained": 1.0}, {"heart.gained": 1.0}], series=heart)
    without = watched([{}, {}], seed=1)
    events = {event.name: event for event in key_events([with_hearts, without])}
    assert events["heart"].times == (30, None)
    assert events["heart"].median == 30
    assert events["heart"].happened == 1
    assert events["death"].median is None
    assert next(iter(events)) == "heart"


def test_an_episode_without_series_is_refused() -> None:
    spec = EpisodeSpec("made", "00", (), (0,), 0, 100)
    with pytest.raises(DataError, match="has no time series"):
        Watched(EpisodeRecord(spec, Outcome((0.0,), 100, {}, ({},), {}, (0,))), RULES)
