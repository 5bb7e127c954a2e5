"""What runs in a worker of Ray: a batch of tasks, played by a separate process that may die or hang.

The worker of Ray plays nothing itself. It keeps one local worker process (`LocalProcesses`), which loads what tasks
need once, and in which a crash or a time-out costs one task and is described as on a single machine. The process ends
with its worker of Ray, however that ended. This worker neither imports the game nor unpickles tasks or results.
"""

import functools
import os
import pickle
import platform
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from daf.compute import carried
from daf.compute._local import LocalProcesses, guarded
from daf.compute.interface import Failure
from daf.storage.hashing import hash_file

PACKAGES = ("daf", "cogames", "mettagrid", "torch", "ray")
"""Packages whose versions decide about results."""


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """A file of the driver's machine. content: the object that holds it."""

    path: Path
    size: int
    hash: str
    content: Any


@dataclass(frozen=True, slots=True)
class Context:
    """What all batches of a run have in common; in Ray's object store once.

    key: names the files by their content. import_path: the driver's `sys.path` without what belongs to its interpreter.
    versions: the driver's, None where other versions are allowed.
    """

    function: bytes
    files: tuple[CarriedFile, ...]
    key: str
    import_path: tuple[str, ...]
    cwd: str
    preload: tuple[str, ...]
    timeout: float | None
    versions: dict[str, str | None] | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of one task. value: the pickled pair of value and failure. failure: of its process instead."""

    value: bytes | None
    failure: Failure | None
    seconds: float


@dataclass(frozen=True, slots=True)
class OtherVersions:
    """A batch was refused because this machine has other versions than the driver's."""

    node: str
    versions: dict[str, str | None]


@functools.cache
def versions_here() -> dict[str, str | None]:
    """The versions of Python and of `PACKAGES` on this machine; None for packages that are not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def own_import_path() -> tuple[str, ...]:
    """The directories of `sys.path` that do not belong to the interpreter and its packages."""
    theirs = {str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    entries = [str(Path(entry or ".").absolute()) for entry in sys.path]
    dynamic = f"{sysconfig.get_path('platstdlib')}{os.sep}"
    return tuple(
        entry
        for entry in dict.fromkeys(entries)
        if str(Path(entry).resolve()) not in theirs and not entry.startswith(dynamic) and not entry.endswith(".zip")
    )


def play_batch(context: Context, tasks: Sequence[bytes]) -> list[Answer] | OtherVersions:
    """Run the pickled tasks, one after the other."""
    if context.versions is not None and context.versions != versions_here():
        return OtherVersions(platform.node(), versions_here())
    mirror = _mirrored(context)
    call = functools.partial(_call, context.function, mirror, _import_path(context, mirror), context.cwd)
    answers: dict[int, Answer] = {}
    began = time.monotonic()
    for done in _process(context.preload).run(call, tasks, timeout=context.timeout):
        now = time.monotonic()
        answers[done.position] = Answer(done.value, done.failure, now - began)
        began = now
    return [answers[position] for position in range(len(tasks))]


def _call(function: bytes, mirror: Path | None, import_path: list[str], cwd: str, task: bytes) -> bytes:
    """In the local worker process."""
    if sys.path != import_path:
        sys.path[:] = import_path
    if Path(cwd).is_dir():
        os.chdir(cwd)
    carried.use_mirror(mirror)
    return pickle.dumps(guarded(pickle.loads(function), pickle.loads(task)))


_pools: dict[tuple[object, ...], LocalProcesses] = {}


def _process(preload: tuple[str, ...]) -> LocalProcesses:
    """The local worker process, replaced where it would lack what the next batch needs."""
    needed = (preload, os.environ.get("CUDA_VISIBLE_DEVICES"))  # Ray may give the next batch another GPU
    if needed not in _pools:
        while _pools:
            _pools.popitem()[1].close()
        _pools[needed] = LocalProcesses(jobs=1, preload=preload)
    return _pools[needed]


def _import_path(context: Context, mirror: Path | None) -> list[str]:
    """The driver's own directories, those that were copied first; then what this machine has."""
    copied = [carried.below(mirror, Path(entry)) for entry in context.import_path] if mirror is not None else []
    return import_path_with([*map(str, copied), *context.import_path])


def import_path_with(first: Sequence[str]) -> list[str]:
    """`sys.path` of a worker of Ray, with the directories `first` that are here before what this machine has."""
    here = [entry for entry in first if Path(entry).is_dir()]
    rest = [entry for entry in sys.path if f"{os.sep}ray{os.sep}" not in entry]  # Ray's copies of other packages
    return list(dict.fromkeys([*here, *rest]))


_checked: dict[str, Path | None] = {}


def _mirrored(context: Context) -> Path | None:
    """The folder with copies of the files; None where this machine has them under their own paths."""
    if context.key not in _checked:
        _checked[context.key] = None if all(map(_is_here, context.files)) else _copied(context)
    return _checked[context.key]


def _is_here(file: CarriedFile) -> bool:
    try:
        return file.path.stat().st_size == file.size and hash_file(file.path) == file.hash
    except OSError:
        return False


def _copied(context: Context) -> Path:
    """Copy the files once per machine: the folder appears whole, and the first of several workers wins."""
    import ray
    from ray._private.worker import global_worker

    assert global_worker.node is not None, "a worker of Ray belongs to a node"
    place = Path(global_worker.node.get_session_dir_path(), "daf", context.key)
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{context.key}.", dir=place.parent))
    for file in context.files:
        target = carried.below(part, file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(ray.get(file.content))
    try:
        part.rename(place)
    except OSError:  # another worker was faster
        if not place.is_dir():
            raise
    return place


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
