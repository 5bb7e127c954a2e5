"""The few missions that the contract's calls share: played once a session, in this process."""

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daf.evaluation import Evaluation, Settings
from daf.output_manager import OutputManager

MISSION = "training_facility_1,max_steps=40"
SERIAL = Settings(episodes=3, executor="serial", report=False, resamples=200)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder that all of these tests share."""
    return tmp_path_factory.mktemp("contract")


@pytest.fixture
def output(base: Path) -> OutputManager:
    return OutputManager(base)


@pytest.fixture(autouse=True)
def _in_the_base(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations without an output folder write where $DAF_OUTPUT_DIR says."""
    from daf.output_manager import reset_output_manager

    monkeypatch.setenv("DAF_OUTPUT_DIR", str(base))
    monkeypatch.chdir(base)
    reset_output_manager()


@pytest.fixture(scope="session")
def played(base: Path) -> Evaluation:
    """starter, random and noop on one mission, with replays, positions and a sampled stat."""
    from dataclasses import replace

    from daf.evaluation import evaluate
    from daf.game.outcome import SeriesRequest

    series = SeriesRequest(10, (), ("carbon.gained",), True)
    settings = replace(SERIAL, save_replays="best", series=series)
    return evaluate(["starter", "random", "noop"], [MISSION], settings=settings, output=OutputManager(base))


@pytest.fixture(scope="session")
def sweep(base: Path) -> Any:
    from daf.config import DAFSweepConfig
    from daf.sweeps import daf_launch_sweep

    config = DAFSweepConfig(
        name="contract", missions=["training_facility_1"], policy_class_path="starter", held_out_best=0,
        search_space={"cogs": [2, 4], "max_steps": [10, 20]},
        episodes_per_trial=2,
    )  # fmt: skip
    return daf_launch_sweep(config, output_manager=OutputManager(base), executor="serial")


@pytest.fixture(scope="session")
def trained(base: Path) -> Any:
    """A network after two updates."""
    from daf.config import DAFTrainingConfig
    from daf.training import daf_train_policy

    config = DAFTrainingConfig(
        n_steps=16, num_envs=2, num_workers=1, threads=1, eval_frequency=None, trackers=[], device="cpu"
    )
    return daf_train_policy(MISSION, "stateless", config=config, total_timesteps=256, output=OutputManager(base))


Cli = Callable[..., dict[str, Any]]


@pytest.fixture
def daf_json(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """What a command with `--json` prints, in this process; `code` is the exit code that it must have."""

    def run(*arguments: str, code: int = 0) -> dict[str, Any]:
        from daf.cli import main

        monkeypatch.setattr(sys, "argv", ["daf", *arguments, "--json"])
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == code, printed.getvalue()[-2000:]
        lines = printed.getvalue().splitlines()
        assert len(lines) == 1, lines
        found: dict[str, Any] = json.loads(lines[0])
        return found

    return run
