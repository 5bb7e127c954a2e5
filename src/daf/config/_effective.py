"""One configuration from several sources, with the source of each value.

Later sources win: defaults < file < profile < variables < arguments. Variables are `DAF_FIELD` for the fields of
`DAFConfig` (`DAF_OUTPUT_DIR`) and `DAF_SECTION__FIELD` for an operation's (`DAF_SWEEP__NUM_TRIALS=20`), parsed as YAML.
"""

import os
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from daf.config._operations import OPERATION_CONFIGS
from daf.config.base import ConfigModel, mapping_of
from daf.config.settings import DAFConfig
from daf.errors import ConfigError, unknown
from daf.storage.yaml_strict import Document, KeyPath, parse_yaml, read_document

PREFIX = "DAF_"
_READ_ELSEWHERE = (
    "DAF_CACHE_DIR",
    "DAF_CHROMIUM",
    "DAF_REGISTRY",
    "DAF_REGISTRY_TOKEN",
    "DAF_REMOTE_DIR",
    "DAF_SERVE_TOKEN",
)
"""Variables that are not fields of the configuration."""


@dataclass(frozen=True)
class EffectiveValue:
    """A field's value and its source: "default", "daf.yaml:3", "profile production", "variable DAF_X" or "argument"."""

    value: Any
    source: str


@dataclass(frozen=True)
class Layer:
    """Fields from one source; `source` as in `EffectiveValue`, with the exact line if `document` knows it."""

    source: str
    fields: Mapping[str, Any]
    document: Document | None = None
    path: KeyPath = ()

    def source_of(self, name: str) -> str:
        return self.source if self.document is None else self.document.where((*self.path, name))


@dataclass(frozen=True)
class Effective[Model: ConfigModel]:
    """A checked configuration and the source of each of its fields."""

    config: Model
    sources: dict[str, str]

    def values(self) -> dict[str, EffectiveValue]:
        return {name: EffectiveValue(getattr(self.config, name), source) for name, source in self.sources.items()}


def layered[Model: ConfigModel](model: type[Model], layers: Iterable[Layer]) -> Effective[Model]:
    """Build `model` from `layers`, later ones winning field by field.

    Raises `ConfigError` naming the layer at fault.
    """
    fields, sources = merged(model, layers)
    return Effective(model.from_fields(fields, Document(model.__name__, fields)), sources)


