"""Pack a policy into a bundle, look at it, and validate it in a confined process.

Time: 40 s
"""

from daf.deployment import daf_package_policy, daf_validate_deployment, inspect

packed = daf_package_policy("starter", "starter.zip")
print(packed.message)
print(inspect(packed.package_path).spec)
checked = daf_validate_deployment(packed.package_path)
print(checked.status, checked.message)
