"""A mission ready to be played: its name, and its complete config as JSON.

The JSON decides: its hash identifies the mission, and the facts that planning needs are read from it, so that a plan
needs no import of the game. `Mission.config` is the simulator's object, made from the JSON when it is first used.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from daf.errors import MissionError
from daf.game import compat
from daf.storage.hashing import hash_bytes

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig


@dataclass(frozen=True, slots=True)
class Mission:
    """A mission with its options applied; `mission_of` makes it.

    name: the canonical mission string, unique among missions that differ. game: the CoGames game, None for a config
    from a file or an object. config_json: the complete environment config; config_hash identifies it. map_size: width
    and height, None for a map that the config does not size. also: other names under which the same mission was given
    (`daf.game.missions.each_once`).
    """

    name: str
    game: str | None
    config_json: bytes = field(compare=False, repr=False)
    config_hash: str
    num_agents: int = field(compare=False)
    max_steps: int = field(compare=False)
    map_size: tuple[int, int] | None = field(compare=False)
    also: tuple[str, ...] = field(default=(), compare=False)
    _made: "list[MettaGridConfig]" = field(default_factory=list, compare=False, repr=False)

    @property
    def config(self) -> "MettaGridConfig":
        """The config as the simulator takes it."""
        if not self._made:
            self._made.append(load_config(self.config_json))
        return self._made[0]


class _Builder(msgspec.Struct):
    """Of a map's builder: its size, or the rows of a map that is written out."""

    width: int | None = None
    height: int | None = None
    map_data: list[Any] | None = None

    def size(self) -> tuple[int, int] | None:
        if self.map_data:
            return len(self.map_data[0]), len(self.map_data)
        return (self.width, self.height) if self.width and self.height else None


class _Game(msgspec.Struct):
    num_agents: int
    max_steps: int
    map_builder: _Builder


class _Config(msgspec.Struct):
    game: _Game


_TYPE = "$type"
_AMBIGUOUS = ("MinGameValue", "MaxGameValue")
_FACTS = msgspec.json.Decoder(_Config)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def mission_of(
    name: str, game: str | None, config: "MettaGridConfig | bytes", *, also: tuple[str, ...] = ()
) -> Mission:
    """The mission called `name` with this config, an object or its JSON. Raises `MissionError` for other JSON."""
    data = config if isinstance(config, bytes) else dump_config(config)
    try:
        facts = _FACTS.decode(data).game
    except msgspec.DecodeError as error:
        raise MissionError(f'the config of the mission "{name}" is not one of mettagrid: {error}.') from error
    return Mission(
        name=name,
        game=game,
        config_json=data,
        config_hash=hash_bytes(data),
        num_agents=facts.num_agents,
        max_steps=facts.max_steps,
        map_size=facts.map_builder.size(),
        also=also,
        _made=[] if isinstance(config, bytes) else [config],
    )


def dump_config(config: "MettaGridConfig") -> bytes:
    """The JSON of a config, which `load_config` reads. Values of ambiguous types carry their type under `_TYPE`.

    mettagrid writes the minimum and the maximum of values alike, and reads both as their sum: a reward with a cap would
    lose it. Configs without such values have mettagrid's own JSON.
    """
    if not _has_ambiguous(config):
        return config.model_dump_json().encode()
    data = config.model_dump(mode="json")
    _mark(config, data)
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def load_config(data: bytes | str) -> "MettaGridConfig":
    """The config that `dump_config` wrote, or mettagrid itself."""
    compat.install()
    from mettagrid import MettaGridConfig

    if f'"{_TYPE}"' not in (data if isinstance(data, str) else data.decode()):
        return MettaGridConfig.model_validate_json(data)
    return MettaGridConfig.model_validate(typed(json.loads(data)))


def _has_ambiguous(value: Any) -> bool:
    if type(value).__name__ in _AMBIGUOUS:
        return True
    return any(_has_ambiguous(child) for _, child in _children(value))


def _mark(value: Any, data: Any) -> None:
    """Add the types of ambiguous values to `data`, the JSON of `value`."""
    for key, child in _children(value):
        if isinstance(data, dict) and str(key) in data:
            _mark(child, data[str(key)])
        elif isinstance(data, list) and isinstance(key, int) and key < len(data):
            _mark(child, data[key])
    if type(value).__name__ in _AMBIGUOUS:
        data[_TYPE] = type(value).__name__


def _children(value: Any) -> "Iterable[tuple[Any, Any]]":
    fields = getattr(type(value), "model_fields", None)
    if fields is not None:
        return [(name, getattr(value, name)) for name in fields]
    if isinstance(value, dict):
        return [(getattr(key, "value", key), child) for key, child in value.items()]
    if not isinstance(value, list | tuple) or all(isinstance(child, str | int | float) for child in value):
        return ()  # such as the rows of a map
    return enumerate(value)


def typed(data: Any) -> Any:
    """`data`, the content of a config's JSON, with an object of the named type for each value that has one."""
    if isinstance(data, list):
        return [typed(child) for child in data]
    if not isinstance(data, dict):
        return data
    found = {key: typed(child) for key, child in data.items()}
    name = found.pop(_TYPE, None)
    if name is None:
        return found
    if name not in _AMBIGUOUS:
        raise ValueError(f"{_TYPE} must be one of {', '.join(_AMBIGUOUS)}, got {name!r}")
    from mettagrid.config import game_value

    return getattr(game_value, name)(**found)


def with_steps(data: bytes, max_steps: int) -> bytes:
    """The JSON of a config with another step limit."""
    fields = _FIELDS.decode(data)
    game = _FIELDS.decode(fields["game"])
    return _joined({**fields, "game": msgspec.Raw(_joined({**game, "max_steps": _raw(max_steps)}))})


def without_label(data: bytes) -> bytes:
    """The JSON of a config without its label, which has no effect on episodes."""
    return _joined({**_FIELDS.decode(data), "label": _raw("")})


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _joined(fields: dict[str, msgspec.Raw]) -> bytes:
    """The object with these fields, as the config writes itself: no spaces, fields in their order."""
    return msgspec.json.encode(fields)
