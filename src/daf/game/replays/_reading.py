"""A replay file as a `Replay`: fixed parts are read and checked at once, changing values on first access.

Formats 2, 3 and 4 are read, as mettagrid's own writer makes them (`simulator/replay_log_writer.py`); others are refused
by number. The bounds below keep a hostile file from costing more than a real one could: every part is counted or
measured before Python objects are made of it, and an object on the map stays text until it is accessed.
"""

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from daf.game.replays._content import unpack
from daf.game.replays._errors import ReplayError
from daf.game.replays.replay import Replay, ReplayedEpisode, ReplayObject

VERSIONS = (2, 3, 4)
MAX_SIDE = 1024
MAX_STEPS = 1_000_000
MAX_OBJECTS = 1_200_000
MAX_AGENTS = 10_000
MAX_PART_BYTES = 1 << 22
"""Limit for the names, the tags and the statistics each; real ones have less than 10 KB."""
_SEARCHED_BYTES = 1 << 23
"""In a larger file, a value that is not a number is reported by its byte and not by its field."""
_NOT_A_NUMBER = re.compile(rb"(?<![\w\"])(NaN|-?Infinity)(?![\w\"])")


class _Version(msgspec.Struct):
    version: int


class _Document(msgspec.Struct):
    """The file's outermost object; parts that may be large stay text."""

    action_names: msgspec.Raw
    item_names: msgspec.Raw
    type_names: msgspec.Raw
    map_size: tuple[int, int]
    num_agents: int
    max_steps: int
    objects: msgspec.Raw
    capacity_names: msgspec.Raw = msgspec.Raw(b"[]")
    tags: msgspec.Raw = msgspec.Raw(b"{}")
    mg_config: msgspec.Raw = msgspec.Raw(b"{}")
    infos: msgspec.Raw = msgspec.Raw(b"{}")


class _Config(msgspec.Struct):
    label: str | None = None
    game: msgspec.Raw = msgspec.Raw(b"{}")


class _Game(msgspec.Struct):
    vibe_names: msgspec.Raw = msgspec.Raw(b"[]")
    collectives: msgspec.Raw = msgspec.Raw(b"null")


def read_replay(path: str | Path) -> Replay:
    """The replay in `path`. Raises `StorageError` (cannot be read) and `ReplayError` (not a replay, with the place)."""
    file = Path(path).expanduser()
    text = unpack(file)
    version = _decode(file, text, _Version).version
    if version not in VERSIONS:
        raise ReplayError(f"{file}: is a replay of format version {version}. DAF reads versions 2, 3 and 4.")
    document = _decode(file, text, _Document)
    _check(file, document)
    config = _decode(file, document.mg_config, _Config, "mg_config")
    game = _decode(file, config.game, _Game, "mg_config.game")
    tags = _part(file, document.tags, dict[str, int], "tags")
    infos = _part(file, document.infos, dict[str, Any], "infos")
    width, height = document.map_size
    steps = document.max_steps
    types = _part(file, document.type_names, tuple[str, ...], "type_names")
    positions = _agent_positions(file, document.objects)
    episode = ReplayedEpisode(str(file), (width, height), steps, types)
    objects = tuple(
        ReplayObject(raw, episode, position)
        for position, raw in enumerate(_decode(file, document.objects, list[msgspec.Raw], "objects"))
    )
    return Replay(
        path=file,
        version=version,
        mission=config.label,
        action_names=_part(file, document.action_names, tuple[str, ...], "action_names"),
        item_names=_part(file, document.item_names, tuple[str, ...], "item_names"),
        capacity_names=_part(file, document.capacity_names, tuple[str, ...], "capacity_names"),
        vibe_names=_part(file, game.vibe_names, tuple[str, ...], "mg_config.game.vibe_names"),
        collective_names=_names(_part(file, game.collectives, Any, "mg_config.game.collectives")),
        tag_names={number: name for name, number in tags.items()},
        width=width,
        height=height,
        steps=steps,
        objects=objects,
        agents=_agents(file, objects, positions, document.num_agents),
        infos={key: value for key, value in infos.items() if isinstance(value, dict)},
        size_bytes=file.stat().st_size,
        text_bytes=len(text),
    )


