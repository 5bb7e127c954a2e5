"""A directory and its published copy: whole or absent, verified, resumed, and never a secret in an error."""

import logging
import traceback
from pathlib import Path

import pytest

from daf.errors import DamagedFileError, StorageError, UnsafePathError
from daf.storage import remote
from daf.storage.remote import publishing
from tests.remote.s3 import BUCKET, KEY, S3, SECRET

URL = f"s3://{BUCKET}/out"
FILES = {"a.json": b"{}", "deep/er/b.bin": bytes(range(256)) * 40, "empty": b"", "name with spaces ü.txt": b"x"}


def folder_with(files: dict[str, bytes], url: str = URL) -> Path:
    """A directory of the mirror of `url` that has these files."""
    folder = remote.local(url) / "evaluations" / "20260101_000000"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def on_another_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str = URL) -> Path:
    """The same directory in the mirror of another machine, which is empty."""
    monkeypatch.setenv("DAF_REMOTE_DIR", str(tmp_path / "another"))
    return remote.local(url) / "evaluations" / "20260101_000000"


def content_of(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.rpartition("/")[2].startswith(".daf-")}


@pytest.mark.parametrize("url", [URL, "memory://daf-tests/out"])
def test_another_machine_gets_what_was_published(
    url: str, s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remote.publish(folder_with(FILES, url))
    elsewhere = on_another_machine(monkeypatch, tmp_path, url)
    assert remote.fetch(elsewhere)
    assert content_of(elsewhere) == FILES


def test_locks_and_unfinished_files_are_not_published(s3: S3) -> None:
    folder = folder_with({"a": b"1", ".lock": b"", ".reserved": b"x", ".a.daf-tmp-1-ab": b"x"})
    remote.publish(folder)
    assert [name for name in s3.names() if "/a" in name] == ["out/evaluations/20260101_000000/a"]
    assert not any("lock" in name or "tmp" in name or "reserved" in name for name in s3.names())


def test_the_manifest_is_the_last_object_of_the_directory(s3: S3) -> None:
    remote.publish(folder_with(FILES))
    written = [path for method, path in s3.requests if method == "PUT"]
    assert written[-2].endswith("/.daf-manifest.json")
    assert written[-1].endswith("/.daf-published/evaluations/20260101_000000")


def test_publishing_again_uploads_nothing(s3: S3) -> None:
    folder = folder_with(FILES)
    remote.publish(folder)
    s3.requests.clear()
    remote.publish(folder)
    assert [path for method, path in s3.requests if method == "PUT" and ".daf-published" not in path] == []


def test_a_new_version_replaces_what_changed_and_deletes_what_went(
    s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = folder_with(FILES)
    remote.publish(folder)
    (folder / "a.json").write_bytes(b"[]")
    (folder / "empty").unlink()
    s3.requests.clear()
    remote.publish(folder)
    uploaded = [path.rpartition("/")[2] for method, path in s3.requests if method == "PUT"]
    assert uploaded == ["a.json", ".daf-manifest.json", "20260101_000000"]
    elsewhere = on_another_machine(monkeypatch, tmp_path)
    remote.fetch(elsewhere)
    assert content_of(elsewhere) == content_of(folder)


@pytest.mark.parametrize("fault", ["cut", (503, "ServiceUnavailable"), (403, "AccessDenied")])
def test_a_publication_that_failed_is_not_there_and_resumes_without_repeating(
    fault: tuple[int, str] | str, s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(publishing, "TRANSFERS", 1)
    folder = folder_with({f"{number:02d}": bytes([number]) for number in range(8)})
    s3.rule = lambda method, path: fault if method == "PUT" and path.endswith("/05") else None
    with pytest.raises(StorageError) as failed:
        remote.publish(folder)
    assert str(failed.value).startswith(f"{URL}/evaluations/20260101_000000: ")
    assert remote.is_pending(folder)
    assert not remote.fetch(on_another_machine(monkeypatch, tmp_path))
    s3.rule = lambda _method, _path: None
    s3.requests.clear()
    remote.publish(folder)
    uploaded = [path.rpartition("/")[2] for method, path in s3.requests if method == "PUT"]
    assert "00" not in uploaded
    assert "05" in uploaded
    assert not remote.is_pending(folder)


def test_a_short_outage_of_the_store_is_waited_out(s3: S3) -> None:
    left = iter([(503, "SlowDown")])
    s3.rule = lambda method, _path: next(left, None) if method == "PUT" else None
    remote.publish(folder_with({"a": b"1"}))
    assert "out/evaluations/20260101_000000/a" in s3.names()


@pytest.mark.parametrize(
    ("rule", "url", "words"),
    [
        (None, "s3://no-such-bucket/out", "there is no such bucket. Create it, or correct the URL."),
        ((403, "AccessDenied"), URL, "the store denied access (AccessDenied)"),
        ((403, "InvalidAccessKeyId"), URL, "the store does not accept the credentials (InvalidAccessKeyId)"),
        ((403, "SignatureDoesNotMatch"), URL, "the store does not accept the credentials (SignatureDoesNotMatch)"),
        ((503, "ServiceUnavailable"), URL, "the store is overloaded or out of service (ServiceUnavailable)"),
    ],
)
def test_an_error_says_what_is_wrong_and_shows_no_credentials(
    rule: tuple[int, str] | None,
    url: str,
    words: str,
    s3: S3,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The answers of the faulty store repeat the credentials of the request, as some stores do."""
    caplog.set_level(logging.DEBUG, "daf")
    s3.rule = lambda _method, _path: rule
    with pytest.raises(StorageError) as failed:
        remote.publish(folder_with({"a": b"1"}, url))
    assert words in str(failed.value)
    assert type(failed.value) is StorageError
    shown = "".join(traceback.format_exception(failed.value)) + caplog.text
    assert KEY not in shown
    assert SECRET not in shown


def test_without_credentials_the_error_names_the_variables(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match=r"no credentials were found\. Set AWS_ACCESS_KEY_ID"):
        remote.publish(folder_with({"a": b"1"}))


def test_a_store_that_nobody_answers_for_is_an_error_of_the_connection(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageError, match="no connection to the store"):
        remote.publish(folder_with({"a": b"1"}))


def test_a_damaged_object_is_found_when_it_is_downloaded(
    s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remote.publish(folder_with(FILES))
    s3.put("out/evaluations/20260101_000000/deep/er/b.bin", b"\x00" * len(FILES["deep/er/b.bin"]))
    elsewhere = on_another_machine(monkeypatch, tmp_path)
    with pytest.raises(DamagedFileError, match="its SHA-256 is"):
        remote.fetch(elsewhere)
    assert not (elsewhere / "deep/er/b.bin").exists()


def test_verifying_reads_everything_back(s3: S3) -> None:
    folder = folder_with(FILES)
    remote.publish(folder)
    assert remote.verify(folder).size == sum(map(len, FILES.values()))
    s3.put("out/evaluations/20260101_000000/empty", b"not empty")
    with pytest.raises(DamagedFileError, match="empty is damaged"):
        remote.verify(folder)


def test_two_machines_cannot_publish_different_content(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    remote.publish(folder_with({"a": b"1"}))
    on_another_machine(monkeypatch, tmp_path)
    with pytest.raises(StorageError, match="was published with other content by another machine"):
        remote.publish(folder_with({"a": b"2"}))
    assert s3.objects()["out/evaluations/20260101_000000/a"] == b"1"


def test_what_is_not_published_yet_is_not_overwritten_by_a_download(s3: S3) -> None:
    folder = folder_with({"a": b"1"})
    remote.publish(folder)
    (folder / "a").write_bytes(b"2")
    remote.announce(folder)
    assert remote.fetch(folder)
    assert (folder / "a").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["../../escaped", "/etc/escaped", "a/../../escaped", ".daf-remote.json"])
def test_a_manifest_cannot_name_files_outside_its_directory(
    name: str, s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remote.publish(folder_with({"a": b"1"}))
    key = "out/evaluations/20260101_000000/.daf-manifest.json"
    s3.put(key, s3.objects()[key].replace(b'"a"', f'"{name}"'.encode()))
    with pytest.raises(UnsafePathError, match="is not the name of a file of a run"):
        remote.fetch(on_another_machine(monkeypatch, tmp_path))


def test_a_link_is_not_published(s3: S3, tmp_path: Path) -> None:
    folder = folder_with({"a": b"1"})
    (tmp_path / "secret").write_text("x")
    (folder / "b").symlink_to(tmp_path / "secret")
    with pytest.raises(UnsafePathError, match="is a link"):
        remote.publish(folder)


@pytest.mark.parametrize("url", [URL, "memory://daf-tests/create"])
def test_only_one_of_two_creates_an_object(url: str, s3: S3) -> None:
    store = remote.Store(remote.Url(*url.split("://")))
    assert store.create("claim", b"mine")
    assert not store.create("claim", b"yours")
    assert store.read("claim") == b"mine"


def test_a_create_whose_answer_was_lost_counts_as_made(s3: S3) -> None:
    faults = iter(["cut"])
    s3.rule = lambda method, _path: next(faults, None) if method == "PUT" else None
    store = remote.Store(remote.Url(*URL.split("://")))
    assert store.create("claim", b"mine")


def test_progress_ends_with_all_files_and_bytes(s3: S3) -> None:
    heard: list[remote.Progress] = []
    with remote.heard_by(heard.append):
        remote.publish(folder_with(FILES))
    assert (heard[-1].files, heard[-1].bytes) == (len(FILES), sum(map(len, FILES.values())))
    assert heard[-1].complete
    assert [one.bytes for one in heard] == sorted(one.bytes for one in heard)
