"""URLs of places that are not on this machine: `s3://bucket/folder`, and whatever else fsspec can write to.

`parse(text)` checks a URL without a request: the scheme, the bucket, and that the package for the scheme is installed.
A URL that holds credentials is refused, and no message repeats it: keys belong into the environment or the store's own
configuration files.
"""

import importlib.util
import re
from dataclasses import dataclass

from daf.errors import MissingExtraError, UsageError, nearest, quoted

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_CHAINED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*::.*://", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
LOCAL = ("file", "local")
"""Schemes of this machine's own files: such a URL is a path."""
BUCKETS = ("s3", "s3a", "gs", "gcs")
"""Schemes whose first part is a bucket."""
WHOLE_OBJECTS = (*BUCKETS, "abfs", "abfss", "adl", "az", "oci", "oss", "memory")
"""Schemes of stores in which an object appears whole or not at all."""
_EXTRAS = {"s3": ("remote", "s3fs"), "s3a": ("remote", "s3fs"), "gs": ("gcs", "gcsfs"), "gcs": ("gcs", "gcsfs")}
_UNFIT = frozenset({
    "asynclocal", "asyncwrapper", "blockcache", "cached", "dask", "data", "dir", "filecache", "generic", "git",
    "github", "http", "https", "jlab", "jupyter", "libarchive", "reference", "simplecache", "tar", "zip",
    "arrow_hdfs", "dbfs", "ftp", "hdfs", "sftp", "smb", "ssh", "webhdfs",
})  # fmt: skip
"""Schemes of fsspec that are read-only, wrap others, are archives, or need a host and a login."""


@dataclass(frozen=True)
class Url:
    """A checked URL. path: bucket or host and folder, joined by "/", without one at the end."""

    scheme: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    def child(self, name: str) -> "Url":
        """The URL of `name`, a relative path with "/", below this one."""
        return Url(self.scheme, f"{self.path}/{name}") if name not in ("", ".") else self

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the path."""
        return tuple(part for part in self.path.split("/") if part)


def looks_like_url(text: str) -> bool:
    """Whether `text` begins like a URL: `s3://…`. It may still be the name of a local file."""
    return _URL.match(text) is not None or _CHAINED.match(text) is not None


def local_part(text: str) -> str | None:
    """The path that a `file://` URL names; None for any other text."""
    found = _URL.fullmatch(text)
    if found is None or found[1].lower() not in LOCAL:
        return None
    return found[2] or "/"


def parse(text: str) -> Url:
    """The URL that `text` writes. Raises `UsageError`, `MissingExtraError`."""
    found = _URL.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{quoted(text.partition(':')[0])}:… is not a URL that DAF can use: SCHEME://BUCKET/FOLDER, such as "
            "s3://bucket/runs. Chained URLs of fsspec (with ::) are none."
        )
    scheme, rest = found[1].lower(), found[2]
    head = rest.partition("/")[0]
    if re.match(r"[^@]*:[^@]*@", rest) or (scheme in BUCKETS and (":" in head or "@" in head)):
        raise UsageError(
            f"the {scheme}:// URL has something in front of its bucket or host that looks like credentials. Leave "
            "them out: DAF reads them from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE) and from the store's own configuration files."
        )
    _require_scheme(scheme)
    if "::" in text or "?" in rest or "#" in rest or not rest.isprintable():
        raise UsageError(
            f"a {scheme}:// URL is a bucket and a folder without ::, ?, # and control characters; options of the store "
            "go into its configuration file or the environment."
        )
    parts = [part for part in rest.split("/") if part]
    if not parts or (not head and scheme in BUCKETS):
        raise UsageError(f"{scheme}:// names no bucket. Write {scheme}://BUCKET/FOLDER.")
    if ".." in parts or "." in parts:
        raise UsageError(f"{quoted(text)} has a part that is . or .., which object stores do not know. Leave it out.")
    if scheme in BUCKETS and _BUCKET.fullmatch(parts[0]) is None:
        raise UsageError(
            f"{quoted(parts[0])} is not the name of a bucket: at least two letters, digits, dots, hyphens or "
            "underscores."
        )
    root = "/" if rest.startswith("/") else ""
    return Url(scheme, root + "/".join(parts))


def is_known(scheme: str) -> bool:
    """Whether DAF can write to URLs of this scheme, if the package for it is installed."""
    if scheme in _EXTRAS:
        return True
    if importlib.util.find_spec("fsspec") is None or scheme in _UNFIT or scheme in LOCAL:
        return False
    return scheme in _schemes()


def _require_scheme(scheme: str) -> None:
    """Raise unless DAF can write to this kind of store, and the package for it is installed."""
    if scheme in _EXTRAS:
        extra, package = _EXTRAS[scheme]
        missing = next((name for name in ("fsspec", package) if importlib.util.find_spec(name) is None), None)
        if missing is not None:
            raise MissingExtraError(
                f'{scheme}:// needs {missing}, which is not installed. Install it with: pip install "daf[{extra}]"'
            )
        return
    if scheme in _UNFIT:
        raise UsageError(
            f"{scheme}:// is not a place that DAF can write to. Use an object store (s3://, gs://), another writable "
            "fsspec URL, or a directory."
        )
    if importlib.util.find_spec("fsspec") is None:
        raise MissingExtraError(
            f'{scheme}:// needs fsspec, which is not installed. Install it with: pip install "daf[remote]"'
        )
    schemes = _schemes()
    if scheme not in schemes:
        close = nearest(scheme, schemes)
        hint = f"Nearest: {', '.join(f'{name}://' for name in close)}. " if close else ""
        raise UsageError(
            f"{quoted(scheme + '://')} is not a kind of URL that fsspec knows. {hint}Use s3://, gs://, another kind "
            "that fsspec can write to, or a directory."
        )
    module = schemes[scheme].partition(".")[0]
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(
            f"{scheme}:// needs {module}, which is not installed. Install it with: pip install {module}"
        )


def _schemes() -> dict[str, str]:
    from fsspec.registry import known_implementations, registry

    found = {name: str(entry["class"]) for name, entry in known_implementations.items()}
    found |= {name: f"{kind.__module__}.{kind.__name__}" for name, kind in registry.items() if name not in found}
    return {name: kind for name, kind in found.items() if name not in _UNFIT and name not in LOCAL}
