"""Local directories that stand for places at URLs.

DAF works in directories. For a URL, `local(url)` names its mirror: a directory of this machine, marked with the URL,
into which runs are written before they are published, and into which published ones are downloaded. Everything above
this package handles paths only; `place_of(path)` leads from a path in a mirror back to its URL.

Mirrors are below `DAF_REMOTE_DIR` (default: `daf/remote` in the user's data directory): SCHEME/BUCKET/FOLDER. They
hold runs that are not published yet, so nothing may empty this directory as if it were a cache.

Not guaranteed: a mirror for each of two names of one place, such as s3:// and s3a://, sees the other's runs only once
they are published.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from daf.errors import DamagedFileError, StorageError, UsageError, quoted
from daf.storage import atomic
from daf.storage.names import file_name
from daf.storage.paths import existing
from daf.storage.reading import read_object
from daf.storage.remote import urls
from daf.storage.remote.urls import Url

VARIABLE = "DAF_REMOTE_DIR"
MARK = ".daf-remote.json"
_FORMAT = "daf-remote-1"
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "s3a": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
_FLATTENED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?!/)(.*)", re.DOTALL)


class _Mark(TypedDict):
    format: str
    url: str


@dataclass(frozen=True)
class Place:
    """A path in a mirror. root: the mirror; url: of the mirror; name: of the path below it, "" for the mirror."""

    root: Path
    url: Url
    name: str

    @property
    def shown(self) -> str:
        """The URL of the path."""
        return str(self.url.child(self.name))


def local(value: str | Path) -> Path:
    """`value` as a path of this machine: itself, or the mirror of the place that it names by a URL.

    Something that exists is a path, whatever its name. A `Path` of a URL, which has lost a slash ("s3:/bucket"), means
    the URL. Raises `UsageError`, `MissingExtraError` for a URL that can't be used, `StorageError`.
    """
    if "\0" in str(value):
        raise UsageError(f"{quoted(str(value))} cannot be a path: it has a null character.")
    url = url_in(value)
    if url is not None:
        return _made(url)
    return Path(urls.local_part(str(value)) or value).expanduser()


def url_in(value: str | Path) -> Url | None:
    """The URL that `value` means, checked; None for a path. See `local`."""
    text = _unflattened(value) if isinstance(value, Path) else str(value)
    if not urls.looks_like_url(text) or urls.local_part(text) is not None or existing(str(value)) is not None:
        return None
    return urls.parse(text)


def place_of(path: str | Path) -> Place | None:
    """The place that `path` stands for, if it is in a mirror or is one. Raises `DamagedFileError`, `StorageError`."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 (a link inside a mirror is part of it)
    for folder in (absolute, *absolute.parents):
        if (folder / MARK).is_file():
            mark = read_object(folder / MARK, _Mark)
            if mark is None:
                continue
            if mark["format"] != _FORMAT:
                raise DamagedFileError(folder / MARK, f'its format is "{mark["format"]:.40}", not {_FORMAT}')
            try:
                return Place(folder, urls.parse(mark["url"]), _name(absolute.relative_to(folder)))
            except UsageError as error:
                raise StorageError(f"{folder} is the mirror of a URL that can't be used: {error}") from error
    return None


def mirror_of(folder: str | Path) -> Place | None:
    """The place of a directory that is itself a mirror; None for one inside a mirror, and elsewhere."""
    return place_of(folder) if (Path(folder) / MARK).is_file() else None


def below(folder: str | Path, name: str) -> Path:
    """`name` in `folder`, as a separate mirror if `folder` is one."""
    place = mirror_of(folder)
    return Path(folder) / name if place is None else _made(place.url.child(name))


def shown(path: str | Path) -> str:
    """`path` for people and for files that other machines read: the URL if it is in a mirror."""
    place = place_of(path)
    return str(path) if place is None else place.shown


def folder_of_mirrors() -> Path:
    """The directory that has all mirrors."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "daf" / "remote"


def _made(url: Url) -> Path:
    endpoint = next((os.environ[name] for name in _ENDPOINTS.get(url.scheme, ()) if os.environ.get(name)), None)
    at = "" if endpoint is None else "@" + file_name(_host(endpoint))
    folder = folder_of_mirrors().joinpath(url.scheme + at, *(file_name(part, most=200) for part in url.parts))
    if not (folder / MARK).is_file():
        atomic.write_json(folder / MARK, {"format": _FORMAT, "url": str(url)})
    return folder


def _host(endpoint: str) -> str:
    """Host and port of an endpoint, without user and password."""
    return endpoint.partition("://")[2].partition("/")[0].rpartition("@")[2] or "endpoint"


def _unflattened(path: Path) -> str:
    text = str(path)
    found = _FLATTENED.fullmatch(text)
    if found is None or not urls.is_known(found[1].lower()):
        return text
    return f"{found[1]}://{found[2]}"


def _name(relative: Path) -> str:
    return "" if relative == Path() else relative.as_posix()
