"""Policies as bundles that play elsewhere: packing, inspecting and validating them.

`package` writes a zip that CoGames' own loader accepts. The same inputs give the same bytes on any machine. `inspect`
reads a bundle, verifies its hashes and says what would run; it imports and runs nothing. `validate` plays it in a
confined process and decides whether it may be released or submitted.
"""

from daf.deployment._validation_checks import Check, MissionReturns
from daf.deployment._validation_play import StepTimes
from daf.deployment.coworld import Player, package_player
from daf.deployment.inspection import Inspection, inspect
from daf.deployment.packaging import Package, PackageSettings, package
from daf.deployment.result import DeploymentResult, daf_package_policy, daf_validate_deployment
from daf.deployment.rollback import daf_rollback_deployment
from daf.deployment.submission import Submission, daf_submit_policy, submit
from daf.deployment.validation import Limits, Validation, validate

__all__ = [
    "Check",
    "DeploymentResult",
    "Inspection",
    "Limits",
    "MissionReturns",
    "Package",
    "PackageSettings",
    "Player",
    "StepTimes",
    "Submission",
    "Validation",
    "daf_package_policy",
    "daf_rollback_deployment",
    "daf_submit_policy",
    "daf_validate_deployment",
    "inspect",
    "package",
    "package_player",
    "submit",
    "validate",
]
