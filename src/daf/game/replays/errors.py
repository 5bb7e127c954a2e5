"""The one error of replays."""

from daf.errors import DataError


class ReplayError(DataError):
    """A file is no replay that DAF can read: damaged, of another version, or beyond the bounds that keep it safe."""
