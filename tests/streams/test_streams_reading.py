"""The reader: every whole record once, every damaged stretch named."""

import gzip
import json
import math
import tracemalloc
import zlib
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from log_makers import COMPONENTS, flat_record, flush, write_array

from daf.errors import DataError, StorageError
from daf.streams._reading import TableReader
from daf.streams._source import Source
from daf.streams.csvlog import CsvReader
from daf.streams.finding import find_logs
from daf.streams.planning import plan_parts
from daf.streams.processor import StreamingProcessor
from daf.streams.records import FIXED, RunConstants
from daf.streams.running import count, count_part

SCALED = RunConstants(reward_scale=0.5, explore_weight=0.25)


def read_all(path: Path, block: int = 256 * 1024, constants: RunConstants = SCALED) -> tuple[dict[str, Any], Any]:
    """All rows by column name, and the reader's report; the same with and without compiled code."""
    reader, compiled = (TableReader(path, constants, block=block, compiled=fast) for fast in (False, True))
    tables, again = list(reader), list(compiled)
    assert [(t.names, t.rising, t.data.tobytes()) for t in tables] == [
        (t.names, t.rising, t.data.tobytes()) for t in again
    ]
    for name in ("bytes_read", "records", "kinds", "problems", "damage"):
        if name != "damage" or path.suffix != ".gz":  # a long stretch of damage is divided where a block ends
            assert getattr(reader.report, name) == getattr(compiled.report, name), name
    rows: list[dict[str, float]] = []
    for table in tables:
        rows += [dict(zip((*FIXED, *table.names), column.tolist(), strict=True)) for column in table.data.T]
    names = {name for row in rows for name in row}
    columns = {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}
    return columns, reader.report


def steps(path: Path, block: int = 256 * 1024) -> list[float]:
    return read_all(path, block)[0].get("step", np.empty(0)).tolist()


@pytest.mark.parametrize("indent", [None, 2, 4])
@pytest.mark.parametrize("kind", ["nested", "flat"])
@pytest.mark.parametrize("block", [2048, 256 * 1024])
def test_every_record_of_an_array_is_read_once_and_in_order(
    tmp_path: Path, kind: str, indent: int | None, block: int
) -> None:
    records = flush(kind, envs=5, length=61)
    columns, report = read_all(write_array(tmp_path / "a.json", records, indent), block)
    assert columns["step"].tolist() == [r["step"] for r in records]
    event = [r["event"] if kind == "flat" else r["rewards"]["components"]["event"] for r in records]
    assert columns["event"].tolist() == event
    assert report.damage == []
    assert report.records == len(records)


def test_most_of_a_clean_file_is_read_on_the_fast_path(tmp_path: Path) -> None:
    for kind in ("nested", "flat"):
        path = write_array(tmp_path / f"{kind}.json", flush(kind, envs=20, length=200))
        _, report = read_all(path, block=64 * 1024)
        assert report.slow_bytes < 0.03 * path.stat().st_size, (kind, report.slow_bytes)


def test_flat_components_follow_from_the_runs_constants(tmp_path: Path) -> None:
    records = flush("flat", envs=1, length=5)
    columns, _ = read_all(write_array(tmp_path / "f.json", records))
    for index, r in enumerate(records):
        assert columns["heal"][index] == pytest.approx(30 * 0.5 * r["healr"])
        assert columns["badge"][index] == pytest.approx(10 * 0.5 * r["badge"])
        assert columns["dead"][index] == pytest.approx(-0.1 * 0.5 * r["deaths"])
        assert columns["explore"][index] == pytest.approx(0.1 * 0.5 * 0.25 * r["coord_count"])
    assert "stuck" not in columns
    assert "total" not in columns


def test_without_constants_only_the_event_component_exists(tmp_path: Path) -> None:
    columns, _ = read_all(write_array(tmp_path / "f.json", flush("flat")), constants=RunConstants())
    assert set(columns) == {*FIXED, "event"}
    assert np.isnan(columns["total_steps"]).all()


