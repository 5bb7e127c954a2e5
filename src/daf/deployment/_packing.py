"""What goes into a bundle: the policy's code, weights, licence and included files, by their names in it.

`collect` reads and executes nothing of the policy. Code is found by its imports (`daf.game.policy_source`); a bundle,
a checkpoint or a folder keeps its layout. Bytecode, version control, caches and what only training needs stay out.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from daf.deployment import _evaluations, _manifest, _secrets
from daf.errors import PackagingError, UnsafePathError, quoted
from daf.game import bundle_archives, bundles
from daf.game.checkpoint_folders import CHECKSUMS, FACTS, STATE
from daf.game.known_policies import SHORT_NAMES
from daf.game.policy_finding import Found
from daf.game.policy_source import is_installed, outside_packages, own_code, source_of
from daf.storage.containment import inside

WEIGHTS_FOLDER = "weights"
_LEFT_OUT = frozenset(
    {"__pycache__", ".git", ".hg", ".svn", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"}
)
_LEFT_OUT_FILES = re.compile(r".*\.py[co]|\.DS_Store|Thumbs\.db|\.extraction.*|\.setup-[0-9a-f]{16}\.(lock|done)")
_LICENCE = re.compile(r"(licen[cs]e|copying)(\.(txt|md|rst))?", re.IGNORECASE)
_TRAINING_ONLY = (STATE, FACTS, CHECKSUMS, _evaluations.CHECKPOINT_FILE)
_CHECKPOINT_WEIGHTS = frozenset({"weights.pt", "weights.safetensors"})
_PACKAGE_OF_DAF = b'"""The policies of DAF that this bundle carries."""\n'


@dataclass
class Contents:
    """The entries of a bundle, by name, with their bytes or the file that holds them.

    sources: files of the user that were packed as code. left_out: entries of the source that were not packed.
    imports: top-level packages that the code imports from outside the bundle. licence: its entry.
    """

    spec: dict[str, Any]
    files: dict[str, bytes | Path] = field(default_factory=dict)
    sources: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    licence: str | None = None

    def add(self, name: str, content: bytes | Path) -> None:
        """Add an entry. Raises `PackagingError` where another file has its name."""
        there = self.files.get(name)
        if there is not None and _content(there) != _content(content):
            raise PackagingError(f"two different files would be {quoted(name)} in the bundle. Rename one of them.")
        self.files[name] = content


def collect(
    found: Found, *, weights: Path | None = None, include: Sequence[Path] = (), set_up: Path | None = None
) -> Contents:
    """The contents of the bundle of `found`. Raises `PackagingError`, `PolicyError`, `StorageError`."""
    contents = Contents({"class_path": found.class_path, "data_path": None, "init_kwargs": _arguments(found.kwargs)})
    contents.spec["setup_script"] = None
    if found.bundle is not None:
        _add_bundle(contents, found.bundle, keep_weights=weights is None)
    bases = _add_code(contents, found)
    if found.bundle is not None:
        bases.insert(0, found.bundle.root)
    data = weights if weights is not None else Path(found.data_path) if found.data_path is not None else None
    if data is not None and contents.spec["data_path"] is None:
        _add_weights(contents, data)
    for path in include:
        _add_included(contents, path, [*bases, Path.cwd()])
    if set_up is not None:
        _add_set_up(contents, set_up)
    _add_licence(contents, bases)
    contents.files[bundles.SPEC_FILE] = json.dumps(contents.spec, indent=2, ensure_ascii=False).encode() + b"\n"
    return contents


def check_limits(contents: Contents) -> None:
    """Raise `PackagingError` for more, or other names, than a bundle may hold."""
    if len(contents.files) >= bundle_archives.MAX_FILES:
        raise PackagingError(
            f"{len(contents.files):,} files are too many: a bundle holds at most {bundle_archives.MAX_FILES:,}, its "
            "manifest included."
        )
    size = sum(len(one) if isinstance(one, bytes) else one.stat().st_size for one in contents.files.values())
    if size > bundle_archives.MAX_BYTES - 2**20:
        raise PackagingError(f"{size:,} bytes are too many: a bundle has at most {bundle_archives.MAX_BYTES:,}.")
    seen: dict[str, str] = {}
    for name in contents.files:
        if "\\" in name or ":" in name or not name.isprintable():
            raise PackagingError(f"{quoted(name)} can't be the name of a file in a bundle. Rename the file.")
        other = seen.setdefault(bundle_archives.plain_name(name), name)
        if other != name:
            raise PackagingError(
                f"{quoted(other)} and {quoted(name)} are one file where names ignore case or Unicode's composition. "
                "Rename one."
            )


def secrets_in(contents: Contents, allowed: Iterable[str]) -> Iterator[str]:
    """A line for each secret in the contents: the file, and what was found."""
    patterns = list(allowed)
    for name, content in sorted(contents.files.items()):
        if _secrets.is_allowed(name, patterns):
            continue
        why = _secrets.of_name(name)
        if why is not None:
            yield f"{name}: {why}"
            continue
        if isinstance(content, Path) and content.stat().st_size > _secrets.LONGEST_FILE:
            continue
        known: tuple[str, ...] = ()
        if name == bundles.SPEC_FILE:
            known = tuple(str(value) for key, value in contents.spec.items() if key != "init_kwargs")
        yield from (f"{name}: {each}" for each in _secrets.in_content(name, _content(content), known=known))


def _arguments(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(json.loads(json.dumps(dict(kwargs), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise PackagingError(f"the constructor arguments {quoted(str(dict(kwargs)))} are not JSON: {error}.") from error


def _content(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _add_bundle(contents: Contents, bundle: bundles.Bundle, *, keep_weights: bool) -> None:
    """The files of a bundle, checkpoint or folder under the names that they have there."""
    root = bundle.root
    data = Path(bundle.data_path).relative_to(root.resolve()).as_posix() if bundle.data_path is not None else None
    only_training: set[str] = set()
    if any((root / name).exists() for name in (CHECKSUMS, FACTS)):
        only_training = {*_TRAINING_ONLY, *(_CHECKPOINT_WEIGHTS - {data})}
    for name, path in _walk(root, root, contents):
        replaced = not keep_weights and data is not None and (name == data or name.startswith(f"{data}/"))
        if name in (bundles.SPEC_FILE, bundles.MANIFEST_FILE, _manifest.FILE):
            continue
        if name in only_training or replaced or name.startswith(bundles.SET_UP_MARK):
            contents.left_out.append(name)
            continue
        contents.add(name, path)
        if path.suffix == ".py":
            contents.sources.append(path)
    if keep_weights:
        contents.spec["data_path"] = data
    if bundle.script is not None:
        contents.spec["setup_script"] = bundle.script.relative_to(root.resolve()).as_posix()


def _add_code(contents: Contents, found: Found) -> list[Path]:
    """The modules that the policy's class needs, unless they are installed. Returns the folders that they lie in."""
    source = source_of(found.class_path, found.roots)
    contents.imports = outside_packages(source)
    top = found.class_path.partition(".")[0]
    if found.class_path in SHORT_NAMES and top == "daf":
        contents.add("daf/__init__.py", _PACKAGE_OF_DAF)
        contents.add("daf/policies/__init__.py", b"")
        for name, path in source.modules:
            contents.add(f"{name.replace('.', '/')}.py", path)
        return []
    folders: dict[Path, None] = {}
    root = found.bundle.root.resolve() if found.bundle is not None else None
    for place, path in sorted(own_code(found.class_path, found.roots).items()):
        if root is not None and path.resolve().is_relative_to(root):
            continue
        folders[path.parents[len(place.parts) - 1]] = None
        contents.add(place.as_posix(), path)
        contents.sources.append(path)
    if is_installed(dict(source.modules).get(found.class_path.rpartition(".")[0], Path("/"))):
        contents.imports.add(top)
    if any(name.split(".")[0] == "daf" for name, _ in source.modules):
        contents.imports.add("daf")
    for _, path in source.modules:
        if path.suffix != ".py" and not is_installed(path) and path not in contents.files.values():
            raise PackagingError(
                f"{path} is a compiled module, which plays only on machines like this one. Build it in a --set-up "
                "script, or install it as a package."
            )
    return list(folders)


