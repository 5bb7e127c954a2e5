"""Who is evaluated: policies alone, and mixed teams, under names that differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daf.episodes.plan import Contender
from daf.errors import UsageError
from daf.game import policies as game_policies


def contenders_of(
    policies: Sequence[Any], teams: Sequence[str | Mapping[str, float]], *, cache: Path, runs: Path | None
) -> list[Contender]:
    """The contenders that policies and teams name, under names that differ.

    teams: "starter=4,random=4", or a mapping from policy to its number of agents. Raises `PolicyError`, `UsageError`.
    """
    singles = [game_policies.resolve(policy, cache=cache, runs=runs) for policy in policies]
    members = [_team(team) for team in teams]
    mixed = [[game_policies.resolve(policy, cache=cache, runs=runs) for policy, _ in team] for team in members]
    known = {policy.identity for policy in singles}
    others = {policy.identity: policy for team in mixed for policy in team if policy.identity not in known}
    named = game_policies.uniquely_named([*singles, *others.values()])
    by_identity = {policy.identity: policy for policy in reversed(named)}
    contenders = [Contender(policy.name, (policy,)) for policy in named[: len(singles)]]
    for team, resolved in zip(members, mixed, strict=True):
        if len({policy.identity for policy in resolved}) < len(resolved):
            raise UsageError(f"the team {_shown(team)} names one policy twice. Add up its agents.")
        players = tuple(by_identity[policy.identity] for policy in resolved)
        counts = tuple(count for _, count in team)
        name = "+".join(f"{policy.name}={count:g}" for policy, count in zip(players, counts, strict=True))
        contenders.append(Contender(name, players, counts))
    if not contenders:
        raise UsageError("no policy is given. Name one with -p, for example -p starter.")
    names = [contender.name for contender in contenders]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"the team {repeated} is given twice.")
    return contenders


def _shown(team: Sequence[tuple[str, float]]) -> str:
    return "+".join(f"{policy}={count:g}" for policy, count in team)


def _team(team: str | Mapping[str, float]) -> list[tuple[str, float]]:
    """The policy strings of a team with their numbers of agents.

    Members are separated by commas, or by plus signs where a policy string holds commas itself:
    "starter=4,random=4", "class=lstm,data=w.pt=4+random=4".
    """
    if not isinstance(team, str):
        return [(policy, float(count)) for policy, count in team.items()]
    members = []
    for part in team.split("+" if "+" in team else ","):
        policy, separator, count = part.rpartition("=")
        if not separator or not policy.strip() or ";" in policy or not count.strip().isdigit() or int(count) < 1:
            raise UsageError(
                f'--team "{team}": "{part}" is no POLICY=AGENTS. Write for example starter=4,random=4; where a policy '
                "has options, separate the members with plus signs: class=lstm,data=w.pt=4+random=4."
            )
        members.append((policy.strip(), float(count)))
    return members