def test_hybrid_records_keep_their_own_totals_and_components(tmp_path: Path) -> None:
    records = [dict(r, reward_total=1.5, reward_step=0.5, reward_heal=7.0, reward_novel=2.0) for r in flush("flat")]
    columns, _ = read_all(write_array(tmp_path / "h.json", records))
    assert (columns["total"] == 1.5).all()
    assert (columns["step_reward"] == 0.5).all()
    assert (columns["heal"] == 7.0).all()
    assert (columns["novel"] == 2.0).all()


def test_formats_mix_freely_within_a_file(tmp_path: Path) -> None:
    records = flush("flat", length=30) + flush("nested", length=30) + flush("flat", length=7)
    for block in (2048, 65536):
        columns, report = read_all(write_array(tmp_path / "m.json", records, None), block)
        assert columns["step"].tolist() == [r["step"] for r in records]
        assert dict(report.kinds) == {"flat": 111, "nested": 90}
        assert report.damage == []


@pytest.mark.parametrize("late", ["component", "reward_field", "levels", "total_steps"])
def test_a_field_that_appears_late_is_not_overlooked(tmp_path: Path, late: str) -> None:
    kind = "nested" if late == "component" else "flat"
    records = flush(kind, envs=4, length=200)
    if late == "levels":
        records = [{k: v for k, v in r.items() if k != "levels"} for r in records]
    if late == "component":
        records[700]["rewards"]["components"]["surprise"] = 3.0
    else:
        records[700][{"reward_field": "reward_surprise"}.get(late, late)] = [5.0] if late == "levels" else 3.0
    columns, _ = read_all(write_array(tmp_path / "l.json", records), block=16 * 1024)
    name = {"levels": "level", "total_steps": "total_steps"}.get(late, "surprise")
    assert np.flatnonzero(~np.isnan(columns[name])).tolist() == [700]


def test_objects_that_are_no_records_are_damage_wherever_they_stand(tmp_path: Path) -> None:
    """Where the run has no YAML, `healr` is not read, but without it an object with a step is no record."""
    lines = [json.dumps({"step": i, "healr" if i % 3 else "loss": 0.5}) + "\n" for i in range(600)]
    path = tmp_path / "mixed.jsonl"
    path.write_text("".join(lines))
    columns, report = read_all(path, 4096, RunConstants())
    assert columns["step"].tolist() == [i for i in range(600) if i % 3]
    assert sum(d.length for d in report.damage) == sum(len(line) - 1 for line in lines[::3])


@pytest.mark.parametrize("other", ["rewards", "position"])
def test_flat_fields_next_to_nested_ones_do_not_hide_these(tmp_path: Path, other: str) -> None:
    records = flush("flat", envs=1, length=400)
    held = {"total": 3.0} if other == "rewards" else {"x": 5, "y": 6, "map": 7}
    for record in records[::5]:
        record[other] = held
    for record in records[1::5]:
        record[other] = None  # which is no object: still a flat record
    columns, report = read_all(write_array(tmp_path / "both.json", records, None), 8192)
    assert dict(report.kinds) == {"flat": 320, "nested": 80}
    assert columns["step"].tolist() == list(range(400))
    name, value = ("total", 3.0) if other == "rewards" else ("map", 7)
    assert (columns[name][::5] == value).all()


def test_any_component_names_become_separate_columns(tmp_path: Path) -> None:
    records = flush("nested", length=20)
    for r in records:
        r["rewards"]["components"] = {"hearts.collected": 1.0, "mit Umlaut ü": 2.0, "total": 3.0, 'a"b': 4.0}
    columns, report = read_all(write_array(tmp_path / "c.json", records), block=4096)
    assert (columns["hearts.collected"] == 1.0).all()
    assert (columns["mit Umlaut ü"] == 2.0).all()
    assert (columns["component_total"] == 3.0).all()
    assert (columns['a"b'] == 4.0).all()
    assert columns["total"].tolist() == [r["rewards"]["total"] for r in records]
    assert report.damage == []


