"""`DAFConfigManager`: the settings, the operations' sections and a profile, together.

A file for it has the fields of `DAFConfig` and a section per operation (`sweep:`, `training:`, …), each partial or
complete. Nothing is global: two managers are independent.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import create_model

from daf.config._effective import (
    EffectiveValue,
    Layer,
    check_names,
    layered,
    merged,
    unknown_variables,
    variable_layers,
)
from daf.config._operations import OPERATION_CONFIGS
from daf.config.base import ConfigModel, mapping_of
from daf.config.settings import DAFConfig
from daf.errors import ConfigError, UsageError, unknown
from daf.storage import atomic
from daf.storage.printable import terminal_text
from daf.storage.yaml_strict import Document, dump_yaml, read_document

if TYPE_CHECKING:
    from rich.console import Console

PROFILES: dict[str, dict[str, Any]] = {
    "development": {"verbose": True, "max_parallel_jobs": 2, "max_checkpoints_to_keep": 2, "track_experiments": False},
    "production": {"verbose": False, "max_parallel_jobs": 16, "max_checkpoints_to_keep": 10, "track_experiments": True},
    "research": {"verbose": True, "max_parallel_jobs": 8, "max_checkpoints_to_keep": 20, "track_experiments": True},
}
"""What each profile sets of `DAFConfig`."""


class DAFConfigManager:
    """Collects configuration from its sources; `get_effective_config` lists each value with its source.

    config: settings given by the caller; the fields set in it count as arguments, so nothing overrides them.
    """

    def __init__(self, config: DAFConfig | None = None, *, environ: Mapping[str, str] | None = None) -> None:
        self._arguments: dict[str, Any] = {}
        if config is not None:
            self._arguments = {name: getattr(config, name) for name in config.model_fields_set}
        self._environ = environ
        self._components: dict[str, type[ConfigModel]] = dict(OPERATION_CONFIGS)
        self._component_arguments: dict[str, dict[str, Any]] = {}
        self._from_defaults: dict[str, dict[str, Any]] = {}
        """Sections that were registered with a mapping of defaults; they always take part."""
        self._profile: str | None = None
        self._document: Document | None = None

    @property
    def config(self) -> DAFConfig:
        """The effective settings. Raises `ConfigError`."""
        return layered(DAFConfig, self._layers()).config

    def setup_environment(self, profile: str) -> DAFConfig:
        """Choose a profile ("development", "production", "research"). Raises `ConfigError` for another name."""
        if profile not in PROFILES:
            raise ConfigError(unknown("profile", profile, PROFILES))
        self._profile = profile
        return self.config

    def load_from_file(self, path: str | Path) -> DAFConfig:
        """Load a YAML or JSON file in place of an earlier one; on an error the earlier one stays.

        Raises `ConfigError`.
        """
        document = read_document(path)
        fields = mapping_of(document)
        if fields.get("kind", DAFConfig.kind) != DAFConfig.kind:
            raise ConfigError(f"{document.where(('kind',))}: kind: expected {DAFConfig.kind}.")
        check_names(document, self._components)
        before, self._document = self._document, document
        try:
            for name in self._components.keys() & fields.keys():
                self._known_fields(name, fields[name], document)
            return self.config
        except ConfigError:
            self._document = before
            raise

    def save_to_file(self, path: str | Path) -> None:
        """Write the effective settings and the sections that are set as YAML (JSON if it is called `*.json`)."""
        data: dict[str, Any] = {"kind": DAFConfig.kind, **self.config.to_data()}
        data |= {name: self.get_component_config(name).to_data() for name in self._configured()}
        if Path(path).suffix.lower() == ".json":
            atomic.write_json(path, data)
        else:
            atomic.write_text(path, dump_yaml(data))

    def register_component(self, name: str, model: type[ConfigModel] | Mapping[str, Any]) -> None:
        """Add a section `name`; its variables are `DAF_NAME__FIELD`.

        model: its class, or a mapping of its fields to their defaults, whose types later values must have (None allows
        any). Raises `UsageError` for a taken name.
        """
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
            raise UsageError(f'"{name}" cannot name a section: use only lower-case letters, digits and single "_".')
        given = dict(model) if isinstance(model, Mapping) else None
        known = self._components.get(name)
        same = known is model or (given is not None and self._from_defaults.get(name) == given)
        if name in DAFConfig.model_fields or (known is not None and not same):
            raise UsageError(f'the name "{name}" is already taken.')
        if given is not None and known is None:
            self._components[name] = _section_class(name, given)
            self._from_defaults[name] = given
        elif not isinstance(model, Mapping):
            self._components[name] = model

    def configure_component(self, name: str, /, **fields: Any) -> None:
        """Set fields of a section as arguments. Raises `ConfigError` for an unknown section, field or a wrong value."""
        model = self._model(name)
        earlier = self._component_arguments.get(name, {})
        self._component_arguments[name] = earlier | fields
        try:
            self._known_fields(name, fields, None)
            merged(model, self._section_layers(name))
        except ConfigError:
            self._component_arguments[name] = earlier
            raise

    def get_component_config(self, name: str) -> ConfigModel:
        """A section as its class. Raises `ConfigError` where a field is missing or wrong."""
        return layered(self._model(name), self._section_layers(name)).config

    def validate_configuration(self) -> list[str]:
        """Everything that is wrong, as sentences; empty if all is well."""
        problems = unknown_variables(self._components, self._environ)
        try:
            layered(DAFConfig, self._layers())
        except ConfigError as error:
            problems += str(error).splitlines()
        for name in self._components:
            try:
                if name in self._configured():
                    self.get_component_config(name)
            except ConfigError as error:
                problems += [f"{name}: {line}" for line in str(error).splitlines()]
        return problems

    def get_effective_config(self) -> dict[str, EffectiveValue]:
        """Every effective value, by `field` or `section.field`, with its source; only the sections set."""
        values = layered(DAFConfig, self._layers()).values()
        for name in self._configured():
            section = layered(self._model(name), self._section_layers(name)).values()
            values |= {f"{name}.{field}": value for field, value in section.items()}
        return values

    def create_experiment_config(self, name: str, **fields: Any) -> DAFConfig:
        """The settings for an experiment: the effective ones, then `fields`, all below the folder `output_dir/name`.

        Raises `ConfigError` for a name that cannot be a folder's, or wrong fields.
        """
        if not re.fullmatch(r"[\w][\w.-]*", name):
            raise ConfigError(f'"{name}" cannot name an experiment: use only letters, digits, "_", "-" and ".".')
        chosen = layered(DAFConfig, [*self._layers(), Layer("argument", fields)]).config
        return chosen.replace(output_dir=chosen.output_dir / name)

    def print_configuration_summary(self, console: "Console | None" = None) -> None:
        """Print every value with its source as a table on `console`; nothing without one."""
        if console is None:
            return
        from rich.table import Table

        table = Table("field", "value", "from", title="Configuration")
        for name, effective in self.get_effective_config().items():
            table.add_row(name, terminal_text(str(effective.value)), terminal_text(effective.source))
        console.print(table)

    def _layers(self) -> list[Layer]:
        layers: list[Layer] = []
        if self._document is not None:
            fields = {k: v for k, v in self._document.value.items() if k in DAFConfig.model_fields}
            layers.append(Layer("file", fields, self._document))
        if self._profile is not None:
            layers.append(Layer(f"profile {self._profile}", PROFILES[self._profile]))
        return [*layers, *variable_layers(DAFConfig, None, self._environ), Layer("argument", self._arguments)]

    def _section_layers(self, name: str) -> list[Layer]:
        layers: list[Layer] = []
        if self._document is not None and name in self._document.value:
            layers.append(Layer("file", self._document.value[name], self._document, (name,)))
        layers += variable_layers(self._model(name), name, self._environ)
        return [*layers, Layer("argument", self._component_arguments.get(name, {}))]

    def _section_fields(self, name: str) -> set[str]:
        return {field for layer in self._section_layers(name) for field in layer.fields}

    def _configured(self) -> list[str]:
        return [name for name in self._components if name in self._from_defaults or self._section_fields(name)]

    def _model(self, name: str) -> type[ConfigModel]:
        if name not in self._components:
            raise ConfigError(unknown("section", name, self._components))
        return self._components[name]

    def _known_fields(self, name: str, fields: Mapping[str, Any], document: Document | None) -> None:
        valid = self._model(name).model_fields
        for field in fields:
            if field not in valid:
                where = document.where((name, field)) if document is not None else "argument"
                raise ConfigError(f"{where}: {name}: {unknown('field', str(field), valid)}")


def _section_class(name: str, defaults: Mapping[str, Any]) -> type[ConfigModel]:
    """A section's class from its defaults. Raises `UsageError` for a field name that cannot be one."""
    fields: dict[str, Any] = {}
    for field, value in defaults.items():
        text = str(field)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", text) or "__" in text or hasattr(ConfigModel, text):
            raise UsageError(f'"{text}" cannot name a field of the section {name}: use other lower-case words.')
        fields[text] = (Any if value is None else type(value), value)
    words = "".join(part.capitalize() for part in name.split("_"))
    model: type[ConfigModel] = create_model(f"{words}Config", __base__=ConfigModel, **fields)
    model.kind = name
    return model


def create_development_config(name: str) -> DAFConfig:
    """Settings for trying things out, below `output_dir/name`. Raises `ConfigError`."""
    manager = DAFConfigManager()
    manager.setup_environment("development")
    return manager.create_experiment_config(name)


def create_production_config(name: str) -> DAFConfig:
    """Settings for long, important runs, below `output_dir/name`. Raises `ConfigError`."""
    manager = DAFConfigManager()
    manager.setup_environment("production")
    return manager.create_experiment_config(name)


def load_config_from_environment() -> DAFConfig:
    """The defaults with the values of `DAF_…` variables. Raises `ConfigError`."""
    return DAFConfigManager().config
