"""Release a bundle: validate it, compare it with the live release, store it, and make it live.

Nothing in the registry changes before the candidate has passed. The change itself is one step: a crash at any point
leaves the old or the new release live, and the same command continues. If another deployment changed the live release
while the gate was played, the candidate was compared with the wrong one, and is refused.
"""

import functools
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.auth_integration import servers, token_for
from daf.config import DAFDeploymentConfig, DAFTournamentConfig
from daf.deployment import _candidate as candidate
from daf.deployment.deployment_settings import Deployment, Listeners, ValidationSettings
from daf.deployment.from_config import deployment_from
from daf.deployment.gate import Gate, play_gate
from daf.deployment.gate_report import GateReport
from daf.deployment.inspection import inspect
from daf.deployment.result import DeploymentResult
from daf.deployment.submission import submit
from daf.deployment.validation import MISSIONS, Validation, validate
from daf.errors import DAFError, Interrupted, PolicyError, ServerError, UsageError
from daf.game import compat
from daf.game import missions as game_missions
from daf.game.account import default_login_server
from daf.game.cogames_container import validate_in_container
from daf.playing.settings import Settings
from daf.registry import HttpRegistry, PolicyReleases, Registry, Release, open_registry, prune
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console

    from daf.output_manager import OutputManager


@dataclass(frozen=True)
class Deployed:
    """The outcome of a deployment. result: what all deployment functions return. removed: versions whose bundles were
    deleted.
    """

    result: DeploymentResult
    validation: Validation | None
    gate: GateReport | None
    removed: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def refused(self) -> bool:
        return self.result.status == "refused"


def daf_deploy_policy(
    policy: str | Path | DAFDeploymentConfig,
    version: str | None = None,
    *,
    deployment: Deployment | None = None,
    settings: Settings | None = None,
    output: "OutputManager | None" = None,
    console: "Console | None" = None,
) -> DeploymentResult:
    """Release `policy` as `version`, and make it live; arguments and errors as in `deploy`.

    policy: also a configuration, which says everything that `deployment` does.
    The result's status is "released", "unchanged" if the same bytes are live under that version, or "refused" if the
    validation or the gate failed; then the message has the numbers, and nothing changed.
    """
    wanted = deployment or Deployment()
    if isinstance(policy, DAFDeploymentConfig):
        if deployment is not None:
            raise UsageError("a DAFDeploymentConfig describes the whole deployment: leave out `deployment`.")
        policy, wanted = deployment_from(policy)
    if version is not None:
        wanted = replace(wanted, version=version)
    result = deploy(policy, wanted, settings=settings, output=output).result
    show(console, f"Deployment of {result.policy_name}", result)
    return result


def deploy(
    policy: str | Path,
    deployment: Deployment,
    *,
    settings: Settings | None = None,
    output: "OutputManager | None" = None,
    listeners: Listeners | None = None,
) -> Deployed:
    """Validate, compare and release `policy`.

    policy: a bundle's zip, or anything that `package` packs, which is packed first. settings: how the gate's episodes
    are played.

    Raises `ReleaseError` for a version that exists with other bytes, or a bundle of another CoGames version;
    `LockedError` if another release became live in the meantime; and as `package`, `inspect` and the registry do.
    """
    from daf.output_manager import OutputManager

    compat.install()  # before reading the bundle imports mettagrid, which reconfigures the logging
    where, listening = output or OutputManager(), listeners or Listeners()
    registry = _opened(deployment, where.base_dir)
    with candidate.bundle_of(policy, deployment.packing, where.base_dir, listening) as path:
        found = inspect(path)
        candidate.check_versions(found)
        name = deployment.name or candidate.name_of(found)
        before = registry.policy(name)
        release = candidate.release_of(found, name, before, deployment)
        ended = functools.partial(_ended, release, registry.where(release), found.warnings)
        if candidate.is_known(before, release) and before.live == release["version"]:
            registry.add(release, path)  # stores its bundle again if it is damaged
            message = f"{name} {release['version']} is live with the same bytes. Nothing changed."
            return ended("unchanged", _submitted(path, release, deployment, message, where, listening))
        refused = functools.partial(_ended, release, str(policy), found.warnings, "refused")
        checked = _check(path, f"{name} {release['version']}", deployment.checks, listening)
        if checked.problem is not None:
            return refused(checked.problem, checked.validation)
        gate = None
        if deployment.gate is not None and (before.live is not None or deployment.gate.against != "current"):
            gate = _gate(path, release, before, registry, deployment.gate, settings, where, listening)
            if not gate.passed:
                return refused(gate.analysis.sentence(), checked.validation, gate)
        release["facts"] |= {"validation": checked.facts, "gate": gate.facts() if gate is not None else None}
        registry.add(release, path)
        registry.switch(name, before.next_event("released", release["version"]), expected=before.live)
        removed = prune(registry, name, deployment.keep_previous_versions)
        message = _sentence(release, before, deployment, gate)
        message = _submitted(path, release, deployment, message, where, listening)
        return ended("released", message, checked.validation, gate, removed)


