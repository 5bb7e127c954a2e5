"""Players for Coworld, the successor of CoGames' tournament.

`package_player` writes a project with a Dockerfile and a bridge that plays the policy, or one file. A file holds the
same bytes as Coworld's own tool (`coworld.player_files.player_file_bytes`) makes of the bundle's directory; what a game
makes of a file is the game's to define. Nothing of the policy is imported into this process.

Not guaranteed: equal bytes of a file where Python has another zlib, because Coworld's tool compresses.
"""

import io
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from daf.deployment import _coworld_project as project
from daf.deployment import _manifest
from daf.deployment._coworld_requirements import requirement_lines
from daf.deployment.packaging import Package, PackageSettings, package
from daf.errors import PackagingError
from daf.stats.sentences import counted
from daf.storage import atomic
from daf.storage.names import file_name

if TYPE_CHECKING:
    from mettagrid.policy.policy import PolicySpec

MOST_FILE_BYTES = 100 * 2**20
"""Coworld's limit of a file upload: of the directory's content, and of the zip."""
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Player:
    """A player that was written: a project's folder, or a file. packages: pinned in the project's image."""

    path: Path
    kind: Literal["project", "file"]
    name: str
    sha256: str | None
    bytes: int
    packages: int
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]

    def sentence(self) -> str:
        """What was written, in one sentence."""
        if self.kind == "file":
            return (
                f"{self.path} holds {self.name} as Coworld uploads a directory: {self.bytes:,} bytes, SHA-256 "
                f"{(self.sha256 or '')[:12]}…. Whether a game takes such a file, and how it plays it, is the game's."
            )
        image = project.image_name(self.name)
        return (
            f"{self.path} is a Coworld player of {self.name} with {counted(self.packages, 'pinned package')}. Build it "
            f"with `docker build --platform {project.PLATFORM} -t {image} {self.path}`."
        )


def package_player(
    policy: "str | Path | PolicySpec", output: str | Path | None = None, settings: PackageSettings | None = None
) -> Player:
    """Write a Coworld player of `policy` to `output`: a project's folder, or a file if it ends in .zip.

    output: a folder that doesn't exist yet or is empty, or a zip, which replaces an earlier one (default: the policy's
    name and -player in the working directory). The other arguments and errors are those of `package`.
    """
    with tempfile.TemporaryDirectory(prefix="daf-player-") as scratch:
        path = None if output is None else _target(Path(output).expanduser())
        made = package(policy, Path(scratch) / "bundle.zip", settings, leave_out=path)
        if path is None:
            path = _target(Path(f"{file_name(made.name.removeprefix('run:'))}-player"))
        if path.suffix.lower() == ".zip":
            content = Path(scratch) / "policy"
            project.copy_policy(made.path, content)
            return _file(path, content, made)
        return _project(path, made)


def _project(path: Path, made: Package) -> Player:
    requirements = requirement_lines(_needed(made))
    with atomic.writing_folder(path) as folder:
        folder.mkdir()
        project.copy_policy(made.path, folder / project.POLICY)
        project.write(folder, made.name, made.spec, requirements)
    return Player(
        path=path,
        kind="project",
        name=made.name,
        sha256=None,
        bytes=sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
        packages=sum(not line.startswith("--") for line in requirements),
        left_out=made.left_out,
        warnings=(*_without_cogames(made.warnings), *_project_warnings(made)),
    )


def _needed(made: Package) -> list[str]:
    """The packages that the policy imports. The manifest always lists CoGames, whether it does or not."""
    listed = [line.partition("==")[0] for line in made.manifest["requirements"]]
    optional = {"cogames", "daf"} - set(made.imports)
    return [name for name in listed if name not in optional] + (["torch"] if "torch" in made.imports else [])


def _file(path: Path, content: Path, made: Package) -> Player:
    data = file_bytes(content)
    atomic.write_bytes(path, data)
    return Player(
        path=path,
        kind="file",
        name=made.name,
        sha256=_manifest.entry_of(path)["sha256"],
        bytes=len(data),
        packages=0,
        left_out=made.left_out,
        warnings=made.warnings,
    )


def file_bytes(folder: Path) -> bytes:
    """The content of `folder` as Coworld's own tool packs it. Raises `PackagingError` above its limit."""
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in names)
    if size > MOST_FILE_BYTES:
        raise PackagingError(_too_large(size))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in names:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, _MODE << 16
            archive.writestr(entry, path.read_bytes())
    data = packed.getvalue()
    if len(data) > MOST_FILE_BYTES:
        raise PackagingError(_too_large(len(data)))
    return data


def _too_large(size: int) -> str:
    return (
        f"{size:,} bytes are too many for a file upload: Coworld takes at most {MOST_FILE_BYTES:,}. Write a project "
        "instead: -o DIR."
    )


def _target(path: Path) -> Path:
    if path.suffix.lower() == ".zip":
        if path.is_dir() or (path.exists() and path.read_bytes()[:2] != b"PK"):
            raise PackagingError(f"{path} exists and is not a zip file, so it is not replaced. Choose another -o.")
    elif path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise PackagingError(f"{path} exists, so it is not replaced. Remove it, or choose another -o.")
    return path


def _without_cogames(warnings: Sequence[str]) -> list[str]:
    """The warnings of a bundle that hold for a project too, whose image has every package."""
    return [warning for warning in warnings if "which CoGames does not bring" not in warning]


def _project_warnings(made: Package) -> list[str]:
    if "torch" in made.imports:
        return ["torch needs more than the 256 MiB of a player: add `--memory 1Gi` to `coworld upload-policy`."]
    return []
