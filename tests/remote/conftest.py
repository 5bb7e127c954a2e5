"""One S3 store for the tests of this folder, emptied before each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.s3 import S3, serving


@pytest.fixture(scope="session")
def _store() -> Iterator[S3]:
    with serving() as store:
        yield store


@pytest.fixture
def s3(_store: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    """An empty S3 bucket, whose endpoint and credentials are in the environment; mirrors are in `tmp_path`."""
    for name, value in _store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("DAF_REMOTE_DIR", str(tmp_path / "machine"))
    _store.empty()
    _store.requests.clear()
    yield _store
    _store.rule = lambda _method, _path: None