@dataclass(frozen=True)
class _Checked:
    """facts: what the release records of the validation; None without one. problem: why the bundle is refused."""

    facts: dict[str, Any] | None = None
    problem: str | None = None
    validation: Validation | None = None


def _check(path: Path, what: str, checks: ValidationSettings, listening: Listeners) -> _Checked:
    if checks.mode == "skip":
        return _Checked()
    listening.stage(f"validating {what}")
    if checks.mode == "docker":
        return _check_in_container(path, checks, listening)
    found = validate(path, checks.missions, checks.threshold, checks.mode, on_stage=listening.stage)
    return _Checked(found.to_data(), None if found.passed else found.sentence(), found)


def _check_in_container(path: Path, checks: ValidationSettings, listening: Listeners) -> _Checked:
    missions = game_missions.resolve(list(checks.missions or MISSIONS["quick"]))
    try:
        for mission in missions:
            listening.stage(f"playing 10 steps of {mission.name} in CoGames' container")
            validate_in_container(path, mission.name, mission.config_json)
    except PolicyError as error:
        return _Checked(problem=f"the bundle failed the validation. {error}")
    names = [mission.name for mission in missions]
    return _Checked({"mode": "docker", "passed": True, "missions": [{"mission": name} for name in names]})


def _submitted(
    path: Path, release: Release, deployment: Deployment, message: str, output: "OutputManager", listening: Listeners
) -> str:
    """`message`, and what became of the submission. Raises `ServerError`: the release stays live.

    A login server other than CoGames' own is the tournament server itself.
    """
    if deployment.season is None:
        return message
    listening.stage(f"submitting to season {deployment.season}")
    own = deployment.login_server not in (None, default_login_server())
    fields = {"season": deployment.season, "submission_name": release["name"], "auto_validate": False}
    config = DAFTournamentConfig.model_validate({**fields, "server_url": deployment.login_server if own else None})
    try:
        made = submit(path, config, login_server=deployment.login_server, output=output)
    except Interrupted:
        raise
    except DAFError as error:
        raise ServerError(f"{message} It was not submitted to season {deployment.season}: {error}") from error
    return f"{message} {made.sentence()}"


def _gate(
    path: Path,
    release: Release,
    before: PolicyReleases,
    registry: Registry,
    gate: Gate,
    settings: Settings | None,
    output: "OutputManager",
    listening: Listeners,
) -> GateReport:
    with tempfile.TemporaryDirectory(prefix="daf-gate-") as scratch:
        reference: str | Path = gate.against
        shown = None
        live = before.live_release if gate.against == "current" else None
        if live is not None:
            reference, shown = registry.fetch(live, Path(scratch)), f"{live['name']}@{live['version']}"
        listening.stage(f"comparing with {shown or gate.against}")
        names = (f"{release['name']}@{release['version']}", shown)
        return play_gate(
            path, reference, gate, names=names, settings=settings, output=output, on_plan=listening.plan,
            on_record=listening.record,
        )  # fmt: skip


def _sentence(release: Release, before: PolicyReleases, deployment: Deployment, gate: GateReport | None) -> str:
    instead = f", instead of {before.live}" if before.live is not None and before.live != release["version"] else ""
    parts = [f"{release['name']} {release['version']} is live{instead}."]
    if gate is not None:
        parts.append(gate.analysis.sentence())
    elif deployment.gate is not None:
        parts.append("No release was live before, so there was nothing to compare it with.")
    return " ".join(parts)


def _opened(deployment: Deployment, base_dir: Path) -> Registry:
    registry = open_registry(deployment.registry, base_dir=base_dir)
    if deployment.login_server is None or not isinstance(registry, HttpRegistry):
        return registry
    token = token_for(servers(registry.place, deployment.login_server))
    return open_registry(deployment.registry, base_dir=base_dir, token=token)


def _ended(
    release: Release,
    path: str,
    warnings: tuple[str, ...],
    status: str,
    message: str,
    validation: Validation | None = None,
    gate: GateReport | None = None,
    removed: tuple[str, ...] = (),
) -> Deployed:
    result = DeploymentResult(
        policy_name=release["name"],
        version=release["version"],
        status=status,
        message=message,
        package_path=path,
        deployment_id=release["sha256"],
    )
    return Deployed(result, validation, gate, removed, warnings)
