"""Counts, moments, quantiles, places in time: exact, from every record, and the same however the log is divided."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_makers import flush, plain_moments, values_of, write_array

from daf.errors import UsageError
from daf.streams._moments import Binned, cells_of
from daf.streams._sampling import Sample
from daf.streams._sketch import RELATIVE_ERROR, Sketch
from daf.streams._spans import Spans
from daf.streams._stretches import WAITING_ROWS, Stretches
from daf.streams._stride import Rises
from daf.streams._tallies import STUCK_RECORDS
from daf.streams._visits import Visits
from daf.streams.finding import find_logs
from daf.streams.planning import plan_parts
from daf.streams.processor import StreamingProcessor
from daf.streams.records import FIXED, RecordTable, RunConstants
from daf.streams.running import count
from daf.streams.summary import LogSummary, summarize


def run_of_flushes(folder: Path, *, files: int = 4, envs: int = 3, length: int = 40) -> list[dict]:
    """`files` flushes written into `folder`/json_logs; all records."""
    records = []
    for index in range(files):
        total = (index + 1) * envs * length
        part = flush("nested", envs=envs, length=length, start=index * length, total=total, seed=index)
        write_array(folder / "json_logs" / f"stats_{1753500000 + index}.json", part)
        records += part
    return records


def summary_of(path: Path, *, part: int = 1 << 26, jobs: int = 1, seed: int = 0, sample: int = 10_000) -> LogSummary:
    files = find_logs([path])
    aggregate, _ = count(plan_parts(files, part=part), seed=seed, sample_size=sample, jobs=jobs)
    return summarize(aggregate, [file.name for file in files])


def same(a: LogSummary, b: LogSummary, *, exactly: bool = True, but: tuple[str, ...] = ()) -> None:
    for name, left in vars(a).items():
        right = getattr(b, name)
        if name in but:
            continue
        if isinstance(left, pd.DataFrame):
            pd.testing.assert_frame_equal(left, right, check_exact=exactly, rtol=1e-9, obj=name)
        elif exactly or not isinstance(left, dict):
            assert left == right, name


def test_moments_extrema_and_counts_equal_those_of_all_records(tmp_path: Path) -> None:
    records = run_of_flushes(tmp_path)
    summary = summary_of(tmp_path)
    for name, expected in plain_moments(records).items():
        row = summary.components.loc[name]
        assert row["n"] == expected["n"]
        for key in ("mean", "sd"):
            assert math.isclose(row[key], expected[key], rel_tol=1e-12, abs_tol=1e-12), (name, key)
        assert (row["min"], row["max"]) == (expected["min"], expected["max"])
    cells = Counter((r["position"]["map"], r["position"]["x"], r["position"]["y"]) for r in records)
    counted = {(m, x, y): n for m, x, y, n in summary.visits.itertuples(index=False)}
    assert counted == dict(cells)
    assert summary.records == len(records)
    assert summary.step_range == (0, 159)
    assert int(summary.visits_over_time["visits"].sum()) == len(records)


def test_step_bins_hold_exactly_the_records_of_their_steps(tmp_path: Path) -> None:
    records = run_of_flushes(tmp_path)
    bins = summary_of(tmp_path).step_bins
    assert int(bins.loc[bins["column"] == "event", "n"].sum()) == len(records)
    for row in bins.itertuples(index=False):
        inside = [values_of(r)[row.column] for r in records if row.start <= r["step"] < row.end]
        assert row.n == len(inside)
        assert row.mean == pytest.approx(math.fsum(inside) / len(inside), rel=1e-12, abs=1e-12)


def test_time_is_rebuilt_from_the_flush_and_the_position_in_the_stretch(tmp_path: Path) -> None:
    envs, length, files = 3, 40, 4
    records = run_of_flushes(tmp_path, files=files, envs=envs, length=length)
    summary = summary_of(tmp_path)
    assert summary.time_axis == "total_steps"
    assert summary.time_range == (0, files * envs * length)
    times = []
    for index in range(len(records)):
        flushed, position = index // (envs * length), index % length
        times.append((flushed + (position + 0.5) / length) * envs * length)
    for row in summary.timeline[summary.timeline["column"] == "total"].itertuples(index=False):
        inside = [r["rewards"]["total"] for r, t in zip(records, times, strict=True) if row.start <= t < row.end]
        assert row.n == len(inside)
        assert row.mean == pytest.approx(math.fsum(inside) / len(inside), rel=1e-12, abs=1e-12)


def test_an_episode_that_begins_inside_a_flush_keeps_its_place_in_its_environment(tmp_path: Path) -> None:
    """Environments with the same number of records each; each begins a new episode somewhere, or does not."""
    length, begins = 40, (13, None, 31, 1)
    records = flush("nested", envs=4, length=length, start=500, total=160)
    for env, begin in enumerate(begins):
        for index in range(begin or length, length):
            records[env * length + index]["step"] = index - (begin or 0)
    summary = summary_of(write_array(tmp_path / "a.json", records))
    sample = summary.sample.sort_values("ordinal")
    assert sample["time"].tolist() == [(index % length + 0.5) / length * 160 for index in range(160)]
    assert summary.stretches["n"] == 7


def test_unequal_blocks_are_recognised_by_falls_of_the_step_alone(tmp_path: Path) -> None:
    records = [r for length in (30, 41, 17) for r in flush("nested", envs=1, length=length, total=88)]
    sample = summary_of(write_array(tmp_path / "a.json", records)).sample.sort_values("ordinal")
    expected = [(index + 0.5) / length * 88 for length in (30, 41, 17) for index in range(length)]
    assert sample["time"].tolist() == pytest.approx(expected)


def test_gaps_in_the_steps_are_not_taken_for_environments(tmp_path: Path) -> None:
    """One environment, two episodes, a gap in the very middle of the file and in the middle of its quarters."""
    steps = [*range(10), *range(20, 30), *range(100, 110), *range(120, 130), *range(40)]
    records = flush("nested", envs=1, length=80, total=80)
    for record, step in zip(records, steps, strict=True):
        record["step"] = step
    sample = summary_of(write_array(tmp_path / "a.json", records)).sample.sort_values("ordinal")
    assert sample["time"].tolist() == [(index % 40 + 0.5) / 40 * 80 for index in range(80)]
    records = [dict(r, step=7 * i + i % 3) for i, r in enumerate(flush("nested", envs=1, length=64, total=64))]
    sample = summary_of(write_array(tmp_path / "b.json", records)).sample.sort_values("ordinal")
    assert sample["time"].tolist() == [index + 0.5 for index in range(64)]


def test_a_clock_that_moves_inside_the_file_is_read_as_it_stands(tmp_path: Path) -> None:
    records = flush("nested", envs=1, length=500)
    for index, record in enumerate(records):
        record["total_steps"] = 1000 + 8 * index
    path = tmp_path / "clock.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    summary = summary_of(path)
    timeline = summary.timeline[summary.timeline["column"] == "total"]
    assert int(timeline["n"].sum()) == 500
    for row in timeline.itertuples(index=False):
        inside = [r["rewards"]["total"] for r in records if row.start <= r["total_steps"] < row.end]
        assert row.n == len(inside)
        assert row.mean == pytest.approx(float(np.mean(inside)), rel=1e-12, abs=1e-12)


def test_flat_logs_are_placed_by_the_records_before_them(tmp_path: Path) -> None:
    for index in range(3):
        write_array(tmp_path / "json_logs" / f"stats_{1745500000 + index}.json", flush("flat", seed=index), None)
    (tmp_path / "config.yaml").write_text("env:\n  reward_scale: 0.5\n  explore_weight: 0.25\n")
    summary = summary_of(tmp_path)
    assert summary.time_axis == "records"
    assert summary.time_range == (0, 360)
    assert set(summary.component_names) == {"event", "level", "heal", "badge", "dead", "explore"}


def test_a_derived_level_never_falls_within_an_episode(tmp_path: Path) -> None:
    records = flush("flat", envs=4, length=90)
    processor = StreamingProcessor()
    processor.process_records(records, constants=RunConstants(0.5, 0.25))
    sample = processor.result().sample.sort_values("ordinal", ignore_index=True)
    peak = 0.0
    for index, record in enumerate(records):
        peak = 0.5 * sum(record["levels"]) if record["step"] == 0 else max(peak, 0.5 * sum(record["levels"]))
        assert sample.loc[index, "level"] == peak


@pytest.mark.parametrize("kind", ["nested", "flat"])
def test_parts_and_processes_do_not_change_a_bit(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.yaml").write_text("reward_scale: 0.5\nexplore_weight: 0.25\n")
    path = write_array(tmp_path / "big.json", flush(kind, envs=30, length=300))
    size = path.stat().st_size
    parts = plan_parts(find_logs([path]), part=size // 6)
    assert len(parts) > 3
    assert sum(part.size for part in parts) == size
    whole = summary_of(path, sample=500)
    divided = summary_of(path, part=size // 6, sample=500)
    sampled = ("sample", "coverage")
    same(whole, divided, exactly=False, but=sampled)  # the means' last bits depend on the parts, not on who counts them
    assert divided.stretches == {**whole.stretches, "mean_return": divided.stretches["mean_return"]}
    same(divided, summary_of(path, part=size // 6, jobs=2, sample=500))


def test_processors_of_different_files_merge_into_one(tmp_path: Path) -> None:
    run_of_flushes(tmp_path)
    paths = sorted((tmp_path / "json_logs").iterdir())
    one, left, right = (StreamingProcessor(seed=3, sample_size=50) for _ in range(3))
    for path in paths:
        one.process(path)
    for path in paths[2:]:
        right.process(path)
    for path in paths[:2]:
        left.process(path)
    left.merge(right)
    same(one.result(), left.result(), exactly=False, but=("timeline",))
    pd.testing.assert_frame_equal(one.result().sample, left.result().sample)


def test_a_record_cannot_count_twice(tmp_path: Path) -> None:
    path = write_array(tmp_path / "a.json", flush("nested"))
    one, two = StreamingProcessor(), StreamingProcessor()
    one.process(path)
    two.process(path)
    with pytest.raises(UsageError, match="counted before"):
        one.process(path)
    with pytest.raises(UsageError, match="counts once"):
        one.merge(two)
    with pytest.raises(UsageError, match="cannot merge"):
        one.merge(StreamingProcessor(seed=1))


def test_visits_of_merged_processors_keep_their_slices_though_these_were_joined() -> None:
    wide, narrow = StreamingProcessor(), StreamingProcessor()
    for index, processor in enumerate((narrow, wide, narrow)):
        records = flush("nested", envs=1, length=100, total=100 * (index + 1))
        for record in records:
            record["position"]["map"] = index
        processor.process_records(records, name=f"part {index}")
    wide.aggregate.visits._join_slices(3)
    narrow.merge(wide)
    over_time = narrow.result().visits_over_time
    assert narrow.aggregate.sources["part 1"].slices == (8, 1)
    assert over_time.groupby("map")["visits"].sum().tolist() == [100, 100, 100]
    assert over_time.loc[over_time["map"] == 1, ["start", "end"]].drop_duplicates().to_numpy().tolist() == [[200, 300]]


def test_records_that_end_in_an_error_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daf.streams._stretches.HELD_BYTES", 0)
    monkeypatch.setattr("daf.streams._stretches.ROWS", 64)
    records = flush("nested", envs=20, length=300)
    once, twice = StreamingProcessor(sample_size=50), StreamingProcessor(sample_size=50)
    once.process_records(records)
    with pytest.raises(UsageError, match="record 6000"):
        twice.process_records([*records, {"hello": 1}])
    assert twice.result().records == 0
    twice.process_records(records)
    same(once.result(), twice.result())


def test_totals_that_fall_inside_a_file_are_reported(tmp_path: Path) -> None:
    records = flush("nested", envs=1, length=400, total=100)
    for record in records[200:]:
        record["total_steps"] = 50
    oddities = summary_of(write_array(tmp_path / "fall.json", records)).oddities
    assert oddities.set_index("what").loc["total_steps falls inside a file", "count"] == 1


def test_any_iterable_of_records_counts_like_a_file(tmp_path: Path) -> None:
    records = run_of_flushes(tmp_path, files=1)
    processor = StreamingProcessor()
    assert processor.process_records(iter(records), name="live") == len(records)
    result, read = processor.result(), summary_of(tmp_path)
    pd.testing.assert_frame_equal(result.components, read.components)
    pd.testing.assert_frame_equal(result.visits, read.visits)
    with pytest.raises(UsageError, match="keys hello"):
        processor.process_records([{"hello": 1}], name="other")


def test_stretches_longer_than_memory_allows_are_placed_from_a_temporary_file() -> None:
    n = 3 * WAITING_ROWS
    records = ({"step": i, "x": 1, "y": 2, "map": 3, "event": float(i), "levels": [i % 7]} for i in range(n))
    processor = StreamingProcessor(sample_size=10)
    processor.process_records(records, constants=RunConstants(1.0, 1.0))
    summary = processor.result()
    event = summary.components.loc["event"]
    assert event["n"] == n
    assert event["mean"] == (n - 1) / 2
    timeline = summary.timeline[summary.timeline["column"] == "event"]
    assert (timeline["mean"].diff().dropna() > 0).all()
    assert summary.components.loc["level", "min"] == 0
    assert summary.components.loc["level", "mean"] > 5.99
    assert summary.stretches["n"] == 1
    assert summary.stretches["stuck"] == 1


def test_stuck_stretches_are_those_that_stay_on_a_cell(tmp_path: Path) -> None:
    records = []
    for index, stay in enumerate((STUCK_RECORDS - 1, STUCK_RECORDS, 3 * STUCK_RECORDS)):
        for step in range(400):
            x = 7 if 50 <= step < 50 + stay else 100 + step
            records.append({"step": step, "x": x, "y": index, "map": 1, "event": 0.0})
    whole, pieces = StreamingProcessor(), StreamingProcessor()
    whole.process_records(records)
    assert whole.result().stretches["stuck"] == 2
    stretches = Stretches()
    assert list(stretches.finish()) == []
    pieces.process(write_array(tmp_path / "s.json", records))
    assert pieces.result().stretches["stuck"] == 2
    assert pieces.result().stretches["n"] == 3


def test_returns_are_the_totals_at_the_ends_of_stretches(tmp_path: Path) -> None:
    records = run_of_flushes(tmp_path, files=2, envs=5, length=30)
    ends = [
        r["rewards"]["total"]
        for r, after in zip(records, [*records[1:], None], strict=True)
        if after is None or after["step"] < r["step"] or after["total_steps"] != r["total_steps"]
    ]
    summary = summary_of(tmp_path)
    assert summary.stretches["n"] == len(ends) == 10
    assert summary.stretches["mean_return"] == pytest.approx(np.mean(ends), rel=1e-12)
    buckets = summary.returns
    assert int(buckets["count"].sum()) == 10
    for value in ends:
        assert ((buckets["low"] <= value) & (value <= buckets["high"])).any()


def test_gaps_in_the_steps_have_their_exact_ends(tmp_path: Path) -> None:
    records = [r for r in flush("nested", envs=2, length=100) if not 30 <= r["step"] < 45 and r["step"] != 80]
    summary = summary_of(write_array(tmp_path / "g.json", records))
    assert summary.gaps.to_numpy().tolist() == [[30, 44, 15], [80, 80, 1]]
    assert {"what": "step jumps ahead", "count": 4} in summary.oddities.to_dict("records")


def test_records_of_every_few_steps_are_regular_sampling_and_what_lacks_is_still_a_gap(tmp_path: Path) -> None:
    records = [r for r in flush("nested", envs=3, length=100) if r["step"] % 8 == 0 or r["step"] == 99]
    summary = summary_of(write_array(tmp_path / "s.json", records))
    assert summary.stride == 8
    assert summary.oddities.empty
    assert summary.gaps.empty
    without = [r for r in records if r["step"] != 48]
    summary = summary_of(write_array(tmp_path / "t.json", without))
    assert summary.stride == 1
    assert [41, 55, 15] in summary.gaps.to_numpy().tolist()
    assert "step jumps ahead" in set(summary.oddities["what"])


def test_counts_of_rises_join_into_those_of_the_whole() -> None:
    rises = np.array([4.0, 4, 2, np.nan, -8, 4, 4, 0, 6, 6, 1])
    whole, joined = Rises(), Rises()
    whole.add(rises)
    for part in np.array_split(rises, 4):
        other = Rises()
        other.add(part)
        joined.merge(other)
    assert vars(joined) == vars(whole) == {"greatest": 6, "at": 2, "below": 6}


def test_spans_of_very_sparse_steps_keep_every_wide_gap() -> None:
    spans = Spans()
    steps = np.arange(0, 100_000, 10, dtype=np.float64)
    steps = steps[(steps < 40_000) | (steps > 60_000)]
    for chunk in np.array_split(np.random.default_rng(0).permutation(steps), 7):
        spans.add(chunk, chunk)
    assert spans.range == (0, 99_990)
    assert (39_991, 60_009) in spans.gaps()


def test_positions_that_are_no_cells_are_counted_not_drawn() -> None:
    records = [{"step": i, "x": x, "y": 1, "map": 1, "event": 1.0} for i, x in enumerate((1, 1.5, 1e300, None, -4))]
    processor = StreamingProcessor()
    processor.process_records(records)
    summary = processor.result()
    assert summary.visits[["x", "visits"]].to_numpy().tolist() == [[-4, 1], [1, 1]]
    odd = dict(summary.oddities.itertuples(index=False))
    assert odd["position not a whole number from -32768 to 32767"] == 2
    assert odd["x: null"] == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=300),
    st.floats(0.0, 1.0),
    st.integers(0, 300),
)
def test_quantiles_lie_within_the_stated_error_of_the_value_of_that_rank(
    values: list[float], q: float, cut: int
) -> None:
    whole, left, right = Sketch(), Sketch(), Sketch()
    whole.add(np.array(values))
    left.add(np.array(values[:cut]))
    right.add(np.array(values[cut:]))
    right.merge(left)
    assert right.counts() == whole.counts()
    exact = sorted(values)[max(math.ceil(q * len(values)), 1) - 1]
    [found] = whole.quantiles(np.array([q])).tolist()
    assert abs(found - exact) <= RELATIVE_ERROR * abs(exact) + 1e-306


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-500, 5000), st.floats(-1e6, 1e6)), min_size=1, max_size=200), st.data())
def test_bins_count_each_value_once_however_they_were_filled(
    points: list[tuple[int, float]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(points)))
    whole, left, right = Binned(most=16), Binned(most=16), Binned(most=16)
    for binned, part in ((whole, points), (left, points[:cut]), (right, points[cut:])):
        for where, value in part:
            binned.add(("v",), np.array([float(where)]), np.array([[value]]))
    left.merge(right)
    for binned in (whole, left):
        assert binned.cells.n.shape[1] <= 17
        edges = binned.edges
        for index in range(binned.cells.n.shape[1]):
            inside = [v for w, v in points if edges[index] <= w < edges[index + 1]]
            assert binned.cells.n[0, index] == len(inside)
            if inside:
                assert binned.cells.mean[0, index] == pytest.approx(math.fsum(inside) / len(inside), abs=1e-6)
                m2 = math.fsum((v - math.fsum(inside) / len(inside)) ** 2 for v in inside)
                assert binned.cells.m2[0, index] == pytest.approx(m2, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(
    "values",
    [[[math.nan] * 4, [1.0, 2.0, 3.0, 4.0]], [[math.nan] * 4, [1.0, math.nan, 3.0, 4.0]], [[math.nan], [5.0]], [[7.0]]],
)
@pytest.mark.parametrize("bin_of", [[0, 0, 0, 0], [2, 0, 2, 1]])
def test_a_column_without_a_single_value_counts_nothing(values: list[list[float]], bin_of: list[int]) -> None:
    given = np.array(values)
    bins = np.array(bin_of[: given.shape[1]])
    cells = cells_of(bins, given, 3)
    for index, row in enumerate(values):
        for number in range(3):
            inside = [v for v, b in zip(row, bins.tolist(), strict=True) if b == number and not math.isnan(v)]
            mean = math.fsum(inside) / len(inside) if inside else 0.0
            assert cells.n[index, number] == len(inside)
            assert cells.mean[index, number] == pytest.approx(mean)
            assert cells.m2[index, number] == pytest.approx(math.fsum((v - mean) ** 2 for v in inside))


def test_records_whose_rewards_are_null_throughout_are_counted(tmp_path: Path) -> None:
    records = flush("nested", envs=1, length=50)
    for record in records:
        record["rewards"]["components"]["heal"] = None
    summary = summary_of(write_array(tmp_path / "null.json", records))
    assert summary.components.loc["event", "n"] == summary.records == 50
    assert "heal" not in summary.components.index
    alone = flush("nested", envs=1, length=1)
    alone[0]["rewards"]["components"]["heal"] = math.nan
    assert summary_of(write_array(tmp_path / "one.json", alone)).components.loc["event", "n"] == 1


def test_rows_without_a_value_column_take_part_in_making_room() -> None:
    binned = Binned(most=16)
    binned.add((), np.array([1e9, 1e9 + 1]), np.empty((0, 2)))
    binned.add(("v",), np.array([0.0, 3.0]), np.array([[1.0, 2.0]]))
    assert binned.cells.n.shape[1] <= 16
    assert binned.columns == ["v"]
    later = Binned(most=16)
    later.add((), np.array([5e9]), np.empty((0, 1)))
    binned.merge(later)
    later.merge(binned)
    for joined in (binned, later):
        assert joined.cells.n.shape[1] <= 16
        assert joined.cells.n.sum() == 2


@pytest.mark.parametrize("huge", [1e19, -3e25, 1e300])
def test_steps_beyond_whole_numbers_of_64_bits_are_counted(huge: float) -> None:
    first, last = Binned(), Binned()
    first.add(("v",), np.array([huge, huge]), np.array([[1.0, 2.0]]))
    last.add(("v",), np.array([1.0, huge]), np.array([[3.0, 4.0]]))
    last.merge(first)
    edges = last.edges
    inside = np.flatnonzero((edges[:-1] <= huge) & (huge < edges[1:]))
    assert last.cells.n[0, inside].tolist() == [3.0]
    assert last.cells.n.sum() == 4
    processor = StreamingProcessor()
    processor.process_records([dict(r, step=huge) for r in flush("nested", length=3)])
    assert processor.result().step_range == (huge, huge)


def test_what_waits_is_bounded_in_pieces_too() -> None:
    sketch, stretches = Sketch(), Stretches()
    for index in range(1000):
        sketch.add(np.array([float(index % 2 + 1)]))
    assert len(sketch._pending) <= 256
    assert sum(sketch.counts().values()) == 1000
    visits, sample = Visits(), Sample(100_000)
    for index in range(3000):
        place = np.array([float(index)])
        visits.add(np.zeros(1, dtype=np.int64), place, place, place)
        row = RecordTable((), np.full((len(FIXED), 1), float(index)))
        sample.add(np.array([index], dtype=np.uint64), "a", index, place, row)
    assert max(len(visits._pending), len(sample._pending)) <= 2048
    sample.settle()
    assert len(visits.table()) == len(sample.hashes) == 3000
    for index in range(40_000):
        data = np.full((len(FIXED) + 1, 1), float(index))
        assert not list(stretches.add(RecordTable(("ab"[index % 2],), data)))
    assert len(stretches._open) + len(stretches._fresh) + len(stretches._held_back or []) < 13_000
    given = list(stretches.finish())
    assert sum(placed.table.n for placed in given) == 40_000
    assert given[-1].table.data[0, -1] == 39_999


def test_numbers_of_numpy_are_numbers() -> None:
    processor = StreamingProcessor()
    processor.process_records(
        {"step": np.int64(i), "position": {"x": np.uint8(1), "y": 1, "map": 0}, "rewards": {"total": np.float32(i)}}
        for i in range(5)
    )
    summary = processor.result()
    assert summary.step_range == (0, 4)
    assert summary.components.loc["total", "mean"] == 2.0
    assert summary.oddities.empty


@pytest.mark.thorough
def test_slices_of_training_are_joined_before_memory_grows_and_no_visit_is_lost() -> None:
    rng = np.random.default_rng(0)
    whole, left, right = Visits(), Visits(), Visits()
    expected: Counter[tuple[int, int, int]] = Counter()
    for index in range(24):
        x, y, m = (rng.integers(-300, 300, 30_000).astype(float) for _ in range(3))
        slices = np.full(30_000, 3 * index)
        for visits in (whole, left if index % 2 else right):
            visits.add(slices, x, y, m)
        expected.update(zip(m.tolist(), x.tolist(), y.tolist(), strict=True))
    left.merge(right)
    for visits in (whole, left):
        table = visits.table()
        assert visits.shift == 7
        assert set(table[:, 0].tolist()) == {0}
        counted = {(m, x, y): n for _, m, x, y, n in table.tolist()}
        assert counted == expected


def test_files_of_the_same_name_in_different_folders_are_different_files(tmp_path: Path) -> None:
    processor = StreamingProcessor()
    for index, folder in enumerate(("one/logs", "two/logs")):
        processor.process(write_array(tmp_path / folder / "a.json", flush("nested", length=10, seed=index)))
    assert processor.result().records == 60
    assert len(processor.result().files) == 2
