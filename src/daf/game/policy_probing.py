"""The process that examines a policy: it loads it, plays four episodes, and returns its findings.

Called by `daf.game.policy_probe` in a separate process only.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from daf.game.isolated import MEMORY_MIB
from daf.processes.memory_use import peak_mib, resident_mib

if TYPE_CHECKING:
    from daf.game.rollout import Game, Play


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """The request.

    policy: anything that `daf.game.policies.resolve` takes. config: of the mission to play, as JSON. steps: maximum of
    an episode. cache, runs: as `resolve` takes them. device: where networks run. memory_mib: limit of the process's
    private memory.
    """

    policy: Any
    config: bytes
    seed: int
    steps: int
    cache: Path
    runs: Path | None
    device: str = "cpu"
    memory_mib: int = MEMORY_MIB


def look(request: ProbeRequest) -> dict[str, Any]:
    """What the policy is, and what it did in four episodes, as JSON values. Its exceptions are raised."""
    from daf.game import compat, policies
    from daf.game.mission import load_config
    from daf.game.rollout import Game, Play, build_policies

    compat.install()
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    before = resident_mib()
    started = perf_counter()
    policy = policies.resolve(request.policy, cache=request.cache, runs=request.runs)
    config = load_config(request.config)
    config.game.max_steps = min(request.steps, config.game.max_steps) or request.steps
    game = Game(config)
    interface = PolicyEnvInterface.from_mg_cfg(config)
    loaded = resident_mib()
    play = Play(game, (policy,), (0,) * config.game.num_agents, request.seed, device=request.device)
    built = build_policies(play, interface)[0]
    ready, after = perf_counter(), resident_mib()
    found: dict[str, Any] = {
        "name": policy.name,
        "class_path": policy.class_path,
        "data_path": policy.data_path,
        "kwargs": policy.kwargs,
        "identity": policy.identity,
        "agents": config.game.num_agents,
        "steps": config.game.max_steps,
        "load_seconds": ready - started,
        "memory": {"import_mib": loaded - before, "build_mib": after - loaded},
        "observes": {
            "kind": str(interface.observation_kind),
            "shape": list(interface.observation_shape),
            "features": [feature.name for feature in interface.obs_features],
        },
        "emits": [*interface.action_names, *interface.vibe_action_names],
    }
    found |= {"class": _class_facts(type(built)), "network": _network_facts(built)}
    found["playing"] = _playing(play, game)
    found["playing"]["together_agent_steps_per_second"] = _together(play)
    found["determinism"] = _determinism(play)
    found["memory"]["peak_mib"] = peak_mib()
    return found


def _class_facts(cls: type) -> dict[str, Any]:
    import inspect

    try:
        file: str | None = inspect.getsourcefile(cls)
    except TypeError:
        file = None
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    return {
        "file": file,
        "doc": inspect.cleandoc(vars(cls).get("__doc__") or "").split("\n\n")[0].strip(),
        "bases": [f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__[1:] if base is not object],
        "arguments": {
            p.name: None if p.default is inspect.Parameter.empty else repr(p.default)
            for p in parameters
            if p.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        },
    }


def _network_facts(built: Any) -> dict[str, Any] | None:
    network = built.network()
    if network is None:
        return None
    import torch

    parameters = list(network.named_parameters())
    recurrent = [
        (name, type(module).__name__)
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.RNNBase | torch.nn.RNNCellBase)
    ]
    parts: dict[str, int] = {}
    for name, parameter in parameters:
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel()
    return {
        "class": f"{type(network).__module__}.{type(network).__qualname__}",
        "parameters": sum(parameter.numel() for _, parameter in parameters),
        "trainable": sum(parameter.numel() for _, parameter in parameters if parameter.requires_grad),
        "bytes": sum(parameter.numel() * parameter.element_size() for _, parameter in parameters),
        "parts": parts,
        "recurrent": [f"{name} ({kind})" if name else kind for name, kind in recurrent],
        "layers": [
            f"{name}: {type(module).__name__}"
            for name, module in network.named_modules()
            if not list(module.children())
        ],
    }


def _playing(play: "Play", game: "Game") -> dict[str, Any]:
    """One episode in the object engine, each policy step timed; the whole in the reference engine where it must."""
    import numpy as np
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface

    from daf.game.object_rollout import play_object, unsupported
    from daf.game.observations import TokenMutation
    from daf.game.rollout import build_policies
    from daf.game.seeding import own_generators, seed_everything
    from daf.game.simulation import with_map_seed
    from daf.game.step_watch import StepWatch

    env = with_map_seed(game.config, play.seed)
    converted = game.converted
    with own_generators():
        built = build_policies(play, PolicyEnvInterface.from_mg_cfg(env))[0]
        reason = unsupported(built)
        if reason is not None:
            return _by_reference(play, reason)
        watch = StepWatch(built)
        fresh = _state_of(watch.make(0))
        seed_everything("episode", play.seed)
        started = perf_counter()
        try:
            outcome = play_object(
                env, [built], play.assignment, seed=play.seed, policy_names=[play.policies[0].name],
                enforce_timeouts=None, converted=converted,
            )  # fmt: skip
        except TokenMutation as error:
            return _by_reference(play, str(error))
        seconds = perf_counter() - started
    used = _state_of(watch.handles[0])
    first = 1 if watch.grouped else len(play.assignment)
    later = np.array(watch.times[first:] or watch.times, dtype=np.float64) / 1e6
    quantiles = np.quantile(later, [0.5, 0.9, 0.99])
    return {
        "engine": "object",
        "steps": outcome.steps,
        "seconds": seconds,
        "steps_per_second": outcome.steps / seconds,
        "agent_steps_per_second": outcome.steps * len(play.assignment) / seconds,
        "latency_ms": dict(zip(("p50", "p90", "p99"), quantiles.tolist(), strict=True))
        | {"max": float(later.max()), "first": max(watch.times[:first]) / 1e6},
        "latency_of": "a call for all agents" if watch.grouped else "one agent's step",
        "policy_share": sum(watch.times) / 1e9 / seconds,
        "actions": dict(sorted(watch.chosen.items(), key=lambda item: -item[1])),
        "state": sorted(name for name in used if used[name] != fresh.get(name)),
        "reward_per_agent": sum(outcome.rewards) / len(outcome.rewards),
    }


def _together(play: "Play", episodes: int = 4) -> float | None:
    """Agent-steps per second if several episodes share the network, as `daf evaluate` plays it; None if they can't."""
    from dataclasses import replace

    from daf.game.rollout import PlayedEpisode, batchable, play_together

    if not batchable(play.policies, None):
        return None
    results = play_together([replace(play, seed=play.seed + place) for place in range(episodes)])
    played = [result for result in results if isinstance(result, PlayedEpisode)]
    if len(played) < episodes:
        return None
    steps = sum(result.outcome.steps for result in played) * len(play.assignment)
    return steps / sum(result.play_seconds for result in played)


