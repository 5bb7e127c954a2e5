"""`daf power`: from a pilot, from given moments, and over training runs."""

import json
from pathlib import Path

import pytest

from daf.errors import UsageError
from daf.evaluation import Settings
from daf.output_manager import OutputManager
from daf.output_manager.kinds import kind_of
from daf.power import daf_power
from daf.reporting import daf_report
from daf.reporting.outcomes import outcome_of
from daf.stats.power import needed

MINER = "tutorial.miner,max_steps=40"
ARENA = "arena,cogs=4,max_steps=40"
PILOT = Settings(episodes=5, executor="serial", report=False, resamples=500)


def test_given_moments_play_nothing_and_leave_a_page(tmp_path: Path) -> None:
    report = daf_power(difference=0.2, deviation=0.5, power=0.8, output_manager=OutputManager(tmp_path))
    expected = needed(0.2, 0.5, power=0.8)
    (row,) = report.rows
    assert row.needed == expected
    data = json.loads((report.run_dir / "power.json").read_text())
    assert data["needed"][0]["fixed"] == expected.fixed
    assert data["needed"][0]["minutes"]["fixed"] is None
    assert [point["difference"] for point in data["curve"]] == sorted(point["difference"] for point in data["curve"])
    assert "Needed blocks" in report.page.read_text()
    assert report.json_data()["run_dir"] == str(report.run_dir)


def test_a_pilot_counts_cached_episodes_and_measures_the_time(tmp_path: Path) -> None:
    def run() -> dict[str, object]:
        report = daf_power(
            ["starter", "random"], [MINER, ARENA], difference=0.01, settings=PILOT,
            output_manager=OutputManager(tmp_path),
        )  # fmt: skip
        assert [row.where for row in report.rows] == ["over 2 missions", f"on {MINER}", f"on {ARENA}"]
        assert all(row.minutes(row.needed.fixed) for row in report.rows if row.needed.fixed)
        assert report.rows[0].needed.alpha == pytest.approx(0.025)
        assert report.rows[1].needed.alpha == pytest.approx(0.0125)
        return report.json_data()

    first, again = run(), run()
    assert first["summary"]["played"] == 20  # type: ignore[index]
    assert again["summary"]["played"] == 0  # type: ignore[index]
    assert [row["fixed"] for row in first["needed"]] == [row["fixed"] for row in again["needed"]]  # type: ignore[attr-defined]


def test_training_runs_of_one_setting_tell_how_many_are_needed(tmp_path: Path) -> None:
    report = daf_power(difference=1.0, deviation=1.0, seeds=True, output_manager=OutputManager(tmp_path))
    assert report.runs == 23
    assert not report.rows
    assert "23 training runs" in report.page.read_text()


def test_wrong_plans_are_refused_before_anything_is_played(tmp_path: Path) -> None:
    output = OutputManager(tmp_path)
    with pytest.raises(UsageError, match="at least two policies"):
        daf_power(["starter"], MINER, difference=0.1, settings=PILOT, output_manager=output)
    with pytest.raises(UsageError, match="difference must be above 0"):
        daf_power(["starter", "noop"], MINER, difference=-0.1, settings=PILOT, output_manager=output)
    with pytest.raises(UsageError, match="replaces the pilot"):
        daf_power(["starter", "noop"], MINER, difference=0.1, deviation=1.0, output_manager=output)
    assert not list(tmp_path.glob("comparisons/*"))


def test_a_power_run_has_its_own_kind_result_and_report(tmp_path):
    found = daf_power(difference=0.2, deviation=0.5, output_manager=OutputManager(tmp_path))
    assert kind_of(found.run_dir) == "power"
    blocks = found.rows[0].needed.fixed
    assert outcome_of(found.run_dir, "power").text == f"{blocks} blocks"
    files = daf_report(found.run_dir)
    assert files.kind == "power"
    html = files.html.read_text()
    assert found.rows[0].sentence.split(" (d_z")[0] in html
    assert "Needed blocks by difference" in html
    assert f"{blocks} blocks with a fixed number" in (files.markdown or tmp_path).read_text()
