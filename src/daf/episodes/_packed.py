"""Records of a run in little memory: the first thousand as they are, the others compressed.

A record of 20 agents takes 26 KB as Python objects and 0.5 KB compressed, because records of a run have the
names of their stats in common. `PackedRecords` decompresses a record each time it is asked for.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Sequence
from typing import overload

from daf.episodes.record import EpisodeRecord
from daf.episodes.spec import EpisodeSpec

UNPACKED = 1_000
"""Records that stay as they are, so that reading those of a common run costs nothing."""
_LEVEL = 6
_LARGEST_DICTIONARY = 2**15
"""What zlib looks back at most."""

_Packed = tuple[EpisodeSpec, bytes]


class RecordStore:
    """Records by their positions in a plan."""

    def __init__(self) -> None:
        self._kept: dict[int, EpisodeRecord | _Packed] = {}
        self._dictionary = b""

    def __setitem__(self, position: int, record: EpisodeRecord) -> None:
        self._kept[position] = record if len(self._kept) < UNPACKED else self._pack(record)

    def __getitem__(self, position: int) -> EpisodeRecord:
        found = self._kept[position]
        return self._unpack(found) if isinstance(found, tuple) else found

    def __contains__(self, position: int) -> bool:
        return position in self._kept

    def positions(self) -> list[int]:
        """All positions, in order."""
        return sorted(self._kept)

    def records(self) -> Sequence[EpisodeRecord]:
        """The records in the order of their positions."""
        order = self.positions()
        if len(order) <= UNPACKED:
            return tuple(self[position] for position in order)
        return PackedRecords(self, order)

    def _pack(self, record: EpisodeRecord) -> _Packed:
        rest = (record.outcome, record.failure, record.measurement, record.replay_hash, record.cached)
        plain = pickle.dumps(rest, protocol=pickle.HIGHEST_PROTOCOL)
        if not self._dictionary:
            self._dictionary = plain[-_LARGEST_DICTIONARY:]
        packer = zlib.compressobj(_LEVEL, zdict=self._dictionary)
        return record.spec, packer.compress(plain) + packer.flush()

    def _unpack(self, packed: _Packed) -> EpisodeRecord:
        spec, content = packed
        unpacker = zlib.decompressobj(zdict=self._dictionary)
        return EpisodeRecord(spec, *pickle.loads(unpacker.decompress(content) + unpacker.flush()))


class PackedRecords(Sequence[EpisodeRecord]):
    """The records of a store at `order`. Two accesses to one record return equal objects, not the same one."""

    def __init__(self, store: RecordStore, order: list[int]) -> None:
        self._store, self._order = store, order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, place: int) -> EpisodeRecord: ...
    @overload
    def __getitem__(self, place: slice) -> PackedRecords: ...
    def __getitem__(self, place: int | slice) -> EpisodeRecord | PackedRecords:
        if isinstance(place, slice):
            return PackedRecords(self._store, self._order[place])
        return self._store[self._order[place]]

    def __iter__(self) -> Iterator[EpisodeRecord]:
        return (self._store[position] for position in self._order)
