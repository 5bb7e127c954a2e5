"""The table of hyperparameters: every name that training knows, with its aliases, meaning, default and bounds.

It is derived from `DAFTrainingConfig`, so the two always agree. The arguments of a policy's own class (`hidden_size`
and the like) are not in it: they belong to that class, and `network` in the configuration holds them.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import create_model

from daf.config.base import ConfigModel
from daf.config.training import ALIASES, DAFTrainingConfig, aliases_of, without_aliases
from daf.errors import UsageError, unknown


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One hyperparameter.

    kind: bool, int, float or choice. low, high: its bounds, None for none; open_low, open_high: the bound itself is not
    allowed. choices: the allowed words, in addition to numbers if kind is a number. optional: None is allowed.
    group: algorithm, optimizer, schedule, collection, imitation or run.
    """

    name: str
    aliases: tuple[str, ...]
    group: str
    kind: str
    default: object
    low: float | None
    high: float | None
    open_low: bool
    open_high: bool
    choices: tuple[str, ...]
    optional: bool
    meaning: str

    @property
    def bounds(self) -> str:
        """The bounds as text: "> 0, ≤ 1", "adam|adamw", "≥ 1 or auto"."""
        parts = []
        if self.low is not None:
            parts.append(f"{'>' if self.open_low else '≥'} {_plain(self.low)}")
        if self.high is not None:
            parts.append(f"{'<' if self.open_high else '≤'} {_plain(self.high)}")
        text = ", ".join(parts)
        words = "|".join([*self.choices, *(["none"] if self.optional else [])])
        if self.kind == "bool":
            return "true|false"
        return f"{text} or {words}" if text and words else text or words


def _plain(bound: float) -> str:
    return f"{bound:.0f}" if bound.is_integer() else f"{bound:g}"


def find(name: str) -> Hyperparameter | None:
    """The hyperparameter called `name` or having it as an alias; None where there is none."""
    return HYPERPARAMETERS.get(ALIASES.get(name, name))


def resolve(name: str) -> Hyperparameter:
    """As `find`. Raises `UsageError` with the nearest names."""
    found = find(name)
    if found is None:
        raise UsageError(
            unknown(
                "hyperparameter",
                name,
                [*HYPERPARAMETERS, *ALIASES],
                hint="`daf train --list-hyperparameters` lists them.",
            )
        )
    return found


def canonical(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` by canonical names, each checked. Raises `UsageError` (unknown), `ConfigError` (out of bounds)."""
    for name in values:
        resolve(name)
    try:
        plain = without_aliases(values)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    whole = DAFTrainingConfig(**plain)
    return {name: getattr(whole, name) for name in plain}


def checked(name: str, value: Any) -> Any:
    """`value` of one hyperparameter, checked alone: whether it fits the others is checked with the whole configuration.

    Raises `UsageError` (unknown), `ConfigError` (out of bounds).
    """
    found = resolve(name)
    return getattr(_alone(found.name)(**{found.name: value}), found.name)


@cache
def _alone(name: str) -> type[ConfigModel]:
    """A model with one field of `DAFTrainingConfig` and none of the rules between fields."""
    field = DAFTrainingConfig.model_fields[name]
    fields: dict[str, Any] = {name: (field.annotation, field)}
    return create_model(DAFTrainingConfig.__name__, __base__=ConfigModel, **fields)


def _table() -> dict[str, Hyperparameter]:
    table: dict[str, Hyperparameter] = {}
    for name, field in DAFTrainingConfig.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict):
            continue
        bounds: dict[str, float] = {}
        kinds: set[type] = set()
        choices: list[str] = []
        _read(field.annotation, field.metadata, kinds, choices, bounds)
        kind = next((t.__name__ for t in (bool, float, int) if t in kinds), "choice")
        table[name] = Hyperparameter(
            name=name,
            aliases=tuple(aliases_of(extra)),
            group=str(extra["group"]),
            kind=kind,
            default=field.default,
            low=bounds.get("ge", bounds.get("gt")),
            high=bounds.get("le", bounds.get("lt")),
            open_low="gt" in bounds,
            open_high="lt" in bounds,
            choices=tuple(choices),
            optional=type(None) in kinds,
            meaning=field.description or "",
        )
    return table


def _read(annotation: Any, metadata: Any, kinds: set[type], choices: list[str], bounds: dict[str, float]) -> None:
    """Collect what an annotation allows."""
    for mark in metadata:
        if hasattr(mark, "metadata"):
            _read(None, mark.metadata, kinds, choices, bounds)
        for key in ("ge", "gt", "le", "lt"):
            if getattr(mark, key, None) is not None:
                bounds[key] = float(getattr(mark, key))
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *marks = get_args(annotation)
        _read(inner, marks, kinds, choices, bounds)
    elif origin is Literal:
        choices.extend(str(word) for word in get_args(annotation))
    elif origin in (Union, types.UnionType):
        for option in get_args(annotation):
            _read(option, (), kinds, choices, bounds)
    elif isinstance(annotation, type):
        kinds.add(annotation)


HYPERPARAMETERS: dict[str, Hyperparameter] = _table()
"""Every hyperparameter by its canonical name."""
