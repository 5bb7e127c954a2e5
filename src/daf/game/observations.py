"""Agents' observations, built once and shared.

Upstream builds a token object for every token, agent and step, though the same few thousand tokens occur repeatedly.
Here a token is built when it is first seen and shared from then on; `Token` has the interface of upstream's
`ObservationToken`, is a subclass of it, and cannot be changed. `Observation` is upstream's `AgentObservation` whose
tokens are built on first access, from a copy of the buffer at that step: an observation that a policy keeps does not
change.

Two things differ, in favour of the policy that keeps tokens: `raw_token` is read-only, and does not change under its
holder when the simulator writes the next observation.

Importing this module imports mettagrid.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from mettagrid.config.id_map import ObservationFeatureSpec
from mettagrid.simulator.interface import AgentObservation, Location, ObservationToken

END = 0xFF
"""The feature id that ends an agent's tokens."""

TABLE_LIMIT = 1 << 16
"""Tokens kept per table (about 25 MB); a full table is cleared."""


class TokenMutation(AttributeError):
    """A policy tried to change a token, which many observations share; upstream's own rollout gives each its own."""


class Token(ObservationToken):
    """A shared and therefore immutable observation token; `location` and `is_global` are computed once."""

    __slots__ = ("_col", "_row", "feature", "is_global", "location", "raw_token", "value")

    feature: ObservationFeatureSpec
    value: int
    raw_token: npt.NDArray[np.uint8]  # type: ignore[assignment]
    location: Location | None
    is_global: bool

    def __init__(self, feature: ObservationFeatureSpec, value: int, raw_token: Iterable[int]) -> None:
        """raw_token: the three bytes (packed location, feature id, value)."""
        raw = np.frombuffer(bytes(int(byte) for byte in raw_token), dtype=np.uint8)
        write = object.__setattr__
        write(self, "feature", feature)
        write(self, "value", value)
        write(self, "raw_token", raw)
        plain = ObservationToken(feature=feature, value=value, raw_token=raw)  # type: ignore[arg-type]
        write(self, "location", plain.location)
        write(self, "is_global", plain.is_global)
        write(self, "_row", plain.row())
        write(self, "_col", plain.col())

    def row(self) -> int | None:
        return self._row  # type: ignore[attr-defined, no-any-return]

    def col(self) -> int | None:
        return self._col  # type: ignore[attr-defined, no-any-return]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TokenMutation(
            f"a policy set {name!r} on an observation token; tokens are shared. Copy the token before changing it."
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise TokenMutation(f"a policy deleted {name!r} of an observation token; tokens are shared.")

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, ObservationToken):
            return NotImplemented
        return (
            self.value == other.value
            and self.feature == other.feature
            and tuple(map(int, self.raw_token)) == tuple(map(int, other.raw_token))
        )

    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Token:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Token:
        return self

    def __reduce__(self) -> tuple[type[Token], tuple[ObservationFeatureSpec, int, bytes]]:
        return Token, (self.feature, self.value, self.raw_token.tobytes())


class TokenTable(dict[int, Token]):
    """The tokens seen so far in one game, by their three bytes read as a little-endian number."""

    def __init__(self, features: Iterable[ObservationFeatureSpec]) -> None:
        super().__init__()
        self.features = {feature.id: feature for feature in features}

    def __missing__(self, key: int) -> Token:
        feature_id, value = key >> 8 & 0xFF, key >> 16
        token = Token(self.features[feature_id], value, key.to_bytes(3, "little"))
        self[key] = token
        return token


class Frame:
    """All agents' observations at one step, copied from the simulator's buffer.

    buffer: (agents, tokens, 3) uint8, which the simulator overwrites at its next step.
    """

    __slots__ = ("_keys", "_lengths", "_raw", "_table")

    def __init__(self, table: TokenTable, buffer: npt.NDArray[np.uint8]) -> None:
        self._table = table
        self._raw = buffer.copy()
        self._keys: npt.NDArray[np.uint32] | None = None
        self._lengths: list[int] = []

    def tokens(self, agent_id: int) -> list[Token]:
        """A new list of the agent's tokens, as upstream orders them."""
        if self._keys is None:
            self._unpack()
        assert self._keys is not None
        return list(map(self._table.__getitem__, self._keys[agent_id, : self._lengths[agent_id]].tolist()))

    def _unpack(self) -> None:
        raw, table = self._raw, self._table
        agents, width, _ = raw.shape
        padded = np.zeros((agents, width, 4), dtype=np.uint8)
        padded[:, :, :3] = raw
        self._keys = padded.view("<u4")[:, :, 0]
        ends = raw[:, :, 1] == END
        first = ends.argmax(axis=1)
        self._lengths = np.where(ends.any(axis=1), first, width).tolist()
        if len(table) > TABLE_LIMIT:
            table.clear()


class Observation(AgentObservation):
    """An `AgentObservation` that builds its tokens when they are first asked for."""

    def __init__(self, agent_id: int, frame: Frame, talk: list[Any]) -> None:
        self.agent_id = agent_id
        self.talk = talk
        self._frame = frame

    def __getattr__(self, name: str) -> list[Token]:
        # Reached only while the instance has no such attribute, so for `tokens` once.
        if name != "tokens":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        tokens = self._frame.tokens(self.agent_id)
        self.tokens = tokens
        return tokens

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AgentObservation):
            return NotImplemented
        return (self.agent_id, list(self.tokens), list(self.talk)) == (
            other.agent_id,
            list(other.tokens),
            list(other.talk),
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[AgentObservation], tuple[int, list[ObservationToken], list[Any]]]:
        return AgentObservation, (self.agent_id, list(self.tokens), list(self.talk))
