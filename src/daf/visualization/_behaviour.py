"""What agents did, as numbers for drawing: how often each action, and how much of each resource by which step.

Replays contain every step; records contain the simulator's own counters, and what was sampled over time.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daf.episodes.record import EpisodeRecord
from daf.episodes.stored import PLAN
from daf.errors import DataError, UsageError
from daf.game.replays import Replay, ReplayObject, read_replay
from daf.game.replays.replay import GEAR, named
from daf.replaying import SUFFIXES
from daf.visualization._runs_given import is_run, records_in, replays_in, run_folder

type FloatArray = NDArray[np.float64]

VITALS = ("energy", "hp", "solar", "influence", "shield")
"""Inventory items that are states of an agent rather than collected."""
PREFIX, OUTCOMES = "action.", ("success", "failed")


@dataclass(frozen=True)
class Shares:
    """How often one policy took each action in one episode. shares: by action, of all agent steps."""

    policy: str
    mission: str
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Collected:
    """What one policy's agents collected in one episode. steps: ascending. amounts: by resource, per agent, summed."""

    policy: str
    mission: str
    steps: FloatArray
    amounts: Mapping[str, FloatArray]


def episodes_given(source: Any, base_dir: str | Path | None = None) -> tuple[list[EpisodeRecord], list[Replay]]:
    """The finished episodes and the replays in `source`.

    source: a replay, replays, a run (directory, id), an evaluation, or records. Raises `UsageError` for any other.
    """
    if isinstance(source, Replay):
        return [], [source]
    if is_run(source):
        path = Path(os.fspath(source)).expanduser()
        if path.is_file():
            return [], [read_replay(path)]
        return _of_folder(run_folder(source, base_dir))
    if isinstance(source, Sequence) and source:
        if all(isinstance(one, EpisodeRecord) for one in source):
            return [one for one in source if one.ok], []
        if all(isinstance(one, Replay) or is_run(one) for one in source):
            return [], [one if isinstance(one, Replay) else read_replay(one) for one in source]
    behind = getattr(source, "evaluation", None) or source
    records = getattr(getattr(behind, "result", None), "records", None)
    if records is None:
        raise UsageError(
            f"{type(source).__name__} holds no episodes: give a replay, a run (directory or id), an evaluation, or "
            "records."
        )
    return [one for one in records if one.ok], [read_replay(path) for path in behind.replays.values()]


def action_shares(records: Sequence[EpisodeRecord], replays: Sequence[Replay]) -> list[Shares]:
    """One row per episode, from the records if there are any, otherwise from the replays.

    Raises `DataError` if nothing was counted.
    """
    rows = [row for record in records for row in _shares_of_record(record)] or [_shares_of(one) for one in replays]
    if not any(row.shares for row in rows):
        raise DataError("no action was counted in these episodes.")
    return rows


def collected(records: Sequence[EpisodeRecord], replays: Sequence[Replay]) -> list[Collected]:
    """One row per episode, from what was sampled over time if anything was, otherwise from the replays.

    Raises `DataError` if neither shows what was collected when.
    """
    rows = [row for record in records for row in _sampled(record)]
    rows = rows or [_collected_in(replay) for replay in replays]
    if not any(row.amounts for row in rows):
        raise DataError(
            "the records do not contain when resources were collected. `daf evaluate … --series 10 --series-stat "
            "agent.carbon.gained` samples it over time, --save-replays best records replays."
        )
    return rows


def policy_of(replay: Replay) -> str:
    """The policies of the replay if it names them; otherwise the name of the file."""
    policies: dict[str, None] = {}
    for agent in replay.agents:
        for infos in agent.policy_infos().values:
            if isinstance(infos, dict) and "policy_name" in infos:
                policies.setdefault(str(infos["policy_name"]))
                break
    return "+".join(policies) or next(
        (replay.path.name.removesuffix(s) for s in SUFFIXES if s in replay.path.name), "?"
    )


def _of_folder(folder: Path) -> tuple[list[EpisodeRecord], list[Replay]]:
    records: list[EpisodeRecord] = []
    if (folder / PLAN).is_file():
        records = [record for record in records_in(folder) if record.ok]
    replays = [read_replay(path) for path in replays_in(folder)]
    if not records and not replays:
        raise DataError(f"{folder} holds no finished episodes and no replays.")
    return records, replays