def _by_reference(play: "Play", reason: str) -> dict[str, Any]:
    from dataclasses import replace

    from daf.game.rollout import play as play_one

    played = play_one(replace(play, engine="reference"))
    outcome = played.outcome
    latency = outcome.latencies[0]
    return {
        "engine": "reference",
        "why": reason,
        "steps": outcome.steps,
        "seconds": played.play_seconds,
        "steps_per_second": outcome.steps / played.play_seconds,
        "agent_steps_per_second": latency.count / played.play_seconds,
        "latency_ms": {"mean": latency.total_ns / max(latency.count, 1) / 1e6, "max": latency.max_ns / 1e6},
        "latency_of": "one agent's step",
        "policy_share": latency.total_ns / 1e9 / played.play_seconds,
        "actions": {},
        "state": [],
        "reward_per_agent": sum(outcome.rewards) / len(outcome.rewards),
    }


def _state_of(handle: Any) -> dict[str, str]:
    """An agent's attributes, each as a text that changes with its content; for unpicklable ones, with its identity."""
    from daf.storage.hashing import hash_bytes

    found = {}
    skipped = ("_infos", "infos", "_simulation", "_policy_env_info", "_base_policy", "step", "step_group")
    for name, value in vars(handle).items():
        if name in skipped or hasattr(value, "named_parameters"):
            continue
        try:
            found[name] = hash_bytes(pickle.dumps(value))
        except Exception:
            found[name] = f"{type(value).__name__} {id(value)}"
    return found


def _determinism(play: "Play") -> dict[str, Any]:
    from dataclasses import replace

    from daf.game.outcome import first_difference
    from daf.game.rollout import play as play_one

    first, again = play_one(play).outcome, play_one(play).outcome
    other = play_one(replace(play, seed=play.seed + 1)).outcome
    return {
        "same_seed_same_result": first == again,
        "difference": None if first == again else first_difference(first, again),
        "seed_matters": (first.rewards, first.agent_stats) != (other.rewards, other.agent_stats),
    }
