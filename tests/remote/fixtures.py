"""One S3 store for the tests of a process, emptied before each that uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.s3 import S3, serving


@pytest.fixture(scope="session")
def s3_store() -> Iterator[S3]:
    with serving() as store:
        yield store


@pytest.fixture
def s3(s3_store: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[S3]:
    """An empty S3 bucket, whose endpoint and credentials are in the environment; mirrors are in `tmp_path`."""
    for name, value in s3_store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    monkeypatch.setenv("DAF_REMOTE_DIR", str(tmp_path / "machine"))
    s3_store.empty()
    s3_store.requests.clear()
    yield s3_store
    s3_store.rule = lambda _method, _path: None
