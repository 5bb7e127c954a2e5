"""The S3 store of `tests.remote`."""

from tests.remote.fixtures import s3, s3_store

__all__ = ["s3", "s3_store"]
