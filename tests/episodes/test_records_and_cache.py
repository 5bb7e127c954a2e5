import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path

import pytest

from daf.episodes import record as records
from daf.episodes.cache import EpisodeCache, link_or_copy
from daf.episodes.record import DamagedRecord, EpisodeFailure, EpisodeRecord, Measurement
from daf.episodes.spec import EpisodeSpec
from daf.errors import DataError, StorageError
from daf.game.outcome import Latencies, Outcome, Series, SeriesRequest
from daf.game.policy import Policy

PLAYER = Policy("starter", "a.B", None, {"x": 1}, (), network=False, identity="starter-identity")
NETWORK = Policy("net", "a.Net", None, {}, (), network=True, identity="net-identity")
SPEC = EpisodeSpec("arena", "c" * 40, (PLAYER,), (0, 0), seed=7, max_steps=10)
OUTCOME = Outcome(
    rewards=(0.1 + 0.2, 1e-300),
    steps=10,
    game_stats={"a": 1 / 3},
    agent_stats=({"x": 1.0}, {}),
    time_averaged_game_stats={"a": 0.1},
    timeouts=(0, 0),
    latencies=(Latencies(20, 1000, 90, 0),),
    series=Series(5, (5, 10), {"a": (0.0, 1 / 3)}, ({"x": (0.0, 1.0)}, {"x": (0.0, 0.0)}), (((1, 2), (3, 4)),) * 2),
)
RECORD = EpisodeRecord(
    SPEC, OUTCOME, measurement=Measurement("reference", 0.5, 1.5, OUTCOME.latencies, "here"), replay_hash="r"
)


def test_a_record_reads_back_as_it_was_written() -> None:
    back = records.from_bytes(records.to_bytes(RECORD), SPEC)
    assert back == replace(RECORD, cached=True)
    assert back.played.latencies == OUTCOME.latencies
    assert back.result_hash == RECORD.result_hash


def test_the_result_hash_ignores_what_is_measured() -> None:
    slower = replace(OUTCOME, latencies=(Latencies(20, 9999, 999, 3),))
    assert EpisodeRecord(SPEC, slower).result_hash == RECORD.result_hash
    assert EpisodeRecord(SPEC, replace(OUTCOME, steps=11)).result_hash != RECORD.result_hash


@pytest.mark.parametrize("change", [
    {"config_hash": "d" * 40}, {"policies": (replace(PLAYER, identity="other"),)}, {"assignment": (0, 0, 0)},
    {"seed": 8}, {"enforce_timeouts": 100}, {"series": SeriesRequest(5)}, {"series": SeriesRequest(6)},
])  # fmt: skip
def test_what_an_episode_follows_from_changes_its_key(change: dict[str, object]) -> None:
    assert replace(SPEC, **change).key != SPEC.key  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [
    {"mission": "another name"}, {"policies": (replace(PLAYER, name="another name"),)}, {"device": "cuda"},
    {"threads": 8}, {"slow_step_ms": 9.0},
])  # fmt: skip
def test_what_it_does_not_follow_from_leaves_the_key(change: dict[str, object]) -> None:
    assert replace(SPEC, **change).key == SPEC.key  # type: ignore[arg-type]


def test_device_and_threads_belong_to_a_networks_key() -> None:
    spec = replace(SPEC, policies=(NETWORK,))
    assert len({spec.key, replace(spec, device="cuda").key, replace(spec, threads=2).key, SPEC.key}) == 4


def test_another_version_of_the_simulator_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = SPEC.key
    monkeypatch.setattr("daf.episodes.spec._versions", lambda: {"cogames": "0.25.7", "mettagrid": "9.9.9"})
    assert SPEC.key != before


def test_rewards_of_one_policy_are_those_of_its_agents() -> None:
    spec = replace(SPEC, policies=(PLAYER, NETWORK), assignment=(1, 0))
    record = EpisodeRecord(spec, replace(OUTCOME, rewards=(4.0, 2.0)))
    assert (record.reward_per_agent(), record.reward_per_agent(0), record.reward_per_agent(1)) == (3.0, 2.0, 4.0)
    assert spec.name == "starter=1+net=1"


