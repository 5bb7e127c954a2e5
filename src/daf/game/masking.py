"""A policy with hidden features: the same policy, shown observations without their tokens.

The tokens of all cells, including the agent's, are removed before the policy sees them; the rest stays the same and in
order. The policy can still infer the same facts from other features.

`MaskedPolicy` is the class that plays; `masked` makes the `Policy` that names it.
Importing this module imports mettagrid.
"""

import fnmatch
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator.interface import AgentObservation
from mettagrid.types import Action

from daf.errors import UsageError, unknown
from daf.game.mission import Mission
from daf.game.policy import Policy
from daf.game.policy_loading import build
from daf.storage.hashing import hash_json

CLASS_PATH = "daf.game.masking.MaskedPolicy"


def features(mission: Mission) -> list[str]:
    """The names of the features that agents are shown on a mission."""
    return [feature.name for feature in PolicyEnvInterface.from_mg_cfg(mission.config).obs_features]


def matching(patterns: Sequence[str], mission: Mission) -> list[str]:
    """The features of a mission that names and wildcards match. Raises `UsageError` for one without a match."""
    known = features(mission)
    found: list[str] = []
    for pattern in patterns:
        names = fnmatch.filter(known, pattern)
        if not names:
            raise UsageError(f"{mission.name}: {unknown('observation feature', pattern, known)}")
        found += [name for name in names if name not in found]
    return found


def masked(policy: Policy, hidden: Sequence[str]) -> Policy:
    """`policy` without the features named `hidden`, in full."""
    names = sorted(set(hidden))
    inner = {
        "class_path": policy.class_path,
        "data_path": policy.data_path,
        "kwargs": dict(policy.kwargs),
        "network": policy.network,
        "name": policy.name,
        "import_roots": list(policy.import_roots),
    }
    return replace(
        policy,
        name=f"{policy.name}[blind to {'+'.join(names)}]",
        class_path=CLASS_PATH,
        data_path=None,
        kwargs={"inner": inner, "hidden": names},
        identity=hash_json({"masked": policy.identity, "hidden": names}),
    )


class MaskedPolicy(MultiAgentPolicy):
    """Plays another policy with some features hidden."""

    def __init__(
        self, policy_env_info: PolicyEnvInterface, device: str = "cpu", *, inner: dict[str, Any], hidden: Sequence[str]
    ) -> None:
        """inner: the policy as `masked` stores it. hidden: names of features, in full."""
        super().__init__(policy_env_info, device=device)
        policy = Policy(identity="", **{**inner, "import_roots": tuple(inner["import_roots"])})
        self._inner = build(policy, policy_env_info, device=device)
        self._hidden = frozenset(hidden)
        self.minimum_action_timeout_ms = self._inner.minimum_action_timeout_ms  # type: ignore[misc]
        self.reference_only = getattr(self._inner, "reference_only", None)

    def agent_policy(self, agent_id: int) -> AgentPolicy:
        return _MaskedAgent(self._policy_env_info, self._inner.agent_policy(agent_id), self._hidden)

    def network(self) -> Any:
        return self._inner.network()

    def configure_action_timeout_ms(self, _action_timeout_ms: int) -> None:
        self._inner.configure_action_timeout_ms(_action_timeout_ms)

    def reset(self) -> None:
        self._inner.reset()


class _MaskedAgent(AgentPolicy):
    """One agent of a masked policy."""

    def __init__(self, policy_env_info: PolicyEnvInterface, inner: AgentPolicy, hidden: frozenset[str]) -> None:
        super().__init__(policy_env_info)
        self.inner = inner
        self._hidden = hidden

    @property
    def infos(self) -> dict[str, Any]:
        return self.inner.infos

    def step(self, obs: AgentObservation) -> Action:
        return self.inner.step(self._shown(obs))

    def reset(self, simulation: Any = None) -> None:
        if simulation is None:  # some policies' reset takes no argument
            self.inner.reset()
        else:
            self.inner.reset(simulation)

    def can_step_group(self, policies: Sequence[AgentPolicy]) -> bool:
        return self.inner.can_step_group([p.inner if isinstance(p, _MaskedAgent) else p for p in policies])

    def step_group(self, observations: list[tuple[int, AgentObservation]]) -> list[Action]:
        return self.inner.step_group([(agent, self._shown(obs)) for agent, obs in observations])

    def _shown(self, obs: AgentObservation) -> AgentObservation:
        tokens = [token for token in obs.tokens if token.feature.name not in self._hidden]
        return AgentObservation(agent_id=obs.agent_id, tokens=tokens, talk=obs.talk)
