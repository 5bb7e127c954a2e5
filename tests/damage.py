"""Values changed inside JSON, for tests of files that somebody or something damaged."""

import copy
from collections.abc import Iterator
from typing import Any

WRONG: tuple[Any, ...] = (None, "x", -1, 10**30, 1e300, True, [], [None], {}, {"a": None})
"""What a value is replaced by."""
ABSENT = object()
"""Replaced by nothing: the key is missing."""


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value inside `value`; of lists the first two."""
    yield at
    children = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*at, key))


def changed(value: Any, at: tuple[str | int, ...], new: Any) -> Any:
    if not at:
        return new
    whole = copy.deepcopy(value)
    inside = whole
    for key in at[:-1]:
        inside = inside[key]
    if new is ABSENT:
        del inside[at[-1]]
    else:
        inside[at[-1]] = new
    return whole
