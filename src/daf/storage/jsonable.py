"""Values of Python and numpy as strict JSON data."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any


def jsonable(value: object) -> Any:
    """`value` as JSON data: NaN and the infinities become None, paths and dates become text, sets become sorted lists.

    Accepts objects with `to_data`, `model_dump`, `tolist` (numpy) or `item`, and dataclasses. Raises `TypeError` for
    others.
    """
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key): jsonable(part) for key, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((jsonable(part) for part in value), key=lambda part: (str(type(part)), str(part)))
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    for method in ("to_data", "tolist", "item"):
        convert = getattr(value, method, None)
        if callable(convert) and not isinstance(value, type):
            return jsonable(convert())
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return jsonable(dump(mode="json"))
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [jsonable(part) for part in value]
    raise TypeError(f"{type(value).__name__} cannot be written as JSON: {value!r}")


def _key(key: object) -> str:
    """JSON's keys are text; a pair such as (policy_a, policy_b) becomes "policy_a|policy_b"."""
    return "|".join(map(str, key)) if isinstance(key, tuple) else str(key)