@pytest.mark.parametrize("kind", ["nested", "flat"])
def test_json_lines_single_objects_and_arrays_in_a_row_are_read(tmp_path: Path, kind: str) -> None:
    records = flush(kind, envs=4, length=100)
    expected = [r["step"] for r in records]
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps(r) + "\n" for r in records))
    single = tmp_path / "one.json"
    single.write_text(json.dumps(records[0], indent=2))
    row = tmp_path / "row.json"
    row.write_text("\ufeff" + json.dumps(records[:200]) + json.dumps(records[200:], indent=2))
    joined = tmp_path / "joined.json"
    joined.write_text("".join(json.dumps(r) for r in records))
    for path, want in ((lines, expected), (single, expected[:1]), (row, expected), (joined, expected)):
        columns, report = read_all(path, block=8192)
        assert columns["step"].tolist() == want, path
        assert report.damage == [], path


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_logs_read_like_plain_ones_and_a_torn_stream_is_named(tmp_path: Path, suffix: str) -> None:
    records = flush("nested", envs=4, length=100)
    text = json.dumps(records, indent=2).encode()
    pack = gzip.compress if suffix == ".gz" else zstandard.ZstdCompressor().compress
    half = len(text) // 2
    whole = tmp_path / f"a.json{suffix}"
    whole.write_bytes(pack(text[:half]) + pack(text[half:]))
    columns, report = read_all(whole)
    assert columns["step"].tolist() == [r["step"] for r in records]
    assert report.damage == []
    torn = tmp_path / f"b.json{suffix}"
    torn.write_bytes(pack(text)[:-2000])
    columns, report = read_all(torn)
    kept = columns.get("step", np.empty(0)).tolist()
    assert kept == [r["step"] for r in records[: len(kept)]]
    assert any("ends early" in d.reason for d in report.damage), report.damage


@pytest.mark.parametrize("spoilt", [0.0, 0.9])
def test_a_damaged_gzip_stream_gives_every_record_before_the_damage(tmp_path: Path, spoilt: float) -> None:
    text = "".join(json.dumps(r) + "\n" for r in flush("nested", envs=1, length=1500)).encode()
    packed = bytearray(gzip.compress(text))
    packed[int(spoilt * len(packed)) or -6] ^= 0xFF
    path = tmp_path / "spoilt.jsonl.gz"
    path.write_bytes(packed)
    columns, report = read_all(path)
    found = columns["step"].tolist()
    # A wrong byte may spell wrong content for a while before zlib notices.
    pairs = zip(_bytewise(packed).splitlines(), text.splitlines(), strict=False)
    whole = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    assert whole > 1300
    assert found[:whole] == list(range(whole))
    assert any("damaged gzip stream" in d.reason for d in report.damage), report.damage


def _bytewise(packed: bytearray) -> bytes:
    """What zlib makes of a damaged stream that it is given byte by byte."""
    stream, content = zlib.decompressobj(wbits=31), b""
    for byte in packed:
        try:
            content += stream.decompress(bytes([byte]))
        except zlib.error:
            return content
    raise AssertionError("the stream is not damaged")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_content_that_shrank_ten_thousandfold_is_decompressed_bit_by_bit(tmp_path: Path, suffix: str) -> None:
    content = b'{"step": 1, "x": 1, "y": 1, "map": 1}\n' * 1_500_000
    path = tmp_path / f"small.jsonl{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".gz" else zstandard.ZstdCompressor().compress(content))
    expected, target, n = len(content), memoryview(bytearray(1 << 18)), 0
    del content
    tracemalloc.start()
    with Source(path) as source:
        while read := source.readinto(target):
            n += read
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == expected
    assert peak < 24e6, f"{peak / 1e6:.0f} MB for {path.stat().st_size} bytes"


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_log_in_utf_16_is_read(tmp_path: Path, encoding: str, suffix: str) -> None:
    records = flush("nested", envs=2, length=30)
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix]
    path = tmp_path / f"a.json{suffix}"
    path.write_bytes(pack(json.dumps(records).encode(encoding)))
    columns, report = read_all(path)
    assert columns["step"].tolist() == [r["step"] for r in records]
    assert report.damage == []


