"""Records under their keys, written once, shared by all runs.

A record's file is whole or absent; processes may read and write at the same time, since equal keys hold equal results.
The checksum detects a damaged file, which is moved to `damaged/` and played again. Failures, and results that depended
on the clock, are not stored. Runs hold hard links (copies on another file system), so clearing the cache breaks no run;
`clear` refuses while an `EpisodeCache` object that was used exists in any process.

A cache whose directory is the mirror of a URL shares its records and replays there; see `shared_records`.

    episodes/ab/abcd….json   configs/….json   replays/….json.z   players/…   runs/…   bundles/…   damaged/…
"""

import contextlib
import errno
import logging
import math
import os
import shutil
import weakref
from collections.abc import Iterable
from pathlib import Path

from daf.episodes import record as records
from daf.episodes.record import DamagedRecord, EpisodeRecord
from daf.episodes.shared_records import shared_records
from daf.episodes.spec import EpisodeSpec
from daf.errors import DamagedFileError, NoLocksError, StorageError
from daf.game.mission import Mission
from daf.storage import locks
from daf.storage.atomic import announced, explain, temporary_name, write_bytes
from daf.storage.hashing import hash_bytes, hash_json
from daf.storage.reading import read_bytes

logger = logging.getLogger(__name__)

LOCK = ".lock"
FOLDERS = ("episodes", "configs", "replays", "players", "runs", "bundles", "damaged")


