"""A run's records as tables: DuckDB and Parquet, derived from the records and rebuilt as a whole.

    runs              one row: the run
    episodes          one row per planned episode, failed ones included
    episode_policies  one row per episode and policy that played in it
    agent_metrics     (episode, agent, metric, value): the simulator's counters of each agent at the end
    game_metrics      (episode, metric, value, time_average)
    series            (episode, step, agent, metric, value): what was sampled over time; agent is null for the game's
                      stats, and the metrics "row" and "column" are an agent's position

    views: returns (mission × contender), policy_metrics (mission × policy × metric), failures, slow_steps

The simulator omits a counter that never changed; if its name occurs in another episode of the same mission it is 0
here.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult
from daf.game.outcome import Series
from daf.storage.databases import building, write_parquet

if TYPE_CHECKING:
    import duckdb

TABLES = ("runs", "episodes", "episode_policies", "agent_metrics", "game_metrics", "series")
DATABASE = "episodes.duckdb"

VIEWS = """
create view returns as
    select run_id, mission, contender, count(*) as episodes, avg(reward_per_agent) as mean,
           stddev_samp(reward_per_agent) as std, min(reward_per_agent) as lowest, median(reward_per_agent) as median,
           max(reward_per_agent) as highest, avg(steps) as steps
    from episodes where status = 'ok' group by all order by run_id, mission, mean desc;
create view policy_metrics as
    select run_id, e.mission, p.name as policy, a.metric, count(*) as agent_episodes, avg(a.value) as mean,
           stddev_samp(a.value) as std, min(a.value) as lowest, max(a.value) as highest
    from agent_metrics a join episodes e using (run_id, episode) join episode_policies p using (run_id, episode, policy)
    group by all order by run_id, mission, policy, metric;
create view failures as
    select run_id, episode, mission, contender, seed, failure_kind, failure_message
    from episodes where status = 'failed';
create view slow_steps as
    select run_id, e.mission, p.name as policy, sum(p.steps_measured) as steps, sum(p.slow_steps) as slow,
           sum(p.mean_step_ms * p.steps_measured) / nullif(sum(p.steps_measured), 0) as mean_ms,
           max(p.max_step_ms) as max_ms
    from episode_policies p join episodes e using (run_id, episode) group by all order by run_id, mission,
           policy;