def test_a_zstd_window_beyond_the_memory_is_refused_with_the_command_that_repacks(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=31, enable_ldm=True)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path = tmp_path / "long.jsonl.zst"
    path.write_bytes(packing.compress(b'{"step": 1, "x": 1, "y": 1, "map": 1}\n') + packing.flush())
    columns, report = read_all(path)
    assert not columns
    assert "zstd -d --long=31 -c long.jsonl.zst | zstd -o repacked-long.jsonl.zst" in report.damage[0].reason
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28, enable_ldm=True)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path.write_bytes(packing.compress(b'{"step": 1, "x": 1, "y": 1, "map": 1}\n') + packing.flush())
    assert read_all(path)[0]["step"].tolist() == [1.0]


def test_odd_numbers_leave_the_record_in_use_and_are_counted(tmp_path: Path) -> None:
    records = flush("flat", envs=1, length=12)
    records[1]["event"] = math.nan
    records[2]["event"] = math.inf
    records[3]["event"] = None
    records[4]["event"] = "many"
    del records[5]["event"]
    records[6]["step"] = 6.0
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(records))
    columns, report = read_all(path)
    assert len(columns["step"]) == 12
    assert np.flatnonzero(np.isnan(columns["event"])).tolist() == [1, 2, 3, 4, 5]
    assert report.problems.counts["event: not finite"] == 2
    assert report.problems.counts["event: null"] == 1
    assert report.problems.counts["event: not a number"] == 1
    assert report.damage == []


def test_whole_numbers_beyond_all_floats_are_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    record = '{"step": 1, "rewards": {"total": %s1%s, "step": 1.5}}'
    path.write_text(f"[{record % ('', '0' * 400)}, {record % ('-', '0' * 400)}]")
    columns, report = read_all(path)
    assert columns["step_reward"].tolist() == [1.5, 1.5]
    assert report.problems.counts["rewards.total: not finite"] == 2


def test_an_object_inside_a_record_is_never_taken_for_one(tmp_path: Path) -> None:
    """Also where what is read at once ends between the two."""
    records = flush("nested", envs=1, length=400)
    for index, record in enumerate(records):
        record["rewards"]["total"] = None if index % 3 == 0 else 1.0
        record |= {"pad": "x" * 50, "previous": {"step": -1, "position": {"x": 9, "y": 9, "map": 9}}, "tail": "y" * 900}
    for block in (2048, 20_000, 256 * 1024):
        columns, report = read_all(write_array(tmp_path / "inner.json", records, None), block)
        assert columns["step"].tolist() == list(range(400))
        assert report.damage == []


def test_the_last_of_duplicate_keys_counts_on_both_paths(tmp_path: Path) -> None:
    records = flush("flat", envs=1, length=400)
    text = json.dumps(records).replace('"event": ', '"event": -1.0, "event": ')
    path = tmp_path / "d.json"
    path.write_text(text)
    columns, report = read_all(path, block=16 * 1024)
    assert columns["event"].tolist() == [r["event"] for r in records]
    assert report.damage == []


