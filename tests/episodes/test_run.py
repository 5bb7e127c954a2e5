"""A plan is played once, whatever happens to its processes."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from daf.compute._serial import Serial
from daf.compute.executor import make_executor
from daf.compute.interface import Executor
from daf.episodes import _packed
from daf.episodes.blocks import scores_of
from daf.episodes.cache import EpisodeCache
from daf.episodes.plan import Contender, Plan, plan_episodes
from daf.episodes.playing import Options
from daf.episodes.record import EpisodeRecord
from daf.episodes.run import RunResult, record_replays, run_plan
from daf.episodes.tables import DATABASE, RunRow, build_tables
from daf.errors import MissionError, PolicyError, UsageError
from daf.game import missions, policies
from daf.game.outcome import SeriesRequest
from daf.storage.databases import query
from tests.conftest import BUNDLES, SMALL, SMALLEST

ROW = RunRow("r1", "evaluations", "2026-11-20", 3, "daf evaluate")


def plan(names: Sequence[str], *, episodes: int = 2, mission: str | list[str] = SMALL, **options: object) -> Plan:
    found = policies.uniquely_named([policies.resolve(name, cache=BUNDLES) for name in names])
    contenders = [Contender(policy.name, (policy,)) for policy in found]
    return plan_episodes(missions.resolve(mission), contenders, episodes=episodes, seed=3, **options)  # type: ignore[arg-type]


def outcomes(result: RunResult) -> dict[str, object]:
    return {record.spec.key: record.outcome for record in result.records}


def test_the_second_time_everything_is_there(cache: EpisodeCache, two_workers: Executor) -> None:
    first = run_plan(plan(["starter", "random"]), two_workers, cache)
    second = run_plan(plan(["starter", "random"]), two_workers, cache)
    assert (first.played, second.played) == (4, 0)
    assert outcomes(first) == outcomes(second)
    assert all(record.cached for record in second.records)


def test_a_longer_plan_plays_only_missing_episodes(cache: EpisodeCache, two_workers: Executor) -> None:
    run_plan(plan(["random"], episodes=2), two_workers, cache)
    assert run_plan(plan(["random"], episodes=5), two_workers, cache).played == 3


def test_records_that_are_kept_compressed_are_those_that_were_played(
    bad_policies: str, cache: EpisodeCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = plan(["starter", f"class={bad_policies}.Raises"], episodes=3)
    plain = run_plan(wanted, Serial(), cache)
    assert isinstance(plain.records, tuple)
    monkeypatch.setattr(_packed, "UNPACKED", 1)
    packed = run_plan(wanted, Serial(), cache)
    assert not isinstance(packed.records, tuple)
    succeeded = [record for record in plain.records if record.ok]
    assert [record for record in packed.records if record.ok] == [replace(each, cached=True) for each in succeeded]
    assert [record.failure.message for record in packed.failures if record.failure] == [
        record.failure.message for record in plain.failures if record.failure
    ]
    assert packed.records[-1].spec is wanted.episodes[-1].spec
    assert list(packed.records[1:3]) == [packed.records[1], packed.records[2]]
    assert (len(packed.records), packed.read, len(packed.failures)) == (6, 3, 3)


def test_a_compressed_record_takes_less_than_a_kilobyte(
    cache: EpisodeCache, two_workers: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_packed, "UNPACKED", 0)
    records = run_plan(plan(["starter"], episodes=4, mission="arena,max_steps=100"), two_workers, cache).records
    store = _packed.RecordStore()
    tracemalloc.start()
    try:
        for position in range(2_000):
            store[position] = records[position % 4]
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert store[1_999] == records[3]
    assert held / 2_000 < 1_000 + 500  # and what refers to it


def test_records_do_not_depend_on_where_or_in_which_order_they_are_played(
    tmp_path: Path, two_workers: Executor
) -> None:
    wanted = plan(["starter", "random", "lstm"], episodes=3)
    parallel = run_plan(wanted, two_workers, EpisodeCache(tmp_path / "a"))
    backwards = replace(wanted, episodes=wanted.episodes[::-1])
    serial = run_plan(backwards, Serial(), EpisodeCache(tmp_path / "b"))
    assert outcomes(parallel) == outcomes(serial)


def test_without_the_cache_everything_is_played_again(cache: EpisodeCache, two_workers: Executor) -> None:
    run_plan(plan(["noop"]), two_workers, cache)
    assert run_plan(plan(["noop"]), two_workers, EpisodeCache(cache.root, enabled=False)).played == 2


@pytest.mark.parametrize(("name", "kind", "says"), [
    ("Raises", "policy", "I give up"), ("Dies", "crash", "exit code 7"),
    pytest.param("Nonsense", "policy", "fly_to_the_moon", marks=pytest.mark.thorough),
    pytest.param("Exits", "policy", "SystemExit", marks=pytest.mark.thorough),
])  # fmt: skip
def test_a_policy_that_misbehaves_costs_its_own_episodes(
    bad_policies: str, cache: EpisodeCache, name: str, kind: str, says: str
) -> None:
    executor = make_executor("local", jobs=2)
    try:
        result = run_plan(plan(["noop", f"{bad_policies}.{name}"], mission=SMALLEST), executor, cache)
        again = run_plan(plan(["noop", f"{bad_policies}.{name}"], mission=SMALLEST), executor, cache)
    finally:
        executor.close()
    assert [record.ok for record in result.records] == [True, False, True, False]
    failure = result.records[1].failure
    assert failure is not None
    assert failure.kind == kind
    assert says in failure.message + failure.traceback
    assert [record.cached for record in again.records] == [True, False, True, False]


def team(*names: str, counts: tuple[float, ...]) -> Contender:
    return Contender("+".join(names), tuple(policies.resolve(name, cache=BUNDLES) for name in names), counts)


@pytest.mark.parametrize(("name", "kind"), [("Raises", "policy"), ("Dies", "crash")])
def test_a_misbehaving_partner_of_a_network_costs_its_own_episodes(
    bad_policies: str, cache: EpisodeCache, name: str, kind: str
) -> None:
    teams = [team("lstm", counts=(1,)), team("lstm", f"{bad_policies}.{name}", counts=(3, 1))]
    wanted = plan_episodes(missions.resolve("tutorial.miner,max_steps=5"), teams, episodes=3, seed=3)
    assert all(planned.spec.batched for planned in wanted.episodes)
    executor = make_executor("local", jobs=1)
    try:
        result = run_plan(wanted, executor, cache)
    finally:
        executor.close()
    assert [record.ok for record in result.records] == [True, False] * 3
    assert {record.failure.kind for record in result.failures if record.failure} == {kind}
    assert {record.measurement.engine for record in result.records if record.measurement} == {"batch"}


def test_how_a_network_is_called_belongs_to_the_record(cache: EpisodeCache, two_workers: Executor) -> None:
    batched, single = plan(["lstm"]), plan(["lstm"], engine="object")
    assert batched.episodes[0].spec.key != single.episodes[0].spec.key
    assert run_plan(batched, two_workers, cache).played == 2
    played = run_plan(single, two_workers, cache, Options(engine="object"))
    assert [record.measurement.engine for record in played.records if record.measurement] == ["object"] * 2


def test_enforced_time_outs_are_not_batched() -> None:
    assert not plan(["lstm"], enforce_timeouts=100).episodes[0].spec.batched
    with pytest.raises(UsageError, match="time-outs are enforced"):
        plan(["lstm"], enforce_timeouts=100, engine="batch")
    with pytest.raises(UsageError, match="none of its policies"):
        plan(["starter"], engine="batch")


def test_an_episode_that_hangs_is_ended(bad_policies: str, cache: EpisodeCache) -> None:
    executor = make_executor("local", jobs=2)
    try:
        wanted = plan([f"{bad_policies}.Hangs", "noop"], episodes=1, mission=SMALLEST)
        result = run_plan(wanted, executor, cache, Options(timeout=5.0))
    finally:
        executor.close()
    assert [record.failure.kind if record.failure else "ok" for record in result.records] == ["time-out", "ok"]


def test_a_policy_that_cannot_be_built_is_refused_before_anything_is_played(
    bad_policies: str, cache: EpisodeCache
) -> None:
    executor = make_executor("local", jobs=1)
    seen: list[EpisodeRecord] = []
    try:
        for name, says in (("Unbuildable", "no such moon"), ("DiesWhenBuilt", "its process died")):
            with pytest.raises(PolicyError, match=says):
                run_plan(plan(["noop", f"{bad_policies}.{name}"]), executor, cache, on_record=seen.append)
    finally:
        executor.close()
    assert seen == []


def test_a_mission_that_cannot_be_built_is_refused_before_anything_is_played(
    cache: EpisodeCache, two_workers: Executor
) -> None:
    with pytest.raises(MissionError, match="spawn points"):
        run_plan(plan(["noop"], mission="diagnostic_memory"), two_workers, cache)


def test_too_many_failures_stop_the_run(bad_policies: str, cache: EpisodeCache) -> None:
    wanted = plan([f"{bad_policies}.Raises"], episodes=20, mission=SMALLEST)
    result = run_plan(wanted, Serial(), cache, max_failures=3)
    assert len(result.failures) == 3
    assert "--max-failures" in (result.stopped or "")


def test_what_a_policy_prints_stays_out_of_stdout(
    bad_policies: str, cache: EpisodeCache, capfd: pytest.CaptureFixture[str]
) -> None:
    executor = make_executor("local", jobs=1)
    try:
        run_plan(plan([f"{bad_policies}.Prints"], episodes=1, mission=SMALLEST), executor, cache)
    finally:
        executor.close()
    assert "chatter" not in capfd.readouterr().out


def test_two_names_of_one_policy_are_played_once(cache: EpisodeCache, two_workers: Executor) -> None:
    result = run_plan(plan(["noop", "noop"]), two_workers, cache)
    assert [record.spec.name for record in result.records] == ["noop", "noop#2"] * 2
    assert [record.cached for record in result.records] == [False, True] * 2


@pytest.mark.parametrize("name", ["starter", "lstm"])
def test_a_replay_is_of_the_recorded_episode(cache: EpisodeCache, two_workers: Executor, name: str) -> None:
    import json
    import zlib

    result = run_plan(plan([name], episodes=3), two_workers, cache)
    record = result.records[1]
    path = record_replays([record], two_workers, cache)[record.spec.key]
    replay = json.loads(zlib.decompress(path.read_bytes()))
    assert replay["infos"]["episode_rewards"] == pytest.approx(list(record.played.rewards))
    again = cache.get(record.spec)
    assert again is not None
    assert again.replay_hash is not None
    assert again.outcome == record.outcome


def test_scores_leave_out_blocks_where_anything_is_missing(cache: EpisodeCache, two_workers: Executor) -> None:
    result = run_plan(plan(["starter", "random"], episodes=3, mission=[SMALL, SMALLEST]), two_workers, cache)
    whole = scores_of(result)
    assert whole.scores.shape == (2, 6)
    assert whole.strata.tolist() == [0, 0, 0, 1, 1, 1]
    for planned, record in zip(result.planned, result.records, strict=True):
        column = [SMALL, SMALLEST].index(record.spec.mission) * 3 + planned.index
        assert whole.scores[planned.contender, column] == record.reward_per_agent()
    failed = replace(result.records[0], outcome=None)
    partial = scores_of(replace(result, records=(failed, *result.records[1:])))
    assert (partial.scores.shape, partial.left_out, partial.absent) == ((2, 5), 1, ())
    gone = [
        replace(r, outcome=None) if p.contender == 1 else r for p, r in zip(result.planned, result.records, strict=True)
    ]
    alone = scores_of(replace(result, records=tuple(gone)))
    assert (alone.names, alone.scores.shape, alone.absent) == (("starter",), (1, 6), ("random",))


def test_tables_hold_the_records(cache: EpisodeCache, two_workers: Executor, tmp_path: Path) -> None:
    result = run_plan(plan(["starter", "noop"], episodes=2), two_workers, cache)
    build_tables(tmp_path, ROW, result)
    _, rows = query(tmp_path / DATABASE, "select episode, contender, reward_per_agent from episodes order by episode")
    assert rows == [(n, r.spec.name, r.reward_per_agent()) for n, r in enumerate(result.records)]
    _, rows = query(tmp_path / DATABASE, "select sum(value) from agent_metrics where metric = 'action.noop.success'")
    expected = sum(stats.get("action.noop.success", 0) for r in result.records for stats in r.played.agent_stats)
    assert rows[0][0] == expected
    parquet = tmp_path / "episodes.parquet"
    assert duckdb.sql(f"select count(*) from '{parquet}'").fetchall() == [(4,)]


def test_a_counter_that_never_changed_is_0_where_its_name_occurs(
    cache: EpisodeCache, two_workers: Executor, tmp_path: Path
) -> None:
    result = run_plan(plan(["starter", "noop"], episodes=1), two_workers, cache)
    build_tables(tmp_path, ROW, result)
    assert not any("action.move.success" in stats for stats in result.records[1].played.agent_stats)
    sql = "select value from agent_metrics where metric = 'action.move.success' and episode = 1"
    assert query(tmp_path / DATABASE, sql)[1] == [(0.0,)] * 4


def test_what_was_sampled_over_time_is_a_table(cache: EpisodeCache, two_workers: Executor, tmp_path: Path) -> None:
    request = SeriesRequest(20, game=("no.such",), agent=("action.move.success",), positions=True)
    result = run_plan(plan(["starter"], episodes=1, series=request), two_workers, cache)
    build_tables(tmp_path, ROW, result)
    sql = "select metric, count(*), min(step), max(step) from series group by all order by all"
    counts = [("action.move.success", 8), ("column", 8), ("no.such", 2), ("row", 8)]
    assert query(tmp_path / DATABASE, sql)[1] == [(metric, count, 20, 40) for metric, count in counts]
    series = result.records[0].played.series
    assert series is not None
    sql = "select agent, value from series where metric = 'row' and step = 40 order by agent"
    assert query(tmp_path / DATABASE, sql)[1] == [(agent, row) for agent, (row, _) in enumerate(series.positions[-1])]
    assert run_plan(plan(["starter"], episodes=1, series=request), two_workers, cache).played == 0
    assert run_plan(plan(["starter"], episodes=1), two_workers, cache).played == 1


def test_failed_episodes_are_rows_without_numbers(bad_policies: str, cache: EpisodeCache, tmp_path: Path) -> None:
    result = run_plan(plan([f"{bad_policies}.Raises"], episodes=1, mission=SMALLEST), Serial(), cache)
    build_tables(tmp_path, ROW, result)
    sql = "select status, reward_per_agent, steps, failure_kind from episodes"
    assert query(tmp_path / DATABASE, sql)[1] == [("failed", None, None, "policy")]
    assert len(query(tmp_path / DATABASE, "select * from failures")[1]) == 1


@pytest.mark.parametrize(("sql", "says"), [("select nonsense", "SQL failed"), ("drop table episodes", "read-only")])
def test_sql_that_is_wrong_or_would_change_the_tables_is_refused(
    cache: EpisodeCache, two_workers: Executor, tmp_path: Path, sql: str, says: str
) -> None:
    build_tables(tmp_path, ROW, run_plan(plan(["noop"], episodes=1), two_workers, cache))
    with pytest.raises(UsageError, match=says):
        query(tmp_path / DATABASE, sql)
