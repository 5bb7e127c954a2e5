"""What tests of the dashboard in a browser share."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from daf.dashboard import Dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def opened(page: "Page", dashboard: Dashboard, view: str = "#/") -> "Page":
    page.goto(f"http://127.0.0.1:{dashboard.port}/?token={dashboard.token}{view}")
    page.wait_for_selector("#live[data-state=live]")
    return page


def key(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def eventually(page: "Page", holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until `holds`, where the page's policy allows no script to wait inside it."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not hold in time"
        page.wait_for_timeout(50)


def expect(thing: "Locator | Page"):
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)
    return expect(thing)
