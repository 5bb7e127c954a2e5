"""What a trial is worth: a metric per episode, an aggregate per mission, one number over the missions.

Where several missions count, each is brought to one scale first, since a mission with rewards of hundreds would decide
alone. By default the scale is the default configuration's: (aggregate - its aggregate) / (its standard deviation over
the episodes), so that 0 is "as the default" and 1 "one standard deviation better". With (low, high) given by mission it
is (aggregate - low) / (high - low). The direction is not changed by either. With one mission the number is the metric
itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from daf.config.sweep import DAFSweepConfig
from daf.episodes.metrics_values import EPISODE, Metric, parse
from daf.errors import ConfigError, MetricError, unknown
from daf.game import mission_facts
from daf.game.missions import Mission
from daf.stats.aggregates import iqm
from daf.sweeps._scale_words import by_default

_SAME = 1e-9
"""Values that differ by no more than this part of their size are equal: the rest is rounding."""


@dataclass(frozen=True)
class Objective:
    """A metric with its direction and how a mission's episodes become one number."""

    metric: Metric
    direction: str
    aggregate: str
    quantile: float

    @property
    def name(self) -> str:
        """The metric, and the aggregate where it is not the mean. The scale is not in it (`scale_words.told`)."""
        return self.metric.name if self.aggregate == "mean" else f"{self.metric.name} ({self.aggregate_name})"

    @property
    def aggregate_name(self) -> str:
        """For people: mean, IQM, 0.25-quantile."""
        if self.aggregate == "quantile":
            return f"{self.quantile:g}-quantile"
        return "IQM" if self.aggregate == "iqm" else "mean"

    def of_episodes(self, values: Sequence[float]) -> float:
        """A mission's episodes as one number."""
        sample = np.asarray(values, dtype=np.float64)
        if self.aggregate == "quantile":
            return float(np.quantile(sample, self.quantile))
        if self.aggregate == "iqm":
            return float(iqm(sample))
        return float(sample.mean())


@dataclass(frozen=True)
class Scale:
    """How missions are brought to one scale: value → (value - origin) / unit, by mission.

    flat: missions on which the default's episodes do not differ, so that its mean's size is the unit.
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
    """Raise `MetricError` for a metric that one of the missions cannot count."""
    for mission in missions:
        known = [*EPISODE, *mission_facts.possible_stats(mission)]
        for objective in objectives:
            if objective.metric.base not in known:
                raise MetricError(
                    f"{mission.name}: {unknown('metric', objective.metric.base, known)} `daf metrics -m "
                    f"{mission.name}` lists them."
                )


def plain(missions: Sequence[str]) -> Scale:
    """Values as they are."""
    return Scale(dict.fromkeys(missions, 0.0), dict.fromkeys(missions, 1.0))


def between(bounds: Mapping[str, tuple[float, float]]) -> Scale:
    """0 at each mission's low, 1 at its high."""
    return Scale({m: low for m, (low, _) in bounds.items()}, {m: high - low for m, (low, high) in bounds.items()})


def relative(objective: Objective, episodes: Mapping[str, Sequence[float]]) -> Scale:
    """The default configuration's episodes as the scale; where they do not differ, its mean's size, and 1 where 0."""
    origin = {mission: objective.of_episodes(values) for mission, values in episodes.items()}
    spread = {mission: _spread(values) for mission, values in episodes.items()}
    unit = {mission: spread[mission] or abs(origin[mission]) or 1.0 for mission in episodes}
    return Scale(origin, unit, tuple(mission for mission in episodes if not spread[mission]))


def needs_default(config: DAFSweepConfig) -> bool:
    """Whether the default configuration must be played before any trial can have a value."""
    return by_default(config.normalise, len(config.missions))


def _spread(values: Sequence[float]) -> float:
    """Their standard deviation; 0 where they are equal but for rounding."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2 or np.ptp(sample) <= _SAME * np.abs(sample).max():
        return 0.0
    return float(sample.std(ddof=1))


OTHER_NAMES = {"avg_reward": "reward", "mean_reward": "reward"}
"""What scripts call an episode's reward, which every trial averages anyway."""


def _metric(text: str) -> Metric:
    if any(character in text for character in "*?["):
        raise ConfigError(f'objective "{text}": an objective is one metric, without wildcards.')
    return parse(OTHER_NAMES.get(text, text))
