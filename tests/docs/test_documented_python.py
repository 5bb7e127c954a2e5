"""Every Python block of the documentation runs, on tiny missions, in a temporary directory.

The blocks of a page share their names, from top to bottom. `SMALLER` makes them quick; `PREPARE` supplies the names and
files that a page takes for granted.
"""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import SkipTest

import mettagrid
import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from tests.docs.documented import PAGES, ROOT, blocks

TINY = "arena,cogs=4,max_steps=20"
TRAINED = "training_facility_1,max_steps=40"
SMALLER = [
    (r'"arena(,max_steps=200)?"', f'"{TINY}"'),
    (r"episodes_per_mission=\d+", "episodes_per_mission=2"),
    (r'daf_train_policy\("[^"]*", "lstm"', f'daf_train_policy("{TRAINED}", "lstm"'),
    (r"total_timesteps=[\d_]+", "total_timesteps=1_024"),
    (r'\{"learning_rate": 3e-4\}', '{"learning_rate": 3e-4, "n_steps": 16, "num_envs": 2, "num_workers": 1}'),
    (r"DAFRlConfig\(", "DAFRlConfig(n_steps=16, num_envs=2, num_workers=1, "),
    (r'"training_facility_1(,max_steps=60)?"\)', f'"{TRAINED}")'),
    (r"train_episodes\(100\)", "train_episodes(2)"),
    (r"episodes=(50|20)\b", "episodes=2"),
    (r"rounds=50", "rounds=2"),
]

MY_MODULE = """
from cogames.policy.starter_agent import StarterPolicy


class MyPolicy(StarterPolicy):
    pass
"""

SWEEP = f"""
kind: sweep
name: tiny
missions: ["{TINY}"]
policy_class_path: random
search_space: {{policy.vibe_action_p: {{min: 0.0, max: 1.0}}}}
strategy: random
num_trials: 20
episodes_per_trial: 1
objective_metric: agent.action.move.success
held_out_best: 1
held_out_episodes: 2
"""


def tree(records: int = 300) -> list[dict[str, Any]]:
    return [
        {
            "step": step,
            "total_steps": 1000,
            "position": {"x": step % 7, "y": 3, "map": "a"},
            "rewards": {"total": 0.5 * step, "step": 0.5, "components": {"event": 0.5 * step}},
        }
        for step in range(records)
    ]


def prepare_figures() -> dict[str, Any]:
    curve = {"step": [100, 200, 300], "episode/return": [1.0, 1.5, 2.0]}
    return {f"seed_{seed}": curve for seed in range(1, 6)}


def prepare_reports() -> dict[str, Any]:
    from daf import daf_compare_policies

    if not shutil.which("chromium"):
        pytest.skip("printing needs Chromium")
    return {"report": daf_compare_policies(["starter", "noop"], [TINY], episodes_per_mission=2)}


def prepare_logs() -> dict[str, Any]:
    from daf.log_analysis import StreamingProcessor

    folder = Path("experiments/v4/20250724_101500/json_logs")
    folder.mkdir(parents=True)
    for path in (folder / "stats_1753500000.json", Path("stats_1753500000.json")):
        path.write_text(json.dumps(tree()))
    return {"records": tree(), "other": StreamingProcessor(seed=0)}


def prepare_replays() -> dict[str, Any]:
    wheel = Path(mettagrid.__file__).parent / "nim/mettascope/data/replays/default.json.z"
    Path("REPLAY.json.z").write_bytes(wheel.read_bytes())
    return {}


def prepare_sweeps() -> dict[str, Any]:
    Path("sweep.yaml").write_text(SWEEP)
    return {}


def prepare_testing() -> dict[str, Any]:
    Path("tests").mkdir()
    Path("tests/test_policy.py").write_text("def test_it(): pass\n")
    return {}


def prepare_curricula() -> dict[str, Any]:
    from daf.game.training_environment import TrainingEnvironment

    return {"my_config": TrainingEnvironment(TRAINED).mission.config}


def prepare_adaptive() -> dict[str, Any]:
    pytest.importorskip("torch")
    from daf.core.curriculum_manager import DAFCurriculumConfig, DAFCurriculumManager
    from daf.core.rl_trainer import DAFRlConfig, DAFRlTrainer

    manager = DAFCurriculumManager(DAFCurriculumConfig(name="tiny", base_mission=TRAINED))
    manager.add_task("easy", 0.1)
    config = DAFRlConfig(n_steps=16, num_envs=2, num_workers=1, total_timesteps=16_384)
    return {"manager": manager, "environment": TRAINED, "trainer": DAFRlTrainer(config, "stateless")}


def prepare_dashboard() -> dict[str, Any]:
    Path("my_runs").mkdir()
    return {}


def prepare_training() -> dict[str, Any]:
    pytest.importorskip("torch")
    return {}


PREPARE: dict[str, Callable[[], dict[str, Any]]] = {
    "testing.md": prepare_testing,
    "adaptive.md": prepare_adaptive,
    "curricula.md": prepare_curricula,
    "dashboard.md": prepare_dashboard,
    "figures.md": prepare_figures,
    "logs.md": prepare_logs,
    "replays.md": prepare_replays,
    "reports.md": prepare_reports,
    "sweeps.md": prepare_sweeps,
    "training.md": prepare_training,
}
MARKS = {
    "adaptive.md": "thorough", "reports.md": "thorough", "scoring.md": "thorough", "sweeps.md": "thorough",
    "training.md": "slow",
}  # fmt: skip
WITH_PYTHON = [page for page in PAGES if page in {block.page for block in blocks("python")}]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.name, marks=[getattr(pytest.mark, MARKS[page.name])] if page.name in MARKS else [])
        for page in WITH_PYTHON
    ],
)
def test_the_python_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAF_OUTPUT_DIR", str(tmp_path / "daf_output"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_module", raising=False)
    Path("my_module.py").write_text(MY_MODULE)
    names = PREPARE.get(page.name, dict)()
    text = page.read_text()
    for pattern, smaller in SMALLER:
        text = re.sub(pattern, smaller, text)
    Path(page.name).write_text(text)
    document = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(tmp_path)).parse(tmp_path / page.name)
    document.namespace.update(names)
    executed = 0
    for example in document.examples():
        try:
            example.evaluate()
        except SkipTest:
            continue
        executed += 1
    assert executed, f"{page.relative_to(ROOT)}: every block is skipped"


def test_the_blocks_are_found() -> None:
    assert len(WITH_PYTHON) >= 10
