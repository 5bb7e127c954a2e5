"""Policies as bundles that play elsewhere: packing and inspecting them.

`package` writes a zip that CoGames' own loader accepts. The same inputs give the same bytes on any machine. `inspect`
reads a bundle, verifies its hashes and says what would run; it imports and runs nothing.
"""

from daf.deployment.inspection import Inspection, inspect
from daf.deployment.packaging import Package, PackageSettings, package
from daf.deployment.result import DeploymentResult, daf_package_policy
from daf.deployment.rollback import daf_rollback_deployment

__all__ = [
    "DeploymentResult",
    "Inspection",
    "Package",
    "PackageSettings",
    "daf_package_policy",
    "daf_rollback_deployment",
    "inspect",
    "package",
]
