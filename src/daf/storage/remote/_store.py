"""A folder of objects at a URL. The only code of DAF that calls fsspec.

Names are relative, with "/". An object is written whole or not at all, and `create` only where none is: object stores
have no rename, and this is how two machines agree on who has something. Every failure is a `StorageError` (see
`_errors`).

Not guaranteed: exclusive `create` on stores other than S3, Google Cloud, Azure and memory. There, fsspec asks first
and writes then.
"""

import contextlib
import errno
import functools
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.errors import DAFError, DamagedFileError
from daf.storage.atomic import writing
from daf.storage.hashing import hash_json
from daf.storage.reading import DEFAULT_LIMIT
from daf.storage.remote._errors import is_missing_bucket, translated
from daf.storage.remote.urls import WHOLE_OBJECTS, Url

_S3 = ("s3", "s3a")
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_PIECE = 8 * 2**20
_ATTEMPTS = 4
"""Of a request, by botocore; s3fs repeats those whose connection broke once more."""


@dataclass(frozen=True)
class Stat:
    """What a listing says about an object. tag: changes with the content; empty if the store has none."""

    size: int
    tag: str


class Store:
    """The objects below `url`. Opening makes no request."""

    def __init__(self, url: Url) -> None:
        self.url = url
        with self._boundary("opening the store", ""):
            self._fs = _file_system(url.scheme, _settings(), os.getpid())
            self._root: str = self._fs._strip_protocol(str(url)).rstrip("/")

    def read(self, name: str, *, limit: int = DEFAULT_LIMIT) -> bytes | None:
        """The content of an object of at most `limit` bytes; None if there is none. Raises `DamagedFileError`."""
        with self._boundary("reading", name):
            try:
                content: bytes = self._fs.cat_file(self._path(name), end=limit + 1)
            except FileNotFoundError as error:
                self._require_bucket(error, name)
                return None
            except OSError as error:  # S3 has no range of an empty object
                if error.errno != errno.EINVAL or self._fs.size(self._path(name)) != 0:
                    raise
                content = b""
        if len(content) > limit:
            raise DamagedFileError(str(self.url.child(name)), f"larger than {limit:,} bytes")
        return content

    def write(self, name: str, data: bytes) -> None:
        """Write an object; one that is there is replaced."""
        with self._boundary("writing", name), self._whole(name) as path:
            self._fs.pipe_file(path, data)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object where none is. False if there is one with other content.

        One with the same content counts as written: the answer to an earlier attempt may have been lost.
        """
        with self._boundary("creating", name):
            try:
                self._make_folder(name)
                self._fs.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                pass
            else:
                return True
        return self.read(name, limit=max(len(data), DEFAULT_LIMIT)) == data

    def upload(self, name: str, source: Path) -> None:
        """Write the file `source` as an object."""
        with self._boundary("uploading", name), self._whole(name) as path:
            self._fs.put_file(str(source), path)

    def download(self, name: str, target: Path, check: Callable[[Path], None]) -> None:
        """Write an object as the file `target`, whole or not at all. check: raises if its content is wrong."""
        with writing(target) as temporary:
            with self._boundary("downloading", name):
                self._fs.get_file(self._path(name), str(temporary))
            check(temporary)

    def pieces(self, name: str) -> Iterator[bytes]:
        """The content of an object in pieces."""
        with self._boundary("reading", name), self._fs.open(self._path(name), "rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def listing(self, below: str = "") -> dict[str, Stat]:
        """All objects, also in folders, by their names; those below a folder only if `below` names it."""
        with self._boundary("listing", below):
            try:
                found = self._fs.find(self._path(below), withdirs=False, detail=True)
            except FileNotFoundError as error:
                self._require_bucket(error, below)
                return {}
        start = len(self._root) + 1
        return {path[start:]: _stat(info) for path, info in found.items() if len(path) > start}

    def glob(self, pattern: str) -> list[str]:
        """The names of the objects that match `pattern`, in which * is part of a name."""
        with self._boundary("listing", pattern):
            try:
                found = self._fs.glob(self._path(pattern))
            except FileNotFoundError as error:
                self._require_bucket(error, "")
                return []
        return sorted(path[len(self._root) + 1 :] for path in found)

    def remove(self, name: str) -> None:
        """Delete an object, if there is one."""
        with self._boundary("deleting", name), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _require_bucket(self, error: FileNotFoundError, name: str) -> None:
        """Raise if it was the bucket that was not found, instead of an object in it."""
        if is_missing_bucket(error):
            failure = translated(error, f"reading {self.url.child(name)}", str(self.url))
            raise failure from failure.__cause__

    @contextlib.contextmanager
    def _whole(self, name: str) -> Iterator[str]:
        """The path to write to, so that the object appears whole."""
        self._make_folder(name)
        path = self._path(name)
        if self.url.scheme in WHOLE_OBJECTS:
            yield path
            return
        unfinished = f"{path}.part-{secrets.token_hex(4)}"
        try:
            yield unfinished
            self._fs.mv(unfinished, path)
        except BaseException:
            with contextlib.suppress(Exception):  # report the error that ended the write
                self._fs.rm_file(unfinished)
            raise

    def _make_folder(self, name: str) -> None:
        """Stores with real folders need them first; in object stores they do not exist."""
        if self.url.scheme not in WHOLE_OBJECTS or self.url.scheme == "memory":
            self._fs.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)

    @contextlib.contextmanager
    def _boundary(self, doing: str, name: str) -> Iterator[None]:
        try:
            yield
        except (DAFError, TypeError, AttributeError, NameError):  # the last three are faults of a program
            raise
        except Exception as error:
            place = self.url.child(name)
            failure = translated(error, f"{doing} {place}" if name else doing, str(self.url))
        else:
            return
        raise failure from failure.__cause__


@functools.lru_cache(maxsize=8)
def _file_system(scheme: str, settings: str, process: int) -> Any:
    """fsspec's file system for a scheme. settings, process: what it depends on, so that a change makes another one.

    fsspec's own cache does not know that another endpoint or other credentials were put into the environment.
    """
    import fsspec

    if scheme not in _S3:
        return fsspec.filesystem(scheme)
    config: dict[str, Any] = {
        "connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS, "max_pool_connections": 32,
    }  # fmt: skip
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        config["retries"] = {"max_attempts": _ATTEMPTS, "mode": "standard"}
    made = fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True, config_kwargs=config)
    made.retries = 2
    return made


def _settings() -> str:
    return hash_json(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


def _stat(info: dict[str, Any]) -> Stat:
    tag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("mtime") or info.get("created") or ""
    return Stat(int(info.get("size") or 0), str(tag).strip('"'))
