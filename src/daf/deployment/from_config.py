"""A deployment from a `DAFDeploymentConfig`."""

from typing import Any

from daf.config import DAFDeploymentConfig
from daf.deployment.deployment_settings import Deployment, ValidationSettings
from daf.deployment.gate import POOL, Gate
from daf.deployment.packaging import PackageSettings

_MODES: dict[str, Any] = {"local": "quick", "docker": "docker", "skip": "skip"}


def deployment_from(config: DAFDeploymentConfig) -> tuple[str, Deployment]:
    """The policy string to deploy, and how. Raises `UsageError` for names and versions that can't be released."""
    gate = None
    if config.gate_margin is not None:
        gate = Gate(tuple(config.gate_missions), config.gate_margin, pool=tuple(config.gate_pool) or POOL)
    deployment = Deployment(
        name=config.policy_name,
        version=config.version,
        registry=config.deployment_endpoint,
        login_server=config.authentication_server,
        packing=PackageSettings(weights=config.weights_path, set_up=config.setup_script),
        checks=ValidationSettings(
            _MODES[config.validation_mode],
            tuple(config.validation_missions) or None,
            config.validation_success_threshold or None,
        ),
        gate=gate,
        keep_previous_versions=config.keep_previous_versions,
        enable_rollback=config.enable_rollback,
        season=config.season,
    )
    return config.policy_class_path, deployment
