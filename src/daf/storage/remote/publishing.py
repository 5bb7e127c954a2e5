"""Publishing a directory to its place at a URL, and downloading a published one.

`publish(folder)` uploads new and changed files, and the manifest last: others see the whole directory or none of it. A
publication that was cut off, killed or refused is resumed by calling it again: a journal in the directory lists the
uploaded files, and a listing of the store confirms them. `publish` is refused if another machine has published other
content meanwhile.

`fetch(folder)` downloads missing and outdated files, and compares every file with the SHA-256 in the manifest.

Not guaranteed: a reader that downloads while another machine publishes a new version gets an error, not the old one.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypedDict

from daf.errors import DamagedFileError, StorageError
from daf.storage import atomic, journal, locks
from daf.storage.containment import own
from daf.storage.reading import read_bytes
from daf.storage.remote import manifest as manifests
from daf.storage.remote._progress import Progress, report
from daf.storage.remote._store import Stat, Store
from daf.storage.remote.manifest import LISTED, MANIFEST, PENDING, Listed, Manifest
from daf.storage.remote.mirror import Place, place_of
from daf.storage.remote.urls import Url

INDEX = ".daf-published"
"""Objects in here name the published directories below a URL, so that listing them takes one request per 1,000."""
TRANSFERS = 16
"""Files that are transferred at the same time."""
_LOCK = ".daf-publishing.lock"


class _Uploaded(TypedDict):
    name: str
    size: int
    sha256: str


def announce(folder: Path) -> None:
    """Note on the disk that `folder` is to be published, so that `pending` finds it after a crash."""
    try:
        (folder / PENDING).touch()
    except OSError as error:
        raise StorageError(atomic.explain(error, f"writing {folder / PENDING}")) from error


def is_pending(folder: Path) -> bool:
    """Whether the publication of `folder` was announced and is not complete."""
    return (folder / PENDING).is_file()


def known(folder: Path) -> Manifest | None:
    """The manifest as `folder` was last published or downloaded; None if it never was."""
    content = read_bytes(folder / MANIFEST, limit=manifests.LIMIT)
    return None if content is None else manifests.from_bytes(content, str(folder / MANIFEST))


def publish(folder: Path) -> Manifest:
    """Publish `folder`, a directory in a mirror, and return its manifest.

    Raises `StorageError`; then the same call resumes. `LockedError` if another process is publishing it.
    """
    place = _required(folder)
    announce(folder)
    with locks.exclusive_if_supported(folder / _LOCK, f"another process is publishing {folder}."):
        now = manifests.of_folder(folder)
        store = Store(place.url.child(place.name))
        before = _unchanged_elsewhere(store, folder, now)
        if before != now:
            _publish(store, folder, now, before)
        Store(place.url).write(f"{INDEX}/{place.name}", now.digest.encode("ascii"))
        atomic.write_bytes(folder / MANIFEST, now.to_bytes())
        for name in (LISTED, PENDING):
            (folder / name).unlink(missing_ok=True)
        (folder / _LOCK).unlink(missing_ok=True)
    return now


def _publish(store: Store, folder: Path, now: Manifest, before: Manifest | None) -> None:
    there = store.listing()
    done = _uploaded(folder, there)
    if before is not None:
        store.remove(MANIFEST)  # until the new one is there, others see nothing instead of a mixture
    missing = {name: one for name, one in now.files.items() if done.get(name) != one}
    _upload(store, folder, now, missing)
    _require_sizes(store.listing(), now, store.url)
    for name in done:
        if name not in now.files:
            store.remove(name)
    if not store.create(MANIFEST, now.to_bytes()):
        raise _other_content(store, folder)


def verify(folder: Path) -> Manifest:
    """Read back everything that is published of `folder`, and compare it with the manifest.

    Raises `DamagedFileError`, `StorageError`.
    """
    place = _required(folder)
    store = Store(place.url.child(place.name))
    there = remote_manifest(store)
    if there is None:
        raise StorageError(f"{store.url} is not published: it has no manifest.")
    with _Transfer("verifying", str(store.url), dict(there.files)) as transfer:
        transfer.run(lambda name, one: _compare(store, name, one))
    return there


def fetch(folder: Path, *, only: Callable[[str, int], bool] | None = None) -> bool:
    """Download what `folder`, a directory in a mirror, lacks of its published content; False if none is published.

    only: which files, by name and size. Local changes that are not published yet are kept: then nothing is downloaded.
    Raises `DamagedFileError` for a file whose SHA-256 is not that of the manifest, `StorageError`.
    """
    place = _required(folder)
    if is_pending(folder):
        return True
    before = known(folder)
    store = Store(place.url.child(place.name))
    there = remote_manifest(store)
    if there is None:
        return False
    wanted = {name: one for name, one in there.files.items() if only is None or only(name, one.size)}
    missing = {name: one for name, one in wanted.items() if not _is_here(folder, name, one, before)}
    with _Transfer("downloading", str(store.url), missing) as transfer:
        transfer.run(lambda name, one: store.download(name, own(folder, name), checked(store.url.child(name), one)))
    if only is not None:
        atomic.write_bytes(folder / LISTED, there.to_bytes())
        return True
    for name in before.files if before is not None else ():
        if name not in there.files and (folder / name).is_file():
            atomic.remove(own(folder, name))
    atomic.write_bytes(folder / MANIFEST, there.to_bytes())
    (folder / LISTED).unlink(missing_ok=True)
    return True


def listed(folder: Path) -> Manifest | None:
    """The manifest of a published directory of which only a part was downloaded; None for any other."""
    content = read_bytes(folder / LISTED, limit=manifests.LIMIT)
    return None if content is None else manifests.from_bytes(content, str(folder / LISTED))


def published(url: Url) -> dict[str, str]:
    """The directories that are published below `url`, by their names, with a tag that changes with their content."""
    start = len(INDEX) + 1
    return {name[start:]: f"{one.tag}/{one.size}" for name, one in Store(url).listing(INDEX).items()}


def remote_manifest(store: Store) -> Manifest | None:
    """The manifest of a published directory; None if it is not published, or being published."""
    content = store.read(MANIFEST, limit=manifests.LIMIT)
    return None if content is None else manifests.from_bytes(content, str(store.url.child(MANIFEST)))


def _required(folder: Path) -> Place:
    place = place_of(folder)
    if place is None:
        raise StorageError(f"{folder} is not in the local copy of a place at a URL, so it can't be published.")
    return place


def _unchanged_elsewhere(store: Store, folder: Path, now: Manifest) -> Manifest | None:
    """The manifest at the URL, which must be the one that this directory was published or downloaded with."""
    there = remote_manifest(store)
    if there is not None and there not in (known(folder), now):
        raise _other_content(store, folder)
    return there


def _other_content(store: Store, folder: Path) -> StorageError:
    return StorageError(
        f"{store.url} was published with other content by another machine. Its manifest stays as it is, and {folder} "
        "is intact. Copy it elsewhere with `daf runs export` before you use the published run."
    )


def _uploaded(folder: Path, there: dict[str, Stat]) -> dict[str, Listed]:
    """The files that were uploaded before, as far as the store still has objects of their sizes."""
    before = known(folder)
    found = {} if before is None else dict(before.files)
    for line in journal.read(folder / PENDING, _Uploaded):
        found[line["name"]] = Listed(line["size"], line["sha256"])
    return {name: one for name, one in found.items() if name in there and there[name].size == one.size}


def _upload(store: Store, folder: Path, now: Manifest, missing: dict[str, Listed]) -> None:
    def send(name: str, one: Listed) -> None:
        store.upload(name, folder / name)
        journal.append(folder / PENDING, {"name": name, "size": one.size, "sha256": one.sha256}, sync=False)

    with _Transfer("publishing", str(store.url), missing, whole=now) as transfer:
        transfer.run(send)


def _require_sizes(there: dict[str, Stat], now: Manifest, url: Url) -> None:
    for name, one in now.files.items():
        if name not in there or there[name].size != one.size:
            size = there[name].size if name in there else None
            raise StorageError(
                f"{url.child(name)} has {'no object' if size is None else f'{size:,} bytes'} after it was uploaded, "
                f"{one.size:,} bytes were expected: it changed meanwhile. Publish again."
            )


def _is_here(folder: Path, name: str, one: Listed, before: Manifest | None) -> bool:
    path = own(folder, name)
    if not path.is_file() or path.stat().st_size != one.size:
        return False
    if before is not None and before.files.get(name) == one:
        return True
    return manifests.listed(path) == one


def checked(url: Url, one: Listed) -> Callable[[Path], None]:
    """A check of a downloaded file against a manifest, or without a SHA-256 against a size."""

    def check(path: Path) -> None:
        _require_same(url, manifests.listed(path), one)

    return check


def _compare(store: Store, name: str, one: Listed) -> None:
    _require_same(store.url.child(name), content_of(store, name), one)


def content_of(store: Store, name: str) -> Listed:
    """Size and SHA-256 of an object, read in pieces. Raises `StorageError`."""
    digest, size = hashlib.sha256(), 0
    for piece in store.pieces(name):
        digest.update(piece)
        size += len(piece)
    return Listed(size, digest.hexdigest())


def _require_same(url: Url, found: Listed, one: Listed) -> None:
    if found.size != one.size and not one.sha256:
        raise DamagedFileError(str(url), f"{found.size:,} bytes arrived of {one.size:,}")
    if one.sha256 and found != one:
        raise DamagedFileError(
            str(url),
            f"its SHA-256 is {found.sha256[:12]}… ({found.size:,} bytes), and the manifest lists {one.sha256[:12]}… "
            f"({one.size:,} bytes): it is damaged, or being published again. If it stays like this, publish the run "
            "again from the machine that has it",
        )


class _Transfer:
    """Transfers files in several threads; a failure or Ctrl-C ends it once the transfers under way have ended."""

    def __init__(
        self,
        verb: str,
        url: str,
        files: dict[str, Listed],
        *,
        whole: Manifest | None = None,
    ) -> None:
        self._verb, self._url, self._files = verb, url, files
        all_files = files if whole is None else whole.files
        self._all = (len(all_files), sum(one.size for one in all_files.values()))
        left = sum(one.size for one in files.values())
        self._done = (self._all[0] - len(files), self._all[1] - left)
        self._pool = ThreadPoolExecutor(TRANSFERS, thread_name_prefix="daf-transfer")

    def __enter__(self) -> "_Transfer":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, transfer: Callable[[str, Listed], None]) -> None:
        """Call `transfer` for each file. Raises the first error."""
        for group in _groups(list(self._files.items())):
            sizes = {self._pool.submit(transfer, name, one): one.size for name, one in group}
            waiting = set(sizes)
            while waiting:
                ended, waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()
                    self._done = (self._done[0] + 1, self._done[1] + sizes[future])
                if ended:
                    self._report()

    def _report(self) -> None:
        report(Progress(self._verb, self._url, self._done[0], self._all[0], self._done[1], self._all[1]))


def _groups(files: list[tuple[str, Listed]]) -> Iterator[list[tuple[str, Listed]]]:
    """In groups, so that progress is reported between them and few futures wait."""
    size = 4 * TRANSFERS
    for start in range(0, len(files), size):
        yield files[start : start + size]
