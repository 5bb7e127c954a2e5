"""Time every call of one policy's agents, and count and check the actions that they choose."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np

from daf.errors import PolicyError, quoted


class IllegalAction(PolicyError):
    """A policy chose an action that the mission does not have."""


class StepWatch:
    """Watches the agents that `built`, a policy object, makes from now on.

    times: nanoseconds of every call, of `step_group` if `grouped`, else of each agent's `step`. chosen: how often each
    action and vibe was chosen. handles: the agents, in the order in which they were made.
    """

    def __init__(self, built: Any, actions: frozenset[str] = frozenset(), vibes: frozenset[str] = frozenset()) -> None:
        """actions, vibes: the legal ones; if given, another raises `IllegalAction`."""
        self.times: list[int] = []
        self.chosen: dict[str, int] = {}
        self.handles: list[Any] = []
        self.grouped = False
        self.make = built.agent_policy
        self._actions, self._vibes = actions, vibes
        built.agent_policy = self._agent_policy

    def game_steps_ms(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Milliseconds that all agents together took, per step of the game; incomplete steps are left out."""
        agents = 1 if self.grouped else max(len(self.handles), 1)
        whole = len(self.times) // agents * agents
        times: np.ndarray[Any, np.dtype[np.float64]] = np.array(self.times[:whole], dtype=np.float64)
        return times.reshape(-1, agents).sum(axis=1) / 1e6

    def _agent_policy(self, agent: int) -> Any:
        handle = self.make(agent)
        self.handles.append(handle)
        handle.step = self._timed(agent, handle.step)
        if hasattr(handle, "step_group"):
            handle.step_group = self._timed_group(handle.step_group)
        return handle

    def _timed(self, agent: int, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(observation: Any) -> Any:
            started = perf_counter_ns()
            action = step(observation)
            self.times.append(perf_counter_ns() - started)
            self._count(agent, action)
            return action

        return timed

    def _timed_group(self, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def timed(observations: Any) -> Any:
            started = perf_counter_ns()
            actions = step(observations)
            self.times.append(perf_counter_ns() - started)
            self.grouped = True
            for (agent, _), action in zip(observations, actions, strict=False):  # the engine checks the number
                self._count(agent, action)
            return actions

        return timed

    def _count(self, agent: int, action: Any) -> None:
        name, vibe = action.name, getattr(action, "vibe", None)
        if self._actions:
            self._check(agent, name, vibe)
        for chosen in (name, vibe):
            if chosen is not None:
                self.chosen[chosen] = self.chosen.get(chosen, 0) + 1

    def _check(self, agent: int, name: Any, vibe: Any) -> None:
        if vibe is not None and (vibe not in self._vibes or name not in self._actions):
            raise IllegalAction(
                f"agent {agent} chose the action {quoted(str(name))} with the vibe {quoted(str(vibe))}, which it does "
                "not have here."
            )
        if vibe is None and name not in self._actions and name not in self._vibes:
            raise IllegalAction(
                f"agent {agent} chose the action {quoted(str(name))}, which this mission does not have."
            )
