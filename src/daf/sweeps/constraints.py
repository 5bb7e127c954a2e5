"""Bounds that a trial must meet to count: on metrics of its episodes, or on the policy itself.

The value of a metric is its mean over the episodes of a mission, and every mission must meet the bound. The properties
in `MEASURED` are of the policy: DAF measures them once per trial, after its episodes and on the first mission, as `daf
analyze policy` does. A latency depends on the machine, so a sweep keeps the first value that it measured.

A trial that violates a bound is infeasible: it keeps its values and is never best.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from daf.config.sweep import DAFSweepConfig, bound_of
from daf.episodes.metrics_values import EPISODE, Metric, parse
from daf.errors import ConfigError, MetricError, unknown
from daf.game import mission_facts
from daf.game.mission import Mission

MEASURED = ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_max_ms", "parameters")
"""Properties of a policy: the time of a step by quantile, and the number of a network's parameters."""


@dataclass(frozen=True)
class Constraint:
    """A bound. metric: None for a property in `MEASURED`."""

    name: str
    sign: Literal["<=", ">="]
    bound: float
    metric: Metric | None

    def excess(self, value: float) -> float:
        """How far `value` violates the bound; 0 or less if it meets it."""
        return value - self.bound if self.sign == "<=" else self.bound - value

    def worst(self, values: Mapping[str, float]) -> tuple[str, float]:
        """The (mission, value) that is nearest to violating the bound, or furthest beyond it."""
        return max(values.items(), key=lambda item: self.excess(item[1]))


def constraints_of(config: DAFSweepConfig) -> tuple[Constraint, ...]:
    """The constraints of a sweep. Raises `ConfigError` for a name that is neither a metric nor in `MEASURED`."""
    found = []
    for name, text in (config.constraints or {}).items():
        metric = None
        if name not in MEASURED:
            if any(character in name for character in "*?["):
                raise ConfigError(f'constraints: "{name}": a constraint is on one metric, without wildcards.')
            try:
                metric = parse(name)
            except MetricError as error:
                raise ConfigError(f"constraints: {error} Also available: {', '.join(MEASURED)}.") from error
        sign, bound = bound_of(text)
        found.append(Constraint(name, sign, bound, metric))
    return tuple(found)


def check_constraints(constraints: Sequence[Constraint], missions: Sequence[Mission], *, network: bool) -> None:
    """Raise `MetricError` for a metric that a mission does not have, `ConfigError` for a property without meaning."""
    for constraint in constraints:
        if constraint.name == "parameters" and not network:
            raise ConfigError("constraints: parameters is for networks, and this policy is not one; leave it out.")
        for mission in missions if constraint.metric is not None else ():
            known = [*EPISODE, *mission_facts.possible_stats(mission)]
            if constraint.metric is not None and constraint.metric.base not in known:
                raise MetricError(
                    f"constraints: {mission.name}: {unknown('metric', constraint.metric.base, known)} `daf metrics -m "
                    f"{mission.name}` lists them."
                )


def measured(names: Sequence[str], found: Mapping[str, Any]) -> dict[str, float]:
    """The properties `names` in the findings of a probe. Raises `ConfigError` for one that could not be measured."""
    values: dict[str, float] = {}
    latencies = found["playing"]["latency_ms"]
    for name in names:
        if name == "parameters":
            value = None if found["network"] is None else found["network"]["parameters"]
        else:
            value = latencies.get(name.removeprefix("latency_").removesuffix("_ms"))
        if value is None or not math.isfinite(value):
            why = found["playing"].get("why", "the policy does not have it")
            raise ConfigError(f"constraints: {name} cannot be measured: {why}.")
        values[name] = float(value)
    return values


def violations(
    constraints: Sequence[Constraint], values: Mapping[str, Mapping[str, float]]
) -> tuple[dict[str, float], str]:
    """By constraint, how far it is violated (0 or less: not at all), and a text that names the violated ones.

    values: by constraint, its value by mission ("" for a property of the policy).
    """
    excess, texts = {}, []
    for constraint in constraints:
        mission, value = constraint.worst(values[constraint.name])
        excess[constraint.name] = constraint.excess(value)
        if excess[constraint.name] > 0:
            where = f" on {mission}" if mission and len(values[constraint.name]) > 1 else ""
            # As many digits as it takes to see that the rounded value violates the bound.
            shown = next(text for d in (4, 6, 9, 17) if constraint.excess(float(text := f"{value:.{d}g}")) > 0)
            texts.append(f"{constraint.name} is {shown}{where}, and must be {constraint.sign} {constraint.bound:g}")
    return excess, "; ".join(texts)
