"""Every operation prints on the console that it is given, and nothing without one."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from daf import distributed_training, environment_checks, mission_analysis, policy_analysis, scoring_analysis, sweeps
from daf.comparison import ComparisonReport, daf_analyze_distributions, daf_compare_with_vor, daf_correlate_metrics
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from daf.storage.console_tables import show
from daf.visualization import daf_export_comparison_html, daf_generate_leaderboard

MISSION = "training_facility_1,max_steps=20"
SERIAL = Settings(executor="serial", episodes=3, report=False)


def check(call: Callable[..., Any], capfd: pytest.CaptureFixture[str], *expected: str) -> None:
    """Call with a console, which shows what is expected, and without one, which shows nothing."""
    text = io.StringIO()
    call(console=Console(file=text, width=220))
    missing = [part for part in expected if part not in text.getvalue()]
    assert not missing, text.getvalue()
    capfd.readouterr()
    call()
    assert capfd.readouterr().out == ""


SIMPLE: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "environment": (environment_checks.daf_check_environment, ("python", "disk", "checks passed")),
    "gpu": (environment_checks.daf_check_gpu_availability, ("gpu",)),
    "disk": (environment_checks.daf_check_disk_space, ("writable", "GB free")),
    "dependencies": (environment_checks.daf_check_dependencies, ("numpy", "ok")),
    "device": (environment_checks.daf_get_recommended_device, (":",)),
    "missions": (lambda **c: environment_checks.daf_check_mission_configs([MISSION, "arenna"], **c), ("Nearest",)),
    "auth": (lambda **c: environment_checks.daf_check_auth("http://127.0.0.1:9/", **c), ("does not answer",)),
    "vor": (lambda **c: scoring_analysis.daf_compute_vor([1, 2, 4], [1, 1, 1], **c), ("candidate_score", "1.333")),
    "weighted": (
        lambda **c: scoring_analysis.daf_compute_weighted_score([{"a": 1.0, "b": 3.0}], [{"a": 1, "b": 1}], **c),
        ("a", "3"),
    ),
    "allocate": (lambda **c: scoring_analysis.daf_allocate_agents(8, {"a": 3, "b": 1}, **c), ("a", "6", "2")),
    "proportions": (lambda **c: scoring_analysis.daf_validate_proportions([3, 1], 2, **c), ("valid", "0.75")),
    "summary": (lambda **c: scoring_analysis.daf_scoring_summary({"a": [1, 2], "b": [3, 5]}, **c), ("b", "4")),
    "mission": (lambda **c: mission_analysis.daf_analyze_mission(MISSION, **c), ("agents", "carbon")),
    "set": (lambda **c: mission_analysis.daf_analyze_mission_set([MISSION], **c), (MISSION,)),
    "variants": (
        lambda **c: mission_analysis.daf_analyze_mission_variants(MISSION, ["sparse", "clips"], **c),
        ("sparse", "clips", "problem"),
    ),
    "validate": (lambda **c: mission_analysis.daf_validate_mission_set([MISSION, "arenna"], **c), ("yes", "no")),
    "metadata": (lambda **c: mission_analysis.daf_get_mission_metadata(MISSION, **c), ("config_hash",)),
    "sites": (mission_analysis.daf_list_all_sites, ("arena",)),
    "all variants": (mission_analysis.daf_list_all_variants, ("no_clips",)),
    "policies": (policy_analysis.daf_list_available_policies, ("starter", "class_path")),
    "spec": (lambda **c: policy_analysis.daf_get_policy_spec("starter", **c), ("StarterPolicy",)),
    "grid": (lambda **c: sweeps.daf_grid_search({"x": [1, 2]}, **c), ("Grid of 2", "x")),
    "random": (lambda **c: sweeps.daf_random_search({"x": [1, 2]}, 3, **c), ("3 random", "x")),
    "aggregate": (
        lambda **c: distributed_training.daf_aggregate_training_stats([{"loss": 1.0}, {"loss": 2.0}], **c),
        ("mean over 2", "1.5"),
    ),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_an_operation_prints_its_result_on_a_console_and_nothing_without(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    call, expected = SIMPLE[name]
    check(call, capfd, *expected)


def test_operations_on_episodes_print_their_results(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    played = evaluate(["noop", "random"], MISSION, settings=SERIAL, output=OutputManager(tmp_path))
    asked = ["reward", "steps", "agent.action.noop.success"]
    check(lambda **c: daf_analyze_distributions(played, asked[:2], **c), capfd, "reward", "quartiles")
    check(lambda **c: daf_correlate_metrics(played, asked, **c), capfd, "Correlations on", "reward")
    check(lambda **c: daf_generate_leaderboard(played, **c), capfd, "place", "random")
    page = tmp_path / "page.html"
    check(lambda **c: daf_export_comparison_html(played, page, **c), capfd, str(page))
    check(
        lambda **c: daf_compare_with_vor(
            "random", ["noop"], MISSION, episodes=3, executor="serial", output_dir=tmp_path / "vor", **c
        ),
        capfd, "random", "noop",
    )  # fmt: skip


def test_a_readmes_missions_a_machine_and_a_readme_are_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("Play `arena`.")
    check(lambda **c: mission_analysis.daf_discover_missions_from_readme(tmp_path / "README.md", **c), capfd, "arena")
    pytest.importorskip("torch")
    check(distributed_training.daf_create_training_cluster, capfd, "workers_per_node", "cores")


def test_tables_shorten_round_and_print_escape_sequences_as_text() -> None:
    text = io.StringIO()
    console = Console(file=text, width=300)
    rows = [{"a": 0.123456, "b": None, "c": list(range(30)), "d": "\x1b[31mred", "e": "x" * 500, "f": 1}]
    show(console, "A \x1b]0;title\x07", rows, without=("f",))
    shown = text.getvalue()
    assert "\x1b" not in shown
    for part in ("0.1235", "–", "(30 in all)", "\\x1b[31mred", "x…"):
        assert part in shown
    show(console, "empty", [])
    show(console, "number", 3)
    assert isinstance(ComparisonReport().policies, list)
