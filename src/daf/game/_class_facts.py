"""Facts about a policy's class, found without importing it in this process.

`facts_of` imports the class in a separate process (`daf.game.isolated`) and returns what DAF must know before anything
plays: whether it computes with a network, and which arguments it takes. The answer is cached under the hash of the
class's code, so that the same code is imported for this only once.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from daf.errors import DamagedFileError, StorageError, quoted
from daf.game import compat, isolated
from daf.game.policy_loading import importing_from, load_class, load_module
from daf.storage import atomic, reading
from daf.storage.hashing import hash_json

SECONDS = 120.0
_FOLDER = "classes"
_PACKAGES = ("daf", "mettagrid", "cogames", "torch", "pufferlib-core")
_kept: dict[str, dict[str, "ClassFacts"]] = {}


class ClassFacts(msgspec.Struct, frozen=True):
    """network: it computes with torch. arguments: by name whether annotated as int, without the mission and the device.

    open_ended: it takes arguments of any other name.
    """

    network: bool
    arguments: dict[str, bool]
    open_ended: bool
    description: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    class_path: str
    roots: tuple[str, ...]
    shown: str


def facts_of(class_path: str, roots: Sequence[str], code: str, *, cache: Path, shown: str) -> ClassFacts:
    """The facts of the class at `class_path`. Raises `PolicyError` with the import's own error.

    roots: folders to import from first. code: hash of the class's source. cache: a folder to keep the answer in.
    shown: the policy as the user wrote it.
    """
    wanted = _Wanted(class_path, tuple(roots), shown)
    facts = _known(class_path, code, cache, lambda: {class_path: _isolated(_look_up, wanted)})
    return facts[class_path]


def classes_in(module: str, roots: Sequence[str], code: str, *, cache: Path, shown: str) -> list[str]:
    """The names of the policy classes that `module` defines, in their order. Arguments and errors as in `facts_of`."""
    wanted = _Wanted(module, tuple(roots), shown)
    found = _known(module, code, cache, lambda: _isolated(_list_classes, wanted))
    for class_path in found:
        _known(class_path, code, cache, lambda: found)
    return [class_path.rpartition(".")[2] for class_path in found]


def facts_here(class_path: str) -> ClassFacts:
    """The facts of a class of CoGames or DAF, imported into this process."""
    return msgspec.convert(_look_up(_Wanted(class_path, (), class_path)), ClassFacts)


def _known(name: str, code: str, cache: Path, find_out: Callable[[], Any]) -> dict[str, ClassFacts]:
    """The facts by class path that are kept under `name` and `code`, else those that `find_out` returns."""
    key = hash_json([name, code, {package: _version(package) for package in _PACKAGES}])
    if key not in _kept:
        path = cache / _FOLDER / f"{key}.json"
        stored = _stored(path)
        if stored is None:
            stored = msgspec.convert(find_out(), dict[str, ClassFacts])
            atomic.write_bytes(path, msgspec.json.encode(stored))
        _kept[key] = stored
    return _kept[key]


def _isolated(function: Any, wanted: _Wanted) -> Any:
    module = wanted.class_path.rpartition(".")[0] or wanted.class_path
    return isolated.call(
        function, wanted, seconds=SECONDS, doing=f"{quoted(wanted.shown)}: importing {module}",
        too_long="Its module must not play, train or wait when it is imported.",
    )  # fmt: skip


def _stored(path: Path) -> dict[str, ClassFacts] | None:
    try:
        return reading.read_json(path, dict[str, ClassFacts])
    except (DamagedFileError, StorageError):
        return None  # the class is examined again


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _look_up(wanted: _Wanted) -> dict[str, Any]:
    compat.install()
    with importing_from(wanted.roots):
        return _facts(load_class(wanted.class_path, shown=wanted.shown))


def _list_classes(wanted: _Wanted) -> dict[str, dict[str, Any]]:
    compat.install()
    from mettagrid.policy.policy import MultiAgentPolicy

    with importing_from(wanted.roots):
        module = load_module(wanted.class_path, shown=wanted.shown)
    return {
        f"{wanted.class_path}.{name}": _facts(value)
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, MultiAgentPolicy)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
        and not name.startswith("_")
    }


def _facts(cls: type) -> dict[str, Any]:
    from mettagrid.policy.policy import MultiAgentPolicy

    parameters = list(inspect.signature(cls).parameters.values())[1:]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "device"]
    return {
        "network": cls.network is not MultiAgentPolicy.network,  # type: ignore[attr-defined]
        "arguments": {parameter.name: parameter.annotation in (int, "int") for parameter in named},
        "open_ended": any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters),
        "description": inspect.cleandoc(vars(cls).get("__doc__") or "").split("\n\n")[0].strip(),
    }
