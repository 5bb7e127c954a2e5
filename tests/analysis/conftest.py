"""Episodes that several tests of analyses look at, played once."""

import pytest

from daf.evaluation import Evaluation, Settings, evaluate
from daf.output_manager import OutputManager
from tests.conftest import SMALL, SMALLEST


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory) -> OutputManager:
    return OutputManager(tmp_path_factory.mktemp("analysis"))


@pytest.fixture(scope="session")
def evaluation(output: OutputManager) -> Evaluation:
    settings = Settings(episodes=8, report=False, resamples=500, executor="serial")
    return evaluate(["starter", "random"], [SMALL, SMALLEST], settings=settings, output=output)
