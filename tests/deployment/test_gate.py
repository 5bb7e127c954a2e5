"""The gate: which candidates it refuses, alone and in mixed teams, and how sure it is."""

import json
from pathlib import Path

import numpy as np
import pytest

from daf.deployment import Gate, GateReport, play_gate
from daf.deployment.gate_analysis import compare_seats
from daf.deployment.gate_teams import teams_of
from daf.errors import DataError, UsageError
from daf.game.missions import resolve
from daf.output_manager import OutputManager
from daf.playing.settings import Settings
from tests.conftest import SHARED, SMALLEST
from tests.game.test_policy_files import written

REWARDED = "tutorial.miner,rewards=credit,max_steps=30"
"""Four agents; starter has a higher return than noop alone, on every seed. Mixed, it depends on the seats."""
SETTINGS = Settings(executor="serial", episodes=7, cache_dir=SHARED / "gate_cache")


def gated(folder: Path, candidate: object, reference: object, margin: float = 0.1, **changes: object) -> GateReport:
    gate = Gate((str(changes.pop("mission", REWARDED)),), margin, mixes=("2+2",), **changes)  # type: ignore[arg-type]
    output = OutputManager(folder, log_to_file=False)
    return play_gate(candidate, reference, gate, names=("new", "old"), settings=SETTINGS, output=output)


def test_a_worse_candidate_is_refused_with_the_numbers(tmp_path: Path) -> None:
    report = gated(tmp_path, "noop", "starter")
    assert not report.passed
    rows = {row.label: row for row in report.analysis.rows}
    assert {label: row.verdict for label, row in rows.items()} == {"alone": "worse", "2+2": "open"}
    alone = rows["alone"]
    assert alone.n == 7
    assert alone.difference == pytest.approx((alone.candidate or 0) - (alone.reference or 0))
    assert (alone.difference or 0) < -0.1
    said = report.analysis.sentence()
    assert said.startswith("new is worse than old by more than 0.1: on tutorial.miner")
    assert "7 seeds" in said
    assert "new may be worse than old by more than 0.1: on tutorial.miner" in said
    data = json.loads((report.run_dir / "results.json").read_text())
    assert data["gate"]["passed"] is False
    assert [row["verdict"] for row in data["gate"]["rows"]] == ["worse", "open"]
    assert len(data["episodes"]) == 28
    page = (report.run_dir / "report.html").read_text()
    assert "new is worse than old by more than 0.1" in page
    assert "worse" in (report.run_dir / "REPORT.md").read_text()


def test_the_numbers_are_the_returns_of_the_seats_that_both_take(tmp_path: Path) -> None:
    report = gated(tmp_path, "noop", "starter")
    own: dict[str, list[float]] = {}
    for planned, record in zip(report.result.planned, report.result.records, strict=True):
        name = report.result.plan.contenders[planned.contender].name
        seats = [agent for agent, policy in enumerate(record.spec.assignment) if policy == 0]
        own.setdefault(name, []).append(sum(record.played.rewards[agent] for agent in seats) / len(seats))
    mixed = next(row for row in report.analysis.rows if row.label == "2+2")
    assert mixed.candidate == pytest.approx(np.mean(own["new=2+starter=2"]))
    assert mixed.reference == pytest.approx(np.mean(own["old=2+starter=2"]))
    assert mixed.ci is not None
    assert mixed.ci[0] < (mixed.difference or 0) < mixed.ci[1]


def test_a_better_candidate_passes(tmp_path: Path) -> None:
    report = gated(tmp_path, "starter", "noop", margin=0.7)
    assert report.passed
    assert report.analysis.sentence().startswith("new is not worse than old by more than 0.7 in any of 2 teams")
    rows = {row.label: row for row in report.analysis.rows}
    assert rows["alone"].low > 0.4


def test_an_equal_policy_passes_without_a_margin(tmp_path: Path) -> None:
    report = gated(tmp_path, "starter", "starter", margin=0.0)
    assert report.passed
    assert any("is the same policy as old" in note for note in report.notes)
    assert all(row.difference == 0 for row in report.analysis.rows)


