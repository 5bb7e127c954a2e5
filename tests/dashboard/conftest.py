"""A dashboard over a folder of its own, and what asks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import Asker

from daf.dashboard import Dashboard


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.fixture
def dashboard(base: Path) -> Iterator[Dashboard]:
    serving = Dashboard(base, port=0)
    serving.start()
    yield serving
    serving.stop()


@pytest.fixture
def ask(dashboard: Dashboard) -> Asker:
    return Asker(dashboard)