"""
"""SQL that creates the views where the tables exist."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """The row of `runs`."""

    run_id: str
    operation: str
    started: str
    seed: int
    command: str


def build_tables(folder: Path, run: RunRow, result: RunResult, replays: Mapping[str, str] | None = None) -> Path:
    """Write `episodes.duckdb` and a Parquet file per table into `folder`. Raises `StorageError`.

    replays: file name by record key.
    """
    rows = _rows(run, result, replays or {})
    with building(folder / DATABASE) as connection:
        for name, columns in _COLUMNS.items():
            create_tables(connection, [name])
            if rows[name]:
                names = [column.split()[0] for column in columns]
                connection.register("rows", {column: _column(rows[name], column) for column in names})
                connection.execute(f"insert into {name} select {', '.join(names)} from rows")
                connection.unregister("rows")
            write_parquet(connection, name, folder / f"{name}.parquet")
        connection.execute(VIEWS)
    return folder / DATABASE


def create_tables(connection: "duckdb.DuckDBPyConnection", names: Iterable[str]) -> None:
    """Create these tables, empty."""
    for name in names:
        connection.execute(f"create table {name} ({', '.join(_COLUMNS[name])})")


_COLUMNS: dict[str, list[str]] = {
    "runs": ["run_id varchar", "operation varchar", "started varchar", "seed bigint", "command varchar"],
    "episodes": [
        "run_id varchar", "episode integer", "key varchar", "mission varchar", "config_hash varchar", "seed bigint",
        "block integer", "contender varchar", "status varchar", "cached boolean", "steps integer", "max_steps integer",
        "agents integer", "reward_total double", "reward_per_agent double", "failure_kind varchar",
        "failure_message varchar", "replay varchar", "engine varchar", "set_up_seconds double", "play_seconds double",
    ],
    "episode_policies": [
        "run_id varchar", "episode integer", "policy integer", "name varchar", "class varchar", "data varchar",
        "kwargs varchar", "identity varchar", "agents integer", "reward_total double", "reward_per_agent double",
        "timeouts integer", "steps_measured bigint", "mean_step_ms double", "max_step_ms double", "slow_steps bigint",
    ],
    "agent_metrics": [
        "run_id varchar", "episode integer", "agent integer", "policy integer", "metric varchar", "value double",
    ],
    "game_metrics": [
        "run_id varchar", "episode integer", "metric varchar", "value double", "time_average double",
    ],
    "series": [
        "run_id varchar", "episode integer", "step integer", "agent integer", "metric varchar", "value double",
    ],
}  # fmt: skip


def _column(rows: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.object_]:
    """One column of `rows`, as DuckDB reads it; None becomes null."""
    values = np.empty(len(rows), dtype=object)
    values[:] = [row.get(name) for row in rows]
    return values


def _rows(run: RunRow, result: RunResult, replays: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    rows["runs"].append(
        {
            "run_id": run.run_id,
            "operation": run.operation,
            "started": run.started,
            "seed": run.seed,
            "command": run.command,
        }
    )
    agent_names, game_names = stat_names(result.records)
    for episode, (planned, record) in enumerate(zip(result.planned, result.records, strict=True)):
        contender = result.plan.contenders[planned.contender].name
        key = {"run_id": run.run_id, "episode": episode}
        rows["episodes"].append({**key, **_episode(record, planned.index, contender, replays)})
        if not record.ok:
            continue
        rows["episode_policies"] += [{**key, **row} for row in _policies(record)]
        outcome = record.played
        for agent, stats in enumerate(outcome.agent_stats):
            policy = record.spec.assignment[agent]
            for metric in agent_names[record.spec.mission]:
                value = stats.get(metric, 0.0)
                row = {**key, "agent": agent, "policy": policy, "metric": metric, "value": value}
                rows["agent_metrics"].append(row)
        averages = outcome.time_averaged_game_stats
        for metric in game_names[record.spec.mission]:
            value, average = outcome.game_stats.get(metric, 0.0), averages.get(metric, 0.0)
            rows["game_metrics"].append({**key, "metric": metric, "value": value, "time_average": average})
        if outcome.series is not None:
            rows["series"] += [{**key, **row} for row in _series(outcome.series)]
    return rows


def _series(series: Series) -> Iterator[dict[str, Any]]:
    for metric, values in series.game.items():
        for step, value in zip(series.steps, values, strict=True):
            yield {"step": step, "agent": None, "metric": metric, "value": value}
    for agent, sampled in enumerate(series.agents):
        for metric, values in sampled.items():
            for step, value in zip(series.steps, values, strict=True):
                yield {"step": step, "agent": agent, "metric": metric, "value": value}
    for step, places in zip(series.steps, series.positions, strict=False):
        for agent, (row, column) in enumerate(places):
            yield {"step": step, "agent": agent, "metric": "row", "value": row}
            yield {"step": step, "agent": agent, "metric": "column", "value": column}


def stat_names(records: Sequence[EpisodeRecord]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Per mission the names of the agents' and of the game's counters that occur in any of its episodes."""
    agents: dict[str, set[str]] = {}
    games: dict[str, set[str]] = {}
    for record in records:
        if record.outcome is None:
            continue
        agent = agents.setdefault(record.spec.mission, set())
        for stats in record.outcome.agent_stats:
            agent.update(stats)
        game = games.setdefault(record.spec.mission, set())
        game.update(record.outcome.game_stats, record.outcome.time_averaged_game_stats)
    return {m: sorted(names) for m, names in agents.items()}, {m: sorted(names) for m, names in games.items()}


def _episode(record: EpisodeRecord, block: int, contender: str, replays: Mapping[str, str]) -> dict[str, Any]:
    spec, outcome, failure, measured = record.spec, record.outcome, record.failure, record.measurement
    return {
        "key": spec.key,
        "mission": spec.mission,
        "config_hash": spec.config_hash,
        "seed": spec.seed,
        "block": block,
        "contender": contender,
        "status": "ok" if outcome is not None else "failed",
        "cached": record.cached,
        "steps": outcome.steps if outcome else None,
        "max_steps": spec.max_steps,
        "agents": len(spec.assignment),
        "reward_total": sum(outcome.rewards) if outcome else None,
        "reward_per_agent": record.reward_per_agent() if outcome else None,
        "failure_kind": failure.kind if failure else None,
        "failure_message": failure.message if failure else None,
        "replay": replays.get(spec.key),
        "engine": measured.engine if measured else None,
        "set_up_seconds": measured.set_up_seconds if measured else None,
        "play_seconds": measured.play_seconds if measured else None,
    }


def _policies(record: EpisodeRecord) -> Iterator[dict[str, Any]]:
    outcome = record.played
    for index, policy in enumerate(record.spec.policies):
        agents = record.agents_of(index)
        latency = outcome.latencies[index] if index < len(outcome.latencies) else None
        yield {
            "policy": index,
            "name": policy.name,
            "class": policy.class_path,
            "data": policy.data_path,
            "kwargs": json.dumps(policy.kwargs),
            "identity": policy.identity,
            "agents": len(agents),
            "reward_total": sum(outcome.rewards[agent] for agent in agents),
            "reward_per_agent": record.reward_per_agent(index) if agents else None,
            "timeouts": sum(outcome.timeouts[agent] for agent in agents),
            "steps_measured": latency.count if latency else None,
            "mean_step_ms": latency.total_ns / latency.count / 1e6 if latency and latency.count else None,
            "max_step_ms": latency.max_ns / 1e6 if latency else None,
            "slow_steps": latency.slow if latency else None,
        }
