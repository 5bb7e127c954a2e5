"""Policy bundles: a folder or a zip with a policy's code, weights and specification.

`open_bundle` reads a bundle and executes nothing of it. The weights and set-up script that its specification names must
be in the bundle, after following links, or the bundle is refused. `set_up` runs its set-up script once; only code that
plays calls it.
"""

import functools
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from daf.errors import DamagedFileError, PolicyError, StorageError, UnsafePathError, quoted
from daf.game import answers, bundle_archives, compat, isolated
from daf.game.checkpoint_folders import require_playable
from daf.game.known_policies import KNOWN
from daf.processes.confined import Confinement
from daf.storage import atomic, locks, reading
from daf.storage.containment import inside
from daf.storage.hashing import canonical_json, hash_file
from daf.storage.paths import existing

SPEC_FILE = "policy_spec.json"
MANIFEST_FILE = "cogames.toml"
SETUP_SECONDS = 300
SET_UP_MARK = ".daf-set-up-"
"""Start of the name of the file that shows that a bundle's set-up script was run."""
_LONGEST_SPEC = 4 * 2**20
_LONGEST_CLASS_PATH = 1_000
_CLASS_PATH = re.compile(r"[\w -]+(\.[\w -]+)+")


@dataclass(frozen=True, slots=True)
class Bundle:
    """root: the folder with the specification. data_path: absolute path of the weights, if any.

    setup_script: to be run before the policy is imported; None if there is none, or it was run. script: the set-up
    script, whether or not it was run.
    """

    root: Path
    class_path: str
    data_path: str | None
    kwargs: dict[str, Any]
    setup_script: Path | None
    script: Path | None


def is_bundle(path: Path) -> bool:
    """Whether `path` is a folder with a policy specification, or a zip file."""
    if path.is_dir():
        return (path / SPEC_FILE).is_file() or (path / MANIFEST_FILE).is_file()
    return path.suffix.lower() == ".zip" and path.is_file()


def open_bundle(path: Path, cache: Path) -> Bundle:
    """Read the bundle at `path`; a zip is unpacked below `cache` first. Raises `PolicyError`, `StorageError`."""
    zipped = not path.is_dir()
    markers = (SPEC_FILE, MANIFEST_FILE)
    root = bundle_archives.unpacked(path, cache, markers=markers) if zipped else path.resolve()
    require_playable(root)
    spec = _specification(root, path)
    class_path = KNOWN[spec.class_path].class_path if spec.class_path in KNOWN else spec.class_path
    if len(class_path) > _LONGEST_CLASS_PATH or _CLASS_PATH.fullmatch(class_path) is None:
        raise PolicyError(f"{path}: the class_path {quoted(class_path)} is not of the form package.module.Class.")
    data = _part(path, root, spec.data_path, "data_path") if spec.data_path is not None else None
    script = None
    if spec.setup_script:
        script = _part(path, root, spec.setup_script, "setup_script")
        if script.suffix != ".py" or not script.is_file():
            raise PolicyError(f"{path}: the setup_script {quoted(spec.setup_script)} is not a Python file.")
    return Bundle(
        root=root,
        class_path=class_path,
        data_path=str(data) if data is not None else None,
        kwargs=dict(spec.init_kwargs),
        setup_script=script if script is not None and not _done(root, script).exists() else None,
        script=script,
    )


def import_roots(bundle: Bundle) -> list[str]:
    """The folders to import the bundle's code from, the nearest first."""
    inside = sorted((path.relative_to(bundle.root).as_posix(), path.is_dir()) for path in bundle.root.rglob("*"))
    question = ["package root", bundle.class_path, inside]
    found = answers.answer(question, list[str], lambda: _package_roots(bundle))
    return list(dict.fromkeys(str((bundle.root / root).resolve()) for root in [*found, "."]))


def _package_roots(bundle: Bundle) -> list[str]:
    """The folder of the bundle's package below its root, if it has one, as CoGames finds it."""
    compat.install()
    from mettagrid.policy.prepare_policy_spec import find_package_source_root

    found = find_package_source_root(bundle.root, bundle.class_path)
    return [] if found is None else [found.relative_to(bundle.root).as_posix()]


