"""The release that a bundle would become: its zip, its name and its version."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path

from daf.deployment.deployment_settings import Deployment, Listeners
from daf.deployment.inspection import Inspection
from daf.deployment.packaging import PackageSettings, package
from daf.errors import ReleaseError, quoted
from daf.game import bundles
from daf.registry import FIRST, PolicyReleases, Release, now, other_bytes, parse, require_name


@contextlib.contextmanager
def bundle_of(
    policy: str | Path, packing: PackageSettings | None, base_dir: Path, listening: Listeners
) -> Iterator[Path]:
    """The zip of `policy`, which is packed unless it is one already and nothing is to be added."""
    path = Path(policy).expanduser()
    if path.is_file() and bundles.is_bundle(path) and packing in (None, PackageSettings()):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="daf-deploy-") as scratch:
        listening.stage(f"packing {policy}")
        settings = packing or PackageSettings()
        settings = replace(settings, output_dir=settings.output_dir or base_dir)
        yield package(policy, Path(scratch) / "bundle.zip", settings).path


def check_versions(found: Inspection) -> None:
    if found.manifest is None:
        return
    for name in ("cogames", "mettagrid"):
        packed, here = found.manifest["versions"].get(name), installed_version(name)
        if packed is not None and packed != here:
            raise ReleaseError(
                f"{found.path} was packed with {name} {packed}, and {here} is installed here, so it can't be checked "
                f"as it was packed. Pack its policy again here, or deploy it where {name} {packed} is installed."
            )


def name_of(found: Inspection) -> str:
    name = (found.manifest["name"] if found.manifest is not None else found.path.stem).removeprefix("run:")
    try:
        return require_name(name)
    except ReleaseError as error:
        raise ReleaseError(f"the bundle's name {quoted(name)} can't name a release. Choose one with --as.") from error


def release_of(found: Inspection, name: str, before: PolicyReleases, deployment: Deployment) -> Release:
    assert found.sha256 is not None  # a zip has one
    return {
        "name": name,
        "version": deployment.version or _next_version(before, found.sha256),
        "sha256": found.sha256,
        "bytes": found.path.stat().st_size,
        "added_at": now(),
        "rollback": deployment.enable_rollback,
        "facts": {
            "class_path": found.spec["class_path"],
            "versions": dict(found.manifest["versions"]) if found.manifest is not None else {},
        },
    }


def _next_version(before: PolicyReleases, sha256: str) -> str:
    """The version that has these bytes, else the next patch after the newest."""
    for stored in before.releases:
        if stored.release["sha256"] == sha256:
            return stored.release["version"]
    return str(parse(before.releases[0].release["version"]).next_patch()) if before.releases else str(FIRST)


def is_known(before: PolicyReleases, release: Release) -> bool:
    """Whether the release is in the registry. Raises `ReleaseError` if its version has other bytes."""
    for stored in before.releases:
        if stored.release["version"] == release["version"]:
            if stored.release["sha256"] != release["sha256"]:
                raise other_bytes(release, stored.release, before.versions())
            return True
    return False
