"""The object engine: any policy, one episode, DAF's own loop.

`play_object` does what upstream's `single_episode_rollout` does around its `Rollout`, and gives the same outcome to
the bit: policies are stepped in the same order (team by team, in the order in which a team first appears), every one of
them before any action is set; infos, vibe actions, talk, monologue, group steps, time-outs and event handlers have the
same meaning. It is faster because tokens are shared (`observations`), games are converted once (`simulation`), talk is
skipped if the game has none, and no stopwatch or trace is kept.

Teams are stepped one after the other, while upstream uses a thread each. A policy that changes the tokens it is shown
gets `TokenMutation`; such a policy needs the reference engine, as does one that declares it (`unsupported`).

Importing this module imports mettagrid.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any

from mettagrid.config.mettagrid_config import MettaGridConfig
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator.interface import SimulatorEventHandler
from mettagrid.simulator.monologue_projection import compute_monologue_transcript_update

from daf.game._team_steps import Step, Team
from daf.game._time_averages import TimeAverages
from daf.game.observations import Frame
from daf.game.outcome import SLOW_STEP_MS, Latencies, Outcome
from daf.game.simulation import Converted, Simulation, convert


def play_object(
    env: MettaGridConfig,
    policies: Sequence[MultiAgentPolicy],
    assignment: Sequence[int],
    *,
    seed: int,
    policy_names: Sequence[str],
    enforce_timeouts: int | None,
    slow_step_ms: float = SLOW_STEP_MS,
    handlers: Sequence[SimulatorEventHandler] = (),
    converted: Converted | None = None,
) -> Outcome:
    """Play one episode.

    env: its map seed resolved. policies: freshly built. assignment: index into `policies` per agent. policy_names: per
    policy. enforce_timeouts: a step that takes longer becomes a noop and is counted; None measures without enforcing.
    slow_step_ms: longer steps are counted as slow, and nothing more.
    handlers: upstream's event handlers (replay writers and the like). converted: the game's `convert`, where many
    episodes are played of it; `ValueError` where it is another game's. What a policy or handler raises, passes through.
    """
    episode = ObjectEpisode(
        env,
        policies,
        assignment,
        seed=seed,
        policy_names=policy_names,
        enforce_timeouts=enforce_timeouts,
        slow_step_ms=slow_step_ms,
        handlers=handlers,
        converted=converted or convert(env),
    )
    collecting = gc.isenabled()
    try:
        while not episode.done:
            gc.disable()  # a full collection takes as long as hundreds of steps, so it waits for the end of a step
            frame = episode.look()
            episode.advance([step for team in episode.teams for step in team.steps(frame, episode.visible_talk)])
            if collecting:
                gc.enable()
                _ = []  # an allocation, so that a pending collection happens here, between steps
    finally:
        if collecting:
            gc.enable()
    return episode.outcome()


def unsupported(policy: MultiAgentPolicy) -> str | None:
    """Why `policy` cannot be played by the object engine; None if it can.

    A policy class may declare it by an attribute `reference_only`, whose text is the reason. Reasons that show only
    while playing are raised as `TokenMutation`.
    """
    reason = getattr(policy, "reference_only", None)
    return str(reason) if reason else None


class ObjectEpisode:
    """One episode in progress: look, let the teams step, advance."""

    def __init__(
        self,
        env: MettaGridConfig,
        policies: Sequence[MultiAgentPolicy],
        assignment: Sequence[int],
        *,
        seed: int,
        policy_names: Sequence[str],
        enforce_timeouts: int | None,
        slow_step_ms: float,
        handlers: Sequence[SimulatorEventHandler],
        converted: Converted,
    ) -> None:
        if len(policy_names) != len(policies):
            raise ValueError(f"{len(policy_names)} policy names for {len(policies)} policies")
        self._limit_ns: int | None = None
        if enforce_timeouts is not None:
            limit_ms = max([enforce_timeouts, *(policy.minimum_action_timeout_ms for policy in policies)])
            for policy in policies:
                policy.configure_action_timeout_ms(limit_ms)
            self._limit_ns = limit_ms * 1_000_000
        self._slow_ns = int(slow_step_ms * 1_000_000)
        handles = [policies[index].agent_policy(agent) for agent, index in enumerate(assignment)]

        self._averages = TimeAverages()
        self._watched = bool(handlers)
        self.sim = Simulation(env, converted, seed, [self._averages, *handlers])
        context = self.sim._context
        context["policies"] = handles
        for handle in handles:
            handle.reset()
        self._names = [policy_names[index] for index in assignment]
        self._infos: dict[int, dict[str, Any]] = {
            agent: {"policy_name": name} for agent, name in enumerate(self._names)
        }
        self._monologue_tails: dict[int, str] = {}
        self._monologue_updates: dict[int, dict[str, Any]] = {}
        context["policy_infos"] = self._infos
        context["monologue_updates"] = self._monologue_updates

        members: dict[int, list[tuple[int, AgentPolicy]]] = {}
        for agent, index in enumerate(assignment):
            members.setdefault(index, []).append((agent, handles[agent]))
        self.teams = tuple(Team(index, agents) for index, agents in members.items())
        self._team_of = list(assignment)

        c_sim = self.sim._c_sim
        self.buffer = c_sim.observations()
        self._actions, self._vibe_actions = c_sim.actions(), c_sim.vibe_actions()
        self._tokens = converted.tokens
        self._codes: dict[tuple[str, str | None], tuple[int, int]] = {}
        self._talks = self.sim.config.game.talk.enabled
        self._noop = self.sim.config.game.actions.noop
        self._timeouts = [0] * len(handles)
        self._clock = [[0, 0, 0, 0] for _ in policies]
        self.done = self.sim.is_done()

    def look(self) -> Frame:
        """The observations of all agents now."""
        return Frame(self._tokens, self.buffer)

    def visible_talk(self, agent: int) -> list[Any]:
        """What the agent hears now: nothing if nobody talks, without computing the agents' positions."""
        if self._talks and self.sim._talk_channel._active_by_agent:
            return list(self.sim._visible_talk(agent))
        return []

    def advance(self, steps: Sequence[Step]) -> None:
        """Set the actions, in this order, and let the game take one step."""
        self._monologue_updates.clear()
        limit, codes = self._limit_ns, self._codes
        actions, vibe_actions = self._actions, self._vibe_actions
        for agent, action, elapsed, infos in steps:
            clock = self._clock[self._team_of[agent]]
            clock[0] += 1
            clock[1] += elapsed
            if elapsed > clock[2]:
                clock[2] = elapsed
            if elapsed > self._slow_ns:
                clock[3] += 1
            if limit is not None and elapsed > limit:
                self._timeouts[agent] += 1
                action = self._noop.Noop()
            if action.talk is not None:
                self.sim._talk_channel.queue(agent, action.talk, current_step=self.sim.current_step)
            wanted = (action.name, action.vibe)
            code = codes.get(wanted) or self._code(wanted)
            actions[agent], vibe_actions[agent] = code
            if infos or self._watched:
                self._note(agent, infos)
        self.done = self.sim.step()

    def outcome(self) -> Outcome:
        """The episode's result, after its end."""
        stats = self.sim.episode_stats
        self._averages.release()
        return Outcome(
            rewards=tuple(float(reward) for reward in self.sim.episode_rewards),
            steps=self.sim.current_step,
            game_stats=dict(stats["game"]),
            agent_stats=tuple(dict(agent) for agent in stats["agent"]),
            time_averaged_game_stats=self._averages.means(),
            timeouts=tuple(self._timeouts),
            latencies=tuple(Latencies(*clock) for clock in self._clock),
        )

    def _code(self, wanted: tuple[str, str | None]) -> tuple[int, int]:
        """(action, vibe action) for the simulator: the buffer that is not used gets 0."""
        name, vibe = wanted
        index = self.sim.action_ids[name]
        if vibe is not None:
            code = index, self.sim.action_ids[vibe]
        else:
            code = (0, index) if name in self.sim.vibe_action_ids else (index, 0)
        self._codes[wanted] = code
        return code

    def _note(self, agent: int, infos: dict[str, Any]) -> None:
        """Publish the infos that the agent's policy reported, for handlers (replays) to read."""
        tail = infos.pop("__monologue_transcript_tail", None)
        if isinstance(tail, str) and tail:
            added, reset = compute_monologue_transcript_update(self._monologue_tails.get(agent, ""), tail)
            self._monologue_tails[agent] = tail
            if added or reset:
                self._monologue_updates[agent] = {"monologue_append": added, "monologue_reset": reset}
        infos.setdefault("policy_name", self._names[agent])
        self._infos[agent] = infos
