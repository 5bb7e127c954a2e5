"""What counts as a URL, and which URLs are refused before anything is requested."""

import importlib.util
import traceback
from pathlib import Path

import pytest

from daf.config import DAFConfig
from daf.errors import DAFError, MissingExtraError, UsageError
from daf.storage import remote


@pytest.fixture(autouse=True)
def _mirrors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DAF_REMOTE_DIR", str(tmp_path / "mirrors"))
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_url_has_a_mirror_that_leads_back_to_it(tmp_path: Path) -> None:
    mirror = remote.local("s3://bucket/some/runs/")
    assert mirror == tmp_path / "mirrors" / "s3" / "bucket" / "some" / "runs"
    assert remote.shown(mirror / "evaluations" / "x") == "s3://bucket/some/runs/evaluations/x"
    assert remote.local("S3://bucket//some/runs") == mirror


def test_a_path_of_a_url_means_the_url() -> None:
    assert remote.local(Path("s3://bucket/runs")) == remote.local("s3://bucket/runs")


@pytest.mark.parametrize("name", ["a:b", "runs:2026/x", "c:/x", "s3:bucket"])
def test_a_local_path_with_a_colon_stays_a_path(name: str) -> None:
    assert remote.local(name) == Path(name)


def test_something_that_exists_is_a_path_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "s3:" / "bucket").mkdir(parents=True)
    assert remote.local("s3://bucket") == Path("s3://bucket")
    assert remote.url_in("s3://bucket/other") is not None


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    assert remote.local(f"file://{tmp_path}/x") == tmp_path / "x"
    assert DAFConfig(output_dir=f"file://{tmp_path}/x").output_dir == tmp_path / "x"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s4://bucket/runs", '"s4://" is not a kind of URL that fsspec knows. Use s3://, gs://'),
        ("s3://", "s3:// names no bucket"),
        ("s3:///runs", "s3:// names no bucket"),
        ("s3://b!/runs", "is not the name of a bucket"),
        ("s3://bucket/../other", "a part that is . or .."),
        ("s3://bucket/runs?x=1", "without ::, ?, #"),
        ("zip::s3://bucket/x.zip", "Chained URLs of fsspec (with ::) are none"),
        ("https://example.com/runs", "is not a place that DAF can write to"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_the_reason(url: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        remote.local(url)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "url", ["s3://AKIAKEY:topsecret@bucket/x", "s3://AKIAKEY:top/secret@bucket/x", "sftp://user:topsecret@host/x"]
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        remote.local(url)
    shown = "".join(traceback.format_exception(refused.value))
    assert "topsecret" not in shown
    assert "top/secret" not in shown
    assert "looks like credentials" in str(refused.value)


@pytest.mark.parametrize(
    ("url", "missing", "command"),
    [
        ("s3://bucket/x", "s3fs", 'pip install "daf[remote]"'),
        ("gs://bucket/x", "gcsfs", 'pip install "daf[gcs]"'),
        ("memory://x", "fsspec", 'pip install "daf[remote]"'),
        ("abfs://container/x", "adlfs", "pip install adlfs"),
    ],
)
def test_a_missing_package_is_named_with_the_command(
    url: str, missing: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == missing else found(name, *rest)
    )
    with pytest.raises(MissingExtraError) as refused:
        remote.local(url)
    assert f"needs {missing}, which is not installed. Install it with: {command}" in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_configuration_keeps_the_url_in_its_file(tmp_path: Path) -> None:
    config = DAFConfig(output_dir="s3://bucket/runs", checkpoint_dir="s3://other/checkpoints")
    text = config.to_yaml(tmp_path / "config.yaml")
    assert "output_dir: s3://bucket/runs" in text
    assert "checkpoint_dir: s3://other/checkpoints" in text
    assert DAFConfig.from_yaml(tmp_path / "config.yaml") == config


def test_places_of_two_endpoints_have_two_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    one = remote.local("s3://bucket/runs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:topsecret@minio:9000")
    other = remote.local("s3://bucket/runs")
    assert one != other
    assert "topsecret" not in str(other)


def test_every_refusal_is_an_error_of_daf() -> None:
    for url in ("s3://", "nope://x", "s3://a:b@c", "http://x"):
        with pytest.raises(DAFError):
            remote.local(url)


def test_a_store_that_no_package_makes_fit_is_refused_without_naming_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "fsspec" else found(name, *rest)
    )
    for url in ("ftp://host/x", "zip://x"):
        with pytest.raises(UsageError, match="is not a place that DAF can write to"):
            remote.local(url)
