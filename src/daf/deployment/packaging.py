"""Pack a policy into one zip that CoGames' own loader accepts.

The same inputs give the same bytes on any machine. Nothing of the policy is imported into this process, and a set-up
script is not run. Files that look like secrets are refused before anything is written.

Not guaranteed: that the code finds what it loads by computed names or reads from other files. Name those with
`include`.
"""

import json
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.deployment import _archive, _evaluations, _git, _manifest, _packing
from daf.deployment._requirements import Requirements, requirements_of
from daf.errors import PackagingError, quoted
from daf.game import policies as game_policies
from daf.game.policy_finding import Found, find
from daf.output_manager import execution
from daf.output_manager.layout import base_folder
from daf.storage.names import file_name

if TYPE_CHECKING:
    from mettagrid.policy.policy import PolicySpec

_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Package:
    """A bundle that was written. bytes: of the zip. left_out: entries of the source that are not in it.

    spec: its `policy_spec.json`. imports: packages outside the bundle that the policy needs, by their module names.
    """

    path: Path
    name: str
    class_path: str
    sha256: str
    bytes: int
    manifest: _manifest.Manifest
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]
    spec: Mapping[str, Any]
    imports: tuple[str, ...]

    def sentence(self) -> str:
        """What was written, in one sentence."""
        files = len(self.manifest["files"]) + 1
        return f"{self.path} holds {self.name}: {files} files, {self.bytes:,} bytes, SHA-256 {self.sha256[:12]}…"


@dataclass(frozen=True, slots=True)
class PackageSettings:
    """What goes into a bundle in addition to the policy as it is.

    weights: take the place of the policy's own. include: files and folders that its imports don't lead to. set_up: a
    Python script that runs once before the policy is loaded. allow_secret: patterns of entries that are not searched
    for secrets. results: a run whose episodes of this policy go into the manifest. output_dir: where `run:ID` and
    `results` are looked up.
    """

    weights: str | Path | None = None
    include: Sequence[str | Path] = ()
    set_up: str | Path | None = None
    allow_secret: Sequence[str] = ()
    results: str | Path | None = None
    output_dir: str | Path | None = None


