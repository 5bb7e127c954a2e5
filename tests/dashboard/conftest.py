"""A dashboard over a folder of its own, and what asks it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from asking import Asker

from daf.dashboard import Dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


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


@pytest.fixture
def page(browser: "Browser", dashboard: Dashboard) -> Iterator["Page"]:
    """A page that is opened by `opened`; what the browser complains of fails the test, as does a request elsewhere."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    own = (f"http://127.0.0.1:{dashboard.port}/", "data:", "about:")
    page.on("request", lambda request: None if request.url.startswith(own) else heard.append(request.url))
    page.heard = heard  # type: ignore[attr-defined]
    yield page
    page.close()
    assert heard == []
