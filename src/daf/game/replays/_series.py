"""Values that change over an episode, kept as the changes only.

A replay's field is one value for the whole episode or a list of changes `[[step, value], …]`. Either becomes a
`FieldValues`, whose value at any step is found by bisection, without storing a value per step.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from daf.game.replays._errors import ReplayError

Amounts = tuple[tuple[int, int], ...]
"""(item's number, amount) pairs: an inventory."""

_Amount = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


MAX_LISTS = 2_100_000
"""Lists in one field, two per change of place; a 10,000-step episode with a change at every step has 20,000."""
MAX_VALUES = 4_000_000
_UNCOUNTED = 1 << 20
"""A shorter field is decoded without counting: it cannot contain many."""


@dataclass(frozen=True, slots=True, eq=False)
class FieldValues[T]:
    """What a field was at every step.

    steps: (n,) int32, strictly rising, the first 0: where it changed. values: the n values from there on; an array
    where they are numbers or pairs of numbers.
    """

    steps: NDArray[np.int32]
    values: Sequence[T]

    def at(self, step: int) -> T:
        """The value at `step` (0 is the state after the first step was played)."""
        return self.values[int(np.searchsorted(self.steps, step, side="right")) - 1]

    def changes(self) -> Iterator[tuple[int, T]]:
        """(step, value) for every change, in order; the first is at step 0."""
        return zip(self.steps.tolist(), self.values, strict=True)

    def __len__(self) -> int:
        return len(self.steps)


class Field:
    """One field of one object, as text: `where` is its place in the file, for errors ("objects[3].location")."""

    __slots__ = ("_raw", "_steps", "_where")

    def __init__(self, raw: msgspec.Raw, where: str, steps: int) -> None:
        self._raw, self._where, self._steps = raw, where, steps

    def numbers(self, kind: type[int] | type[float] | type[bool]) -> FieldValues[Any]:
        """A number or a truth value at every step; `values` is an array."""
        found = self._decode(Any)
        changes: Any = list[tuple[int, kind]]  # type: ignore[valid-type]
        pairs = self._decode(changes) if isinstance(found, list) else [(0, self._decode(kind))]
        types = {int: np.int64, float: np.float64, bool: np.bool_}
        return self._series(pairs, lambda values: _array(values, types[kind], self._where))

    def texts(self) -> FieldValues[str]:
        """A text at every step."""
        if bytes(memoryview(self._raw)[:1]) == b"[":
            return self._series(self._decode(list[tuple[int, str]]), tuple)
        return self._series([(0, self._decode(str))], tuple)

    def places(self, width: int, height: int) -> FieldValues[Any]:
        """(x, y) at every step, inside a map of `width` × `height`; `values` is (n, 2) int32."""
        if _second_opens(self._raw):
            pairs = self._decode(list[tuple[int, list[int]]])
        else:
            pairs = [(0, self._decode(list[int]))]
        for step, place in pairs:
            if len(place) not in (2, 3) or not (0 <= place[0] < width and 0 <= place[1] < height):
                raise ReplayError(f"{self._where}: {place} at step {step} is outside the {width}×{height} map.")
        return self._series(pairs, lambda values: np.array([value[:2] for value in values], np.int32))

    def amounts(self) -> FieldValues[Amounts]:
        """Items and their amounts at every step."""
        decoded = self._decode(list[tuple[int, Any]])
        if decoded and isinstance(decoded[0][1], list):
            pairs = self._decode(list[tuple[int, tuple[tuple[int, _Amount], ...]]])
        else:
            pairs = [(0, self._decode(tuple[tuple[int, _Amount], ...]))]
        return self._series(pairs, tuple)

    def sets(self) -> FieldValues[tuple[int, ...]]:
        """A few numbers (tags) at every step."""
        if _second_opens(self._raw):
            return self._series(self._decode(list[tuple[int, tuple[int, ...]]]), tuple)
        return self._series([(0, self._decode(tuple[int, ...]))], tuple)

    def anything(self) -> FieldValues[Any]:
        """JSON data at every step, for fields without a fixed shape."""
        found = self._decode(Any)
        changes = isinstance(found, list) and bool(found) and all(_is_change(item) for item in found)
        return self._series([(step, value) for step, value in found] if changes else [(0, found)], tuple)

    def _decode(self, kind: Any) -> Any:
        self._check_size()
        try:
            return msgspec.json.decode(self._raw, type=kind)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ReplayError(f"{self._where}: {error}.") from error

    def _check_size(self) -> None:
        """Refuse text that would become far more Python objects than a real episode has changes."""
        text = memoryview(self._raw)
        if len(text) <= _UNCOUNTED:
            return
        content = bytes(text)
        for marks, most in (((b"[", b"{"), MAX_LISTS), ((b",",), MAX_VALUES)):
            count = sum(content.count(mark) for mark in marks)
            if count > most:
                what = "lists and objects" if len(marks) > 1 else "values"
                raise ReplayError(
                    f"{self._where}: about {count:,} {what}, above DAF's bound of {most:,} for one field."
                )

    def _series(self, pairs: list[tuple[int, Any]], keep: Callable[[list[Any]], Any]) -> FieldValues[Any]:
        steps = [step for step, _ in pairs]
        rising = all(before < after for before, after in pairwise(steps))
        if not steps or steps[0] != 0 or not rising:
            raise ReplayError(f"{self._where}: its changes must start at step 0 and be in order.")
        if steps[-1] >= max(self._steps, 1):
            raise ReplayError(f"{self._where}: a change at step {steps[-1]}, but the episode has {self._steps} steps.")
        return FieldValues(np.array(steps, np.int32), keep([value for _, value in pairs]))


def _array(values: list[Any], kind: Any, where: str) -> NDArray[Any]:
    try:
        return np.array(values, kind)
    except OverflowError as error:
        raise ReplayError(f"{where}: a number is beyond 64 bits.") from error


def _is_change(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and isinstance(item[0], int) and not isinstance(item[0], bool)


def _second_opens(raw: msgspec.Raw) -> bool:
    """Whether `raw` is a list whose first element is a list."""
    return bytes(memoryview(raw)[:64]).translate(None, b" \t\r\n")[:2] == b"[["