def _check(file: Path, document: _Document) -> None:
    width, height = document.map_size
    bounds = (
        ("map_size[0]", width, 1, MAX_SIDE),
        ("map_size[1]", height, 1, MAX_SIDE),
        ("max_steps", document.max_steps, 0, MAX_STEPS),
        ("num_agents", document.num_agents, 0, MAX_AGENTS),
    )
    for name, value, low, high in bounds:
        if not low <= value <= high:
            raise ReplayError(f"{file}: {name} must be {low:,} to {high:,}, got {value:,}.")


def _agent_positions(file: Path, objects: msgspec.Raw) -> list[int]:
    """The positions of the objects that have an `agent_id`.

    Counts the objects on the way and stops at the bound, so that no list of more is ever made.
    """
    count = 0
    found: list[int] = []

    def counted(self: Any) -> None:
        nonlocal count
        if self.agent_id is not msgspec.UNSET:
            if len(found) >= MAX_AGENTS:
                raise ReplayError(f"{file}: more than {MAX_AGENTS:,} objects are agents.")
            found.append(count)
        count += 1
        if count > MAX_OBJECTS:
            raise ReplayError(f"{file}: the number of objects is above {MAX_OBJECTS:,}.")

    fields = [("agent_id", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET)]
    counting = msgspec.defstruct("Counted", fields, namespace={"__post_init__": counted}, gc=False)
    _decode(file, objects, list[counting], "objects")  # type: ignore[valid-type]
    return found


def _agents(
    file: Path, objects: tuple[ReplayObject, ...], positions: list[int], expected: int
) -> tuple[ReplayObject, ...]:
    by_number: dict[int, ReplayObject] = {}
    for thing in (objects[position] for position in positions):
        number = thing.agent_id
        if number is None:
            continue
        if number in by_number:
            raise ReplayError(f"{thing.where}.agent_id: {number} is already used by another object.")
        if not 0 <= number < expected:
            raise ReplayError(f"{thing.where}.agent_id: must be 0 to {expected - 1} (num_agents), got {number}.")
        by_number[number] = thing
    if len(by_number) != expected:
        agents = "1 object is an agent" if len(by_number) == 1 else f"{len(by_number)} objects are agents"
        raise ReplayError(f"{file}: num_agents is {expected}, but {agents}.")
    return tuple(by_number[number] for number in range(expected))


def _names(collectives: Any) -> tuple[str, ...]:
    """Names of a version 3 file's collectives, by number: mettagrid numbers them in the order of their names."""
    if isinstance(collectives, dict):
        return tuple(sorted(str(name) for name in collectives))
    if isinstance(collectives, list):
        return tuple(str(item.get("name", "")) if isinstance(item, dict) else str(item) for item in collectives)
    return ()


def _part(file: Path, text: msgspec.Raw, kind: Any, inside: str) -> Any:
    size = len(memoryview(text))
    if size > MAX_PART_BYTES:
        raise ReplayError(f"{file}: {inside} has {size:,} bytes, above DAF's bound of {MAX_PART_BYTES:,}.")
    return _decode(file, text, kind, inside)


def _decode(file: Path, text: bytes | msgspec.Raw, kind: Any, inside: str = "") -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        place = f"{inside}: " if inside else ""
        raise ReplayError(f"{file}: not a replay: {place}{error}.") from error
    except msgspec.DecodeError as error:
        constant = _not_a_number(text)
        if constant:
            raise ReplayError(f"{file}: {constant} is not a number, which JSON does not allow.") from error
        raise ReplayError(f"{file}: {error}. Record or copy the replay again.") from error
    except UnicodeDecodeError as error:
        raise ReplayError(f"{file}: not UTF-8 text ({error.reason}).") from error
    except RecursionError as error:
        raise ReplayError(f"{file}: lists or objects are nested too deeply for a replay.") from error


def _not_a_number(text: bytes | msgspec.Raw) -> str | None:
    """The place of the first NaN or infinity, as "objects[3].total_reward" or "byte 1,234", or None."""
    met = _NOT_A_NUMBER.search(memoryview(text))
    if met is None:
        return None
    if len(memoryview(text)) > _SEARCHED_BYTES:
        return f"byte {met.start():,} ({met[1].decode()})"
    mark = object()
    try:
        return _find(json.loads(bytes(text), parse_constant=lambda name: mark), mark, "")
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
