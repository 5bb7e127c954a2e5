"""Places at URLs: object stores, and whatever else fsspec can write to.

A run works in a local directory, the mirror of its place (`mirror`), and publishes it (`publishing`): every object
whole or absent, the manifest with sizes and SHA-256 last. Nothing above this package knows fsspec; it handles paths,
and asks here what they stand for.
"""

from daf.storage.remote._progress import Progress, heard_by
from daf.storage.remote._store import Store
from daf.storage.remote.copies import here, uploading
from daf.storage.remote.mirror import Place, below, local, mirror_of, place_of, shown, url_in
from daf.storage.remote.publishing import announce, fetch, is_pending, listed, publish, published, verify
from daf.storage.remote.urls import Url

__all__ = [
    "Place",
    "Progress",
    "Store",
    "Url",
    "announce",
    "below",
    "fetch",
    "heard_by",
    "here",
    "is_pending",
    "listed",
    "local",
    "mirror_of",
    "place_of",
    "publish",
    "published",
    "shown",
    "uploading",
    "url_in",
    "verify",
]
