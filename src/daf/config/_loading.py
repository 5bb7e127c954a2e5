"""Finding the class of a configuration file, and loading the file as that class."""

from pathlib import Path

from daf.config._operations import OPERATION_CONFIGS
from daf.config.base import ConfigModel, mapping_of
from daf.config.settings import DAFConfig
from daf.errors import ConfigError, unknown
from daf.storage.yaml_strict import Document, read_document

KINDS: dict[str, type[ConfigModel]] = {"config": DAFConfig, **OPERATION_CONFIGS}
"""Every configuration class by the word in a file's `kind:` key."""


def daf_load_config(path: str | Path) -> ConfigModel:
    """The configuration in a YAML or JSON file, as the class that its `kind:` key names or that its fields fit.

    Raises `ConfigError` where no class or more than one fits, or a value is wrong; `StorageError` where it can't be
    read.
    """
    document = read_document(path)
    fields = mapping_of(document)
    kind = fields.get("kind")
    if kind is not None:
        if kind not in KINDS:
            raise ConfigError(f"{document.where(('kind',))}: kind: {unknown('kind', str(kind), KINDS)}")
        _no_sections(KINDS[kind], document)
        return KINDS[kind].from_document(document)
    fitting = [
        model
        for model in KINDS.values()
        if set(fields) <= set(model.model_fields)
        and all(name in fields for name, field in model.model_fields.items() if field.is_required())
    ]
    if len(fitting) == 1:
        return fitting[0].from_document(document)
    candidates = fitting or _closest(set(map(str, fields)))
    if len(candidates) == 1:  # unknown or missing fields: that class's errors name them
        return candidates[0].from_document(document)
    kinds = ", ".join(f"kind: {model.kind}" for model in candidates or KINDS.values())
    raise ConfigError(
        f"{document.where()}: the fields do not identify the kind of configuration. Start with one of these: {kinds}."
    )


def _no_sections(model: type[ConfigModel], document: Document) -> None:
    sections = [name for name in mapping_of(document) if model is DAFConfig and name in OPERATION_CONFIGS]
    if sections:
        raise ConfigError(
            f"{document.where((sections[0],))}: a file with sections ({', '.join(sections)}) has more than one "
            "configuration. DAFConfigManager().load_from_file reads it, and so does --config."
        )


def _closest(names: set[str]) -> list[type[ConfigModel]]:
    """The classes that know the most of `names`, if any knows one."""
    known = {model: len(names & set(model.model_fields)) for model in KINDS.values()}
    most = max(known.values())
    return [model for model, count in known.items() if count == most] if most else []
