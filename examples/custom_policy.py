"""Write a policy of your own, and compare it with `random`.

`daf policies --new my_policy.py` writes a longer template with comments.

Time: 10 s
"""

from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator import Action
from mettagrid.simulator.interface import AgentObservation

STEPS = ("move_north", "move_east", "move_south", "move_west")


class SpiralAgent(AgentPolicy):
    """Walks in growing squares. An agent is a new object in every episode, so its attributes are its memory."""

    def __init__(self, policy_env_info):
        super().__init__(policy_env_info)
        self.leg, self.left = 0, 1

    def step(self, obs: AgentObservation) -> Action:
        if self.left == 0:
            self.leg += 1
            self.left = 1 + self.leg // 2
        self.left -= 1
        return Action(name=STEPS[self.leg % 4])


class SpiralPolicy(MultiAgentPolicy):
    """One `SpiralAgent` per agent of the team."""

    def agent_policy(self, agent_id: int) -> AgentPolicy:
        return SpiralAgent(self._policy_env_info)


if __name__ == "__main__":
    from rich.console import Console

    from daf import daf_compare_policies

    report = daf_compare_policies(
        [f"{__file__}:SpiralPolicy", "random"], ["training_facility_1,max_steps=100"], episodes_per_mission=6
    )
    report.print_summary(Console())