def package(
    policy: "str | Path | PolicySpec",
    output: str | Path | None = None,
    settings: PackageSettings | None = None,
    *,
    leave_out: Path | None = None,
) -> Package:
    """Write the bundle of `policy` to `output` (default: its name and .zip in the working directory).

    policy: a policy string or path, as everywhere. leave_out: a file that is made of the bundle, and not packed into
    it.

    Raises `PackagingError`, `PolicyError`, `StorageError`. An existing bundle at `output` is replaced, another file
    never.
    """
    chosen = settings or PackageSettings()
    runs = base_folder(chosen.output_dir)
    with tempfile.TemporaryDirectory(prefix="daf-package-") as scratch:
        found = find(policy, cache=Path(scratch), runs=runs)
        if not found.roots and str(Path.cwd()) not in sys.path:
            sys.path.append(str(Path.cwd()))  # as `resolve` does, so that the same class is found
        path = _target(output, found)
        described = game_policies.describe(policy, cache=Path(scratch), runs=runs)
        contents = _packing.collect(
            found,
            weights=Path(chosen.weights) if chosen.weights is not None else None,
            include=[Path(one) for one in chosen.include],
            set_up=Path(chosen.set_up) if chosen.set_up is not None else None,
        )
        for made_of_it in (path, leave_out):
            if made_of_it is not None:
                _leave_out_itself(contents, made_of_it)
        _packing.check_limits(contents)
        _refuse_secrets(list(_packing.secrets_in(contents, chosen.allow_secret)))
        requirements = requirements_of(contents.imports)
        manifest = _manifest_of(found, contents, requirements, Path(scratch))
        if chosen.results is not None:
            if chosen.weights is not None:
                raise PackagingError("--results belong to the policy with its own weights: leave out --weights.")
            if described.identity is None:
                raise PackagingError(
                    f"{found.shown} has a set-up script, so its results can't be matched before it ran."
                )
            manifest["results"].append(
                _evaluations.of_run(chosen.results, described.identity, base_dir=chosen.output_dir)
            )
        entries = {**contents.files, _manifest.FILE: json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"}
        _archive.write(path, entries)
        return Package(
            path=path,
            name=found.name,
            class_path=found.class_path,
            sha256=_manifest.entry_of(path)["sha256"],
            bytes=path.stat().st_size,
            manifest=manifest,
            left_out=tuple(sorted(contents.left_out)),
            warnings=tuple(_warnings(contents, requirements)),
            spec=contents.spec,
            imports=tuple(sorted(contents.imports | ({"torch"} if described.network else set()))),
        )


def _target(output: str | Path | None, found: Found) -> Path:
    if output is None:
        output = f"{file_name(found.name.removeprefix('run:'))}.zip"
    path = Path(output).expanduser()
    if path.suffix.lower() != ".zip":
        raise PackagingError(f"{path} must end in .zip: CoGames and DAF recognize bundles by it.")
    if path.is_dir() or (path.exists() and path.read_bytes()[:2] != b"PK"):
        raise PackagingError(f"{path} exists and is not a zip file, so it is not replaced. Choose another -o.")
    return path


def _leave_out_itself(contents: _packing.Contents, path: Path) -> None:
    """A folder may hold the bundle that an earlier call made of it."""
    for name, content in list(contents.files.items()):
        if isinstance(content, Path) and content.resolve() == path.resolve():
            if contents.spec["data_path"] == name:
                raise PackagingError(f"{path} is the policy's weights. Choose another -o.")
            del contents.files[name]
            contents.left_out.append(name)


def _refuse_secrets(found: Sequence[str]) -> None:
    if found:
        more = f" ({len(found) - _MOST_SHOWN} more)" if len(found) > _MOST_SHOWN else ""
        names = ", ".join(dict.fromkeys(quoted(line.partition(": ")[0]) for line in found[:_MOST_SHOWN]))
        raise PackagingError(
            f"the bundle would share what looks like secrets: {'; '.join(found[:_MOST_SHOWN])}{more}. Remove them, or "
            f"pass --allow-secret for files that may be shared ({names})."
        )


def _manifest_of(
    found: Found, contents: _packing.Contents, requirements: Requirements, scratch: Path
) -> _manifest.Manifest:
    versions = {"python": ".".join(platform.python_version_tuple()[:2])}
    packages = ["daf", "cogames", "mettagrid", *(["torch"] if "torch" in contents.imports else [])]
    versions |= {name: version(name) for name in packages}
    git = _git.state_of([path for path in contents.sources if not path.is_relative_to(scratch)])
    results: list[_manifest.PolicyResults] = []
    if found.bundle is not None:
        root = found.bundle.root
        results = _evaluations.of_checkpoint(root)
        before = _manifest.read(root)
        entries = {name: _manifest.entry_of(content) for name, content in contents.files.items()}
        if before is not None and before["files"] == entries:  # the same content: what was recorded of it holds
            return {**before, "name": found.name}
        if git is None:
            git = _recorded_commit(root)
    return {
        "format": _manifest.FORMAT,
        "name": found.name,
        "files": {name: _manifest.entry_of(content) for name, content in sorted(contents.files.items())},
        "versions": versions,
        "requirements": list(requirements.pinned),
        "git": {"commit": git.commit, "dirty": git.dirty} if git is not None else None,
        "licence": contents.licence,
        "results": results,
    }


def _recorded_commit(checkpoint: Path) -> _git.GitState | None:
    """The commit that the training run of a checkpoint recorded."""
    log = execution.read(checkpoint.parent.parent)
    commit = log.get("git_commit") if log is not None else None
    return _git.GitState(commit, None) if isinstance(commit, str) else None


def _warnings(contents: _packing.Contents, requirements: Requirements) -> list[str]:
    found = []
    missing = requirements.missing_there()
    if missing:
        found.append(
            f"the code needs {', '.join(missing)}, which CoGames does not bring. Install it in a --set-up script."
        )
    if requirements.not_installed:
        found.append(
            f"the code imports {', '.join(requirements.not_installed)}, which is neither installed here nor in the "
            "bundle."
        )
    data = contents.spec["data_path"]
    if data is not None and Path(data).suffix in (".pt", ".pth", ".pkl", ".bin"):
        found.append(f"{data} is a pickle: CoGames may run code in it. Prefer .safetensors where the class loads it.")
    if contents.licence is None and contents.sources:
        found.append("no licence was found next to the code: others may not use the policy without one.")
    return found
