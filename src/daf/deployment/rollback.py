"""Make an earlier release live again.

The release's bundle is verified before it becomes live, and running servers end their episodes on the release that
they began with.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from daf.deployment.result import DeploymentResult
from daf.errors import ReleaseError
from daf.output_manager.layout import base_folder
from daf.registry import PolicyReleases, open_registry, selected
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console


def daf_rollback_deployment(
    release: str | None = None,
    *,
    registry: str | Path | None = None,
    output_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> DeploymentResult:
    """Make `release` live: NAME@VERSION, VERSION, or NAME for the release that was live before the live one.

    registry: a directory or an endpoint, default `DAF_REGISTRY` or `releases/` in `output_dir`. Raises `ReleaseError`
    if there is no such release, it is live, its bundle was deleted, or the live one must not be left; `LockedError`.
    """
    there = open_registry(registry, base_dir=base_folder(output_dir))
    name, version = selected(there, release)
    policy = there.policy(name)
    wanted = policy.find(_target(policy, version, there.place)).release
    with tempfile.TemporaryDirectory(prefix="daf-rollback-") as scratch:
        there.fetch(wanted, Path(scratch))
    there.switch(name, policy.next_event("rolled back", wanted["version"]), expected=policy.live)
    result = DeploymentResult(
        policy_name=name,
        version=wanted["version"],
        status="rolled back",
        message=f"{name} {wanted['version']} is live again, instead of {policy.live}.",
        package_path=there.where(wanted),
        deployment_id=wanted["sha256"],
    )
    show(console, f"Rollback of {name}", result)
    return result


def _target(policy: PolicyReleases, version: str | None, place: str) -> str:
    if policy.live is None:
        raise ReleaseError(f"no release of {policy.name} is live in {place}, so there is nothing to roll back.")
    live = next((one.release for one in policy.releases if one.release["version"] == policy.live), None)
    if live is not None and not live["rollback"]:
        raise ReleaseError(
            f"{policy.name} {policy.live} was released with enable_rollback: false, so it is not rolled back. Deploy "
            "another release."
        )
    if version == policy.live:
        raise ReleaseError(f"{policy.name} {version} is live already.")
    if version is not None:
        return version
    before = policy.before_live()
    if before is None:
        others = [
            one.release["version"] for one in policy.releases if one.kept and one.release["version"] != policy.live
        ]
        way_out = f"Name one of {', '.join(others)}." if others else "There is no other release."
        raise ReleaseError(f"no release of {policy.name} was live before {policy.live}. {way_out}")
    return before