def _shares_of_record(record: EpisodeRecord) -> Iterator[Shares]:
    steps = record.played.steps
    for index, policy in enumerate(record.spec.policies):
        agents = record.agents_of(index)
        if not agents or not steps:
            continue
        counts: dict[str, float] = {}
        for agent in agents:
            for stat, count in record.played.agent_stats[agent].items():
                name, _, outcome = stat.removeprefix(PREFIX).rpartition(".")
                if stat.startswith(PREFIX) and name and outcome in OUTCOMES:
                    label = name if outcome == "success" else f"{name}, failed"
                    counts[label] = counts.get(label, 0.0) + count
        scale = steps * len(agents)
        yield Shares(policy.name, record.spec.mission, {name: count / scale for name, count in counts.items()})


def _shares_of(replay: Replay) -> Shares:
    counts: dict[str, float] = {}
    for agent in replay.agents:
        actions, success = agent.number("action_id"), agent.truth("action_success", absent=True)
        edges = np.unique(np.concatenate([actions.steps, success.steps, [replay.steps]]))
        for first, after in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            name = named(replay.action_names, int(actions.at(first)))
            label = name if success.at(first) else f"{name}, failed"
            counts[label] = counts.get(label, 0.0) + (after - first)
    scale = max(1, replay.steps * len(replay.agents))
    shares = {name: count / scale for name, count in counts.items()}
    return Shares(policy_of(replay), replay.mission or replay.path.name, shares)


def _sampled(record: EpisodeRecord) -> Iterator[Collected]:
    series = record.played.series
    if series is None or not series.steps:
        return
    for index, policy in enumerate(record.spec.policies):
        agents = record.agents_of(index)
        names = dict.fromkeys(name for agent in agents for name in series.agents[agent] if name.endswith(".gained"))
        amounts = {
            name.removesuffix(".gained"): np.mean([series.agents[agent][name] for agent in agents], axis=0)
            for name in names
        }
        yield Collected(policy.name, record.spec.mission, np.array(series.steps, float), amounts)


def _collected_in(replay: Replay) -> Collected:
    totals: dict[str, FloatArray] = {}
    for agent in replay.agents:
        for item, gains in _gains(agent, replay.steps).items():
            name = named(replay.item_names, item)
            if name not in VITALS and name not in GEAR:
                totals[name] = totals.get(name, np.zeros(replay.steps)) + gains
    scale = max(1, len(replay.agents))
    amounts = {name: np.cumsum(gains) / scale for name, gains in totals.items()}
    steps = np.arange(1, replay.steps + 1, dtype=np.float64)
    return Collected(policy_of(replay), replay.mission or replay.path.name, steps, amounts)


def _gains(agent: ReplayObject, steps: int) -> dict[int, FloatArray]:
    """Per item and step, how much more of it the agent had than at the step before."""
    found: dict[int, FloatArray] = {}
    held: dict[int, int] = {}
    for place, (step, amounts) in enumerate(agent.inventory.changes()):
        now = dict(amounts)
        if place:
            for item, amount in now.items():
                more = amount - held.get(item, 0)
                if more > 0:
                    found.setdefault(item, np.zeros(steps))[step] += more
        held = now
    return found


def at_steps(rows: Sequence[Collected], resource: str, steps: FloatArray) -> FloatArray:
    """(rows, steps): the amount each episode had collected by each step; 0 before the first, then the latest."""
    table = np.zeros((len(rows), len(steps)))
    for number, row in enumerate(rows):
        amounts = row.amounts.get(resource)
        if amounts is not None and len(amounts):
            places = np.searchsorted(row.steps, steps, side="right") - 1
            table[number] = np.where(places < 0, 0.0, amounts[np.maximum(places, 0)])
    return table


def grid(rows: Sequence[Collected], most: int = 200) -> FloatArray:
    """The steps that any of the episodes knows, or if there are more than `most`, that number of evenly spaced ones."""
    steps = np.unique(np.concatenate([row.steps for row in rows]))
    return steps if len(steps) <= most else np.linspace(steps[0], steps[-1], most)
