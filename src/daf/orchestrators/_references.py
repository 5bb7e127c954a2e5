"""References of one stage to the result of another: ${stages.NAME.OUTPUT}.

A value that is nothing but a reference becomes the output itself, of any type; within a longer text, the output is
written into it. Keys of mappings are left alone.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from daf.errors import ConfigError

_ANY = re.compile(r"\$\{([^}]*)\}")
_STAGE = re.compile(r"stages\.([A-Za-z0-9][A-Za-z0-9_-]*)\.([A-Za-z0-9_.-]+)")


@dataclass(frozen=True, order=True)
class Reference:
    """An output of a stage. output: its name, or a path such as result.ranking.0.mean into what the stage printed."""

    stage: str
    output: str

    def __str__(self) -> str:
        return f"${{stages.{self.stage}.{self.output}}}"


def references_in(value: Any) -> Iterator[Reference]:
    """All references within a value. Raises `ConfigError` for a malformed one."""
    if isinstance(value, str):
        for found in _ANY.finditer(value):
            yield _parsed(found[1])
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from references_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from references_in(inner)


def replaced(value: Any, output_of: Callable[[Reference], Any]) -> Any:
    """`value` with every reference replaced by what `output_of` returns for it."""
    if isinstance(value, str):
        whole = _ANY.fullmatch(value)
        if whole is not None:
            return output_of(_parsed(whole[1]))
        return _ANY.sub(lambda found: _text(output_of(_parsed(found[1]))), value)
    if isinstance(value, Mapping):
        return {key: replaced(inner, output_of) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(inner, output_of) for inner in value]
    return value


def _parsed(inside: str) -> Reference:
    found = _STAGE.fullmatch(inside.strip())
    if found is None:
        raise ConfigError(f'"${{{inside}}}" is not a reference; write ${{stages.NAME.OUTPUT}}.')
    return Reference(found[1], found[2])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
