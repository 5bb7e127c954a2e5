"""One episode of a policy that is played elsewhere: CoGames' policy-server protocol, message by message.

`PolicySession(policy, text)` answers the JSON prepare request, `step(message)` each protobuf batch. The agents act as
in DAF's engine: stepped as a group where the policy supports it, on the same shared tokens, so that an episode of a
policy without random numbers is the same as a local one. A message that breaks the protocol is a `ProtocolError`; what
the policy raises passes through.

Not guaranteed: repeatable episodes of policies that draw random numbers, because the protocol has no seed.

Importing this module imports mettagrid.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from mettagrid.config.id_map import ObservationFeatureSpec
from mettagrid.policy.policy import AgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.protobuf.sim.policy_v1 import policy_pb2
from mettagrid.runner.policy_server.server import encode_action_id, parse_triplet_v1, parse_visible_talk
from mettagrid.simulator.interface import AgentObservation
from mettagrid.types import Action

from daf.errors import DAFError
from daf.game import compat
from daf.game.observations import TABLE_LIMIT, TokenMutation, TokenTable
from daf.game.policy import Policy
from daf.game.policy_loading import build, importing_from, load_class
from daf.game.seeding import own_generators, seed_everything
from daf.game.step_watch import IllegalAction

MOST_AGENTS = 1024
_EMPTY = 0xFF
"""The place of padding."""
_loading = threading.Lock()
"""Importing a policy changes `sys.path` and `sys.modules` of the whole process."""
_own_tokens: set[str] = set()
"""Identities of policies that change the tokens that they are shown."""


class ProtocolError(DAFError):
    """A message that is not what the protocol allows."""


def load(policy: Policy) -> None:
    """Import the policy's class, so that its first session need not wait for it. Raises `PolicyError`."""
    compat.install()
    with _loading, importing_from(policy.import_roots):
        load_class(policy.class_path, shown=policy.name)
        if policy.network:
            import torch  # noqa: F401


