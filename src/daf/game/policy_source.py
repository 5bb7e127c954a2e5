"""What code a policy is made of, so that a changed line means another policy.

`source_hash` covers the class's own module and every module that it imports, directly or through others, from outside
site-packages and the standard library, each by content. Imports are found in the syntax tree, those inside functions
included; nothing is executed but the packages' `__init__` on the way to a submodule. Code that is reached otherwise
(`importlib` with a computed name, data files) is not seen: give such a policy an argument that changes with it.
"""

import ast
import importlib.util
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from daf.errors import PolicyError
from daf.storage.hashing import hash_bytes, hash_json

_INSTALLED = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
TENSOR_LIBRARIES = frozenset({"torch", "pufferlib"})


@dataclass(frozen=True, slots=True)
class Source:
    """hash: of all the policy's own code. needs_torch: whether that code imports torch. files: what was read.

    modules: the same files with their modules' names.
    """

    hash: str
    needs_torch: bool
    files: tuple[Path, ...]
    modules: tuple[tuple[str, Path], ...]


def source_of(class_path: str) -> Source:
    """The code behind `class_path` ("package.module.Class"). Raises `PolicyError` where its module isn't found."""
    module, file = _module_file(class_path)
    contents: dict[str, str] = {}
    modules: list[tuple[str, Path]] = []
    needs_torch = False
    waiting = [(module, file)]
    while waiting:
        name, path = waiting.pop()
        if name in contents:
            continue
        data = path.read_bytes()
        contents[name] = hash_bytes(data)
        modules.append((name, path))
        for imported in _imports(data, name, path):
            top = imported.split(".")[0]
            needs_torch = needs_torch or top in TENSOR_LIBRARIES
            if top in sys.stdlib_module_names or top in TENSOR_LIBRARIES:
                continue
            found = _own_module(imported)
            if found is not None:
                waiting.append(found)
    files = tuple(sorted(path for _, path in modules))
    return Source(hash_json(sorted(contents.items())), needs_torch, files, tuple(sorted(modules)))


def own_code(class_path: str) -> dict[Path, Path]:
    """The files that a bundle of the class must carry, by their place in it: none for a class that is installed.

    Raises `PolicyError` where its module isn't found.
    """
    found: dict[Path, Path] = {}
    for name, _ in source_of(class_path).modules:
        if name.split(".")[0] == "daf":
            continue
        for end in range(1, name.count(".") + 2):  # the packages around it too
            own = _own_module(".".join(name.split(".")[:end]))
            if own is not None and own[1].suffix == ".py":
                inside = Path(*own[0].split("."))
                found[inside / "__init__.py" if own[1].name == "__init__.py" else inside.with_suffix(".py")] = own[1]
    return found


def _module_file(class_path: str) -> tuple[str, Path]:
    parts = class_path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
            return name, Path(spec.origin)
    raise PolicyError(
        f'no module holds the policy class "{class_path}". Give its import path, package.module.Class, and start daf '
        "where that package can be imported (PYTHONPATH)."
    )


def _imports(data: bytes, module: str, path: Path) -> set[str]:
    """Absolute names that a module imports; for `from a import b` both a and a.b, since b may be a module."""
    if path.suffix != ".py":
        return set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(data)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - (node.level - 1)]
                base = ".".join([*parents, base] if base else parents)
            if base:
                names.add(base)
                names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def _own_module(name: str) -> tuple[str, Path] | None:
    """The module and file that `name` is, where it lies outside what is installed; None for anything else."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    if not path.is_file() or str(path.resolve()).startswith(_INSTALLED):
        return None
    return name, path
