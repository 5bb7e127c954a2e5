"""A policy to start from: each agent walks to the nearest extractor it sees, and otherwise explores.

Play it, watch it, and change it:

    daf evaluate -p FILE -m training_facility_1 --save-replays best
    daf replay html latest
    daf compare -p FILE -p starter -m arena -e 20

Everything an agent knows comes in its observations: `step` gets one per step and returns one action. An agent is a new
object in every episode, so attributes of `MyAgent` are its memory.
"""

from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator import Action
from mettagrid.simulator.interface import AgentObservation

MOVES = {"north": (-1, 0), "south": (1, 0), "west": (0, -1), "east": (0, 1)}
"""Direction: (rows, columns). Row 0 of an observation is in the north."""


class MyAgent(AgentPolicy):
    """One agent. `self.policy_env_info` has the names of actions, tags and observation features."""

    def __init__(self, policy_env_info: PolicyEnvInterface, agent_id: int) -> None:
        super().__init__(policy_env_info)
        self.center = (policy_env_info.obs_height // 2, policy_env_info.obs_width // 2)
        self.wanted = {index for index, name in enumerate(policy_env_info.tags) if name.endswith("_extractor")}
        self.heading = list(MOVES)[agent_id % len(MOVES)]  # agents spread in all directions

    def step(self, obs: AgentObservation) -> Action:
        """Choose the action for one observation."""
        # A token says one thing about one cell of the window around the agent: a feature (here "tag", the kind of
        # object that is there) and its value. Further features: "inv:heart" and other inventories, "last_action", …
        tags: dict[tuple[int, int], set[int]] = {}
        for token in obs.tokens:
            if token.location is not None and token.feature.name == "tag":
                tags.setdefault(token.location, set()).add(token.value)

        targets = [place for place, found in tags.items() if found & self.wanted]
        if targets:
            target = min(targets, key=self.distance)
            rows, columns = target[0] - self.center[0], target[1] - self.center[1]
            vertical = "south" if rows > 0 else "north"
            sideways = "east" if columns > 0 else "west"
            wishes = [vertical, sideways] if abs(rows) >= abs(columns) else [sideways, vertical]
            for direction in wishes:  # moving onto an object uses it
                if self.cell(direction) == target or self.cell(direction) not in tags:
                    return Action(name=f"move_{direction}")

        if self.cell(self.heading) in tags:  # something is in the way: turn
            free = [direction for direction in MOVES if self.cell(direction) not in tags]
            self.heading = free[0] if free else self.heading
        return Action(name=f"move_{self.heading}")

    def cell(self, direction: str) -> tuple[int, int]:
        """The neighboring cell of the agent in a direction."""
        rows, columns = MOVES[direction]
        return self.center[0] + rows, self.center[1] + columns

    def distance(self, place: tuple[int, int]) -> int:
        """Steps from the agent to a cell, without obstacles."""
        return abs(place[0] - self.center[0]) + abs(place[1] - self.center[1])


class MyPolicy(MultiAgentPolicy):
    """The policy: makes one `MyAgent` per agent. `-p FILE,kw.NAME=VALUE` passes arguments to `__init__`."""

    def __init__(self, policy_env_info: PolicyEnvInterface, device: str = "cpu") -> None:
        super().__init__(policy_env_info, device=device)

    def agent_policy(self, agent_id: int) -> AgentPolicy:
        """The agent with this number."""
        return MyAgent(self._policy_env_info, agent_id)
