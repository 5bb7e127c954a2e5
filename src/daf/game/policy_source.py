"""The code of a policy, so that a changed line makes another policy.

`source_of` covers the class's own module and every module that it imports, directly or through others, from outside
site-packages and the standard library, each by content. Imports are found in the syntax tree, including those inside
functions, and modules by their location: nothing is executed. Code that is reached in other ways (`importlib` with a
computed name, a package that changes its `__path__`, data files) is not seen: give such a policy an argument that
changes with it.
"""

import ast
import importlib.machinery
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import daf
from daf.errors import PolicyError, quoted
from daf.storage import reading
from daf.storage.hashing import hash_bytes, hash_json

_INSTALLED = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
TENSOR_LIBRARIES = frozenset({"torch", "pufferlib"})
LONGEST_FILE = 16 * 2**20
"""Bytes of a module that is read; CPython's own largest has 0.3 MB."""


@dataclass(frozen=True, slots=True)
class PolicySource:
    """hash: of all the policy's own code. needs_torch: whether that code imports torch. files: what was read.

    modules: the same files with their modules' names.
    """

    hash: str
    needs_torch: bool
    files: tuple[Path, ...]
    modules: tuple[tuple[str, Path], ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """file: None for a namespace package and for a module without a file. folders: where its submodules lie."""

    file: Path | None
    folders: tuple[Path, ...]


def source_of(class_path: str, roots: Sequence[str] = ()) -> PolicySource:
    """The code behind `class_path` ("package.module.Class").

    roots: folders to look in before `sys.path`. Raises `PolicyError` where its module isn't found, or a module that it
    imports can't be read as Python.
    """
    waiting = [_module_file(class_path, roots)]
    contents: dict[str, str] = {}
    modules: list[tuple[str, Path]] = []
    needs_torch = False
    while waiting:
        name, path = waiting.pop()
        if name in contents:
            continue
        data = reading.read_bytes(path, limit=LONGEST_FILE)
        if data is None:
            raise PolicyError(f"{path} was deleted while it was read.")
        contents[name] = hash_bytes(data)
        modules.append((name, path))
        for imported in _imports(data, name, path):
            top = imported.split(".")[0]
            needs_torch = needs_torch or top in TENSOR_LIBRARIES
            if top in sys.stdlib_module_names or top in TENSOR_LIBRARIES:
                continue
            found = _own_module(imported, roots)
            if found is not None:
                waiting.append((imported, found))
    files = tuple(sorted(path for _, path in modules))
    return PolicySource(hash_json(sorted(contents.items())), needs_torch, files, tuple(sorted(modules)))


def own_code(class_path: str, roots: Sequence[str] = ()) -> dict[Path, Path]:
    """The files that a bundle of the class must carry, by their place in it: none for a class that is installed.

    roots: as in `source_of`. Raises `PolicyError` where its module isn't found.
    """
    found: dict[Path, Path] = {}
    for name, _ in source_of(class_path, roots).modules:
        if name.split(".")[0] == "daf":
            continue
        for end in range(1, name.count(".") + 2):  # the packages around it too
            module = ".".join(name.split(".")[:end])
            own = _own_module(module, roots)
            if own is not None and own.suffix == ".py":
                inside = Path(*module.split("."))
                found[inside / "__init__.py" if own.name == "__init__.py" else inside.with_suffix(".py")] = own
    return found


def outside_packages(source: PolicySource) -> set[str]:
    """Names of the top-level packages that the code imports and that are neither part of it nor of Python."""
    own = {name.split(".")[0] for name, _ in source.modules}
    found: set[str] = set()
    for name, path in source.modules:
        data = reading.read_bytes(path, limit=LONGEST_FILE) or b""
        found.update(imported.split(".")[0] for imported in _imports(data, name, path))
    return found - own - sys.stdlib_module_names


def find_module(name: str, roots: Sequence[str] = ()) -> Path | None:
    """The file of the module `name`, found without importing anything; None if there is none."""
    found = _find(name, roots)
    return found.file if found is not None else None


def is_installed(file: Path) -> bool:
    """Whether `file` lies in the standard library or in site-packages."""
    return str(file.resolve()).startswith(_INSTALLED)


def _module_file(class_path: str, roots: Sequence[str]) -> tuple[str, Path]:
    parts = class_path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        file = find_module(name, roots)
        if file is not None:
            return name, file
    raise PolicyError(
        f"no module holds the policy class {quoted(class_path)}. Give the file (my_policy.py), or the import path "
        "package.module.Class where that package can be imported (PYTHONPATH)."
    )


def _find(name: str, roots: Sequence[str]) -> _Found | None:
    top, *inner = name.split(".")
    found = _below([Path(root) for root in roots], top) or _top(top)
    for part in inner:
        if found is None or not found.folders:
            return None
        found = _below(found.folders, part)
    return found


def _top(name: str) -> _Found | None:
    """The top-level module `name` as Python would find it; finders execute nothing for one without a dot."""
    if not name or "\0" in name:
        return None
    if name == "daf":  # a bundle that was played may have parts of it, and still lie on sys.path
        own = Path(daf.__file__)
        return _Found(own, (own.parent,))
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, None)
        except (ImportError, ValueError, AttributeError, OSError):
            continue
        if spec is not None:
            folders = tuple(Path(folder) for folder in spec.submodule_search_locations or ())
            file = Path(spec.origin) if spec.has_location and spec.origin is not None else None
            return _Found(file if file is not None and file.is_file() else None, folders)
    return None


def _below(folders: Iterable[Path], name: str) -> _Found | None:
    """The module or package `name` in the first of `folders` that has it."""
    namespaces: list[Path] = []
    if not name or "/" in name or "\0" in name:
        return None
    for folder in folders:
        package = folder / name
        for suffix in importlib.machinery.all_suffixes():
            if (package / f"__init__{suffix}").is_file():
                return _Found(package / f"__init__{suffix}", (package,))
            if (folder / f"{name}{suffix}").is_file():
                return _Found(folder / f"{name}{suffix}", ())
        if package.is_dir():
            namespaces.append(package)
    return _Found(None, tuple(namespaces)) if namespaces else None


def _imports(data: bytes, module: str, path: Path) -> set[str]:
    """Absolute names that a module imports; for `from a import b` both a and a.b, since b may be a module."""
    if path.suffix != ".py":
        return set()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(_parsed(data, path)):
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


def _parsed(data: bytes, path: Path) -> ast.Module:
    try:
        return ast.parse(data)
    except SyntaxError as error:
        raise PolicyError(f"{path}:{error.lineno or 1}: {error.msg}.") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise PolicyError(f"{path} can't be read as Python: {error or type(error).__name__}.") from error


def _own_module(name: str, roots: Sequence[str]) -> Path | None:
    """The file of the module `name`, if it lies outside the installed packages; None for anything else."""
    file = find_module(name, roots)
    return None if file is None or is_installed(file) else file