def _add_weights(contents: Contents, data: Path) -> None:
    if not data.exists():
        raise PackagingError(f"there are no weights at {data}.")
    name = f"{WEIGHTS_FOLDER}/{data.name}"
    if data.is_dir():
        for inner, path in _walk(data, data, contents):
            contents.add(f"{name}/{inner}", path)
    else:
        contents.add(name, data)
    contents.spec["data_path"] = name


def _add_included(contents: Contents, given: Path, bases: Sequence[Path]) -> None:
    """A file or folder under its path below the policy's code, or below the working directory."""
    path = given.expanduser().absolute()
    if not path.exists():
        raise PackagingError(f"--include {given}: no such file or directory.")
    base = next((base.absolute() for base in bases if path.is_relative_to(base.absolute())), None)
    if base is None:
        raise PackagingError(
            f"--include {given} lies neither below the policy's code nor below the working directory, so it has no "
            "place in the bundle. Copy it there."
        )
    if path.is_dir():
        for name, file in _walk(path, base, contents):
            contents.add(name, file)
    else:
        _require_inside(path, base)
        contents.add(path.relative_to(base).as_posix(), path)


def _add_set_up(contents: Contents, script: Path) -> None:
    if script.suffix != ".py" or not script.is_file():
        raise PackagingError(f"--set-up {script} is not a Python file.")
    contents.add(script.name, script)
    contents.sources.append(script)
    contents.spec["setup_script"] = script.name


def _add_licence(contents: Contents, bases: Sequence[Path]) -> None:
    """The licence in the bundle, or the nearest above the code, up to the top of its repository."""
    for name in sorted(contents.files):
        if _LICENCE.fullmatch(name):
            contents.licence = name
            return
    for base in bases:
        for folder in (base, *base.parents):
            for path in sorted(folder.iterdir()) if os.access(folder, os.R_OK) else ():
                if _LICENCE.fullmatch(path.name) and path.is_file():
                    contents.add(path.name, path)
                    contents.licence = path.name
                    return
            if (folder / ".git").exists() or not any((above / ".git").exists() for above in folder.parents):
                break


def _walk(folder: Path, base: Path, contents: Contents) -> Iterator[tuple[str, Path]]:
    """The files below `folder` by their path below `base`. Links are followed where they stay below `base`."""
    for path in sorted(folder.iterdir()):
        name = PurePosixPath(path.relative_to(base)).as_posix()
        if path.name in _LEFT_OUT or _LEFT_OUT_FILES.fullmatch(path.name):
            contents.left_out.append(name)
            continue
        if path.is_symlink():
            _require_inside(path, base)
        if path.is_dir():
            if path.is_symlink():
                raise PackagingError(f"{path} is a link to a directory. Put the directory itself there.")
            yield from _walk(path, base, contents)
        elif path.is_file():
            yield name, path
        else:
            raise PackagingError(f"{path} is not a regular file, and can't be packed.")


def _require_inside(path: Path, base: Path) -> None:
    try:
        inside(base, path.relative_to(base))
    except UnsafePathError as error:
        raise PackagingError(f"{path} is a link that leads out of {base}. Put the file itself there.") from error
