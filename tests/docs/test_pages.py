"""Every block of README and docs runs, in order, on small missions, in a temporary directory; see `pages`."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import SkipTest

import pytest

from tests.conftest import CHROMIUM
from tests.deployment.tournament_server import TOKEN, Tournament, running
from tests.docs.documented import PAGES, ROOT
from tests.docs.pages import Page

SERVER = "https://tournament.example.org"
"""The server of a page about tournaments."""
PORT = "8770"
"""The port of a page with a server."""
QUICK = {
    "README.md",
    "adaptive.md",
    "cartographer.md",
    "configuration.md",
    "curricula.md",
    "evaluating.md",
    "index.md",
    "logs.md",
    "replays.md",
    "scoring.md",
}
"""Pages of few seconds, which run in `make test`. All others run in its second stage, `make test-thorough`."""
LONG = {"howto.md", "shipping.md", "training.md"}
"""Pages of a minute and more, all of whose blocks run in `make test-slow`."""
SKIPPED: dict[str, list[str]] = {
    "README.md": [
        "makes environments from packages of the network; CI runs both",
        "installs packages from the network; make dist tries the wheel",
    ],
    "curricula.md": ["a benchmark that takes minutes, in a checkout of DAF"],
    "index.md": ["makes an environment from packages of the network; CI runs it"],
    "object-stores.md": [
        "installs packages from the network",
        "needs an object store",
        "needs an object store",
        "needs an object store",
    ],
    "scaling.md": [
        "needs a cluster of several machines",
        "needs a cluster of several machines",
        "needs an account at a cloud",
    ],
    "tournament.md": ["opens a browser", "needs Docker and an account at Coworld"],
    "training.md": ["needs two machines"],
}
"""Blocks that never run, with the reasons that the page gives."""
SLOW: dict[str, list[str]] = {
    "adaptive.md": ["trains eight runs", "trains eight runs"],
    "analysis.md": ["measures networks with every number of agents"],
    "index.md": ["plays 72 episodes, most of them with 1,000 steps"],
    "scaling.md": ["starts a Ray cluster", "starts a Ray cluster"],
    "training.md": [
        "trains three networks",
        "trains two networks",
        "trains a network",
        "trains a network and evaluates it",
        "trains in four processes",
        "trains in two processes",
    ],
    "tutorial.md": ["trains for two minutes", "needs the policy that was trained"],
}
"""Blocks that run only in `make test-slow`, with the reasons that the page gives."""

DIRECTIVE = re.compile(r"<!--+\s*(skip|slow):\s*(\w+)\s*(.*?)\s*--+>")
FENCE = re.compile(r"^\s*```+(.*)$", re.MULTILINE)
RUN = {"bash", "console", "python", "yaml"}


def name(page: Path) -> str:
    return page.relative_to(ROOT / "docs").as_posix() if page.is_relative_to(ROOT / "docs") else page.name


def fences(page: Path) -> list[tuple[str, str]]:
    """The language and the text of each fenced block."""
    return re.findall(r"^```(\S*)[^\n]*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


WITH_BLOCKS = [page for page in PAGES if any(language in RUN for language, _ in fences(page))]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def open_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Page]]:
    """Opens a page, with a tournament server on this machine for the one that it names."""
    with ExitStack() as stack:

        def opened(path: Path, *, slow: bool = False, folder: Path = tmp_path) -> Page:
            replaced = {}
            if SERVER in path.read_text():
                replaced[SERVER] = stack.enter_context(running(Tournament())).url
                (folder / "token.txt").write_text(TOKEN)
            if PORT in path.read_text():
                replaced[PORT] = str(free_port())
            page = Page(path, folder, monkeypatch, capfd, slow=slow, replaced=replaced)
            stack.callback(page.terminal.close)
            return page

        yield opened


def run(page: Page) -> None:
    ran = 0
    for example in page.examples():
        try:
            example.evaluate()
        except SkipTest:
            continue
        ran += isinstance(example.parsed, str)
    assert ran, f"{page.path.name}: every block is skipped"


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name(page), marks=[] if name(page) in QUICK else [pytest.mark.thorough])
        for page in WITH_BLOCKS
        if name(page) not in LONG
    ],
)
def test_the_blocks_of_a_page_run(page: Path, open_page: Callable[..., Page]) -> None:
    if "--pdf" in page.read_text() and not CHROMIUM.exists():
        pytest.skip("printing needs Chromium")
    run(open_page(page))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in WITH_BLOCKS if name(page) in {*SLOW, *LONG}], ids=name)
def test_all_blocks_of_a_page_run(page: Path, open_page: Callable[..., Page]) -> None:
    run(open_page(page, slow=True))


def test_every_block_that_does_not_run_is_listed_with_its_reason() -> None:
    found: dict[str, dict[str, list[str]]] = {"skip": {}, "slow": {}}
    for page in PAGES:
        for kind, action, reason in DIRECTIVE.findall(page.read_text()):
            assert action == "next", f"{name(page)}: `{kind}: {action}`; each block that does not run has a reason"
            assert re.fullmatch(r'"[^"]{10,}"', reason), f"{name(page)}: `{kind}: next` needs a reason in quotes"
            found[kind].setdefault(name(page), []).append(reason.strip('"'))
    assert found["skip"] == SKIPPED
    assert found["slow"] == SLOW


def test_every_block_is_one_that_runs_or_an_output() -> None:
    """Output and diagrams are `text`; a command there would never run."""
    for page in PAGES:
        assert len(FENCE.findall(page.read_text())) == 2 * len(fences(page)), f"{name(page)}: an unusual fence"
        for language, text in fences(page):
            assert language in {*RUN, "text"}, f"{name(page)}: a block of language {language!r} is not run"
            hidden = [line for line in text.splitlines() if re.match(r"\s*(\$|daf|python|import) ", line)]
            assert language != "text" or not hidden, f"{name(page)}: a command in a text block: {hidden}"


def test_the_pages_with_a_level_exist() -> None:
    assert {name(page) for page in WITH_BLOCKS} >= QUICK | LONG
    assert not QUICK & LONG
