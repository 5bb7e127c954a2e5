"""Asking one policy's agents for their actions, one by one or, if the policy supports it, as a group.

The same calls in the same order as in upstream's `Rollout`, measured in the same way.

Importing this module imports mettagrid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any

from mettagrid.policy.policy import AgentPolicy
from mettagrid.types import Action

from daf.game.observations import Frame, Observation

Step = tuple[int, Action, int, dict[str, Any]]
"""Agent, its action, the nanoseconds that choosing it took, and the infos that it reported (never shared)."""

Hearing = Callable[[int], list[Any]]
"""What an agent hears at this step (upstream's `VisibleTalk`)."""


class Team:
    """The agents of one episode that one policy plays."""

    def __init__(self, policy: int, agents: Sequence[tuple[int, AgentPolicy]]) -> None:
        """policy: index of the policy. agents: (agent, its handle) in agent order."""
        self.policy = policy
        self.agents = tuple(agents)
        first = agents[0][1]
        own = "can_step_group" in getattr(first, "__dict__", {})
        self._may_group = own or type(first).can_step_group is not AgentPolicy.can_step_group

    def steps(self, frame: Frame, talk: Hearing) -> list[Step]:
        """Ask every agent of the team for its action. talk: what an agent hears now."""
        if self._may_group and self.agents[0][1].can_step_group([handle for _, handle in self.agents]):
            return self._step_group(frame, talk)
        steps: list[Step] = []
        for agent, handle in self.agents:
            start = perf_counter_ns()
            action = handle.step(Observation(agent, frame, talk(agent)))
            elapsed = perf_counter_ns() - start
            infos = handle.infos
            steps.append((agent, action, elapsed, dict(infos) if infos else {}))
        return steps

    def _step_group(self, frame: Frame, talk: Hearing) -> list[Step]:
        handles = [handle for _, handle in self.agents]
        ids = [agent for agent, _ in self.agents]
        for handle in handles:
            if hasattr(handle, "_infos"):
                handle._infos = {}
        observations = [(agent, Observation(agent, frame, talk(agent))) for agent in ids]
        start = perf_counter_ns()
        actions = handles[0].step_group(list(observations))
        elapsed = perf_counter_ns() - start
        if len(actions) != len(ids):
            raise ValueError(f"step_group returned {len(actions)} actions for {len(ids)} agents")
        report = getattr(handles[0], "group_step_infos", None)
        if callable(report):
            infos = list(report(ids))
            if len(infos) != len(ids):
                raise ValueError(f"group_step_infos returned {len(infos)} infos for {len(ids)} agents")
        else:
            infos = [dict(handle.infos) if handle.infos else {} for handle in handles]
        return [(agent, action, elapsed, info) for agent, action, info in zip(ids, actions, infos, strict=True)]
