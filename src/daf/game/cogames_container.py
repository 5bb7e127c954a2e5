"""`cogames validate-bundle` in its Docker container, on missions of the caller's choice.

CoGames' own code pulls the image, runs 10 steps in it, and judges the result. Not available without Docker.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daf.errors import EnvironmentCheckError, PolicyError
from daf.game import isolated

_INFO_SECONDS = 15
_SECONDS = 900.0
"""CoGames gives pulling the image and the job 300 s each."""


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """bundle: a zip. config: of the mission, as JSON."""

    bundle: Path
    config: bytes


def require_docker() -> None:
    """Raise `EnvironmentCheckError` if there is no Docker, or its daemon does not answer."""
    way_out = "Validation mode local plays the same job without it."
    docker = shutil.which("docker")
    if docker is None:
        raise EnvironmentCheckError(f"Docker is not installed: there is no `docker` on PATH. {way_out}")
    try:
        found = subprocess.run([docker, "info"], capture_output=True, timeout=_INFO_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentCheckError(f"Docker does not answer: {error}. {way_out}") from error
    if found.returncode != 0:
        lines = found.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {found.returncode}"
        raise EnvironmentCheckError(f"Docker's daemon can't be reached: {reason}. {way_out}")


def validate_in_container(bundle: Path, mission: str, config: bytes) -> None:
    """Validate the zip `bundle`. mission: its name, for messages.

    Raises `PolicyError` if CoGames rejects it, `EnvironmentCheckError` without Docker.
    """
    require_docker()
    isolated.call(
        run_container, ContainerRequest(bundle.resolve(), config), seconds=_SECONDS,
        doing=f"{bundle.name} in CoGames' container on {mission}",
    )  # fmt: skip


def run_container(request: ContainerRequest) -> dict[str, Any]:
    """The job, for `isolated.call`: CoGames prints its progress on stdout. Raises `PolicyError`."""
    import typer
    from cogames.cli.submit import DEFAULT_EPISODE_RUNNER_IMAGE, validate_bundle_docker

    from daf.game.mission import load_config

    data = load_config(request.config).model_dump(mode="json")
    try:
        validate_bundle_docker(request.bundle.as_uri(), data, DEFAULT_EPISODE_RUNNER_IMAGE)
    except typer.Exit:
        raise PolicyError("agent 0 did nothing but noop in 10 steps, which CoGames rejects.") from None
    except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
        raise PolicyError(f"the job in CoGames' container failed: {error}.") from error
    return {}
