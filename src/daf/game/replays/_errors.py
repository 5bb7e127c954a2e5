"""The one error of replays."""

from daf.errors import DataError


class ReplayError(DataError):
    """DAF cannot read this file as a replay: damaged, of another version, or beyond the bounds that keep it safe."""