class PolicySession:
    """An episode. agents: the ids of those that the policy plays here."""

    def __init__(self, policy: Policy, text: str, *, device: str = "cpu") -> None:
        """text: the prepare request. Raises `ProtocolError`, and `PolicyError` if the policy can't be built."""
        compat.install()
        request = _prepare_request(text)
        self._policy, self._device = policy, device
        self._interface = _interface(request)
        self._episode = request.episode_id
        self._tokens = _tokens(tuple((f.id, f.name, f.normalization) for f in request.game_rules.features))
        self.agents = tuple(request.agent_ids)
        self.steps = 0
        self._codes: dict[tuple[str, str | None], int] = {}
        self._handles = self._built()

    def step(self, message: bytes) -> bytes:
        """The response to a batch of observations. Raises `ProtocolError`, and what the policy raises."""
        request = policy_pb2.BatchStepRequest()
        try:
            request.ParseFromString(message)
        except DecodeError as error:
            raise ProtocolError(f"the message is not a BatchStepRequest: {error}") from error
        if request.episode_id != self._episode:
            raise ProtocolError(f"the message is for episode {request.episode_id!r:.80}, not {self._episode!r:.80}")
        agents = [observed.agent_id for observed in request.agent_observations]
        unknown = [agent for agent in agents if agent not in self._handles]
        if unknown or len(set(agents)) < len(agents):
            what = f"agent {unknown[0]}, which was not prepared" if unknown else "an agent twice"
            raise ProtocolError(f"the message has observations of {what}")
        try:
            actions, infos = self._chosen(request)
        except TokenMutation as error:
            _own_tokens.add(self._policy.identity)
            if self.steps:
                raise RuntimeError(
                    f"{error} Connect again: the next episode gives every observation its own."
                ) from error
            self._handles = self._built()  # nothing happened yet that could not be repeated
            actions, infos = self._chosen(request)
        self.steps += 1
        response = policy_pb2.BatchStepResponse()
        for agent, action, info in zip(agents, actions, infos, strict=True):
            response.agent_actions.add(
                agent_id=agent,
                action_id=[self._code(agent, action)],
                talk_text=action.talk or "",
                infos_json=json.dumps(info, default=str) if info else "",
            )
        return bytes(response.SerializeToString())

    def _built(self) -> dict[int, AgentPolicy]:
        with _loading, own_generators():  # else each session of a random policy would draw the same numbers
            if self._policy.network:
                import torch

                torch.set_num_threads(1)  # as in local episodes: the results of networks depend on it
            seed_everything("policy", self._policy.identity)
            built = build(self._policy, self._interface, device=self._device)
            handles = {agent: built.agent_policy(agent) for agent in self.agents}
            for handle in handles.values():
                handle.reset()
        return handles

    def _chosen(self, request: Any) -> tuple[Sequence[Action], Sequence[dict[str, Any]]]:
        """The agents' actions, and the infos that they report."""
        parse = parse_triplet_v1 if self._policy.identity in _own_tokens else self._shared_tokens
        seen = [
            (
                observed.agent_id,
                AgentObservation(
                    agent_id=observed.agent_id,
                    tokens=parse(observed.observations, self._tokens.features),
                    talk=parse_visible_talk(observed.visible_talk) if observed.visible_talk else [],
                ),
            )
            for observed in request.agent_observations
        ]
        handles = [self._handles[agent] for agent, _ in seen]
        if not handles or not handles[0].can_step_group(handles):
            actions = [handle.step(observation) for handle, (_, observation) in zip(handles, seen, strict=True)]
            return actions, [handle.infos for handle in handles]
        for handle in handles:
            if hasattr(handle, "_infos"):
                handle._infos = {}
        actions = handles[0].step_group(seen)
        if len(actions) != len(handles):
            raise ValueError(f"step_group returned {len(actions)} actions for {len(handles)} agents")
        report = getattr(handles[0], "group_step_infos", None)
        if callable(report):
            return actions, list(report([agent for agent, _ in seen]))
        return actions, [handle.infos for handle in handles]

    def _shared_tokens(self, data: bytes, features: dict[int, ObservationFeatureSpec]) -> list[Any]:
        """The tokens of one agent: those with a place or global, and of known features."""
        table = self._tokens
        if len(table) > TABLE_LIMIT:
            table.clear()
        whole = len(data) // 3
        padded = np.zeros((whole, 4), dtype=np.uint8)
        padded[:, :3] = np.frombuffer(data, dtype=np.uint8, count=whole * 3).reshape(whole, 3)
        keys = padded.view("<u4")[:, 0].tolist()
        return [table[key] for key in keys if key & 0xFF != _EMPTY and key >> 8 & 0xFF in features]

    def _code(self, agent: int, action: Action) -> int:
        wanted = (action.name, action.vibe)
        code = self._codes.get(wanted)
        if code is None:
            found = encode_action_id(action, self._interface)
            if found is None:
                raise IllegalAction(f"agent {agent} chose {action!r:.200}, which the mission does not have.")
            code = self._codes[wanted] = found
        return code


@functools.lru_cache(maxsize=16)
def _tokens(features: tuple[tuple[int, str, float], ...]) -> TokenTable:
    """The tokens of a game, shared by its sessions."""
    return TokenTable(ObservationFeatureSpec(id=i, name=name, normalization=norm) for i, name, norm in features)


def _prepare_request(text: str) -> Any:
    try:
        request = json_format.Parse(text, policy_pb2.PreparePolicyRequest())
    except json_format.ParseError as error:
        raise ProtocolError(f"the first message is not a PreparePolicyRequest: {error!s:.300}") from error
    if request.observations_format != policy_pb2.AgentObservations.Format.TRIPLET_V1:
        raise ProtocolError("observations_format must be TRIPLET_V1")
    agents = list(request.agent_ids)
    if not agents or len(agents) > MOST_AGENTS or len(set(agents)) < len(agents):
        raise ProtocolError(f"agent_ids must be 1 to {MOST_AGENTS} different numbers, got {len(agents)}")
    return request


def _interface(request: Any) -> PolicyEnvInterface:
    try:
        return PolicyEnvInterface.from_proto(request.env_interface)
    except Exception as error:  # pydantic's, or of a missing field: whatever upstream's conversion raises
        raise ProtocolError(f"env_interface can't be read: {error!s:.300}") from error