def test_damage_is_reported_with_its_offset_and_what_follows_is_read(tmp_path: Path) -> None:
    records = flush("nested", envs=1, length=30)
    parts = [json.dumps(r) for r in records]
    head = "[" + ", ".join(parts[:10]) + ", "
    torn = parts[10][:57]
    path = tmp_path / "torn.json"
    path.write_text(head + torn + "[" + ", ".join(parts[11:]) + "]")
    columns, report = read_all(path)
    assert columns["step"].tolist() == [*range(10), *range(11, 30)]
    [damage] = report.damage
    assert damage.offset == len(head)
    assert damage.length == len(torn)
    assert damage.path == str(path)


def test_a_foreign_object_and_garbage_between_records_are_damage(tmp_path: Path) -> None:
    a, b = (json.dumps(r) for r in flush("flat", envs=1, length=2))
    path = tmp_path / "g.json"
    path.write_bytes(f'[{a}, {{"hello": 1}}, '.encode() + b"\x00\x00garbage" + f", {b}]".encode())
    columns, report = read_all(path)
    assert columns["step"].tolist() == [0, 1]
    reasons = [d.reason for d in report.damage]
    assert any("keys hello" in reason for reason in reasons), reasons
    assert any("not JSON" in reason for reason in reasons), reasons


def test_an_array_cut_between_records_is_noticed(tmp_path: Path) -> None:
    text = json.dumps(flush("nested"), indent=2)
    path = tmp_path / "cut.json"
    path.write_text(text[: text.rindex("},\n  {") + 1])
    _, report = read_all(path)
    assert "not closed" in report.damage[-1].reason
    parts = plan_parts(find_logs([path]), part=path.stat().st_size // 2)
    counted, _ = count(parts)
    assert len(parts) > 1
    [damage] = [damage for tally in counted.sources.values() for damage in tally.damage]
    assert "not closed" in damage.reason
    assert damage.offset == path.stat().st_size


@settings(max_examples=120, deadline=None)
@given(
    data=st.data(),
    kind=st.sampled_from(["nested", "flat"]),
    indent=st.sampled_from([None, 2]),
    block=st.sampled_from([1500, 4096, 65536]),
)
def test_a_file_cut_at_any_byte_gives_all_whole_records_before_the_cut(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str, indent: int | None, block: int
) -> None:
    records = flush(kind, envs=2, length=9)
    text = json.dumps(records, indent=indent)
    cut = data.draw(st.integers(0, len(text)))
    path = tmp_path_factory.mktemp("cut") / "c.json"
    path.write_text(text[:cut])
    ends = _record_ends(text, len(records))
    whole = sum(end <= cut for end in ends)
    columns, report = read_all(path, block)
    assert columns.get("step", np.empty(0)).tolist() == [r["step"] for r in records[:whole]]
    starts = [text.index("{"), *(text.index("{", end) for end in ends[:-1])]
    torn = [start for start, end in zip(starts, ends, strict=True) if start < cut < end]
    assert [d.offset for d in report.damage if d.length] == torn
    if 0 < cut < len(text) and text[:cut].rstrip():
        assert report.damage, "a file that was cut must say so"


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    kinds=st.tuples(st.sampled_from(["nested", "flat"]), st.sampled_from(["nested", "flat"])),
    block=st.sampled_from([1500, 4096, 65536]),
)
def test_after_a_cut_the_next_array_is_read_whole(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kinds: tuple[str, str], block: int
) -> None:
    first, second = flush(kinds[0], envs=1, length=6), flush(kinds[1], envs=1, length=7, start=100)
    text = json.dumps(first, indent=2)
    cut = data.draw(st.integers(0, len(text)))
    path = tmp_path_factory.mktemp("two") / "c.json"
    path.write_text(text[:cut] + "\n" + json.dumps(second))
    whole = sum(end <= cut for end in _record_ends(text, len(first)))
    assert steps(path, block) == [*range(whole), *range(100, 107)]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["nested", "flat"]), block=st.sampled_from([1500, 8192]))
