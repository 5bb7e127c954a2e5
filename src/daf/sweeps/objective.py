"""The value of a trial: a metric per episode, an aggregate per mission, one number over the missions.

If several missions count, each is brought to a common scale first, because a mission with rewards in the hundreds would
dominate. By default the scale comes from the default configuration: (aggregate - its aggregate) / (its standard
deviation over the episodes), so that 0 means "equal to the default" and 1 "one standard deviation better". With
(low, high) given by mission it is (aggregate - low) / (high - low). Neither changes the direction. With one mission the
number is the metric itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daf.config.sweep import DAFSweepConfig
from daf.episodes.metrics_values import EPISODE, Metric, parse
from daf.errors import ConfigError, MetricError, unknown
from daf.game import mission_facts
from daf.game.mission import Mission
from daf.stats.aggregates import iqm
from daf.sweeps._scale_names import by_default

_SAME = 1e-9
"""Relative tolerance below which values are equal, because the difference is rounding."""


@dataclass(frozen=True)
class Objective:
    """A metric with its direction and the aggregate over the episodes of a mission."""

    metric: Metric
    direction: str
    aggregate: str
    quantile: float

    @property
    def name(self) -> str:
        """The metric, and the aggregate unless it is the mean, without the scale (see `_scale_names.scaled_name`)."""
        return self.metric.name if self.aggregate == "mean" else f"{self.metric.name} ({self.aggregate_name})"

    @property
    def aggregate_name(self) -> str:
        """Display name: mean, IQM, 0.25-quantile."""
        if self.aggregate == "quantile":
            return f"{self.quantile:g}-quantile"
        return "IQM" if self.aggregate == "iqm" else "mean"

    def of_episodes(self, values: Sequence[float]) -> float:
        """Aggregate the episodes of a mission into one number."""
        sample = np.asarray(values, dtype=np.float64)
        if self.aggregate == "quantile":
            return float(np.quantile(sample, self.quantile))
        if self.aggregate == "iqm":
            return float(iqm(sample))
        return float(sample.mean())


@dataclass(frozen=True)
class Scale:
    """A common scale for missions: value → (value - origin) / unit, by mission.

    flat: missions on which all default episodes have the same value, so that the unit is the magnitude of its mean.
    """

    origin: Mapping[str, float]
    unit: Mapping[str, float]
    flat: tuple[str, ...] = ()

    def over(self, by_mission: Mapping[str, float]) -> float:
        """One number over the missions: the mean of their scaled values."""
        return float(np.mean([(v - self.origin[m]) / self.unit[m] for m, v in by_mission.items()]))


def objectives_of(config: DAFSweepConfig) -> tuple[Objective, ...]:
    """The sweep's objectives, the primary one first. Raises `MetricError`."""
    if config.objectives is None:
        metric = _metric(config.objective_metric)
        return (Objective(metric, config.optimize_direction, config.aggregate, config.quantile),)
    return tuple(Objective(_metric(o.metric), o.direction, o.aggregate, o.quantile) for o in config.objectives)


def check_metrics(objectives: Sequence[Objective], missions: Sequence[Mission]) -> None:
    """Raise `MetricError` for a metric that one of the missions does not provide."""
    for mission in missions:
        known = [*EPISODE, *mission_facts.possible_stats(mission)]
        for objective in objectives:
            if objective.metric.base not in known:
                raise MetricError(
                    f"{mission.name}: {unknown('metric', objective.metric.base, known)} `daf metrics -m "
                    f"{mission.name}` lists them."
                )


def plain(missions: Sequence[str]) -> Scale:
    """Values without scaling."""
    return Scale(dict.fromkeys(missions, 0.0), dict.fromkeys(missions, 1.0))


def between(bounds: Mapping[str, tuple[float, float]]) -> Scale:
    """0 at the low of each mission, 1 at its high."""
    return Scale({m: low for m, (low, _) in bounds.items()}, {m: high - low for m, (low, high) in bounds.items()})


def relative(objective: Objective, episodes: Mapping[str, Sequence[float]]) -> Scale:
    """Scale by the default configuration's episodes; if all are equal, by the size of its mean, or 1 if that is 0."""
    origin = {mission: objective.of_episodes(values) for mission, values in episodes.items()}
    spread = {mission: _spread(values) for mission, values in episodes.items()}
    unit = {mission: spread[mission] or abs(origin[mission]) or 1.0 for mission in episodes}
    return Scale(origin, unit, tuple(mission for mission in episodes if not spread[mission]))


def needs_default(config: DAFSweepConfig) -> bool:
    """Whether the default configuration must be played before any trial can have a value."""
    return by_default(config.normalise, len(config.missions))


def _spread(values: Sequence[float]) -> float:
    """Standard deviation; 0 if the values are equal up to rounding."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2 or np.ptp(sample) <= _SAME * np.abs(sample).max():
        return 0.0
    return float(sample.std(ddof=1))


OTHER_NAMES = {"avg_reward": "reward", "mean_reward": "reward"}
"""Common names for an episode's reward, which every trial averages anyway."""


def _metric(text: str) -> Metric:
    if any(character in text for character in "*?["):
        raise ConfigError(f'objective "{text}": an objective is one metric, without wildcards.')
    return parse(OTHER_NAMES.get(text, text))