def merged(model: type[ConfigModel], layers: Iterable[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    """The fields of `layers` and the source of each field of `model`; as `layered`, but fields may be missing."""
    fields: dict[str, Any] = {}
    sources = dict.fromkeys(model.model_fields, "default")
    for layer in layers:
        for name in layer.fields:
            if name not in model.model_fields:
                raise ConfigError(f"{layer.source_of(str(name))}: {unknown('field', str(name), model.model_fields)}")
        fields |= layer.fields
        sources |= {name: layer.source_of(name) for name in layer.fields}
        partial = Document(layer.source, dict(layer.fields))
        if layer.document is not None:
            lines = {
                p[len(layer.path) :]: n for p, n in layer.document.lines.items() if p[: len(layer.path)] == layer.path
            }
            partial = Document(layer.document.name, dict(layer.fields), lines)
        _check(model, fields, partial)
    return fields, sources


def effective_config[Model: ConfigModel](
    model: type[Model],
    *,
    path: str | Path | None = None,
    arguments: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Effective[Model]:
    """`model` for one command: its file (`--config`), the variables, and the arguments that were given, in that order.

    path: a file of this `kind`, or one with the settings of all (`kind: config`): then its section of this kind, which
    may be missing, and for `DAFConfig` its top-level fields. A file of one operation has no effect on `DAFConfig`.
    arguments: fields by name; None means that an argument was not given.
    """
    layers = [] if path is None else [file_layer(model, read_document(path))]
    layers += variable_layers(model, None if model is DAFConfig else model.kind, environ)
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    return layered(model, [*layers, Layer("argument", given)])


def file_layer(model: type[ConfigModel], document: Document) -> Layer:
    """The fields for `model` in `document`, as `effective_config` reads it. Raises `ConfigError` for another kind."""
    fields = mapping_of(document)
    shared = {name for name in fields if name in DAFConfig.model_fields or name in OPERATION_CONFIGS}
    own = fields.keys() & model.model_fields.keys()
    kind = fields.pop("kind", DAFConfig.kind if len(shared - own) > 0 else model.kind)
    if kind == DAFConfig.kind:
        check_names(document, OPERATION_CONFIGS)
        if model is DAFConfig:
            return Layer("file", {k: v for k, v in fields.items() if k not in OPERATION_CONFIGS}, document)
        return Layer("file", fields.get(model.kind, {}), document, (model.kind,))
    if model is DAFConfig and kind in OPERATION_CONFIGS:
        return Layer("file", {}, document)
    if kind != model.kind:
        raise ConfigError(f"{document.where(('kind',))}: kind: expected {model.kind}, got {kind}.")
    return Layer("file", fields, document)


def check_names(document: Document, sections: Iterable[str]) -> None:
    """Refuse names that are neither fields of `DAFConfig` nor `sections`, and a section that is not a mapping."""
    known = set(sections)
    for name, value in mapping_of(document).items():
        where = document.where((name,))
        if name not in DAFConfig.model_fields and name not in known and name != "kind":
            raise ConfigError(f"{where}: {unknown('field', str(name), [*DAFConfig.model_fields, *known])}")
        if name in known and not isinstance(value, dict):
            raise ConfigError(f"{where}: {name}: expected a mapping of fields.")


def variable_layers(
    model: type[ConfigModel], section: str | None, environ: Mapping[str, str] | None = None
) -> list[Layer]:
    """A layer per `DAF_…` variable of `model`: `DAF_FIELD`, or `DAF_SECTION__FIELD` if `section` is given.

    An empty variable counts as unset. Raises `ConfigError` for a field that `section` does not have. Other `DAF_`
    variables without a section may belong to another program; `unknown_variables` lists those that look like a typo.
    """
    found: list[Layer] = []
    prefix = PREFIX if section is None else f"{PREFIX}{section.upper()}__"
    for variable, text in sorted((os.environ if environ is None else environ).items()):
        name = variable.removeprefix(prefix).lower()
        if not text.strip() or not variable.startswith(prefix) or (section is None and name not in model.model_fields):
            continue
        source = f"variable {variable}"
        if name not in model.model_fields:
            raise ConfigError(f"{source}: {unknown('field', name, model.model_fields)}")
        found.append(Layer(source, {name: _from_text(text, model.model_fields[name].annotation, source)}))
    return found


def unknown_variables(sections: Iterable[str], environ: Mapping[str, str] | None = None) -> list[str]:
    """Sentences for `DAF_…` variables that nothing reads: an unknown section, or a near miss of a field."""
    from daf.errors import nearest

    found: list[str] = []
    known = set(sections)
    for variable in sorted(os.environ if environ is None else environ):
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or name in DAFConfig.model_fields or variable in _READ_ELSEWHERE:
            continue
        section, separator, _ = name.partition("__")
        if separator and section not in known:
            found.append(f"variable {variable}: {unknown('section', section, known)}")
        elif not separator and (close := nearest(name, DAFConfig.model_fields, most=1)):
            found.append(f"variable {variable}: nothing reads it. Nearest: {PREFIX}{close[0].upper()}.")
    return found


def _check(model: type[ConfigModel], fields: dict[str, Any], partial: Document) -> None:
    """Raise at the layer with a wrong value; fields that are still missing may come with a later one."""
    from pydantic import ValidationError

    from daf.config.base import explained

    try:
        model.model_validate(fields)
    except ValidationError as error:
        wrong = [
            e
            for e in error.errors(include_url=False)
            if e["type"] != "missing" and e["loc"] and e["loc"][0] in partial.value
        ]
        if wrong:
            only = ValidationError.from_exception_data(error.title, [_again(e) for e in wrong])
            raise ConfigError(explained(model, only, partial)) from error


def _again(problem: Any) -> Any:
    return {key: problem[key] for key in ("type", "loc", "input", "ctx") if key in problem}


def _from_text(text: str, annotation: Any, source: str) -> Any:
    """A variable's text as the value of a field: YAML, but text stays text where the field wants text."""
    value = parse_yaml(text, name=source).value
    wanted = _kinds(annotation)
    if wanted & {str, Path} and not wanted & {int, float, bool} and not isinstance(value, list | dict):
        return text
    return value


def _kinds(annotation: Any) -> set[Any]:
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        return set().union(*(_kinds(part) for part in get_args(annotation)))
    if get_origin(annotation) is not None and all(isinstance(part, str) for part in get_args(annotation)):
        return {str}  # Literal
    return {annotation}
