"""The logs of a training run, from real episodes to every figure of `daf logs`."""

import json
from pathlib import Path
from typing import Any

import pytest

from daf.core._training_logs import TrainingLogs
from daf.log_analysis import daf_analyze_logs, describe
from tests.game.test_training_samples import TrainingSampler, config_of, played


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Two episodes in each of two environments, two agents of each, in the order in which a run meets them."""
    config = config_of("training_facility_1")
    sampler = TrainingSampler(environments=2, agents_each=4, agents=4, interval=4)
    found = []
    for episode in (0, 1):
        both = [played(config, sampler, environment=environment, seed=episode)[0] for environment in (0, 1)]
        found += sorted([record for records in both for record in records], key=lambda record: record["step"])
    return found


def read(folder: Path) -> list[list[dict[str, Any]]]:
    return [json.loads(path.read_text()) for path in sorted((folder / "json_logs").iterdir())]


def test_files_hold_environment_after_environment_with_the_steps_so_far(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    logs = TrainingLogs(tmp_path, None)
    logs.add(records)
    assert logs.flush(5_000) is not None
    assert logs.flush(6_000) is None  # nothing came since
    logs.add(records)
    path = logs.flush(10_000, final=True)
    assert path is not None
    assert path.name.startswith("stats_final_")
    first, second = read(tmp_path)
    assert {record["total_steps"] for record in first} == {5_000}
    assert {record["total_steps"] for record in second} == {10_000}
    order = [(record["environment"], record["agent"]) for record in first]
    assert order == sorted(order)
    assert set(order) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert list(first[0])[:4] == ["step", "total_steps", "position", "rewards"]


def test_on_resume_files_of_steps_that_come_again_are_removed_and_others_stay(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = TrainingLogs(tmp_path, None)
    for steps in (5_000, 10_000, 15_000):
        first.add(records)
        first.flush(steps)
    first.add(records)  # killed before the next checkpoint
    again = TrainingLogs(tmp_path, 10_000)
    again.add(records)
    again.flush(15_000)
    again.add(records[:8])
    again.flush(20_000, final=True)
    assert [part[0]["total_steps"] for part in read(tmp_path)] == [5_000, 10_000, 15_000, 20_000]
    TrainingLogs(tmp_path, None)
    assert read(tmp_path) == []


def test_daf_logs_reads_them_whole_and_finds_rewards_that_add_up(records: list[dict[str, Any]], tmp_path: Path) -> None:
    logs = TrainingLogs(tmp_path, None)
    for steps in (5_000, 10_000, 15_000):
        logs.add(records)
        logs.flush(steps)
    analysis = daf_analyze_logs(tmp_path, formats=("html",))
    summary = analysis.summary
    assert summary.records == 3 * len(records)
    assert summary.time_axis == "total_steps"
    assert summary.time_range == (0, 15_000)
    means = summary.components["mean"]
    assert {"carbon_dug", "carbon_brought", "total", "step_reward"} <= set(means.index)
    assert means["carbon_dug"] + means["carbon_brought"] == pytest.approx(means["total"], abs=1e-4)
    assert means["total"] == pytest.approx(sum(r["rewards"]["total"] for r in records) / len(records), abs=1e-6)
    assert summary.damage.empty
    assert summary.stride == 4
    assert summary.oddities.empty
    assert summary.gaps.empty
    assert summary.stretches["n"] == 3 * 8  # environments × agents × episodes, in each of the files
    assert {path.suffix for path in analysis.written} >= {".html", ".json"}


def test_one_file_of_samples_covers_training_from_its_beginning(records: list[dict[str, Any]], tmp_path: Path) -> None:
    logs = TrainingLogs(tmp_path, None)
    logs.add(records)
    logs.flush(40_960, final=True)
    analysis = daf_analyze_logs(tmp_path, formats=("html",))
    assert analysis.summary.time_axis == "total_steps"
    assert analysis.summary.time_range == (0, 40_960)
    assert "sampled every 4 steps" in "\n".join(describe(analysis))