class EpisodeCache:
    """The cache below `root`. With `enabled=False` nothing is read from it, but everything is still written."""

    def __init__(self, root: str | Path, *, enabled: bool = True) -> None:
        self.root = Path(root)
        self.enabled = enabled
        self._held = False
        self._shared = shared_records(self.root)

    @property
    def bundles(self) -> Path:
        """Where zipped policies are extracted."""
        if self.root.is_dir():
            self.hold()
        return self.root / "bundles"

    def check_writable(self) -> None:
        """Raise `StorageError` immediately if nothing could be stored."""
        try:
            (self.root / "episodes").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(explain(error, f"making the episode cache {self.root}")) from error
        if not os.access(self.root / "episodes", os.W_OK | os.X_OK):
            raise StorageError(f"no permission to write to the episode cache {self.root}. Choose another --output-dir.")
        self.hold()
        if self._shared is not None:
            self._shared.check()

    def bring(self, specs: Iterable[EpisodeSpec]) -> None:
        """Download the records of `specs` that other machines shared; does nothing for a cache without a URL.

        Raises `StorageError`.
        """
        if self._shared is not None and self.enabled:
            self._shared.bring(self._name(self.path(spec.key)) for spec in specs)

    def settle(self) -> None:
        """Return once everything that was stored is shared. Raises `StorageError`."""
        if self._shared is not None:
            self._shared.settle()

    def hold(self) -> None:
        """Keep `clear` out, in every process, until this object is deleted. Raises `StorageError`.

        Does nothing if this user cannot write to the cache, or if the file system has no locks.
        """
        if self._held or (self.root.exists() and not os.access(self.root, os.W_OK | os.X_OK)):
            return
        try:
            file = locks.acquire_shared(self.root / LOCK, f"{self.root} is being cleared.", patience=math.inf)
        except NoLocksError:
            return
        self._held = True
        weakref.finalize(self, locks.release, file)

    def path(self, key: str) -> Path:
        """Where the record of `key` is, or would be."""
        return self.root / "episodes" / key[:2] / f"{key}.json"

    def has(self, spec: EpisodeSpec) -> bool:
        """Whether there is a record of `spec`, whole or not."""
        self.bring([spec])
        return self.enabled and self.path(spec.key).exists()

    def get(self, spec: EpisodeSpec) -> EpisodeRecord | None:
        """The record of `spec` if it is stored and whole."""
        if not self.enabled:
            return None
        self.bring([spec])
        path = self.path(spec.key)
        try:
            content = read_bytes(path)
            return None if content is None else records.from_bytes(content, spec)
        except (DamagedRecord, DamagedFileError) as error:
            self._set_aside(path, error)
            return None

    def put(self, record: EpisodeRecord) -> None:
        """Store a record whose outcome did not depend on the clock; others are not stored."""
        if record.ok and not record.timed_out:
            write_bytes(self.path(record.spec.key), records.to_bytes(record))
            self._share(self.path(record.spec.key))

    def link(self, record: EpisodeRecord, folder: Path) -> None:
        """Put the record's file into `folder`: linked from the cache if it is stored there, else written."""
        target = folder / f"{record.spec.key}.json"
        if not (record.ok and not record.timed_out and _link(self.path(record.spec.key), target)):
            write_bytes(target, records.to_bytes(record))

    def put_config(self, mission: Mission) -> Path:
        """Store a mission's config under its hash; workers load it from there."""
        path = self.root / "configs" / f"{mission.config_hash}.json"
        try:
            known = read_bytes(path)
        except DamagedFileError:  # not a file; the new one takes its place
            known = None
        if known is None or hash_bytes(known) != mission.config_hash:
            write_bytes(path, mission.config_json)
        return path

    def replay_path(self, spec: EpisodeSpec) -> Path:
        """Where the replay of `spec` is, or would be. It shows the policies' names, so they are part of its name."""
        names = hash_json([policy.name for policy in spec.policies])[:8]
        return self.root / "replays" / f"{spec.key}-{names}.json.z"

    def has_replay(self, spec: EpisodeSpec) -> bool:
        """Whether there is a replay of `spec`, also if another machine shared it. Raises `StorageError`."""
        path = self.replay_path(spec)
        if self._shared is not None:
            self._shared.bring([self._name(path)])
        return path.exists()

    def put_replay(self, spec: EpisodeSpec, data: bytes) -> None:
        """Store a replay file."""
        write_bytes(self.replay_path(spec), data)
        self._share(self.replay_path(spec))

    def size(self) -> tuple[int, int]:
        """(files, bytes) in the cache."""
        count = size = 0
        for folder, _, names in os.walk(self.root):
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # another process has just renamed or removed it
                    size += Path(folder, name).lstat().st_size
                    count += name != LOCK
        return count, size

    def clear(self) -> None:
        """Remove everything in the cache; runs keep their files.

        Raises `LockedError` while any process uses the cache, `StorageError`.
        """
        if not self.root.is_dir():
            return
        busy = f"the episode cache {self.root} is in use by another command; nothing was cleared. Wait for it to end."
        doomed = []
        try:
            with announced(self.root):
                with locks.exclusive_if_supported(self.root / LOCK, busy):
                    for name in FOLDERS:
                        with contextlib.suppress(FileNotFoundError):
                            doomed.append((self.root / name).rename(temporary_name(self.root / name)))
                for path in doomed:
                    shutil.rmtree(path)
        except OSError as error:
            raise StorageError(explain(error, f"clearing the episode cache {self.root}")) from error

    def _set_aside(self, path: Path, error: Exception) -> None:
        target = self.root / "damaged" / f"{path.name}-{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        if self._shared is not None:
            self._shared.set_aside(self._name(path))
        logger.warning("the record %s is damaged (%s); it was moved to %s and is played again", path, error, target)

    def _share(self, path: Path) -> None:
        if self._shared is not None:
            self._shared.put(self._name(path))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy of it on another file system."""
    if not _link(source, target):
        content = read_bytes(source)
        if content is None:
            raise StorageError(f"{source} is missing, so {target} cannot be a copy of it.")
        write_bytes(target, content)


def _link(source: Path, target: Path) -> bool:
    """Hard-link; False if that is not possible."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    except FileExistsError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            return False
        raise StorageError(explain(error, f"linking {target}")) from error
    return True
