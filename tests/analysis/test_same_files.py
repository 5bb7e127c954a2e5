"""An analysis leaves the same run directory from Python as from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daf.ablation import daf_policy_ablation
from daf.config import DAFConfig
from daf.evaluation import Settings
from daf.metrics import daf_metrics
from daf.mission_analysis import daf_analyze_mission, daf_analyze_mission_performance, daf_analyze_mission_set
from daf.output_manager import OutputManager
from daf.policy_analysis import daf_analyze_policy
from tests.conftest import SMALL, SMALLEST

ANALYSIS = Settings(episodes=2, executor="serial", report=False, resamples=2_000)
VOLATILE = {
    "cache", "run_id", "run_dir", "seconds",
    "load_mib", "peak_mib", "load_seconds", "steps_per_second", "agent_steps_per_second", "together", "policy_share",
    "latency",
}  # fmt: skip
"""Keys whose values are of a run or of the machine."""

CASES: dict[str, tuple[list[str], Callable[[OutputManager], Any]]] = {
    "mission": (
        ["analyze", "mission", SMALLEST, "-p", "noop", "-e", "2"],
        lambda output: daf_analyze_mission(SMALLEST, ["noop"], settings=ANALYSIS, output_manager=output),
    ),
    "performance": (
        ["analyze", "mission", SMALLEST, "-p", "noop", "-e", "2"],
        lambda output: daf_analyze_mission_performance("noop", SMALLEST, settings=ANALYSIS, output_manager=output),
    ),
    "missions": (
        ["analyze", "missions", SMALLEST, "-p", "noop", "-e", "2", "--variants", "talk"],
        lambda output: daf_analyze_mission_set(
            [SMALLEST], ["noop"], variants=["talk"], settings=ANALYSIS, output_manager=output
        ),
    ),
    "policy": (
        ["analyze", "policy", "noop", "-m", SMALL, "--max-steps", "5", "--cogs", "1", "-e", "2"],
        lambda output: daf_analyze_policy("noop", SMALL, steps=5, cogs=[1], episodes=2, output_manager=output),
    ),
    "ablation": (
        ["analyze", "ablation", "random", "-m", SMALLEST, "-c", "mask:last_action", "-e", "2"],
        lambda output: daf_policy_ablation(
            "random", [SMALLEST], ["mask:last_action"], settings=ANALYSIS, output_manager=output
        ),
    ),
    "metrics": (
        ["metrics", "-m", SMALLEST, "-p", "random", "-e", "2", "--metric", "agent.*.success", "--per-agent"],
        lambda output: daf_metrics(
            [SMALLEST],
            ["random"],
            metrics=["agent.*.success"],
            per_agent=True,
            settings=Settings(episodes=2, executor="serial", report=False, resamples=1_000),
            output_manager=output,
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_python_leaves_the_files_of_the_command(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from daf.cli.main import main

    arguments, call = CASES[name]
    where = ["--output-dir", str(tmp_path / "command"), "--quiet"]
    where += [] if name == "policy" else ["--executor", "serial"]  # daf_analyze_policy takes no executor
    monkeypatch.setattr("sys.argv", ["daf", *arguments, *where])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0, capsys.readouterr().err
    call(OutputManager.from_config(DAFConfig(output_dir=tmp_path / "python")))
    command, python = (_run_dir(tmp_path / base) for base in ("command", "python"))
    assert _files(python) == _files(command)
    findings = "ablation.json" if name == "ablation" else "metrics.json" if name == "metrics" else "analysis.json"
    for file in (findings, "results.json"):
        if (command / file).exists():
            assert _stable(json.loads((python / file).read_text())) == _stable(json.loads((command / file).read_text()))


def _run_dir(base: Path) -> Path:
    (log,) = base.rglob("execution_log.json")
    return log.parent


def _files(run_dir: Path) -> list[str]:
    return sorted(path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*"))


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(item) for key, item in value.items() if key not in VOLATILE}
    return [_stable(item) for item in value] if isinstance(value, list) else value
