"""What to release, under which conditions, and who is called with the progress."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daf.deployment.gate import Gate
from daf.deployment.packaging import PackageSettings
from daf.episodes.plan import Plan
from daf.episodes.record import EpisodeRecord
from daf.errors import UsageError
from daf.registry import parse, require_name

KEEP_PREVIOUS = 3


@dataclass(frozen=True)
class ValidationSettings:
    """How the bundle is validated.

    mode: "quick" or "thorough" as in `validate`, "docker" for the job of `cogames validate-bundle` in its container, or
    "skip" for no validation. missions: default by mode. threshold: success rate that each mission must have, by its
    lower bound; the container's job is too short for one.
    """

    mode: Literal["quick", "thorough", "docker", "skip"] = "quick"
    missions: Sequence[str] | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Deployment:
    """What to release, and under which conditions.

    name: of the policy in the registry (default: the bundle's). version: default: the next patch. registry: as in
    `open_registry`. login_server: whose saved login is sent to the registry's endpoint, instead of
    `DAF_REGISTRY_TOKEN`. packing: of a policy that is not a bundle yet; None packs it as it is. gate: None to release
    without a comparison. keep_previous_versions: bundles of releases that are kept next to the live one, the last ones
    that were live; None keeps all. enable_rollback: whether a rollback may leave this release. season: of a tournament
    server, to which the release is submitted; the server is `login_server`, by default CoGames'.
    """

    name: str | None = None
    version: str | None = None
    registry: str | Path | None = None
    login_server: str | None = None
    packing: PackageSettings | None = None
    checks: ValidationSettings = ValidationSettings()
    gate: Gate | None = None
    keep_previous_versions: int | None = KEEP_PREVIOUS
    enable_rollback: bool = True
    season: str | None = None

    def __post_init__(self) -> None:
        if self.name is not None:
            require_name(self.name)
        if self.version is not None:
            parse(self.version)
        if self.keep_previous_versions is not None and self.keep_previous_versions < 0:
            raise UsageError(f"--keep must be 0 or more, got {self.keep_previous_versions}.")


@dataclass(frozen=True)
class Listeners:
    """Called with the progress of a deployment. stage: with what begins. plan, record: as the gate's episodes play."""

    stage: Callable[[str], None] = lambda _: None
    plan: Callable[[Plan], None] | None = None
    record: Callable[[EpisodeRecord], None] | None = None
