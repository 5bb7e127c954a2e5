"""Reference: an episode through upstream's own Rollout.

Slow, and the standard for the others: another engine must play exactly what this one plays. Two things differ from
upstream's `single_episode_rollout`, neither visible to policies that share no state: groups of agents are stepped one
after the other instead of in a thread pool (policies that draw from one global generator would otherwise not be
reproducible), and time-outs are enforced only on request.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mettagrid.simulator.rollout import Rollout, StepResult
from mettagrid.simulator.time_averaged_stats import TimeAveragedStatsHandler

from daf.game.outcome import SLOW_STEP_MS, Latencies, Outcome

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig
    from mettagrid.policy.policy import MultiAgentPolicy
    from mettagrid.simulator.interface import SimulatorEventHandler
    from mettagrid.types import Action

NEVER_MS = 2**31
"""A time-out that is never reached: 24 days."""


class _SequentialRollout(Rollout):
    """Upstream's Rollout, stepping groups in order and measuring the time of each step."""

    def __init__(self, *args: Any, assignment: Sequence[int], slow_step_ms: float, **kwargs: Any) -> None:
        self._assignment = assignment
        self._slow_ms = slow_step_ms
        self._times: list[list[float]] = [[0, 0.0, 0.0, 0] for _ in range(max(assignment) + 1)]
        kwargs["policy_group_keys"] = list(assignment)
        super().__init__(*args, **kwargs)

    def _execute_group_steps(self, group_indices: list[list[int]]) -> list[StepResult]:
        return [result for indices in group_indices for result in self._step_group(indices)]

    def _apply_step_result(self, index: int, action: "Action", elapsed_ms: float, infos: dict[str, Any]) -> bool:
        times = self._times[self._assignment[index]]
        times[0] += 1
        times[1] += elapsed_ms
        times[2] = max(times[2], elapsed_ms)
        times[3] += elapsed_ms > self._slow_ms
        return super()._apply_step_result(index, action, elapsed_ms, infos)

    def latencies(self) -> tuple[Latencies, ...]:
        return tuple(
            Latencies(count=int(n), total_ns=int(total * 1e6), max_ns=int(worst * 1e6), slow=int(slow))
            for n, total, worst, slow in self._times
        )


def play_reference(
    env: "MettaGridConfig",
    policies: Sequence["MultiAgentPolicy"],
    assignment: Sequence[int],
    *,
    seed: int,
    policy_names: Sequence[str],
    enforce_timeouts: int | None,
    slow_step_ms: float = SLOW_STEP_MS,
    handlers: Sequence["SimulatorEventHandler"] = (),
) -> Outcome:
    """Play one episode.

    env: the config, its map's seed resolved. policies: new objects. assignment: the policy's index for each agent.
    enforce_timeouts: a step that takes longer is replaced by noop and counted; None enforces nothing.
    """
    timeout = _timeout(enforce_timeouts, policies)
    agents = [policies[index].agent_policy(agent) for agent, index in enumerate(assignment)]
    averages = TimeAveragedStatsHandler()
    rollout = _SequentialRollout(
        env,
        agents,
        policy_names=[policy_names[index] for index in assignment],
        max_action_time_ms=timeout,
        seed=seed,
        event_handlers=[averages, *handlers],
        assignment=assignment,
        slow_step_ms=slow_step_ms,
    )
    rollout.run_until_done()
    simulation = rollout._sim
    stats = simulation.episode_stats
    return Outcome(
        rewards=tuple(float(reward) for reward in simulation.episode_rewards),
        steps=int(simulation.current_step),
        game_stats=dict(stats["game"]),
        agent_stats=tuple(dict(agent) for agent in stats["agent"]),
        time_averaged_game_stats=averages.time_averaged_game_stats,
        timeouts=tuple(rollout.timeout_counts),
        latencies=rollout.latencies(),
    )


def _timeout(enforce_timeouts: int | None, policies: Sequence["MultiAgentPolicy"]) -> int:
    """Pass the effective time-out to the policies, as upstream does: never shorter than the slowest one needs."""
    if enforce_timeouts is None:
        return NEVER_MS
    timeout = max([enforce_timeouts, *(policy.minimum_action_timeout_ms for policy in policies)])
    for policy in policies:
        policy.configure_action_timeout_ms(timeout)
    return timeout