def test_no_byte_is_lost_without_a_word(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str, block: int
) -> None:
    """Bytes overwritten anywhere: every record that the damage did not touch is still read."""
    records = flush(kind, envs=1, length=12)
    text = bytearray(json.dumps(records).encode())
    at = data.draw(st.integers(0, len(text) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=30))
    text[at : at + len(junk)] = junk
    path = tmp_path_factory.mktemp("junk") / "j.json"
    path.write_bytes(bytes(text))
    ends = _record_ends(json.dumps(records), len(records))
    starts = [1, *(end + 2 for end in ends[:-1])]
    untouched = [
        r["step"] for r, s, e in zip(records, starts, ends, strict=True) if e <= at - 2 or s >= at + len(junk) + 2
    ]
    found = steps(path, block)
    missing = [step for step in untouched if step not in found]
    # Junk that opens an object or a string may swallow at most the record in front of which it stands.
    assert len(missing) <= 1, (missing, junk, at)


def test_small_blocks_give_the_same_as_large_ones(tmp_path: Path) -> None:
    path = write_array(tmp_path / "s.json", flush("nested", envs=3, length=50))
    reference, _ = read_all(path)
    for block in (64, 700, 999, 5000):
        columns, report = read_all(path, block)
        assert report.damage == []
        for name in ("step", "x", *COMPONENTS):
            assert columns[name].tolist() == reference[name].tolist(), (block, name)


@pytest.mark.parametrize("block", [16 * 1024, 256 * 1024, 1024 * 1024])
def test_so_short_records_that_a_block_holds_thousands_are_read_in_order(tmp_path: Path, block: int) -> None:
    path = tmp_path / "short.jsonl"
    path.write_text("".join(f'{{"step":{step},"event":{step % 7}.5}}\n' for step in range(60_000)))
    columns, report = read_all(path, block)
    assert columns["step"].tolist() == list(range(60_000))
    assert columns["event"].tolist() == [step % 7 + 0.5 for step in range(60_000)]
    assert report.records == 60_000
    assert report.problems.counts == {f"{name}: missing": 60_000 for name in ("x", "y", "map")}
    assert report.slow_bytes < 0.02 * path.stat().st_size


def test_a_growing_file_is_read_to_the_size_it_had(tmp_path: Path) -> None:
    path = tmp_path / "grow.jsonl"
    rng = np.random.default_rng(0)
    lines = [json.dumps(flat_record(rng, i, (1, 1, 1))) + "\n" for i in range(2000)]
    path.write_text("".join(lines[:1000]))
    reader = TableReader(path, SCALED, block=4096)
    seen = 0
    for index, table in enumerate(reader):
        seen += table.n
        if index == 0:
            with path.open("a") as file:
                file.write("".join(lines[1000:]))
    assert seen == 1000
    assert reader.report.damage == []


def test_a_missing_file_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"no\.json"):
        list(TableReader(tmp_path / "no.json", SCALED))


def test_csv_with_dotted_headers_reads_like_json(tmp_path: Path) -> None:
    records = flush("nested", envs=2, length=30)
    header = ["step", "total_steps", "position.x", "position.y", "position.map", "rewards.total", "rewards.step"]
    header += [f"rewards.components.{name}" for name in COMPONENTS]

    def cell(record: dict[str, Any], path: str) -> str:
        value: Any = record
        for key in path.split("."):
            value = value[key]
        return repr(value)

    rows = [",".join(cell(r, path) for path in header) for r in records]
    rows[5] += ",1,2"
    path = tmp_path / "log.csv"
    path.write_text(",".join(header) + "\n" + "\n".join(rows) + "\n")
    as_json = write_array(tmp_path / "log.json", [r for i, r in enumerate(records) if i != 5])
    a, b = (count_part(plan_parts(find_logs([p]))[0], 0, 1000) for p in (path, as_json))
    assert a.records == b.records == 59
    assert a.extrema == b.extrema
    assert a.visits.table().tolist() == b.visits.table().tolist()
    [damage] = a.sources[f"{tmp_path.name}/log.csv"].damage
    assert damage.offset == path.read_text().index(rows[5])


