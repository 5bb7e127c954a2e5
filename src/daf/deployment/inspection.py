"""What a bundle holds and what would run, without importing or running anything of it.

A zip is unpacked into a temporary folder after the checks that every reader of bundles in DAF makes; an entry that
would leave it, a link, a device, colliding names or a bomb is refused with its name and the reason. If the bundle has
DAF's manifest, every entry must have the SHA-256 that is listed.

Not guaranteed: that the code is harmless. Hashes show damage, not who packed the bundle.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from daf.deployment import _manifest, _secrets
from daf.deployment._pickles import imported_names
from daf.errors import DamagedFileError, PolicyError, quoted
from daf.game import bundles
from daf.game.known_policies import SHORT_NAMES
from daf.game.policy_finding import copy_that_differs
from daf.storage.containment import require_own

_MANY = 5


@dataclass(frozen=True, slots=True)
class Inspection:
    """A bundle, as it was read. sha256: of the zip; None for a folder. entries: of every file.

    verified: whether the hashes of the manifest were compared, and fit; False without a manifest. would_run: what code
    runs when the policy is loaded, in order. warnings: for the reader to decide on.
    """

    path: Path
    sha256: str | None
    spec: Mapping[str, Any]
    entries: Mapping[str, _manifest.BundleEntry]
    manifest: _manifest.Manifest | None
    verified: bool
    would_run: tuple[str, ...]
    warnings: tuple[str, ...]


def inspect(path: str | Path) -> Inspection:
    """Inspect the bundle at `path`, a zip or a folder.

    Raises `PolicyError` for one that can't be used, with the entry and the reason, `DamagedFileError` where its content
    is not what its manifest lists.
    """
    bundle_path = require_bundle(path)
    zipped = bundle_path.is_file()
    with tempfile.TemporaryDirectory(prefix="daf-inspect-") as scratch:
        if not zipped:
            require_own(bundle_path)
        bundle = bundles.open_bundle(bundle_path, Path(scratch))
        files = _files(bundle.root)
        entries = {name: _manifest.entry_of(file) for name, file in files.items() if name != _manifest.FILE}
        manifest = _manifest.read(bundle.root)
        if manifest is not None:
            _verify(bundle_path, manifest, entries)
        return Inspection(
            path=bundle_path,
            sha256=_manifest.entry_of(bundle_path)["sha256"] if zipped else None,
            spec=_spec(bundle),
            entries=entries,
            manifest=manifest,
            verified=manifest is not None,
            would_run=tuple(_would_run(bundle, files)),
            warnings=tuple(_warnings(bundle, files, manifest)),
        )


def require_bundle(path: str | Path) -> Path:
    """The path of a bundle. Raises `PolicyError` if there is none."""
    bundle_path = Path(path).expanduser()
    if not bundle_path.exists():
        raise PolicyError(f"there is no bundle at {bundle_path}.")
    if not bundles.is_bundle(bundle_path):
        raise PolicyError(
            f"{bundle_path} is not a bundle: pass a zip, or a directory with {bundles.SPEC_FILE} or "
            f"{bundles.MANIFEST_FILE}. `daf package` makes one."
        )
    return bundle_path


def _files(root: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            found[path.relative_to(root).as_posix()] = path
        elif not path.is_dir():
            raise PolicyError(f"{path} is not a regular file, which a bundle must not hold.")
    return found


def _verify(path: Path, manifest: _manifest.Manifest, entries: Mapping[str, _manifest.BundleEntry]) -> None:
    different = [
        line for line in _manifest.differences(manifest, entries) if not line.startswith(bundles.SET_UP_MARK)
    ]  # the mark is DAF's own, in a folder whose set-up script was run
    if different:
        more = f"; {len(different) - _MANY} more" if len(different) > _MANY else ""
        raise DamagedFileError(path, "; ".join(different[:_MANY]) + more)


def _relative(bundle: bundles.Bundle, path: str | Path | None) -> str | None:
    return None if path is None else Path(path).relative_to(bundle.root.resolve()).as_posix()


def _spec(bundle: bundles.Bundle) -> dict[str, Any]:
    return {
        "class_path": bundle.class_path,
        "data_path": _relative(bundle, bundle.data_path),
        "init_kwargs": bundle.kwargs,
        "setup_script": _relative(bundle, bundle.script),
    }


def _would_run(bundle: bundles.Bundle, files: Mapping[str, Path]) -> list[str]:
    steps = []
    script = _relative(bundle, bundle.script)
    if script is not None:
        steps.append(f"{script}, once, in a separate process in the bundle's directory")
    module, _, name = bundle.class_path.rpartition(".")
    place = module.replace(".", "/")
    own = next((file for file in files if file.endswith((f"{place}.py", f"{place}/__init__.py"))), None)
    if own is not None and bundle.class_path in SHORT_NAMES:
        steps.append(f"import of {module}: CoGames takes {own} of the bundle, DAF its own installed copy")
    else:
        steps.append(f"import of {module} ({own or 'an installed package, not part of the bundle'})")
    arguments = ", ".join(f"{key}={value!r}" for key, value in bundle.kwargs.items())
    steps.append(f"{name}({arguments})")
    data = _relative(bundle, bundle.data_path)
    if data is not None:
        steps.append(f"{name}.load_policy_data({data!r})")
    return steps


def _warnings(bundle: bundles.Bundle, files: Mapping[str, Path], manifest: _manifest.Manifest | None) -> list[str]:
    found = []
    if manifest is None:
        found.append("it has no manifest of DAF: its content can't be verified. `daf package` of it writes one.")
    else:
        found += _version_warnings(manifest)
    copy = copy_that_differs(bundle)
    if copy is not None:
        found.append(
            f"{_relative(bundle, copy)} differs from the installed copy, which DAF plays; CoGames plays this one"
        )
    for name, path in files.items():
        if path.suffix in (".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt"):
            names = imported_names(path)
            if names:
                found.append(f"{name} is a pickle that runs code when it is loaded in full: {', '.join(names[:_MANY])}")
            elif names is not None:
                found.append(f"{name} is a pickle of tensors; safetensors can't hold code at all")
        why = _secrets.of_name(name)
        if why is not None:
            found.append(f"{name}: {why}")
        if path.suffix in (".so", ".pyd", ".dll", ".dylib", ".exe"):
            found.append(f"{name} is compiled code, which can't be read here")
    return found


def _version_warnings(manifest: _manifest.Manifest) -> list[str]:
    found = []
    for name in ("cogames", "mettagrid"):
        packed = manifest["versions"].get(name)
        try:
            here = version(name)
        except PackageNotFoundError:
            here = None
        if packed is not None and packed != here:
            found.append(f"it was packed with {name} {packed}; {quoted(here or 'none')} is installed here")
    git = manifest["git"]
    if git is not None and git["dirty"]:
        found.append(f"its code differs from commit {git['commit'][:12]}: the tree had changes")
    return found
