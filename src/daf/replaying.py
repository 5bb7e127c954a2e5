"""Replays: what is in one, and where two part.

A replay is the file that `--save-replays` leaves, or any that mettagrid's own writer made. Everything here reads files
and plays nothing.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from daf.game.replays import Difference, difference, read_replay


@dataclass(frozen=True, slots=True)
class ReplayInfo:
    """What a replay holds, all of its fields decoded and found right.

    mission: the label of its config, None where the file has none (version 2). teams: agents by team, "" for those
    without. roles: agents by gear at the end. rewards: each agent's return. policies: agents by policy, as
    far as the policies told their names. objects: how many of each type.
    """

    path: Path
    version: int
    mission: str | None
    seed: int | None
    steps: int
    width: int
    height: int
    agents: int
    teams: dict[str, int]
    roles: dict[str, int]
    policies: dict[str, int]
    rewards: tuple[float, ...]
    objects: dict[str, int]
    size_bytes: int
    text_bytes: int

    @property
    def reward_per_agent(self) -> float | None:
        """The mean of the agents' returns, None without agents."""
        return sum(self.rewards) / len(self.rewards) if self.rewards else None


def daf_replay_info(path: str | Path) -> ReplayInfo:
    """Read all of a replay and say what is in it. Raises `StorageError`, `ReplayError`."""
    replay = read_replay(path)
    replay.check()
    agents = replay.at(replay.steps - 1).agents if replay.steps else ()
    told = (agent.policy_infos().values for agent in replay.agents)
    names = (
        next((i["policy_name"] for i in infos if isinstance(i, dict) and "policy_name" in i), "") for infos in told
    )
    return ReplayInfo(
        path=replay.path,
        version=replay.version,
        mission=replay.mission,
        seed=replay.seed,
        steps=replay.steps,
        width=replay.width,
        height=replay.height,
        agents=len(replay.agents),
        teams=dict(Counter(agent.team or "" for agent in agents)),
        roles=dict(Counter(agent.role for agent in agents)),
        policies=dict(Counter(str(name) for name in names if name)),
        rewards=replay.final_rewards(),
        objects=replay.types,
        size_bytes=replay.size_bytes,
        text_bytes=replay.text_bytes,
    )


def daf_replay_diff(a: str | Path, b: str | Path) -> Difference:
    """The first step at which two replays part, and in what. Raises `StorageError`, `ReplayError`."""
    return difference(read_replay(a), read_replay(b))
