"""The teams of a cross-play: every policy alone, and mixes of several.

Mixes are tuples of agents per policy. "even": every pair with half of the agents each; if their number is odd, once
with the odd agent on either side. "pairs": every pair with every split. "all": every mix of counts of all policies.
"""

from collections.abc import Iterator
from itertools import combinations

from daf.errors import UsageError, unknown

MIXES = ("even", "pairs", "all")
MOST_TEAMS = 400
"""Maximum teams on one mission; more are rejected."""


def mixes(agents: int, policies: int, kind: str, *, where: str) -> list[tuple[int, ...]]:
    """The teams of a mission, those of one policy first. where: the mission's name, for errors. Raises `UsageError`."""
    if kind not in MIXES:
        raise UsageError(unknown("choice for --mixes", kind, MIXES))
    if policies < 2:
        raise UsageError("cross-play needs at least two policies. For one alone: `daf evaluate`.")
    least = policies if kind == "all" else 2
    if agents < least:
        raise UsageError(
            f"{where} has {agents} agent{'s' if agents > 1 else ''}, fewer than the {least} policies of a team. "
            f"Use more agents, as in -m {where.split(',')[0]},cogs={least}, or choose another mission."
        )
    alone = [_counts(policies, {policy: agents}) for policy in range(policies)]
    if kind == "all":
        found = [counts for counts in _compositions(agents, policies) if max(counts) < agents]
    else:
        found = [
            _counts(policies, {a: count, b: agents - count})
            for a, b in combinations(range(policies), 2)
            for count in (
                range(agents - 1, 0, -1) if kind == "pairs" else sorted({(agents + 1) // 2, agents // 2})[::-1]
            )
        ]
    if len(alone) + len(found) > MOST_TEAMS:
        raise UsageError(
            f"{where} would have {len(alone) + len(found)} teams; the maximum is {MOST_TEAMS}. Use fewer policies or "
            "agents, or --mixes pairs."
        )
    return alone + found


def members(counts: tuple[int, ...]) -> tuple[int, ...]:
    """The policies that have an agent."""
    return tuple(policy for policy, count in enumerate(counts) if count)


def _counts(policies: int, agents: dict[int, int]) -> tuple[int, ...]:
    return tuple(agents.get(policy, 0) for policy in range(policies))


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 1:
        yield (total,)
        return
    for first in range(total, -1, -1):
        for rest in _compositions(total - first, parts - 1):
            yield (first, *rest)