def csv_of(path: Path, text: str) -> tuple[list[dict[str, float]], Any]:
    """The rows of a CSV log, and the reader's report."""
    path.write_text(text)
    reader = CsvReader(path, SCALED)
    rows = [
        dict(zip((*FIXED, *table.names), column.tolist(), strict=True)) for table in reader for column in table.data.T
    ]
    return rows, reader.report


def test_csv_columns_of_parts_win_over_one_of_the_whole(tmp_path: Path) -> None:
    for header in ("step,position,position.x,rewards.total", "step,position.x,position,rewards.total"):
        cells = {"step": "1", "position": "", "position.x": "7", "rewards.total": "4"}
        text = header + "\n" + ",".join(cells[name] for name in header.split(",")) + "\n"
        [row], report = csv_of(tmp_path / "both.csv", text)
        assert (row["x"], row["total"]) == (7, 4)
        assert report.problems.counts["position: not read, because there is position.…"] == 1
    [row], _ = csv_of(tmp_path / "deep.csv", "step,rewards,rewards.components,rewards.components.heal\n1,,,5\n")
    assert row["heal"] == 5


def test_csv_cells_that_cannot_be_read_are_damage_and_numbers_are_plain(tmp_path: Path) -> None:
    text = 'step,x,y,map,event,note\n1,1,2,3,4,"' + "a" * 140_000 + '"\n2,1,2,3,1_000,\n3,1,2,3,5,\n'
    rows, report = csv_of(tmp_path / "odd.csv", text)
    assert [row["step"] for row in rows] == [2, 3]
    assert math.isnan(rows[0]["event"])
    assert report.problems.counts["event: not a number"] == 1
    [damage] = report.damage
    assert "131,072" in damage.reason
    assert damage.offset == text.index("\n") + 1


def test_a_quoted_csv_header_is_the_same_header(tmp_path: Path) -> None:
    names = ("step", "total_steps", "position.x", "rewards.total")
    rows = "".join(f"{index},{1000 + index},1,2\n" for index in range(50))
    for quote in ("", '"'):
        path = tmp_path / f"h{len(quote)}.csv"
        path.write_text(",".join(f"{quote}{name}{quote}" for name in names) + "\n" + rows)
        [part] = plan_parts(find_logs([path]))
        assert part.plan.clock == (1000, 1049)


def test_a_csv_log_that_ends_inside_a_line_says_so(tmp_path: Path) -> None:
    text = "step,x,y,map,event\n" + "".join(f"{index},1,2,3,0.75\n" for index in range(3))
    for cut, n, reason in ((-1, 3, "does not end"), (-3, 3, "does not end"), (-8, 2, "cut short in mid-record")):
        rows, report = csv_of(tmp_path / "cut.csv", text[:cut])
        assert len(rows) == n
        assert reason in report.damage[-1].reason


def test_csv_damage_beyond_what_is_named_is_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daf.streams._damage.DAMAGE_NAMED", 5)
    rows, report = csv_of(tmp_path / "many.csv", "step,x,y,map,event\n" + "1,2,3\n1,1,2,3,4\n" * 23)
    assert len(rows) == 23
    assert len(report.damage) == 6
    assert sum(d.length for d in report.damage) == 23 * len("1,2,3\n")
    rows, report = csv_of(tmp_path / "none.csv", "a,b\n" + "1,2\n" * 23)
    [damage] = report.damage
    assert (rows, damage.length) == ([], 23 * len("1,2\n"))
    assert "not a log: columns a, b" in damage.reason


def _record_ends(text: str, n: int) -> list[int]:
    decoder, at, ends = json.JSONDecoder(), 0, []
    for _ in range(n):
        at = text.index("{", at)
        _, at = decoder.raw_decode(text, at)
        ends.append(at)
    return ends