def test_both_take_the_same_seats_on_the_same_seeds(tmp_path: Path) -> None:
    result = gated(tmp_path, "noop", "starter").result
    seats: dict[tuple[str, int], list[tuple[bool, ...]]] = {}
    for planned, record in zip(result.planned, result.records, strict=True):
        kind = "alone" if len(record.spec.policies) == 1 else "mixed"
        seats.setdefault((kind, record.spec.seed), []).append(tuple(one == 0 for one in record.spec.assignment))
        assert planned.spec.seed == record.spec.seed
    assert len(seats) == 14
    for pair in seats.values():
        first, second = pair
        assert first == second
    assert len({pair[0] for (kind, _), pair in seats.items() if kind == "mixed"}) > 1


def test_a_candidate_that_fails_where_the_live_release_does_not_is_refused(tmp_path: Path, bad_policies: str) -> None:
    report = gated(tmp_path, f"{bad_policies}.Raises", "noop")
    assert not report.passed
    assert "new failed in episodes that old finished: on tutorial.miner" in report.analysis.sentence()
    assert "alone 7 of 7, 2+2 7 of 7" in report.analysis.sentence()


def test_a_reference_that_fails_everywhere_is_an_error(tmp_path: Path, bad_policies: str) -> None:
    with pytest.raises(DataError, match=r"old finished no episode on tutorial\.miner.*I give up"):
        gated(tmp_path, "noop", f"{bad_policies}.Raises")


def test_the_default_mixes_are_a_quarter_a_half_and_three_quarters(tmp_path: Path) -> None:
    labels = [team.label for team in teams_of(resolve("arena,cogs=8,max_steps=5")[0], 1, None)]
    assert labels == ["alone", "2+6", "4+4", "6+2"]
    assert [team.pool for team in teams_of(resolve("arena,cogs=8,max_steps=5")[0], 2, ["2+6"])][1] == (3, 3)
    assert [team.label for team in teams_of(resolve(SMALLEST)[0], 1, None)] == ["alone"]


@pytest.mark.parametrize(
    ("mix", "said"), [("2+6", "has 4 agents"), ("0+4", "at least 1"), ("two", "not of the form"), ("4", "not of")]
)
def test_a_mix_that_a_mission_has_no_seats_for_is_refused(tmp_path: Path, mix: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        teams_of(resolve(REWARDED)[0], 1, [mix])


@pytest.mark.parametrize("policy", ["release:walker", "run:latest", "release:walker,name=x"])
def test_a_pool_that_moves_is_refused(policy: str) -> None:
    with pytest.raises(UsageError, match="means another policy after each deployment"):
        Gate((REWARDED,), 0.1, pool=(policy,))


def test_settings_with_which_nothing_can_pass_are_refused(tmp_path: Path) -> None:
    gate = Gate((REWARDED,), 0.1)
    with pytest.raises(UsageError, match=r"4 seeds can't show .* use -e 5 or more"):
        play_gate("noop", "noop", gate, names=("a", "b"), settings=Settings(episodes=4), output=OutputManager(tmp_path))
    with pytest.raises(UsageError, match="margin must be 0 or more"):
        play_gate("noop", "noop", Gate((REWARDED,), -1.0), names=("a", "b"), output=OutputManager(tmp_path))
    with pytest.raises(UsageError, match="a gate needs a mission"):
        Gate((), 0.1)


def test_a_candidate_that_is_worse_by_the_margin_rarely_passes() -> None:
    generator = np.random.default_rng(7)
    passed = 0
    for number in range(400):
        differences = generator.normal(-0.5, 1.0, 20)
        pairs = np.column_stack([differences, np.zeros(20)])
        row = compare_seats("m", "alone", pairs, 0, margin=0.5, alpha=0.05, resamples=2000, seed=number)
        passed += row.verdict == "holds"
    assert passed / 400 < 0.08, passed


def test_an_open_comparison_says_how_many_seeds_would_decide_it() -> None:
    generator = np.random.default_rng(3)
    pairs = np.column_stack([generator.normal(0.1, 1.0, 10), np.zeros(10)])
    row = compare_seats("m", "alone", pairs, 0, margin=0.3, alpha=0.05, resamples=2000, seed=0)
    assert row.verdict == "open"
    assert row.needed is not None
    more = np.column_stack([np.tile(pairs[:, 0], 1 + row.needed // 10), np.zeros(10 * (1 + row.needed // 10))])
    assert compare_seats("m", "x", more, 0, margin=0.3, alpha=0.05, resamples=2000, seed=0).verdict == "holds"


def test_a_written_policy_is_gated_from_its_bundle(tmp_path: Path) -> None:
    report = gated(tmp_path / "out", written(tmp_path / "code", "noop"), "noop")
    assert report.passed
