"""Which bundles of a registry are kept: the live release's, and those of the releases that were live last."""

from daf.registry.interface import Registry


def prune(registry: Registry, name: str, keep: int | None) -> tuple[str, ...]:
    """Delete the bundles of releases that were live, but for the live one and the `keep` that were live last.

    keep: None deletes nothing. Returns the versions whose bundles were deleted. A release that was never live is kept.
    """
    if keep is None:
        return ()
    policy = registry.policy(name)
    order = dict.fromkeys(event["version"] for event in reversed(policy.events) if "number" in event)
    recent = [version for version in order if version != policy.live]
    stored = {one.release["version"] for one in policy.releases if one.kept}
    removed = tuple(version for version in recent[keep:] if version in stored)
    for version in removed:
        registry.remove(name, version)
    return removed
