"""Facts derived from a mission's config: teams, roles, reward terms, goals, limits, and what it can count.

Everything is read from the config, nothing is played. A role is a gear: an item of the inventory limit "gear", taken at
an object of the team's hub.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from daf.game.mission import Mission

_OF_AGENTS = (
    "action.failed", "action.move.failed", "action.move.success", "action.noop.success", "action.change_vibe.success",
    "cell.visited", "cell.unique_visited", "cell.max_distance_from_spawn", "status.max_steps_without_motion",
)  # fmt: skip
"""Counters that the simulator keeps for every agent."""
_OF_TEAMS = ("aligned.junction.held", "aligned.junction.gained", "aligned.junction.lost")


@dataclass(frozen=True, slots=True)
class RewardTerm:
    """A term of the agents' reward.

    stats: ("agent" or "game", name) of the stats it consists of; empty if it counts objects. teams: those whose network
    of objects it counts. weight: of one unit, None if the term's values have different weights. per_tick: paid every
    step. text: the term in one line.
    """

    name: str
    stats: tuple[tuple[str, str], ...]
    teams: tuple[str, ...]
    weight: float | None
    per_tick: bool
    text: str


def config_of(mission: Mission) -> dict[str, Any]:
    """The mission's config as JSON values."""
    import json

    config: dict[str, Any] = json.loads(mission.config_json)
    return config


def agents_of(mission: Mission) -> list[dict[str, Any]]:
    """The config of every agent."""
    game = config_of(mission)["game"]
    agents: list[dict[str, Any]] = game["agents"] or [game["agent"]] * game["num_agents"]
    return agents


def teams(mission: Mission) -> list[str]:
    """The teams that agents belong to, each once, in the agents' order."""
    tags = [tag for agent in agents_of(mission) for tag in agent["tags"]]
    return list(dict.fromkeys(tag.removeprefix("team:") for tag in tags if tag.startswith("team:")))


def team_of_agents(mission: Mission) -> list[str | None]:
    """Each agent's team."""
    found = []
    for agent in agents_of(mission):
        own = [tag.removeprefix("team:") for tag in agent["tags"] if tag.startswith("team:")]
        found.append(own[0] if own else None)
    return found


def opponents(mission: Mission) -> list[str]:
    """Teams that no agent plays, such as the clips."""
    own = teams(mission)
    named = [tag.removeprefix("team:") for tag in config_of(mission)["game"]["tags"] if tag.startswith("team:")]
    return [team for team in named if team not in own]


def roles(mission: Mission) -> list[str]:
    """The gears that agents can take."""
    return _limited(mission, "gear")


def gatherable(mission: Mission) -> list[str]:
    """The resources that extractors give."""
    game = config_of(mission)["game"]
    extracted = [name.removesuffix("_extractor") for name in game["objects"] if name.endswith("_extractor")]
    return [name for name in game["resource_names"] if name in extracted]


def move_cost(mission: Mission) -> dict[str, float]:
    """What a step costs from the inventory."""
    return dict(config_of(mission)["game"]["actions"]["move"]["consumed_resources"])


def stat_strings(mission: Mission) -> dict[str, set[str]]:
    """Names that the config's rules and rewards count, by "agent" and "game"."""
    found: dict[str, set[str]] = {"agent": set(), "game": set()}
    for node in _mappings(config_of(mission)["game"]):
        if node.get("mutation_type") == "stats" and isinstance(node.get("stat"), str):
            found["agent" if node.get("target") == "agent" else "game"].add(node["stat"])
        if node.get("scope") in found and isinstance(node.get("name"), str) and "delta" in node:
            found[node["scope"]].add(node["name"])
    return found


def possible_stats(mission: Mission) -> list[str]:
    """Base names of the metrics that the config can count, even if they never change: agent.NAME and game.NAME."""
    game = config_of(mission)["game"]
    named = stat_strings(mission)
    agent = set(_OF_AGENTS) | named["agent"]
    agent |= {f"{item}.{what}" for item in game["resource_names"] for what in ("gained", "lost", "amount")}
    agent |= {"death"} if "hp" in game["resource_names"] else set()
    counted = set(named["game"]) | {"tokens_written", "tokens_dropped", "tokens_free_space"}
    counted |= {f"objects.{name}" for name in game["objects"]}
    counted |= {f"{team}/{item}.deposited" for team in teams(mission) for item in gatherable(mission)}
    if any(name == "junction" for name in game["objects"]):
        counted |= {f"{team}/{stat}" for team in (*teams(mission), *opponents(mission)) for stat in _OF_TEAMS}
    return sorted({f"agent.{name}" for name in agent} | {f"game.{name}" for name in counted})


def reward_terms(mission: Mission) -> list[RewardTerm]:
    """The terms of the first agent's reward; the teams of all agents if a term counts a team's objects."""
    found = []
    agents = agents_of(mission)
    for name, entry in agents[0]["rewards"].items():
        reward = entry["reward"]
        values, weights = reward["values"], reward["weights"]
        stats = tuple((value["scope"], value["name"]) for value in values if "name" in value and "scope" in value)
        counted = _teams_counted(name, agents)
        varying = [weight for weight, value in zip(weights, values, strict=False) if not _constant(value)]
        weight = varying[0] if len(set(varying)) == 1 else None
        found.append(
            RewardTerm(name, stats, counted, weight, bool(entry["per_tick"]), _text(values, weights, entry, counted))
        )
    return found


def _text(values: Sequence[Any], weights: Sequence[float], entry: Mapping[str, Any], counted: Sequence[str]) -> str:
    parts = []
    for value, weight in zip(values, weights, strict=False):
        if "name" in value:
            parts.append(f"{weight:g} × {value.get('scope', '')}.{value['name']}".replace("× .", "× "))
        elif "query" in value:
            what = "objects in the network of its team" if counted else "objects of a query"
            parts.append(f"{weight:g} × ({what})")
        elif _constant(value):
            parts.append(f"{weight:g} × {value['value']:g}")
        else:
            parts.append(f"{weight:g} × (…)")
    paid = "every step" if entry["per_tick"] else "as it changes"
    log = "log of " if entry["reward"].get("log") else ""
    return f"{log}{' + '.join(parts)}, {paid}"


def _constant(value: Mapping[str, Any]) -> bool:
    return set(value) == {"value"}


def _teams_counted(name: str, agents: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    text = [str(agent["rewards"].get(name, "")) for agent in agents]
    return tuple(dict.fromkeys(team for one in text for team in re.findall(r"'net:([^']+)'", one)))


def _limited(mission: Mission, limit: str) -> list[str]:
    limits = agents_of(mission)[0]["inventory"]["limits"]
    return list(limits[limit]["resources"]) if limit in limits else []


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a tree of JSON values."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _mappings(value)
    elif isinstance(node, list):
        for value in node:
            yield from _mappings(value)
