"""Single files and directories at URLs, for commands that read or write them without being runs.

`here(path)` downloads what a URL names and returns the local copy. A file that a manifest lists is verified by its
SHA-256. Of others, an unchanged one (by size and the store's tag) is downloaded once.

`uploading(folder)` is a local directory for the files of a command, which are at the URL when the block ends.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from daf.errors import StorageError, UsageError
from daf.storage import atomic
from daf.storage.containment import own
from daf.storage.reading import read_json
from daf.storage.remote import manifest as manifests
from daf.storage.remote._store import Stat, Store
from daf.storage.remote.manifest import Listed, Manifest
from daf.storage.remote.mirror import local, place_of, url_in
from daf.storage.remote.publishing import TRANSFERS, checked, fetch, remote_manifest
from daf.storage.remote.urls import Url

_TAGS = ".daf-tags.json"


def here(path: str | Path) -> Path:
    """`path` itself, or the local copy of what it names by a URL: a published run, a folder, or a file.

    Raises `UsageError` if nothing is there, `DamagedFileError`, `StorageError`.
    """
    url = url_in(path)
    if url is None:
        return local(path)
    above, inner = _published_above(url)
    if above is not None and not inner:
        fetch(local(str(url)))
        return local(str(url))
    store = Store(url)
    listing = store.listing()
    if listing:
        _download(store, local(str(url)), listing, above[1] if above is not None else None, inner)
        return local(str(url))
    parent, name = _split(url)
    there = Store(parent).listing(name) if parent is not None else {}
    if parent is None or name not in there:
        raise UsageError(f"{url}: nothing is there.")
    folder = local(str(parent))
    files = None if above is None else above[1]
    _download(Store(parent), folder, {name: there[name]}, files, inner.rpartition("/")[0])
    return folder / name


@contextlib.contextmanager
def uploading(folder: str | Path) -> Iterator[Path]:
    """The local directory for `folder`. If that is a URL, files that the block writes are uploaded when it ends.

    Raises `StorageError` before the block if nothing can be written there; after it, with the place of the files.
    """
    place = place_of(local(folder))
    if place is None:
        yield local(folder)
        return
    directory = local(folder)
    store = Store(place.url.child(place.name))
    probe = ".daf-write-test"
    store.write(probe, b"")
    store.remove(probe)
    before = _stamps(directory)
    yield directory
    changed = [name for name, stamp in _stamps(directory).items() if before.get(name) != stamp]
    try:
        with ThreadPoolExecutor(TRANSFERS, thread_name_prefix="daf-transfer") as pool:
            for _ in pool.map(lambda name: store.upload(name, directory / name), changed):
                pass
    except StorageError as error:
        raise StorageError(f"the files are in {directory}, and not all of them at {store.url}. {error}") from error


def _download(store: Store, folder: Path, listing: dict[str, Stat], whole: Manifest | None, inner: str) -> None:
    """Download the objects of a listing. whole: the manifest of a run above, below which the folder is `inner`."""
    tags = read_json(folder / _TAGS, dict[str, str]) or {}
    prefix = f"{inner}/" if inner else ""

    def get(name: str) -> None:
        one, target = listing[name], own(folder, name)
        tag = f"{one.tag}/{one.size}"
        if target.is_file() and target.stat().st_size == one.size and tags.get(name) == tag:
            return
        known = None if whole is None else whole.files.get(prefix + name)
        store.download(name, target, checked(store.url.child(name), known or _of_size(one.size)))
        tags[name] = tag

    with ThreadPoolExecutor(TRANSFERS, thread_name_prefix="daf-transfer") as pool:
        for _ in pool.map(get, [name for name in listing if manifests.is_published(name)]):
            pass
    atomic.write_json(folder / _TAGS, tags)


def _of_size(size: int) -> Listed:
    return Listed(size, "")


def _published_above(url: Url) -> "tuple[tuple[Url, Manifest] | None, str]":
    """The published directory that `url` is, or is in, with its manifest, and the rest of the path."""
    root = "/" if url.path.startswith("/") else ""
    for depth in range(len(url.parts), 1, -1):
        above = Url(url.scheme, root + "/".join(url.parts[:depth]))
        found = remote_manifest(Store(above))
        if found is not None:
            return (above, found), "/".join(url.parts[depth:])
    return None, ""


def _split(url: Url) -> tuple[Url | None, str]:
    if len(url.parts) < 2:
        return None, ""
    root = "/" if url.path.startswith("/") else ""
    return Url(url.scheme, root + "/".join(url.parts[:-1])), url.parts[-1]


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and manifests.is_published(name) and path.name != _TAGS:
            stat = path.stat()
            found[name] = (stat.st_size, stat.st_mtime_ns)
    return found
