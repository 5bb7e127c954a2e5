"""Facts of a policy, measured in a separate process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CogsRow:
    """How a policy performs with a number of agents. reward per agent; ci: 95 %, None with one episode."""

    agents: int
    mission: str
    episodes: int
    mean_reward: float
    ci: tuple[float, float] | None


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call to the policy. of: what a call is. first: of an episode's first step, including warm-up.

    p50, p90, p99: None if single calls could not be timed (the reference engine), where only the mean is known.
    """

    of: str
    maximum: float
    p50: float | None
    p90: float | None
    p99: float | None
    first: float | None
    mean: float | None


@dataclass(frozen=True)
class PolicyAnalysis:
    """What a policy is, needs and does on a mission.

    recurrence: what it remembers between steps, as text; recurrent: whether any memory was observed. parameters: of its
    network, None without one. network_mib: their memory. load_mib: what importing and building it adds to the process,
    frameworks included; peak_mib: the process's peak. together: agent-steps per second if episodes share the network.
    policy_share: its share of the time of an episode, the rest is the engine's. actions: how often it chose each.
    deterministic: the same seed gave the same episode twice. seed_matters: another seed gave another.
    cogs: rewards by number of agents, empty if not requested.
    """

    name: str
    class_path: str
    source: str | None
    description: str
    bases: tuple[str, ...]
    arguments: Mapping[str, str | None]
    kwargs: Mapping[str, Any]
    data_path: str | None
    identity: str
    trainable: bool
    recurrent: bool
    recurrence: str
    parameters: int | None
    trainable_parameters: int | None
    network: str | None
    parts: Mapping[str, int]
    layers: tuple[str, ...]
    network_mib: float | None
    load_mib: float
    peak_mib: float
    load_seconds: float
    observes: str
    features: tuple[str, ...]
    emits: tuple[str, ...]
    mission: str
    agents: int
    steps: int
    engine: str
    steps_per_second: float
    agent_steps_per_second: float
    together: float | None
    policy_share: float
    latency: Latency
    actions: Mapping[str, int]
    reward_per_agent: float
    deterministic: bool
    difference: str | None
    seed_matters: bool
    cogs: tuple[CogsRow, ...] = ()


def analysis_from(found: Mapping[str, Any], mission: str, *, name: str | None = None) -> PolicyAnalysis:
    """The analysis from the answer of a probe."""
    network, playing, memory = found["network"], found["playing"], found["memory"]
    latency = playing["latency_ms"]
    recurrence = _recurrence(found)
    return PolicyAnalysis(
        name=name or found["name"],
        class_path=found["class_path"],
        source=found["class"]["file"],
        description=found["class"]["doc"],
        bases=tuple(found["class"]["bases"]),
        arguments=found["class"]["arguments"],
        kwargs=found["kwargs"],
        data_path=found["data_path"],
        identity=found["identity"],
        trainable=bool(network and network["trainable"]),
        recurrent=recurrence is not None,
        recurrence=recurrence or "none observed: the attributes of its agents are the same before and after an episode",
        parameters=network["parameters"] if network else None,
        trainable_parameters=network["trainable"] if network else None,
        network=network["class"] if network else None,
        parts=network["parts"] if network else {},
        layers=tuple(network["layers"]) if network else (),
        network_mib=network["bytes"] / 2**20 if network else None,
        load_mib=memory["import_mib"] + memory["build_mib"],
        peak_mib=memory["peak_mib"],
        load_seconds=found["load_seconds"],
        observes=f"{found['observes']['kind']}s, {' × '.join(str(part) for part in found['observes']['shape'])}",
        features=tuple(found["observes"]["features"]),
        emits=tuple(found["emits"]),
        mission=mission,
        agents=found["agents"],
        steps=playing["steps"],
        engine=playing["engine"],
        steps_per_second=playing["steps_per_second"],
        agent_steps_per_second=playing["agent_steps_per_second"],
        together=playing["together_agent_steps_per_second"],
        policy_share=playing["policy_share"],
        latency=Latency(
            of=playing["latency_of"],
            maximum=latency["max"],
            p50=latency.get("p50"),
            p90=latency.get("p90"),
            p99=latency.get("p99"),
            first=latency.get("first"),
            mean=latency.get("mean"),
        ),
        actions=playing["actions"],
        reward_per_agent=playing["reward_per_agent"],
        deterministic=found["determinism"]["same_seed_same_result"],
        difference=found["determinism"]["difference"],
        seed_matters=found["determinism"]["seed_matters"],
    )


def _recurrence(found: Mapping[str, Any]) -> str | None:
    network, state = found["network"], found["playing"]["state"]
    if network and network["recurrent"]:
        return f"recurrent network: {', '.join(network['recurrent'])}"
    if state:
        return f"its agents keep state between steps ({', '.join(state)})"
    return None
