"""What the result of a stage depends on, as one hash.

Two stages have the same key if they run the same command with the same options and files, on the same versions of DAF
and the game, after stages with the same keys. Files and directories that an option names count by their content, a
class path by its module and the modules that this imports, as the identity of a policy does.
"""

import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from daf.config.stage import DAFStageConfig
from daf.errors import PolicyError
from daf.game.policy_source import source_of
from daf.orchestrators._references import replaced
from daf.storage.hashing import hash_file, hash_json, hash_tree

_PARTS = re.compile(r"[,=:]")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_VERSIONED = ("daf", "cogames", "mettagrid", "torch")
_MOST_FILES = 10_000


def stage_key(stage: DAFStageConfig, keys: Mapping[str, str]) -> str:
    """keys: of the stages that it needs. Name, retries and time limit don't count: they change no result."""
    content = [stage.use, stage.options, stage.config, stage.run]
    settled = replaced(content, lambda reference: f"{keys[reference.stage]}/{reference.output}")
    files = {text: found for text in sorted(set(_texts(content))) if (found := _content_of(text)) is not None}
    needs = [keys[name] for name in sorted(stage.needs)]
    return hash_json([settled, files, needs, _versions()])


@cache
def _versions() -> dict[str, str]:
    found = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in _VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, and its parts: class=…,data=weights.pt names two."""
    if isinstance(value, str):
        yield value
        yield from (part for part in _PARTS.split(value) if part != value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _content_of(text: str) -> str | None:
    """The hash of the file, directory or module that `text` names; None if it names none."""
    if not text.strip() or "\0" in text or "$" in text or len(text) > 4096:
        return None
    path = Path(text).expanduser()
    try:
        if path.is_file():
            return hash_file(path)
        if path.is_dir():
            return _tree(path)
    except OSError:
        return None
    return _code(text) if _DOTTED.fullmatch(text) else None


def _tree(path: Path) -> str:
    """A directory by content; a very large one by names, sizes and times of modification."""
    files = [entry for entry in path.rglob("*") if entry.is_file()]
    if len(files) <= _MOST_FILES:
        return hash_tree(path)
    facts = [(str(entry), entry.stat()) for entry in sorted(files)]
    return hash_json([[name, fact.st_size, fact.st_mtime_ns] for name, fact in facts])


def _code(class_path: str) -> str | None:
    """The hash of the modules behind a class path, for other packages than those that count by version."""
    if class_path.split(".")[0] in _VERSIONED:
        return None
    try:
        return source_of(class_path, [str(Path.cwd())]).hash
    except PolicyError:
        return None  # a text with dots, but not a class path
