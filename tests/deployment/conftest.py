"""A tournament server, and a home directory without logins."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daf.game import account
from tests.deployment.tournament_server import TOKEN, Tournament, running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's home directory, empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def tournament(home: Path) -> Iterator[Tournament]:
    """A running tournament server, where nobody is logged in yet."""
    with running(Tournament()) as there:
        yield there


@pytest.fixture
def logged_in(tournament: Tournament) -> Tournament:
    """A running tournament server whose login is saved."""
    account.save_token(tournament.url, TOKEN)
    return tournament
