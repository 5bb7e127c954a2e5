"""A replay file as a `Replay`: what is fixed is read and checked at once, what changes over time only when asked for.

Formats 2, 3 and 4 are read, as mettagrid's own writer makes them (`simulator/replay_log_writer.py`); others are refused
by number. The bounds below keep a hostile file from costing more than a real one could.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from daf.game.replays.content import unpack
from daf.game.replays.errors import ReplayError
from daf.game.replays.replay import Replay, ReplayObject

VERSIONS = (2, 3, 4)
MAX_SIDE = 1024
MAX_STEPS = 1_000_000
MAX_OBJECTS = 1_200_000
MAX_AGENTS = 10_000


class _Version(msgspec.Struct):
    version: int


class _Document(msgspec.Struct):
    """The file's outermost object; a field of an object stays text until it is asked for."""

    action_names: list[str]
    item_names: list[str]
    type_names: list[str]
    map_size: tuple[int, int]
    num_agents: int
    max_steps: int
    objects: list[dict[str, msgspec.Raw]]
    capacity_names: list[str] = []
    tags: dict[str, int] = {}
    mg_config: dict[str, msgspec.Raw] = {}
    infos: dict[str, msgspec.Raw] = {}


class _Game(msgspec.Struct):
    vibe_names: list[str] = []
    collectives: Any = None


def read_replay(path: str | Path) -> Replay:
    """The replay in `path`. Raises `StorageError` (cannot be read) and `ReplayError` (is no replay, and where not)."""
    file = Path(path).expanduser()
    text = unpack(file)
    version = _decode(file, text, _Version).version
    if version not in VERSIONS:
        raise ReplayError(f"{file}: is a replay of format version {version}. DAF reads versions 2, 3 and 4.")
    document = _decode(file, text, _Document)
    _check(file, document)
    label, game = _config(file, document.mg_config)
    names = {number: name for name, number in document.tags.items()}
    width, height = document.map_size
    steps = document.max_steps
    objects = tuple(
        ReplayObject(fields, f"{file}: objects[{position}]", (width, height), steps, tuple(document.type_names))
        for position, fields in enumerate(document.objects)
    )
    return Replay(
        path=file,
        version=version,
        mission=label,
        action_names=tuple(document.action_names),
        item_names=tuple(document.item_names),
        capacity_names=tuple(document.capacity_names),
        vibe_names=tuple(game.vibe_names),
        collective_names=_names(game.collectives),
        tag_names=names,
        width=width,
        height=height,
        steps=steps,
        objects=objects,
        agents=_agents(file, objects, document.num_agents),
        infos={key: _decode(file, bytes(value), dict[str, Any], f"infos.{key}") for key, value in _tables(document)},
        size_bytes=file.stat().st_size,
        text_bytes=len(text),
    )


def _tables(document: _Document) -> list[tuple[str, msgspec.Raw]]:
    return [(key, value) for key, value in document.infos.items() if bytes(memoryview(value)[:1]) == b"{"]


def _check(file: Path, document: _Document) -> None:
    width, height = document.map_size
    bounds = (
        ("map_size[0]", width, 1, MAX_SIDE),
        ("map_size[1]", height, 1, MAX_SIDE),
        ("max_steps", document.max_steps, 0, MAX_STEPS),
        ("num_agents", document.num_agents, 0, MAX_AGENTS),
        ("the number of objects", len(document.objects), 0, MAX_OBJECTS),
    )
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise ReplayError(f"{file}: {name} is {value:,}, outside {low:,} to {high:,}.")


def _agents(file: Path, objects: tuple[ReplayObject, ...], expected: int) -> tuple[ReplayObject, ...]:
    by_number: dict[int, ReplayObject] = {}
    for thing in objects:
        number = thing.agent_id
        if number is None:
            continue
        if number in by_number:
            raise ReplayError(f"{thing.where}.agent_id: {number} is another object's too.")
        if not 0 <= number < expected:
            raise ReplayError(f"{thing.where}.agent_id: {number} is outside 0 to {expected - 1} (num_agents).")
        by_number[number] = thing
    if len(by_number) != expected:
        raise ReplayError(f"{file}: num_agents is {expected}, and {len(by_number)} objects are agents.")
    return tuple(by_number[number] for number in range(expected))


def _config(file: Path, config: dict[str, msgspec.Raw]) -> tuple[str | None, _Game]:
    label = _decode(file, bytes(config["label"]), str | None, "mg_config.label") if "label" in config else None
    game = _decode(file, bytes(config["game"]), _Game, "mg_config.game") if "game" in config else _Game()
    return label, game


def _names(collectives: Any) -> tuple[str, ...]:
    """Names of a version 3 file's collectives, by number: mettagrid numbers them in the order of their names."""
    if isinstance(collectives, dict):
        return tuple(sorted(str(name) for name in collectives))
    if isinstance(collectives, list):
        return tuple(str(item.get("name", "")) if isinstance(item, dict) else str(item) for item in collectives)
    return ()


def _decode(file: Path, text: bytes, kind: Any, inside: str = "") -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        place = f"{inside}: " if inside else ""
        raise ReplayError(f"{file}: is no replay: {place}{error}.") from error
    except msgspec.DecodeError as error:
        constant = _not_a_number(text)
        if constant:
            raise ReplayError(f"{file}: {constant} is not a number, and so no JSON.") from error
        raise ReplayError(f"{file}: {error}. Record or copy the replay again.") from error
    except UnicodeDecodeError as error:
        raise ReplayError(f"{file}: is no text in UTF-8 ({error.reason}).") from error
    except RecursionError as error:
        raise ReplayError(f"{file}: lists or objects are nested too deep for a replay.") from error


def _not_a_number(text: bytes) -> str | None:
    """The place of the first NaN or infinity, as "objects[3].total_reward", or None."""
    if b"NaN" not in text and b"Infinity" not in text:
        return None
    mark = object()
    try:
        return _find(json.loads(text, parse_constant=lambda name: mark), mark, "")
    except (ValueError, RecursionError):
        return None


def _find(value: Any, mark: object, place: str) -> str | None:
    if value is mark:
        return place
    if isinstance(value, dict):
        parts = ((f"{place}.{key}" if place else str(key), part) for key, part in value.items())
    elif isinstance(value, list):
        parts = ((f"{place}[{index}]", part) for index, part in enumerate(value))
    else:
        return None
    return next((found for inner, part in parts if (found := _find(part, mark, inner)) is not None), None)
