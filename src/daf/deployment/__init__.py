"""Policies as bundles that play elsewhere: packing, inspecting, validating and serving them.

`package` writes a zip that CoGames' own loader accepts. The same inputs give the same bytes on any machine. `inspect`
reads a bundle, verifies its hashes and says what would run; it imports and runs nothing. `validate` plays it in a
confined process and decides whether it may be released or submitted. `serve` lets other programs play with a policy.
"""

from daf.deployment._validation_checks import Check, MissionReturns
from daf.deployment._validation_play import StepTimes
from daf.deployment.coworld import Player, package_player
from daf.deployment.deploying import Deployed, daf_deploy_policy, deploy
from daf.deployment.deployment_settings import Deployment, Listeners, ValidationSettings
from daf.deployment.from_config import deployment_from
from daf.deployment.gate import Gate, play_gate
from daf.deployment.gate_report import GateReport, gate_data
from daf.deployment.inspection import Inspection, inspect
from daf.deployment.monitoring import Monitoring, MonitorSettings, daf_monitor_deployment, monitor
from daf.deployment.packaging import Package, PackageSettings, package
from daf.deployment.result import DeploymentResult, daf_package_policy, daf_validate_deployment
from daf.deployment.rollback import daf_rollback_deployment
from daf.deployment.serving import PolicyServer, ServeSettings, serve
from daf.deployment.serving_records import ServedEpisode
from daf.deployment.submission import Submission, daf_submit_policy, submit
from daf.deployment.validation import Limits, Validation, validate

__all__ = [
    "Check",
    "Deployed",
    "Deployment",
    "DeploymentResult",
    "Gate",
    "GateReport",
    "Inspection",
    "Limits",
    "Listeners",
    "MissionReturns",
    "MonitorSettings",
    "Monitoring",
    "Package",
    "PackageSettings",
    "Player",
    "PolicyServer",
    "ServeSettings",
    "ServedEpisode",
    "StepTimes",
    "Submission",
    "Validation",
    "ValidationSettings",
    "daf_deploy_policy",
    "daf_monitor_deployment",
    "daf_package_policy",
    "daf_rollback_deployment",
    "daf_submit_policy",
    "daf_validate_deployment",
    "deploy",
    "deployment_from",
    "gate_data",
    "inspect",
    "monitor",
    "package",
    "package_player",
    "play_gate",
    "serve",
    "submit",
    "validate",
]
