"""Any stat of an episode as a metric, by its name: the available metrics, and their values.

    reward   steps   completion   agent.heart.gained   game.cogs/aligned.junction.held   agent.*.gained

After an @ follows how a metric is aggregated: over the agents (`@mean`, the default, `@sum`, `@min`, `@max`,
`@agent3`), per step (`@per_step`), or a game stat's mean over all steps (`@average`):
`agent.heart.gained@max@per_step`.

The simulator omits a counter that never moved. Such a counter is 0 in every episode of a mission in which it can occur
(it is in any of these episodes, or in the mission's config), and unknown (NaN) in a mission in which it cannot.
"""

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daf.episodes.record import EpisodeRecord
from daf.episodes.tables import stat_names
from daf.errors import DataError, MetricError, unknown

EPISODE = ("reward", "steps", "completion")
"""Metrics of every episode: mean return per agent, steps played, and their share of the step limit."""
OVER_AGENTS = ("mean", "sum", "min", "max")
MODIFIERS = (*OVER_AGENTS, "agent0", "per_step", "average")


@dataclass(frozen=True, slots=True)
class Metric:
    """A stat and how it is taken.

    name: as written. base: without modifiers. over: how agents are aggregated, or one agent's number; `None` for
    metrics that are not per agent. per_step: divided by the steps played. average: a game stat's mean over all steps.
    """

    name: str
    base: str
    over: str | int | None
    per_step: bool = False
    average: bool = False

    @property
    def stat(self) -> str:
        """The simulator's name of it."""
        return self.base.partition(".")[2]

    def per_agent(self, agent: int) -> "Metric":
        """The same of one agent."""
        marks = f"@agent{agent}" + ("@per_step" if self.per_step else "")
        return Metric(self.base + marks, self.base, agent, self.per_step)


def parse(text: str) -> Metric:
    """The metric that `text` names; wildcards stay in its base. Raises `MetricError`."""
    base, *marks = [part.strip() for part in text.split("@")]
    scope = base.partition(".")[0]
    if base not in EPISODE and (scope not in ("agent", "game") or not base.partition(".")[2]):
        raise MetricError(
            f'"{text}" is not a metric: use {", ".join(EPISODE)}, agent.NAME or game.NAME. '
            "`daf metrics -m MISSION` lists them."
        )
    agents = scope == "agent" or base == "reward"
    over: str | int | None = "mean" if agents else None
    per_step = average = False
    for mark in marks:
        number = mark.removeprefix("agent")
        if mark == "per_step":
            per_step = True
        elif mark == "average" and scope == "game":
            average = True
        elif agents and mark in OVER_AGENTS:
            over = mark
        elif agents and mark.startswith("agent") and number.isdecimal() and len(number) <= 6:
            over = int(number)
        elif mark in MODIFIERS or (mark.startswith("agent") and number.isdecimal() and len(number) <= 6):
            kind = "game stats" if mark == "average" else "agent counters"
            raise MetricError(f'"{text}": @{mark} applies to {kind}, and {base} is not one of them.')
        else:
            raise MetricError(f'"{text}": {unknown("way to take a metric", mark, MODIFIERS)}')
    if per_step and average:
        raise MetricError(f'"{text}": @average is already a mean over steps; remove @per_step.')
    return Metric(text.strip(), base, over, per_step, average)


def occurring(
    records: Sequence[EpisodeRecord], possible: Mapping[str, Iterable[str]] | None = None
) -> dict[str, list[str]]:
    """Per mission the base names that occur in its episodes.

    possible: per mission names that its config can count, which occur as 0 where they never moved.
    """
    agents, games = stat_names(records)
    found = {}
    for mission, names in agents.items():
        known = {f"agent.{name}" for name in names} | {f"game.{name}" for name in games[mission]}
        known |= set((possible or {}).get(mission, ()))
        found[mission] = [*EPISODE, *sorted(known)]
    return found


def select(wanted: Iterable[str], known: Mapping[str, Sequence[str]]) -> list[Metric]:
    """The metrics that `wanted` names, each once, wildcards resolved among `known` (per mission, from `occurring`).

    Raises `MetricError` with the nearest names for one that no mission has.
    """
    names = sorted({name for of_mission in known.values() for name in of_mission})
    found: dict[str, Metric] = {}
    for text in wanted:
        metric = parse(text) if not text.startswith(("*", "?", "[")) else Metric(text, text, None)
        if any(character in metric.base for character in "*?["):
            marks = text[len(text.partition("@")[0]) :]
            matching = fnmatch.filter(names, metric.base)
            if not matching:
                raise MetricError(
                    f'no metric matches "{metric.base}". `daf metrics -m MISSION` lists those that occur.'
                )
            for name in matching:
                found.setdefault(name + marks, parse(name + marks))
        elif metric.base not in names:
            raise MetricError(unknown("metric", metric.base, names, hint="It does not occur in these episodes."))
        else:
            found.setdefault(text, metric)
    return list(found.values())


def value(record: EpisodeRecord, metric: Metric) -> float:
    """The metric's value in one episode; an absent counter is 0. Raises `DataError`, `MetricError`."""
    outcome = record.played
    scale = outcome.steps if metric.per_step else 1
    if metric.base == "steps":
        found = float(outcome.steps)
    elif metric.base == "completion":
        found = outcome.steps / record.spec.max_steps
    elif metric.over is not None:
        found = _over(agent_values(record, metric), metric, record)
    elif metric.average:
        found = float(outcome.time_averaged_game_stats.get(metric.stat, 0.0))
    else:
        found = float(outcome.game_stats.get(metric.stat, 0.0))
    if not math.isfinite(found):
        where = f"{record.spec.name} on {record.spec.mission}, seed {record.spec.seed}"
        raise DataError(f"{metric.name} is {found} in an episode of {where}; it cannot be analysed.")
    return found / scale if scale else 0.0


def agent_values(record: EpisodeRecord, metric: Metric) -> list[float]:
    """The value of an agents' metric for every agent of the episode, not divided by steps."""
    outcome = record.played
    if metric.base == "reward":
        return list(outcome.rewards)
    return [float(stats.get(metric.stat, 0.0)) for stats in outcome.agent_stats]


def values(
    records: Sequence[EpisodeRecord], metrics: Sequence[Metric], known: Mapping[str, Sequence[str]]
) -> NDArray[np.float64]:
    """(n_records, n_metrics): every metric in every episode; NaN where the mission does not have it."""
    table = np.full((len(records), len(metrics)), np.nan)
    sets = {mission: set(names) for mission, names in known.items()}
    for row, record in enumerate(records):
        for column, metric in enumerate(metrics):
            if metric.base in sets[record.spec.mission]:
                table[row, column] = value(record, metric)
    return table


def _over(agents: Sequence[float], metric: Metric, record: EpisodeRecord) -> float:
    if isinstance(metric.over, int):
        if metric.over >= len(agents):
            raise MetricError(
                f"{metric.name}: {record.spec.mission} has {len(agents)} agents, numbered 0 to {len(agents) - 1}."
            )
        return agents[metric.over]
    match metric.over:
        case "sum":
            return sum(agents)
        case "min":
            return min(agents)
        case "max":
            return max(agents)
        case _:
            return sum(agents) / len(agents)
