"""The deployment functions that the contract names, and their one result."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daf.deployment.packaging import PackageSettings, package
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from mettagrid.policy.policy import PolicySpec
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class DeploymentResult:
    """What became of a policy on its way to where it plays.

    version: of its release; None before it is released. status: "packaged". message: one sentence.
    package_path: the bundle. deployment_id: SHA-256 of the bundle, which identifies it everywhere.
    """

    policy_name: str
    version: str | None
    status: str
    message: str
    package_path: str
    deployment_id: str


def daf_package_policy(
    policy: "str | Path | PolicySpec",
    output: str | Path | None = None,
    settings: PackageSettings | None = None,
    *,
    console: "Console | None" = None,
) -> DeploymentResult:
    """Pack a policy into a bundle; arguments and errors as in `package`, with the result that all of them share."""
    made = package(policy, output, settings)
    result = DeploymentResult(
        policy_name=made.name,
        version=None,
        status="packaged",
        message=made.sentence(),
        package_path=str(made.path),
        deployment_id=made.sha256,
    )
    show(console, f"Bundle of {made.name}", result)
    return result