@pytest.mark.parametrize("junk", [b"{" * 500_000, b'{"a":' * 60_000, b"\x00" * 900_000, b'{"a": "' + b"x" * 900_000])
def test_long_stretches_of_nonsense_are_one_damage_and_end_where_records_begin(tmp_path: Path, junk: bytes) -> None:
    head, tail = (json.dumps(flush("nested", envs=1, length=n)).encode() for n in (5, 300))
    path = tmp_path / "junk.json"
    path.write_bytes(head + junk + b'\n"' + tail)
    columns, report = read_all(path, block=32 * 1024)
    assert columns["step"].tolist() == [*range(5), *range(300)]
    [damage] = report.damage
    assert damage.offset == len(head)
    assert abs(damage.length - len(junk)) <= 3


def test_damage_beyond_what_is_named_is_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daf.streams._damage.DAMAGE_NAMED", 5)
    record = json.dumps(flush("flat", envs=1, length=1)[0])
    path = tmp_path / "many.jsonl"
    path.write_text("".join(f"{record}\noops{index:04}\n" for index in range(23)))
    columns, report = read_all(path, block=1024)
    assert len(columns["step"]) == 23
    assert len(report.damage) == 6
    assert report.damage[-1].reason == "18 further stretches from here on"
    assert report.damage[-1].offset == path.read_text().index("oops0005")
    assert sum(d.length for d in report.damage) == 23 * len("oops0000")


@pytest.mark.parametrize("suffix", [".json", ".csv"])
@pytest.mark.parametrize("each", [True, False])
def test_a_log_with_thousands_of_component_names_is_refused_by_name(tmp_path: Path, suffix: str, each: bool) -> None:
    names = [[f"c{index}"] for index in range(2000)] if each else [[f"c{index}" for index in range(2000)]] * 3
    records = flush("nested", envs=1, length=len(names))
    for record, own in zip(records, names, strict=True):
        record["rewards"]["components"] = dict.fromkeys(own, 1.0)
    path = tmp_path / f"many{suffix}"
    if suffix == ".csv":
        header = ["step", "position.x", *(f"rewards.components.c{index}" for index in range(2000))]
        path.write_text(",".join(header) + "\n" + ",".join(["1"] * len(header)) + "\n")
    else:
        write_array(path, records)
    with pytest.raises(DataError, match=rf"many{suffix}: more than 256 reward components \(among them .*c\d+"):
        StreamingProcessor().process(path)


def test_records_with_thousands_of_component_names_are_refused() -> None:
    records = [{"step": 1, "rewards": {"components": {f"c{index}": 1.0}}} for index in range(2000)]
    with pytest.raises(DataError, match="mine: more than 256 reward components"):
        StreamingProcessor().process_records(records, name="mine")


def test_files_that_have_too_many_component_names_only_together_are_refused(tmp_path: Path) -> None:
    for part in range(2):
        records = flush("nested", envs=1, length=2)
        for record in records:
            record["rewards"]["components"] = {f"c{part}_{index}": 1.0 for index in range(200)}
        write_array(tmp_path / f"stats_{1753500000 + part}.json", records)
    with pytest.raises(DataError, match="more than 256 reward components"):
        StreamingProcessor().process(tmp_path)


@pytest.mark.parametrize("name", ["a.json.gz", "a.json.zst", pytest.param("a.csv.gz", marks=pytest.mark.thorough)])
def test_compressed_emptiness_is_given_up_and_reported(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    packing = gzip.compress if name.endswith(".gz") else zstandard.ZstdCompressor().compress
    path.write_bytes(packing(b" " * 80_000_000 + b'{"step": 1, "x": 1, "y": 1, "map": 1}\n'))
    processor = StreamingProcessor()
    processor.process(path)
    assert processor.result().records == 0
    assert any("no record in 64 MiB of content" in reason for reason in processor.result().damage["reason"])