def test_a_failed_episode_has_no_reward() -> None:
    failed = EpisodeRecord(SPEC, None, EpisodeFailure("policy", "it gave up"))
    with pytest.raises(DataError, match="failed"):
        failed.reward_per_agent()


def test_the_cache_gives_back_what_it_was_given(cache: EpisodeCache) -> None:
    assert cache.get(SPEC) is None
    cache.put(RECORD)
    assert cache.get(SPEC) == replace(RECORD, cached=True)
    assert EpisodeCache(cache.root, enabled=False).get(SPEC) is None


def test_what_failed_or_depended_on_the_clock_is_not_kept(cache: EpisodeCache) -> None:
    cache.put(EpisodeRecord(SPEC, None, EpisodeFailure("policy", "no")))
    cache.put(replace(RECORD, outcome=replace(OUTCOME, timeouts=(0, 1))))
    assert cache.get(SPEC) is None


def test_a_record_cut_or_changed_at_any_byte_is_set_aside_and_missing(
    cache: EpisodeCache, caplog: pytest.LogCaptureFixture
) -> None:
    whole = records.to_bytes(RECORD)
    path = cache.path(SPEC.key)
    for position in range(0, len(whole) - 1, 37):
        for damaged in (whole[:position], whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :]):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(damaged)
            assert cache.get(SPEC) is None, position
            assert not path.exists()
    assert "it was moved to" in caplog.text
    assert list((cache.root / "damaged").iterdir())


def test_a_record_under_another_key_is_damage() -> None:
    with pytest.raises(DamagedRecord, match="another episode"):
        records.from_bytes(records.to_bytes(RECORD), replace(SPEC, seed=8))


def test_another_record_format_is_not_read() -> None:
    line, _, _ = records.to_bytes(RECORD).partition(b"\n")
    body = json.loads(line) | {"format": 0}
    import hashlib

    from daf.storage.hashing import canonical_json

    changed = canonical_json(body)
    with pytest.raises(DamagedRecord, match="format"):
        records.parse(changed + b"\n" + hashlib.sha256(changed).hexdigest().encode() + b"\n")


def _write_many(root: str, worker: int) -> None:
    cache = EpisodeCache(root)
    for seed in range(30):
        cache.put(replace(RECORD, spec=replace(SPEC, seed=seed)))
        other = cache.get(replace(SPEC, seed=(seed * 7 + worker) % 30))
        assert other is None or other.outcome == OUTCOME


def test_many_processes_write_and_read_at_once(cache: EpisodeCache) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write_many, args=(str(cache.root), n)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert all(cache.get(replace(SPEC, seed=seed)) is not None for seed in range(30))
    assert not [path for path in cache.root.rglob("*") if ".daf-tmp-" in path.name]


def test_clearing_the_cache_leaves_the_runs_their_records(cache: EpisodeCache, tmp_path: Path) -> None:
    cache.put(RECORD)
    folder = tmp_path / "run" / "records"
    cache.link(RECORD, folder)
    linked = folder / f"{SPEC.key}.json"
    assert linked.stat().st_ino == cache.path(SPEC.key).stat().st_ino
    cache.clear()
    assert cache.get(SPEC) is None
    assert records.from_bytes(linked.read_bytes(), SPEC).outcome == OUTCOME


def test_a_record_that_is_not_in_the_cache_is_written_to_the_run(cache: EpisodeCache, tmp_path: Path) -> None:
    struck = replace(RECORD, outcome=replace(OUTCOME, timeouts=(0, 1)))
    cache.put(struck)
    cache.link(struck, tmp_path / "records")
    back = records.from_bytes((tmp_path / "records" / f"{SPEC.key}.json").read_bytes(), SPEC)
    assert back.played.timeouts == (0, 1)


def test_a_cache_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="episode cache"):
        EpisodeCache(tmp_path / "file" / "cache").check_writable()


def test_where_links_cannot_be_had_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    (tmp_path / "a").write_text("content")
    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(tmp_path / "a", tmp_path / "b" / "c")
    assert (tmp_path / "b" / "c").read_text() == "content"
