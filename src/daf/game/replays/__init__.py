"""Replays: recorded episodes, read lazily and within bounds.

`read_replay(path)` gives a `Replay`; `difference(a, b)` the first step at which two differ.
"""

from daf.game.replays._errors import ReplayError
from daf.game.replays._reading import VERSIONS, read_replay
from daf.game.replays._series import FieldValues
from daf.game.replays.difference import Difference, difference
from daf.game.replays.replay import AgentState, ObjectState, Replay, ReplayObject, ReplayState

__all__ = [
    "VERSIONS",
    "AgentState",
    "Difference",
    "FieldValues",
    "ObjectState",
    "Replay",
    "ReplayError",
    "ReplayObject",
    "ReplayState",
    "difference",
    "read_replay",
]
