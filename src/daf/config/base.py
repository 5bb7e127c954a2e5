"""The common behaviour of configuration classes: reject unknown fields, read and write files, and locate errors.

A wrong value raises `ConfigError`, whether it comes from a call or a file; from a file the message starts with
`file:line: field:`. Types are strict: no text for numbers, no 1.5 for an integer, no NaN for a float. Instances are
immutable; `replace` makes a checked copy.
"""

import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from daf.errors import ConfigError, quoted, unknown
from daf.storage import atomic, remote
from daf.storage.yaml_strict import Document, KeyPath, dotted, dump_yaml, plain_scalar, read_document


def _as_path(value: object) -> object:
    if isinstance(value, str):
        if not value.strip() or "\0" in value:
            raise ValueError("an empty path" if not value.strip() else "a path with a NUL character")
        return Path(value).expanduser()
    return value


def device_name(value: object) -> object:
    """`value`, or the name of a `torch.device` ("cpu", "cuda:1"); torch itself is not imported."""
    return str(value) if type(value).__module__ == "torch" and type(value).__name__ == "device" else value


def _as_place(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        return _as_path(value)
    return remote.local(value) if isinstance(value, str | Path) else value


PathField = Annotated[Path, BeforeValidator(_as_path)]
"""A path, also from text; `~` is expanded."""
PlaceField = Annotated[
    Path, BeforeValidator(_as_place), PlainSerializer(remote.shown, return_type=str, when_used="json")
]
"""A path, or a URL (s3://bucket/folder), which becomes the path of its mirror; see `daf.storage.remote`."""


def _section(value: object) -> object:
    """The fields that a configuration object sets; anything else as it is."""
    return value.given_data() if isinstance(value, ConfigModel) else value


SectionField = Annotated[dict[str, Any] | None, BeforeValidator(_section)]
"""The fields of another configuration, as a mapping or as that configuration's object."""


class ConfigModel(BaseModel):
    """Base of all configuration classes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False, protected_namespaces=()
    )
    kind: ClassVar[str] = ""
    """The class's word in a file's `kind:` key."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(explained(type(self), error, Document(type(self).__name__, fields))) from error

    # Pydantic's mark for an __init__ that only wraps its own: nested models are then validated with their full path.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            raise ConfigError(f"{type(self).__name__}: {name} is read-only; replace({name}=…) makes a changed copy.")
        super().__setattr__(name, value)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a YAML file. Raises `ConfigError` (`file:line: field: what`) and `StorageError`."""
        return cls.from_document(read_document(path))

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Read a JSON file. Raises `ConfigError` and `StorageError`."""
        return cls.from_document(read_document(path))

    @classmethod
    def from_document(cls, document: Document) -> Self:
        """Build from a file's content; a `kind:` key in it must be this class's. Raises `ConfigError`."""
        fields = mapping_of(document)
        kind = fields.pop("kind", cls.kind)
        if kind != cls.kind:
            raise ConfigError(
                f'{document.where(("kind",))}: kind: expected {cls.kind} for {cls.__name__}, got "{kind}".'
            )
        return cls.from_fields(fields, document)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any], document: Document) -> Self:
        """Build from `fields`; errors name their lines in `document`. Raises `ConfigError`."""
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            raise ConfigError(explained(cls, error, Document(document.name, fields, document.lines))) from error

    def replace(self, **fields: Any) -> Self:
        """A checked copy with other values. Raises `ConfigError`."""
        current = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**(current | fields))

    def to_data(self) -> dict[str, Any]:
        """All fields as JSON data."""
        return self.model_dump(mode="json")

    def given_data(self) -> dict[str, Any]:
        """The fields that were set, without those that have their default, as JSON data."""
        return {name: value for name, value in self.to_data().items() if name in self.model_fields_set}

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The configuration as YAML with its `kind:`; also written to `path` if given.

        Raises `StorageError`.
        """
        text = dump_yaml({"kind": self.kind, **self.to_data()})
        if path is not None:
            atomic.write_text(path, text)
        return text

    def to_json(self, path: str | Path) -> None:
        """Write the configuration as JSON with its `kind`. Raises `StorageError`."""
        atomic.write_json(path, {"kind": self.kind, **self.to_data()})


def mapping_of(document: Document) -> dict[str, Any]:
    """The document's fields. Raises `ConfigError` if it is not a mapping."""
    if not isinstance(document.value, dict):
        raise ConfigError(f"{document.where()}: expected a mapping of fields, got {_described(document.value)}.")
    return dict(document.value)


