"""The deployment functions that the contract names, and their one result."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.deployment.packaging import PackageSettings, package
from daf.deployment.validation import STEP_LIMIT_MS, validate
from daf.game.isolated import MEMORY_MIB
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from mettagrid.policy.policy import PolicySpec
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class DeploymentResult:
    """What became of a policy on its way to where it plays.

    version: of its release; None before it is released. status: "packaged"; "validated" or "rejected" by a validation;
    "submitted", "already submitted" or "checked" (a dry run). message: what happened, for people.
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


def daf_validate_deployment(
    package_path: str | Path,
    missions: Any = None,
    threshold: float | None = None,
    mode: str = "quick",
    *,
    success: str | None = None,
    episodes: int | None = None,
    seed: int = 42,
    skip: Iterable[str] = (),
    network: bool = False,
    step_limit_ms: float = STEP_LIMIT_MS,
    memory_mib: int = MEMORY_MIB,
    seconds: float | None = None,
    console: "Console | None" = None,
) -> DeploymentResult:
    """Validate a bundle; arguments and errors as in `validate`, with the result that all of them share."""
    found = validate(
        package_path,
        missions,
        threshold,
        mode,
        success=success,
        episodes=episodes,
        seed=seed,
        skip=skip,
        network=network,
        step_limit_ms=step_limit_ms,
        memory_mib=memory_mib,
        seconds=seconds,
    )
    result = DeploymentResult(
        policy_name=found.policy_name,
        version=None,
        status="validated" if found.passed else "rejected",
        message=found.sentence(),
        package_path=str(found.path),
        deployment_id=found.sha256,
    )
    show(console, f"Validation of {found.policy_name}", result)
    return result
