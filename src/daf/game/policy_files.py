"""The files of a policy, and the same policy where they are copies under other paths.

`files_of` covers what the identity of a policy covers: its weights, the whole folder of a bundle, and of other policies
the modules that `policy_source` finds. A file that a policy opens in another way is not seen.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from daf.game.bundles import is_bundle
from daf.game.policy import Policy
from daf.game.policy_source import own_code

_OWN_PACKAGES = ("daf", "cogames", "mettagrid")


def files_of(policy: Policy) -> list[Path]:
    """Files and directories that building the policy reads. Raises `PolicyError` where its code isn't found."""
    policy = _inner(policy) or policy
    found = [] if policy.data_path is None else [Path(policy.data_path)]
    roots = [Path(root) for root in policy.import_roots]
    if any(map(is_bundle, roots)):
        return [*found, *roots]
    if policy.class_path.partition(".")[0] in _OWN_PACKAGES:
        return found
    return [*found, *own_code(policy.class_path, policy.import_roots).values()]


def policy_at(policy: Policy, place: Callable[[str], Path]) -> Policy:
    """`policy` with its files where `place` says that they are."""
    inner = _inner(policy)
    if inner is not None:
        parts: dict[str, Any] = dict(policy.kwargs["inner"])
        moved = policy_at(inner, place)
        parts |= {"data_path": moved.data_path, "import_roots": list(moved.import_roots)}
        return replace(policy, kwargs={**policy.kwargs, "inner": parts})
    return replace(
        policy,
        data_path=None if policy.data_path is None else str(place(policy.data_path)),
        import_roots=tuple(str(place(root)) for root in policy.import_roots),
    )


def _inner(policy: Policy) -> Policy | None:
    """The policy that another one wraps (`daf.game.masking`), if it does."""
    if not policy.class_path.startswith("daf.game.masking."):
        return None
    inner = dict(policy.kwargs["inner"])
    return Policy(identity="", **{**inner, "import_roots": tuple(inner["import_roots"])})
