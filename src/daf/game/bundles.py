"""Policy bundles: a folder or a zip that carries a policy's code, weights and specification.

A zip is unpacked once under the hash of its content (upstream keys by path, so that a rebuilt zip runs old code), whole
or not at all. Hostile archives are refused before anything is written: absolute or climbing paths, links, too many
files, too many bytes.
"""

import os
import secrets
import shutil
import stat
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from daf.errors import PolicyError
from daf.game.checkpoint_folders import require_playable
from daf.storage.hashing import hash_file

SPEC_FILE = "policy_spec.json"
MANIFEST_FILE = "cogames.toml"
MAX_FILES = 20_000
MAX_BYTES = 8 * 2**30
SETUP_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Bundle:
    """root: the folder with the specification. data_path: absolute path of the weights, where there are any."""

    root: Path
    class_path: str
    data_path: str | None
    kwargs: dict[str, Any]


def is_bundle(path: Path) -> bool:
    """Whether `path` is a folder with a policy specification, or a zip file."""
    if path.is_dir():
        return (path / SPEC_FILE).is_file() or (path / MANIFEST_FILE).is_file()
    return path.suffix == ".zip" and path.is_file()


def open_bundle(path: Path, cache: Path) -> Bundle:
    """Read the bundle at `path`; a zip is unpacked below `cache` first. Raises `PolicyError`."""
    root = path.resolve() if path.is_dir() else _unpacked(path, cache)
    require_playable(root)
    spec = _specification(root, path)
    if spec.setup_script:
        _set_up(root, spec.setup_script)
    data_path = None
    if spec.data_path is not None:
        data = (root / spec.data_path).resolve()
        if not data.exists():
            raise PolicyError(f"{path}: its specification names the weights {spec.data_path}, which it does not hold.")
        data_path = str(data)
    return Bundle(root=root, class_path=spec.class_path, data_path=data_path, kwargs=dict(spec.init_kwargs))


def import_roots(bundle: Bundle) -> list[str]:
    """The folders to import the bundle's code from, the nearest first."""
    from mettagrid.policy.prepare_policy_spec import find_package_source_root

    found = find_package_source_root(bundle.root, bundle.class_path)
    roots = [found, bundle.root] if found is not None else [bundle.root]
    return list(dict.fromkeys(str(root.resolve()) for root in roots))


def _specification(root: Path, shown: Path) -> Any:
    from mettagrid.policy.submission import SubmissionPolicySpec, load_policy_manifest

    try:
        if (root / SPEC_FILE).is_file():
            return SubmissionPolicySpec.model_validate_json((root / SPEC_FILE).read_text())
        if (root / MANIFEST_FILE).is_file():
            return load_policy_manifest(root / MANIFEST_FILE)
    except (ValueError, KeyError, OSError) as error:
        raise PolicyError(f"{shown}: its policy specification cannot be read: {error}") from error
    raise PolicyError(f"{shown} holds neither {SPEC_FILE} nor {MANIFEST_FILE}, so it is no policy bundle.")


def _unpacked(archive: Path, cache: Path) -> Path:
    destination = cache / hash_file(archive)
    if destination.is_dir():
        return destination
    temporary = cache / f".unpacking-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        with zipfile.ZipFile(archive) as bundle:
            _check(bundle, archive)
            temporary.mkdir(parents=True)
            bundle.extractall(temporary)
        try:
            temporary.rename(destination)
        except OSError:
            if not destination.is_dir():
                raise
    except zipfile.BadZipFile as error:
        raise PolicyError(f"{archive} is no zip file, or a damaged one: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return destination


def _check(bundle: zipfile.ZipFile, archive: Path) -> None:
    entries = bundle.infolist()
    if len(entries) > MAX_FILES:
        raise PolicyError(f"{archive}: {len(entries)} files are more than a bundle may hold ({MAX_FILES}).")
    size = sum(entry.file_size for entry in entries)
    if size > MAX_BYTES:
        raise PolicyError(f"{archive}: {size} bytes unpacked are more than a bundle may hold ({MAX_BYTES}).")
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts:
            raise PolicyError(f"{archive}: the entry {entry.filename!r} leads out of the bundle.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise PolicyError(f"{archive}: the entry {entry.filename!r} is a link, which a bundle must not hold.")


def _set_up(root: Path, script: str) -> None:
    """Run the bundle's set-up script once, in its folder."""
    path = (root / script).resolve()
    if root.resolve() not in path.parents or path.suffix != ".py" or not path.is_file():
        raise PolicyError(f"{root}: the set-up script {script!r} is no Python file inside the bundle.")
    done = root / f".daf-set-up-{hash_file(path)[:16]}"
    if done.exists():
        return
    try:
        result = subprocess.run(
            [sys.executable, str(path)], cwd=root, capture_output=True, text=True, timeout=SETUP_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise PolicyError(f"{root}: the set-up script {script} ran longer than {SETUP_SECONDS} s.") from error
    if result.returncode != 0:
        last = (result.stderr.strip() or result.stdout.strip() or "it said nothing").splitlines()[-1]
        raise PolicyError(f"{root}: the set-up script {script} failed with exit code {result.returncode}: {last}")
    done.touch()
