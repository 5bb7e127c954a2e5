"""Where agents were: visits per cell from replays, from sampled positions, or from training logs.

A visit is one agent on one cell for one step (in logs: one record). Maps are kept apart: two episodes share one only if
their walls are the same.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daf.episodes.record import EpisodeRecord
from daf.episodes.stored import PLAN
from daf.errors import DataError, UsageError
from daf.game.replays import Replay, read_replay
from daf.game.walls import common_walls
from daf.render.figures.map import VisitMap
from daf.visualization._runs_given import is_run, missions_in, records_in, replays_in, run_folder

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

    from daf.game.replays import ReplayObject

MOST_MAPS = 6
LOGS = "json_logs"


@dataclass(frozen=True)
class Visited:
    """maps: up to `MOST_MAPS`, the most visited first. unit, what: for the caption. left_out: number of further maps.
    sampled: not every step was recorded, so a cell without a count may have been visited nevertheless.
    """

    maps: Sequence[VisitMap]
    unit: str
    what: str
    left_out: int
    sampled: bool = False


def visited(source: Any, base_dir: str | Path | None = None) -> Visited:
    """Visits in `source`: a replay, replays, a run that contains some, or a training run with logs.

    A 2-D array is taken as the counts themselves. Raises `DataError` if no position is known.
    """
    if isinstance(source, Replay):
        return _from_replays([source])
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if is_run(source):
        path = Path(os.fspath(source)).expanduser()
        if path.is_file():
            return _from_replays([read_replay(path)])
        return _from_folder(run_folder(source, base_dir))
    if isinstance(source, Sequence) and source and all(isinstance(one, Replay) or is_run(one) for one in source):
        return _from_replays([one if isinstance(one, Replay) else read_replay(one) for one in source])
    records = source if isinstance(source, Sequence) else getattr(getattr(source, "result", None), "records", ())
    if records and all(isinstance(one, EpisodeRecord) for one in records):
        plan = getattr(getattr(source, "result", None), "plan", None)
        return _from_records(records, {} if plan is None else {m.config_hash: m.config for m in plan.missions})
    raise UsageError(
        f"{type(source).__name__} holds no positions: give a replay, a run directory or id, records, or an array."
    )


def visits_of(replay: Replay) -> NDArray[np.float64]:
    """(height, width): agent steps spent on each cell."""
    counts = np.zeros((replay.height, replay.width))
    for agent in replay.agents:
        places = agent.location
        until = np.append(places.steps[1:], replay.steps)
        where = np.asarray(places.values)
        np.add.at(counts, (where[:, 1], where[:, 0]), until - places.steps)
    return counts


def _from_folder(folder: Path) -> Visited:
    replays = replays_in(folder)
    if replays:
        return _from_replays([read_replay(path) for path in replays])
    if (folder / LOGS).is_dir():
        return _from_logs(folder)
    if (folder / PLAN).is_file():
        return _from_records(
            records_in(folder), {mission.config_hash: mission.config for mission in missions_in(folder)}
        )
    raise DataError(
        f"{folder} holds no replays, logs or sampled positions. `daf evaluate … --save-replays best` records replays, "
        "training writes json_logs."
    )


def _from_replays(replays: Sequence[Replay]) -> Visited:
    joined: dict[bytes, tuple[list[Replay], NDArray[np.float64]]] = {}
    for replay in replays:
        key = _walls(replay).tobytes() + f"{replay.mission} {replay.width}".encode()
        of_map, counts = joined.setdefault(key, ([], np.zeros((replay.height, replay.width))))
        of_map.append(replay)
        counts += visits_of(replay)
    ranked = sorted(joined.values(), key=lambda found: -float(found[1].sum()))
    maps = [
        VisitMap(_title(of_map), counts, _walls(of_map[0]), (0, 0), _buildings(of_map[0]))
        for of_map, counts in ranked[:MOST_MAPS]
    ]
    agents = sorted({len(replay.agents) for replay in replays})
    steps = sum(replay.steps for replay in replays)
    what = f"n = {len(replays)} episode{'s' if len(replays) > 1 else ''}, {steps:,} steps, "
    count_text = f"{agents[0]} agents" if len(agents) == 1 else f"{agents[0]} to {agents[-1]} agents"
    return Visited(maps, "agent steps", what + count_text, max(0, len(ranked) - MOST_MAPS))


def _from_records(records: Sequence[EpisodeRecord], configs: "Mapping[str, MettaGridConfig]") -> Visited:
    """configs: of the missions, by hash, if known; the walls come from them."""
    by_mission: dict[str, list[EpisodeRecord]] = {}
    for record in records:
        if record.ok and record.played.series is not None and record.played.series.positions:
            by_mission.setdefault(record.spec.mission, []).append(record)
    if not by_mission:
        raise DataError(
            "no positions were sampled in these episodes. `daf evaluate … --series 10 --series-stat positions` samples "
            "them, --save-replays best records replays."
        )
    maps = []
    for mission, of_mission in by_mission.items():
        series = [record.played.series for record in of_mission]
        places = np.array([place for one in series if one for sampled in one.positions for place in sampled])
        seeds = {record.spec.seed for record in of_mission}
        config = configs.get(of_mission[0].spec.config_hash)
        walls = None if config is None else common_walls(config, seeds)
        counts = np.zeros(places.max(axis=0) + 1 if walls is None else walls.shape)
        np.add.at(counts, (places[:, 0], places[:, 1]), 1.0)
        maps.append(VisitMap(f"{mission}, {len(seeds)} seed{'s' if len(seeds) > 1 else ''}", counts, walls))
    n = sum(len(of_mission) for of_mission in by_mission.values())
    what = (
        f"n = {n} episodes, positions sampled over time; where maps follow the seed, they lie on top of each other, "
        "and walls are those that all of them have"
    )
    return Visited(maps[:MOST_MAPS], "sampled positions", what, max(0, len(maps) - MOST_MAPS), sampled=True)


def _from_logs(folder: Path) -> Visited:
    from daf.streams.finding import find_logs
    from daf.streams.planning import plan_parts
    from daf.streams.running import count
    from daf.streams.summary import summarize

    files = find_logs([folder])
    aggregate, _ = count(plan_parts(files), jobs=1)
    log = summarize(aggregate, [file.name for file in files])
    if not len(log.visits):
        raise DataError(f"{folder / LOGS}: none of {log.records:,} records has a position.")
    maps = []
    for number in log.maps["map"].head(MOST_MAPS).tolist():
        cells = log.visits[log.visits["map"] == number]
        x, y = cells["x"].to_numpy(), cells["y"].to_numpy()
        counts = np.zeros((int(y.max() - y.min()) + 1, int(x.max() - x.min()) + 1))
        counts[y - y.min(), x - x.min()] = cells["visits"].to_numpy()
        maps.append(VisitMap(f"map {number}", counts, None, (int(x.min()), int(y.min()))))
    what = f"n = {int(log.visits['visits'].sum()):,} records with a position, of {log.records:,}"
    return Visited(maps, "records", what, max(0, len(log.maps) - MOST_MAPS), sampled=True)


def _from_array(counts: NDArray[Any]) -> Visited:
    if counts.ndim != 2 or not counts.size:
        raise DataError(f"visits by row and column are needed, got an array of shape {counts.shape}.")
    return Visited([VisitMap("", counts.astype(np.float64))], "visits", f"n = {counts.sum():,.0f} visits", 0)


def _walls(replay: Replay) -> NDArray[np.bool_]:
    walls = np.zeros((replay.height, replay.width), np.bool_)
    for thing in replay.objects:
        if thing.type == "wall" and thing.alive.at(0):
            x, y = thing.location.at(0)
            walls[int(y), int(x)] = True
    return walls


def _buildings(replay: Replay) -> dict[str, list[tuple[int, int]]]:
    """Positions of buildings at the start, by kinds that matter to a reader; extractors are one kind, stations too."""
    found: dict[str, list[tuple[int, int]]] = {}
    for thing in replay.objects:
        if thing.agent_id is None and thing.type not in ("wall", "agent"):
            x, y = thing.location.at(0)
            found.setdefault(_kind(thing), []).append((int(x), int(y)))
    return dict(sorted(found.items(), key=lambda item: (item[0] != "hub", item[0])))


def _kind(thing: "ReplayObject") -> str:
    if thing.type.endswith("extractor"):
        return "extractor"
    if thing.type in ("aligner", "miner", "scout", "scrambler"):
        return "gear station"
    return thing.type


def _title(replays: Sequence[Replay]) -> str:
    first = replays[0]
    seed = "" if first.seed is None else f", seed {first.seed}"
    return f"{first.mission or first.path.name}{seed}" + (f" (of {len(replays)})" if len(replays) > 1 else "")
