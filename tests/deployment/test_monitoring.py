"""`daf releases status`: healthy, degraded, failing or unknown, from the release's own records."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daf.deployment import MonitorSettings, daf_monitor_deployment, monitor
from daf.deployment.serving_records import FILE, ServedEpisode, place_of
from daf.errors import ReleaseError, UsageError
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from daf.registry import FolderRegistry
from daf.storage import journal
from tests.conftest import SHARED, DafCall
from tests.deployment.test_deploy import bundles
from tests.deployment.test_gate import REWARDED
from tests.registry.releasing import put_live, release_of

MISSION = "tutorial.miner,max_steps=30,rewards=credit"


def released(folder: Path, bundle: str = "starter.zip", **validation: Any) -> FolderRegistry:
    """walker 1.0.0 with what its validation measured."""
    registry, path = FolderRegistry(folder / "releases"), bundles() / bundle
    registry.add(release_of(path, "1.0.0", validation=validation or None), path)
    registry.switch("walker", registry.policy("walker").next_event("released", "1.0.0"), expected=None)
    return registry


def validated(mean: float, ci: tuple[float, float] | None, p99: float = 10.0) -> dict[str, Any]:
    times = {"n": 100, "p50": 1.0, "p90": 5.0, "p99": p99, "max": 20.0, "over": 0}
    return {"step_times": times, "missions": [{"mission": MISSION, "n": 5, "mean": mean, "ci": ci}]}


def serve(registry: FolderRegistry, milliseconds: float, *, count: int = 20, failed: int = 0, ago: float = 0.0) -> None:
    """Episodes in the records of `daf serve`, of 100 steps each."""
    release = registry.policy("walker").find("1.0.0").release
    for number in range(count):
        wrong = number < failed
        episode: ServedEpisode = {
            "policy": "walker@1.0.0", "release": "walker@1.0.0", "sha256": release["sha256"], "identity": "i",
            "started_at": (datetime.now(UTC) - timedelta(hours=ago)).isoformat(), "seconds": 1.0, "agents": 4,
            "end": "failed" if wrong else "closed", "error": "I give up" if wrong else None, "prepare_ms": 1.0,
            "steps": 100, "step_ms": {}, "counts": {str(place_of(milliseconds)): 100},
        }  # fmt: skip
        journal.append(registry.root.parent / "deployment" / "20261130_120000" / FILE, dict(episode), sync=False)


def test_without_records_the_state_is_unknown(tmp_path: Path) -> None:
    released(tmp_path)
    found = monitor(output_dir=tmp_path)
    assert (found.state, found.error_rate, found.latencies) == ("unknown", None, None)
    assert found.sentence() == "walker 1.0.0 is unknown: no episode of it is recorded."


@pytest.mark.parametrize(
    ("failed", "milliseconds", "state"),
    [(0, 15.0, "healthy"), (1, 15.0, "healthy"), (2, 15.0, "failing"), (0, 25.0, "degraded"), (2, 25.0, "failing")],
)
def test_errors_and_latency_decide_the_state(tmp_path: Path, failed: int, milliseconds: float, state: str) -> None:
    registry = released(tmp_path, **validated(1.0, None))
    serve(registry, milliseconds, failed=failed)
    found = monitor(output_dir=tmp_path)
    assert found.state == state
    assert (found.served, found.failed) == (20, failed)
    assert found.latencies is not None
    assert found.latencies.p99 == pytest.approx(milliseconds, rel=0.03)
    assert found.latencies.at_release == (1.0, 5.0, 10.0)
    assert ("I give up" in found.sentence()) == (failed > 0)
    assert "10" in found.sentence()


def test_the_factor_and_the_hours_are_the_callers(tmp_path: Path) -> None:
    registry = released(tmp_path, **validated(1.0, None))
    serve(registry, 25.0)
    assert monitor(output_dir=tmp_path, settings=MonitorSettings(latency_factor=3.0)).state == "healthy"
    release = json.loads((registry.root / "walker/versions/1.0.0/release.json").read_text())
    release["added_at"] = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    (registry.root / "walker/versions/1.0.0/release.json").write_text(json.dumps(release))
    serve(registry, 15.0, failed=20, ago=48.0)
    assert monitor(output_dir=tmp_path).state == "failing"
    assert monitor(output_dir=tmp_path, settings=MonitorSettings(hours=24.0, latency_factor=3.0)).state == "healthy"
    with pytest.raises(UsageError, match="above 0 hours"):
        MonitorSettings(hours=0.0)


def test_episodes_of_another_release_do_not_count(tmp_path: Path) -> None:
    registry = released(tmp_path, **validated(1.0, None))
    serve(registry, 15.0, failed=20)
    put_live(registry, bundles() / "idle.zip", "1.1.0")
    assert monitor(output_dir=tmp_path).state == "unknown"
    assert monitor("1.0.0", output_dir=tmp_path).state == "failing"
    with pytest.raises(ReleaseError, match=r"Nearest: 1\.1\.0"):
        monitor("1.1.1", output_dir=tmp_path)


def play(folder: Path, policy: str, mission: str = REWARDED) -> None:
    settings = Settings(executor="serial", episodes=4, report=False, cache_dir=SHARED / "gate_cache")
    evaluate([policy], mission, settings=settings, output=OutputManager(folder, log_to_file=False))


def test_returns_are_compared_with_those_at_release(tmp_path: Path) -> None:
    registry = released(tmp_path, **validated(0.43, (0.41, 0.45)))
    play(tmp_path, "release:walker")
    play(tmp_path, "release:walker")
    play(tmp_path, "noop")
    found = monitor(output_dir=tmp_path)
    (row,) = found.returns
    assert (row.mission, row.n, found.played) == (MISSION, 4, 4), "an episode of two runs counts once"
    assert row.mean == pytest.approx(0.42724, abs=1e-4)
    assert found.state == "healthy"
    release = registry.root / "walker/versions/1.0.0/release.json"
    release.write_text(release.read_text().replace("0.41", "1.41").replace("0.45", "1.45"))
    found = monitor(output_dir=tmp_path)
    assert found.state == "degraded"
    assert "(outside the bound)" in found.sentence()


def test_a_release_that_fails_every_episode_is_failing(tmp_path: Path, bad_policies: str) -> None:
    from daf.deployment import PackageSettings, package

    made = package(f"{bad_policies}.Raises", tmp_path / "bad.zip", PackageSettings())
    registry = FolderRegistry(tmp_path / "releases")
    put_live(registry, made.path, "1.0.0")
    play(tmp_path, "release:walker", "memory_mystery_path_easy,max_steps=12")
    found = monitor(output_dir=tmp_path)
    assert (found.state, found.failed, found.played) == ("failing", 4, 4)
    assert "I give up" in found.sentence()


def test_damaged_records_are_named_and_left_out(tmp_path: Path) -> None:
    registry = released(tmp_path)
    serve(registry, 15.0)
    (tmp_path / "deployment" / "20261130_130000").mkdir()
    (tmp_path / "deployment" / "20261130_130000" / FILE).write_text("rubbish\n")
    found = monitor(output_dir=tmp_path)
    assert found.served == 20
    assert any("20261130_130000" in note for note in found.notes)
    assert any("no latency was measured at release" in note for note in found.notes)


def test_the_command_shows_the_numbers(tmp_path: Path, daf_call: DafCall) -> None:
    registry = released(tmp_path, **validated(1.0, None))
    serve(registry, 15.0)
    shown = daf_call("releases", "status", "--output-dir", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "walker 1.0.0 is healthy. 0 of 20 episodes failed" in shown.stdout
    serve(registry, 15.0, failed=20)
    done = daf_call("releases", "status", "walker", "--output-dir", tmp_path, "--json")
    assert done.returncode == 1
    data = json.loads(done.stdout)
    assert (data["status"], data["monitoring"]["state"], data["monitoring"]["failed"]) == ("failed", "failing", 20)
    assert daf_monitor_deployment(output_dir=tmp_path).status == "failing"