def explained(model: type[BaseModel], error: ValidationError, document: Document) -> str:
    """Pydantic's errors as `file:line: path.to.field: what`, one per line, with the nearest names of unknown fields."""
    lines: list[str] = []
    located = [
        (problem, *_located(problem["loc"], document.value, model)) for problem in error.errors(include_url=False)
    ]
    for problem, path, owner in sorted(located, key=lambda found: document.lines.get(found[1], 0)):
        what = _sentence(problem, path, owner, document)
        line = f"{document.where(path)}: {dotted(path)}: {what}" if path else f"{document.where()}: {what}"
        if line not in lines:
            lines.append(line)
    return "\n".join(lines)


def _located(
    location: tuple[int | str, ...], value: Any, model: type[BaseModel]
) -> tuple[KeyPath, type[BaseModel] | None]:
    """`location` without the union tags that pydantic puts in, and the model in which its last part is a field."""
    path: list[str | int] = []
    owner: type[BaseModel] | None = model
    holder: type[BaseModel] | None = model
    for part in location:
        inside = (isinstance(value, Mapping) and part in value) or (
            isinstance(value, list | tuple) and isinstance(part, int) and 0 <= part < len(value)
        )
        is_field = owner is not None and part in owner.model_fields
        if not inside and not is_field:
            continue
        path.append(part)
        value = value[part] if inside else None
        holder = owner
        owner = _model_in(owner.model_fields[str(part)].annotation) if owner is not None and is_field else owner
    return tuple(path), holder


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, list, dict, Annotated):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None


def _sentence(problem: Any, path: KeyPath, owner: type[BaseModel] | None, document: Document) -> str:
    kind, given, context = problem["type"], problem["input"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown("field", str(path[-1]) if path else "", owner.model_fields if owner is not None else [])
    if kind == "missing":
        return "is missing, and it has no default."
    if kind in _WANTED and isinstance(given, str):
        return f'expected {_WANTED[kind]}, got the text "{given}".{_unquoted(given)}'
    if kind in _WANTED:
        return f"expected {_WANTED[kind]}, got {_described(given)}."
    bound = _BOUNDS.get(kind)
    if bound is not None:
        return f"{given!r} is {bound(context)}."
    if kind == "value_error":
        return f"{context['error']}."
    if kind == "literal_error":
        valid = re.findall(r"'([^']*)'", context["expected"])
        return unknown("choice", str(given), valid)
    if kind in ("too_short", "too_long"):
        side = "min_length" if kind == "too_short" else "max_length"
        bounds = f"{'at least' if kind == 'too_short' else 'at most'} {context[side]}"
        return f"has {context['actual_length']} entries; needs {bounds}."
    return f"{problem['msg']} (given: {given!r})."


_WANTED = {
    "float_type": "a number",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping of fields",
    "path_type": "a path",
    "is_instance_of": "a path",
    "finite_number": "a finite number",
}
_BOUNDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda c: f"below the minimum {c['ge']}",
    "greater_than": lambda c: f"not above {c['gt']}",
    "less_than_equal": lambda c: f"above the maximum {c['le']}",
    "less_than": lambda c: f"not below {c['lt']}",
    "string_too_short": lambda c: "too short" if c["min_length"] > 1 else "empty",
}


def _unquoted(given: str) -> str:
    """The hint for a number or truth value in quotes."""
    bare = given.strip()
    if len(bare) > 40:  # too long to be meant as a number
        return ""
    if isinstance(plain_scalar(bare), int | float):
        return f" Write {bare} without quotes."
    without = bare.replace("_", "").replace(",", "")
    if without != bare and isinstance(plain_scalar(without), int | float):
        return f" Write {without}."
    if bare.lower() in ("yes", "on", "no", "off"):
        return f" Write {'true' if bare.lower() in ('yes', 'on') else 'false'}."
    return ""


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return quoted(value) if isinstance(value, str) else repr(value)
