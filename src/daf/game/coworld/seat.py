"""The policy of a bundle, for the one agent that this process plays; messages as its observations and answers.

Fields that the protocol or mettagrid does not have are ignored. The code of the bundle comes before anything installed.
"""

import contextlib
import importlib
import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mettagrid.config.id_map import ObservationFeatureSpec
from mettagrid.config.mettagrid_config import TalkConfig
from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.simulator.interface import AgentObservation, Location, ObservationToken, VisibleTalk

NOOP = "noop"
END = 0xFF
"""The feature, and the location, of a token that ends an observation."""
_PREFIX_OF_VIBES = "change_vibe_"


class PlayerError(Exception):
    """The player can't play; its text goes to the log."""


class Seat:
    """The policy in a bundle's folder. Raises `PlayerError` if its class can't be imported."""

    def __init__(self, bundle: Path) -> None:
        self._spec = json.loads((bundle / "policy_spec.json").read_text(encoding="utf-8"))
        self._bundle = bundle
        self._class = _imported(bundle, self._spec["class_path"])
        self._agent: AgentPolicy | None = None
        self._slot = 0
        self._features: dict[int, ObservationFeatureSpec] = {}
        self._actions: frozenset[str] = frozenset()

    def configure(self, message: Mapping[str, Any]) -> None:
        """Build the policy for the episode that a `player_config` describes."""
        env = environment(message)
        arguments = dict(self._spec.get("init_kwargs") or {})
        policy: MultiAgentPolicy = self._class(env, **arguments)
        if self._spec.get("data_path"):
            policy.load_policy_data(str(self._bundle / self._spec["data_path"]))
        self._slot = int(message["slot"])
        self._features = {feature.id: feature for feature in env.obs_features}
        self._actions = frozenset(env.all_action_names)
        agent = policy.agent_policy(self._slot)
        agent.reset()
        self._agent = agent

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an `observation`. What the policy raises, passes through."""
        if self._agent is None:
            raise PlayerError("an observation came before the player_config")
        action = self._agent.step(observation_of(message, self._slot, self._features))
        # The protocol has one name per answer: a vibe counts only where nothing else is done.
        name = action.vibe if action.vibe is not None and action.name == NOOP else action.name
        if name not in self._actions:
            raise PlayerError(f"the policy chose the action {name!r}, which the game does not have")
        return answer_to(message, name, self._agent.infos)


def environment(message: Mapping[str, Any]) -> PolicyEnvInterface:
    """The `policy_env` of a `player_config`, in either variant. Fields that mettagrid does not know are left out."""
    given = message["policy_env"]
    fields = {name: given[name] for name in PolicyEnvInterface.model_fields if name in given}
    fields["obs_features"] = [
        ObservationFeatureSpec(id=one["id"], name=one["name"], normalization=one["normalization"])
        for one in given.get("obs_features", ())
    ]
    if isinstance(given.get("talk"), Mapping):
        fields["talk"] = TalkConfig(
            **{name: given["talk"][name] for name in TalkConfig.model_fields if name in given["talk"]}
        )
    names = list(given.get("action_names") or message.get("action_names") or ())
    vibes = list(given.get("vibe_action_names") or ())
    fields["action_names"] = [name for name in names if name not in vibes and not name.startswith(_PREFIX_OF_VIBES)]
    fields["vibe_action_names"] = vibes or [name for name in names if name.startswith(_PREFIX_OF_VIBES)]
    return PolicyEnvInterface(**fields)


def observation_of(
    message: Mapping[str, Any], slot: int, features: Mapping[int, ObservationFeatureSpec]
) -> AgentObservation:
    """What the policy sees, as it would in the simulator."""
    tokens = []
    for location, feature, value in message["observation"]:
        if feature == END or location == END:
            break
        if feature in features:
            tokens.append(ObservationToken(features[feature], value, (location, feature, value)))
    talk = [
        VisibleTalk(one["agent_id"], one["text"], Location(one["row"], one["col"]), one["remaining_steps"])
        for one in message.get("visible_talk") or ()
    ]
    return AgentObservation(agent_id=slot, tokens=tokens, talk=talk)


def answer_to(message: Mapping[str, Any], action: str, infos: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to an observation."""
    return {
        "type": "action",
        "action_name": action,
        "policy_infos": _as_json(infos),
        "request_id": f"step-{message.get('step')}",
    }


def _imported(bundle: Path, class_path: str) -> Any:
    """The class, from the bundle's folder, or a folder in it, before anything installed."""
    module, _, name = class_path.rpartition(".")
    sys.path.insert(0, str(_root_of(bundle, module)))
    try:
        return getattr(importlib.import_module(module), name)
    except Exception:
        raise PlayerError(f"the policy {class_path} can't be imported:\n{traceback.format_exc()}") from None


def _root_of(bundle: Path, module: str) -> Path:
    """The folder below which the module lies; the bundle's, if it is an installed one."""
    place = Path(*module.split("."))
    for name in (place.with_suffix(".py"), place / "__init__.py"):
        for path in (bundle / name, *sorted(bundle.rglob(str(name)))):
            if path.is_file():
                return path.parents[len(name.parts) - 1]
    return bundle


def _as_json(infos: Mapping[str, Any]) -> dict[str, Any]:
    """The infos as JSON data; those that are none are left out."""
    found = {}
    for name, value in dict(infos or {}).items():
        with contextlib.suppress(TypeError, ValueError):
            found[str(name)] = json.loads(json.dumps(value, allow_nan=False, default=_plain))
    return found


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy and torch as Python's."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
