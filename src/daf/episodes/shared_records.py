"""The records of a cache at a URL, which several machines share.

What a machine finds there it does not play: `bring` downloads what a plan needs, in parallel, before the first episode.
What it plays it puts there, in the background, and only where nothing is: equal keys hold equal results, so the first
one stays. A record that could not be put is noted in the local cache, and the next command puts it; `settle` waits for
all of them, and raises an error that counts those that are left.

Not guaranteed: two machines that play at the same time may both play an episode; one record of it is kept.
"""

import logging
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from daf.errors import DAFError, StorageError
from daf.stats.sentences import counted
from daf.storage import atomic, remote
from daf.storage.atomic import explain
from daf.storage.reading import DEFAULT_LIMIT, read_bytes

logger = logging.getLogger(__name__)

MARKER = ".daf-cache.json"
_UNSHARED = "unshared"
_AT_ONCE = 16
_QUEUED = 256
"""Uploads that may wait; then playing waits for the store."""


class SharedRecords:
    """The files of the cache in `root`, a mirror, by their names below it: `episodes/ab/abcd….json`."""

    def __init__(self, root: Path, url: remote.Url) -> None:
        self.root = root
        self.url = url
        self._missing: set[str] = set()
        self._damaged: set[str] = set()
        self._store: remote.Store | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: set[Future[None]] = set()

    def check(self) -> None:
        """Raise `StorageError` at once if nothing can be read or written there; put what earlier commands could not."""
        self._opened().create(MARKER, b'{"format": "daf-cache-1"}\n')
        self._opened().read(MARKER)
        for mark in self._marks():
            self._submit(mark.name.replace("+", "/"))

    def bring(self, names: Iterable[str]) -> None:
        """Download those of the files that are there and not here. Raises `StorageError`."""
        wanted = [name for name in dict.fromkeys(names) if name not in self._missing]
        wanted = [name for name in wanted if name in self._damaged or not (self.root / name).exists()]
        if not wanted:
            return
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="daf-records") as pool:
            try:
                for name, found in zip(wanted, pool.map(self._bring, wanted), strict=True):
                    if not found:
                        self._missing.add(name)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def put(self, name: str) -> None:
        """Put a file of the local cache there, in the background."""
        mark = self.root / _UNSHARED / name.replace("/", "+")
        try:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        except OSError as error:
            raise StorageError(explain(error, f"writing {mark}")) from error
        self._missing.discard(name)
        self._submit(name)

    def set_aside(self, name: str) -> None:
        """Forget a file that is damaged there: the next one of this name replaces it."""
        self._damaged.add(name)
        self._missing.add(name)

    def settle(self) -> None:
        """Return once everything is there. Raises `StorageError` with the number of files that are not."""
        failure: BaseException | None = None
        for future in list(self._waiting):
            error = future.exception()
            failure = failure or error
        self._waiting.clear()
        if failure is None:
            return
        if not isinstance(failure, DAFError):
            raise failure
        left = len(self._marks())
        raise StorageError(
            f"{counted(left, 'file')} of the cache could not be shared at {self.url}. {failure} "
            f"They are in {self.root}, and the same command shares them without playing again."
        ) from failure

    def _bring(self, name: str) -> bool:
        content = self._opened().read(name, limit=DEFAULT_LIMIT)
        if content is None:
            return False
        atomic.write_bytes(self.root / name, content)
        return True

    def _submit(self, name: str) -> None:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="daf-records")
        done = {future for future in self._waiting if future.done() and future.exception() is None}
        self._waiting -= done
        if len(self._waiting) >= _QUEUED:
            self.settle()
        self._waiting.add(self._pool.submit(self._put, name))

    def _put(self, name: str) -> None:
        content = read_bytes(self.root / name)
        if content is not None:  # cleared meanwhile
            if name in self._damaged:
                self._opened().write(name, content)
                self._damaged.discard(name)
            else:
                self._opened().create(name, content)
        (self.root / _UNSHARED / name.replace("/", "+")).unlink(missing_ok=True)

    def _marks(self) -> list[Path]:
        folder = self.root / _UNSHARED
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def _opened(self) -> remote.Store:
        if self._store is None:
            self._store = remote.Store(self.url)
        return self._store


def shared_records(root: Path) -> SharedRecords | None:
    """The shared records of the cache in `root`; None if it is not at a URL."""
    place = remote.mirror_of(root)
    return None if place is None else SharedRecords(place.root, place.url)
