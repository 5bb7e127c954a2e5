"""The contenders of an evaluation: single policies and mixed teams, under unique names."""

import logging
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender
from daf.errors import UsageError, quoted
from daf.game import policies as game_policies
from daf.game.policy import Policy
from daf.game.policy_finding import path_in

if TYPE_CHECKING:
    from daf.output_manager import OutputManager

logger = logging.getLogger(__name__)


def contenders_of(
    policies: Sequence[Any], teams: Sequence[str | Mapping[str, float]], *, cache: Path, runs: Path | None
) -> list[Contender]:
    """The contenders given by policies and teams, without repeats (`daf.game.policies.each_once`), under unique names.

    teams: "starter=4,random=4", or a mapping from policy to its number of agents. Raises `PolicyError`, `UsageError`.
    """
    singles = game_policies.each_once([game_policies.resolve(policy, cache=cache, runs=runs) for policy in policies])
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
    return _each_once(contenders)


def players_of(contenders: Sequence[Contender]) -> list[Policy]:
    """The policies of all contenders."""
    return [policy for contender in contenders for policy in contender.policies]


def policies_of(policies: Sequence[Any], cache: EpisodeCache, output: "OutputManager") -> list[Policy]:
    """The given policies without repeats (`daf.game.policies.each_once`), under unique names.

    Raises `PolicyError`.
    """
    return game_policies.each_once(resolved(policies, cache, output))


def resolved(policies: Sequence[Any], cache: EpisodeCache, output: "OutputManager") -> list[Policy]:
    """One policy for each of `policies`, even if some are equal. Raises `PolicyError`."""
    return [game_policies.resolve(policy, cache=cache.bundles, runs=output.base_dir) for policy in policies]


def team(players: Sequence[Policy], counts: Sequence[int]) -> Contender:
    """The team with `counts` agents of each policy; policies without an agent are left out."""
    there = [(policy, count) for policy, count in zip(players, counts, strict=True) if count]
    name = "+".join(f"{policy.name}={count}" for policy, count in there)
    return Contender(name, tuple(policy for policy, _ in there), tuple(count for _, count in there))


def check_several(contenders: Sequence[Contender]) -> None:
    """Raise `UsageError` if there are fewer than two contenders to compare, naming those that were equal."""
    if len(contenders) >= 2:
        return
    policies = [policy for contender in contenders for policy in contender.policies]
    equal = [note for policy in policies for note in game_policies.merged_note(policy)]
    raise UsageError(" ".join(["a comparison needs at least two different policies or teams.", *equal]))


def _each_once(contenders: Sequence[Contender]) -> list[Contender]:
    """Remove duplicates: teams with the same policies in equal shares are the same, in any order and of any size."""
    found: dict[frozenset[tuple[str, float]], Contender] = {}
    for contender in contenders:
        whole = sum(contender.counts)
        shares = frozenset((p.identity, n / whole) for p, n in zip(contender.policies, contender.counts, strict=True))
        first = found.setdefault(shares, contender)
        if first is not contender:
            logger.warning("%s is the same team as %s: it plays and counts once.", contender.name, first.name)
    return list(found.values())


def _shown(team: Sequence[tuple[str, float]]) -> str:
    return "+".join(f"{policy}={count:g}" for policy, count in team)


LONGEST_TEAM = 8_192
"""Maximum length of a team in characters; each agent of the largest mission may have a policy with a long path."""
_MOST_WAYS = 16
"""Maximum number of positions to try as the end of a member, because `=N` in a path is rare."""
_COUNT = re.compile(r"=\s*(\d+)\s*(?=[,+]|$)")


def _team(team: str | Mapping[str, float]) -> list[tuple[str, float]]:
    """The policy strings of a team with their numbers of agents.

    Members are separated by commas, or by plus signs if a policy string contains commas:
    "starter=4,random=4", "class=lstm,data=w.pt=4+random=4". The path of an existing policy may contain either.
    """
    if not isinstance(team, str):
        return [(policy, float(count)) for policy, count in team.items()]
    if len(team) > LONGEST_TEAM:
        raise UsageError(f"--team {quoted(team)} has {len(team):,} characters; a team has at most {LONGEST_TEAM:,}.")
    members = []
    rest: str | None = team
    while rest is not None:
        policy, count, rest = _first_member(rest, team)
        members.append((policy, count))
    return members


def _first_member(text: str, team: str) -> tuple[str, float, str | None]:
    """The policy and number of agents at the start of `text`, and the text that follows, or None if nothing does."""
    ends = islice(_COUNT.finditer(text), _MOST_WAYS)
    ways = [(text[: found.start()].strip(), int(found[1][:9]), text[found.end() :]) for found in ends]
    paths = [(path_in(policy), way) for way in ways if (policy := way[0])]
    named = [(len(str(path)), -len(way[0]), way) for path, way in paths if path is not None]
    if named:
        policy, count, rest = max(named, key=lambda each: each[:2])[2]
    else:
        plus = text.find("+")
        whole = next((way for way in ways if len(text) - len(way[2]) == plus or (plus < 0 and way is ways[0])), None)
        policy, count, rest = whole or next(iter(ways), ("", 0, ""))
    if not policy or policy[0] in ",+" or ";" in policy or count < 1:
        raise UsageError(
            f"--team {quoted(team)}: {quoted(text)} does not begin with POLICY=AGENTS. Write for example "
            "starter=4,random=4; where a policy has options, separate the members with plus signs: "
            "class=lstm,data=w.pt=4+random=4."
        )
    return policy, float(count), rest[1:] if rest else None