def set_up(
    bundle: Bundle, cache: Path, *, seconds: float = SETUP_SECONDS, confinement: Confinement | None = None
) -> None:
    """Run the bundle's set-up script in its folder, unless that was done. Raises `PolicyError`, `StorageError`."""
    script, root = bundle.setup_script, bundle.root
    if script is None:
        return
    done = _done(root, script)
    busy = f"{root}: another process runs its set-up script {script.name}."
    with locks.exclusive(cache / f"{hash_file(script)}.setup.lock", busy, patience=seconds):
        if done.exists():
            return
        try:
            code, printed = isolated.run(
                [sys.executable, str(script)], seconds=seconds, cwd=root, confinement=confinement
            )
        except subprocess.TimeoutExpired as error:
            raise PolicyError(f"{root}: the set-up script {script.name} ran longer than {seconds:g} s.") from error
        if code != 0:
            last = isolated.last_line(printed) or "it printed no reason"
            raise PolicyError(f"{root}: the set-up script {script.name} failed with exit code {code}: {last}")
        try:
            atomic.sync_tree(root)  # its output is on the disk before it counts as done
        except OSError as error:
            raise StorageError(atomic.explain(error, f"writing {root}")) from error
        atomic.write_bytes(done, b"")
        if root.parent == cache:
            bundle_archives.remember(root)  # it may have changed extracted files


def copied(bundle: Bundle, folder: Path) -> Bundle:
    """The same bundle in the new `folder`, so that what its code writes does not change the original."""
    try:
        shutil.copytree(bundle.root, folder)
    except OSError as error:
        raise StorageError(atomic.explain(error, f"copying {bundle.root}")) from error
    return open_bundle(folder, folder)


def _done(root: Path, script: Path) -> Path:
    return root / f"{SET_UP_MARK}{hash_file(script)[:16]}"


def _part(path: Path, root: Path, name: str, key: str) -> Path:
    """The file that the specification names, which must be in the bundle."""
    try:
        found = inside(root, name)
    except UnsafePathError as error:
        raise PolicyError(
            f"{path}: its {key} {quoted(name)} leads out of the bundle. Put the file itself into the directory of "
            "the bundle."
        ) from error
    there = existing(str(found))
    if there is None or not (there.is_file() or there.is_dir()):
        raise PolicyError(f"{path}: its {key} {quoted(name)} is not a file or directory of the bundle.")
    return found


class _Specification(msgspec.Struct):
    """The fields of upstream's `SubmissionPolicySpec`."""

    class_path: str
    data_path: str | None
    init_kwargs: dict[str, Any]
    setup_script: str | None


def _specification(root: Path, shown: Path) -> _Specification:
    try:
        for name, form in ((SPEC_FILE, "json"), (MANIFEST_FILE, "toml")):
            text = reading.read_text(root / name, limit=_LONGEST_SPEC)
            if text is not None:
                question = ["policy specification", form, text]
                found = functools.partial(_parsed, text, form)
                return answers.answer(question, _Specification, found, lasting=_survives)
    except DamagedFileError as error:
        raise PolicyError(f"{shown}: its policy specification can't be read: {error.reason}.") from error
    except KeyError as error:
        raise PolicyError(f"{shown}: {MANIFEST_FILE} has no [policy] table.") from error
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"{shown}: its policy specification can't be read: {_first_problem(error)}.") from error
    raise PolicyError(f"{shown} holds neither {SPEC_FILE} nor {MANIFEST_FILE}, so it is not a policy bundle.")


def _parsed(text: str, form: str) -> _Specification:
    import tomllib

    compat.install()
    from mettagrid.policy.submission import SubmissionPolicySpec

    if form == "json":
        spec = SubmissionPolicySpec.model_validate_json(text)
    else:
        spec = SubmissionPolicySpec.model_validate(tomllib.loads(text)["policy"])
    return _Specification(spec.class_path, spec.data_path, dict(spec.init_kwargs), spec.setup_script)


def _survives(spec: _Specification) -> bool:
    """Whether a specification reads back as it was written; arguments may be of types that do not."""
    try:
        return canonical_json(spec.init_kwargs) == canonical_json(
            msgspec.msgpack.decode(msgspec.msgpack.encode(spec.init_kwargs))
        )
    except (TypeError, ValueError, OverflowError):
        return False


def _first_problem(error: Exception) -> str:
    """Pydantic's first error, or the parser's message."""
    if hasattr(error, "errors"):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'it'}: {first['msg']}"
    return (str(error).splitlines() or [type(error).__name__])[0]
