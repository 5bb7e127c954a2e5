"""Compiled reading and counting: the same results to the last bit, and nothing run that another user could have put
there.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_makers import flush, write_array

from daf.compute import compiling
from daf.log_analysis import daf_analyze_logs, describe
from daf.streams import _kernels, running
from daf.streams._moments import Binned
from daf.streams._reading import TableReader
from daf.streams._sketch import Sketch
from daf.streams._visits import Visits
from daf.streams.finding import find_logs
from daf.streams.planning import plan_parts
from daf.streams.records import RunConstants
from daf.streams.summary import summarize

SCALED = RunConstants(reward_scale=0.5, explore_weight=0.25)
TOKENS = [
    "0", "-0", "-0.0", "7", "-12", "1e5", "1E-2", "2.5e+3", "0.1", "-273.15", "0.00012345678901234567", "1e22", "1e23",
    "9007199254740993", "12345678901234567890", "123456789012345678901.5", "1.7976931348623157e308", "1e400", "-1e-400",
    "5e-324", "null", "NaN", "Infinity", "-Infinity", "true", "false", '"x"', '"a\\"b"', '"\\u00fc"', '"ü"', '"a\tb"',
    "01", "1.", ".5", "--1", "+1", "1e", "-", "nul", "[]", "[1, 2]", "{}", '{"step": 3, "x": 1, "y": 1, "map": 1}',
]  # fmt: skip


class Exact:
    """A decoder that leaves everything to the exact reader."""

    def learn(self, *_: Any) -> None:
        pass

    def read(self, buffer: bytearray, at: int, stop: int, **_: Any) -> int:
        return at


def tables_of(path: Path, block: int, *, exact: bool) -> tuple[list[Any], TableReader]:
    reader = TableReader(path, SCALED, block=block, compiled=not exact)
    if exact:
        reader._decoder = Exact()  # type: ignore[assignment]
    return [(table.names, table.rising, table.data.tobytes()) for table in reader], reader


def damaged(reader: TableReader) -> set[int]:
    """The places of damaged bytes, without separators; into how many stretches they divide depends on blocks."""
    content = reader.path.read_bytes()
    places = (place for d in reader.report.damage for place in range(d.offset, d.offset + d.length))
    return {place for place in places if content[place] not in b" \t\r\n,[]"}


@settings(max_examples=80, deadline=None)
@given(
    data=st.data(),
    kind=st.sampled_from(["nested", "flat"]),
    separator=st.sampled_from(["\n", ",\n  ", ", ", ""]),
    block=st.sampled_from([1500, 65536]),
)
def test_any_spelling_of_any_value_has_the_exact_readers_meaning(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str, separator: str, block: int
) -> None:
    record = flush(kind, envs=1, length=1)[0]
    record |= {"note": 0, "done": 0, "levels": [1, 2]} if kind == "flat" else {"note": 0, "done": 0}
    pieces = re.split(r"(?<=[:\[ ])(?:-?[\d.]+)(?=[,}\]])", json.dumps(record))
    texts = []
    for index in range(24):
        tokens = [str(index + place) for place in range(len(pieces) - 1)]
        for place in data.draw(st.lists(st.integers(0, len(tokens) - 1), max_size=3)) if index > 3 else ():
            tokens[place] = data.draw(st.sampled_from(TOKENS))
        texts.append("".join(a + b for a, b in zip(pieces, [*tokens, ""], strict=True)))
    path = tmp_path_factory.mktemp("spelt") / "a.json"
    path.write_text(separator.join(texts))
    expected, plain = tables_of(path, block, exact=True)
    found, compiled = tables_of(path, block, exact=False)
    assert found == expected
    assert compiled.report.problems == plain.report.problems
    assert damaged(compiled) == damaged(plain)


@pytest.mark.parametrize(
    "n", [30_000, pytest.param(1_000_000, marks=pytest.mark.thorough), pytest.param(10**8, marks=pytest.mark.slow)]
)
def test_numbers_are_read_as_float_reads_them(n: int) -> None:
    from numba import njit

    number = compiling.load(_kernels.READING).number

    @njit
    def read_all(base: Any, starts: Any, ends: Any, values: Any) -> None:
        for i in range(len(starts)):
            ends[i], values[i] = number(base + starts[i])

    rng = np.random.default_rng(n)
    for done in range(0, n, 300_000):
        left_out: list[int] = []
        for texts in spelt_numbers(rng, min(n - done, 300_000) // 6):
            lengths = np.array([len(text) for text in texts])
            starts = np.concatenate(([0], np.cumsum(lengths + 1)[:-1]))
            content = np.frombuffer(b"\0".join(texts) + bytes(64), np.uint8)
            base, ends, values = content.ctypes.data, np.empty(len(texts), np.int64), np.empty(len(texts))
            read_all(base, starts, ends, values)
            expected = np.array([float(int(t)) if t.lstrip(b"-").isdigit() else float(t) for t in texts])
            taken = ends != 0
            wrong = taken & ((values.view(np.uint64) != expected.view(np.uint64)) | (ends - base != starts + lengths))
            assert not wrong.any(), [(texts[i], values[i], expected[i]) for i in np.flatnonzero(wrong)[:5]]
            left_out.append(int((~taken).sum()))
        assert left_out[1] == 0, "ordinary rewards are left to the exact reader"
        assert sum(left_out) < 0.05 * n, left_out


def spelt_numbers(rng: np.random.Generator, n: int) -> list[list[bytes]]:
    """Numbers of many kinds, `n` of each: any doubles, as of rewards, of any digits and power, whole, halfway cases."""
    anything = rng.integers(0, 2**63, n, dtype=np.uint64).view(np.float64)
    anything = anything[np.isfinite(anything)]
    digits, powers = rng.integers(1, 10**18, n).tolist(), rng.integers(-325, 300, n).tolist()
    rewards = (rng.normal(size=n) * 10.0 ** rng.integers(-8, 8, n)).tolist()
    halves = ((2 * rng.integers(2**52, 2**53, n) + 1) * 2 ** rng.integers(0, 9, n)).tolist()
    return [
        [repr(value).encode() for value in anything.tolist()],
        [repr(value).encode() for value in rewards],
        [b"%d.%de%d" % (d // 10**9, d % 10**9, p) for d, p in zip(digits, powers, strict=True)],
        [b"%d" % value for value in rng.integers(-(2**63), 2**63 - 1, n).tolist()],
        [b"%.*f" % (int(p), value) for p, value in zip(rng.integers(1, 17, n), rewards, strict=True)],
        [b"%d" % value for value in halves],
    ]


def spoilt(kind: str, how: str) -> str:
    """The text of a log of one record per line with nulls, NaN or damage throughout."""
    lines = [json.dumps(record) for record in flush(kind, envs=8, length=300)]
    key = {"flat": '"event": ', "nested": '"heal": '}[kind]
    for index in range(5, len(lines), 3 if how != "damage" else 60):
        if how == "damage":
            lines[index] = lines[index][: 20 + index % 100]
        else:
            lines[index] = re.sub(re.escape(key) + r"[-\d.e]+", key + how, lines[index])
    return "\n".join(lines)


@pytest.mark.parametrize("how", ["null", "NaN", "damage"])
@pytest.mark.parametrize("kind", ["nested", "flat"])
def test_nulls_nan_and_damage_leave_the_rest_to_compiled_code(tmp_path: Path, kind: str, how: str) -> None:
    path = tmp_path / "spoilt.jsonl"
    path.write_text(spoilt(kind, how))
    found, compiled = tables_of(path, 1 << 18, exact=False)
    expected, plain = tables_of(path, 1 << 18, exact=True)
    assert found == expected
    assert compiled.report.problems == plain.report.problems
    assert compiled.report.damage == plain.report.damage
    assert (len(compiled.report.damage) > 20) == (how == "damage")
    most = 0.35 if how == "damage" else 0.03
    assert compiled.report.slow_bytes < most * path.stat().st_size


@pytest.mark.parametrize("how", ["7.5", "null", "damage"])
@pytest.mark.parametrize("kind", ["nested", "flat"])
def test_compiled_counting_changes_no_bit_of_a_result(
    tmp_path: Path, kind: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("reward_scale: 0.5\nexplore_weight: 0.25\n")
    (tmp_path / "a.jsonl").write_text(spoilt(kind, how))
    parts = plan_parts(find_logs([tmp_path / "a.jsonl"]), part=300_000)
    results = []
    for large, kernel in ((1, _kernels.counting), (10**9, lambda: None)):
        monkeypatch.setattr(running, "LARGE", large)
        for module in ("_moments", "_sketch", "_visits"):
            monkeypatch.setattr(f"daf.streams.{module}.counting", kernel)
        total, _ = running.count(parts, sample_size=200)
        assert (sum(tally.slow_bytes for tally in total.sources.values()) < 200_000) == (large == 1 or how == "7.5")
        results.append(json.dumps(summarize(total).to_dict(), sort_keys=True, default=str))
    assert results[0] == results[1]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.0, -0.0, 1.0, -2.5, 40_000.0, -32_768.0, 1e18, 1e100, float("nan")]),
            st.floats(-1e6, 1e6),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_compiled_tallies_count_what_the_others_count(rows: list[tuple[float, float]]) -> None:
    _kernels.load()
    odd, plain = (np.array(column) for column in zip(*rows, strict=True))
    found = []
    for kernel in (_kernels.counting, lambda: None):
        with pytest.MonkeyPatch.context() as patch:
            for module in ("_moments", "_sketch", "_visits"):
                patch.setattr(f"daf.streams.{module}.counting", kernel)
            binned, sketch, visits = Binned(most=8), Sketch(), Visits()
            for _ in range(2):
                binned.add(("a", "b"), plain, np.stack([plain * 3.1, odd]))
                sketch.add(plain)
                visits.add(np.arange(len(odd)) // 7, odd, np.floor(plain), odd)
            cells = [part.tobytes() for part in (binned.cells.n, binned.cells.mean, binned.cells.m2)]
            found.append((cells, sketch.counts(), visits.table().tolist(), visits.misplaced))
    assert found[0] == found[1]


def test_a_large_log_without_the_extra_says_once_what_it_would_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_array(tmp_path / "run" / "a.json", flush("nested", envs=2, length=50))
    monkeypatch.setattr("daf.config.extras.is_installed", lambda *names: False)
    monkeypatch.setattr(compiling, "is_installed", lambda *names: False)
    small = daf_analyze_logs(path, formats=(), output_dir=tmp_path / "small")
    assert small.slowed_by is None
    monkeypatch.setattr(running, "LARGE", 1_000)
    large = daf_analyze_logs(path, formats=(), output_dir=tmp_path / "large")
    [line] = [line for line in describe(large) if "daf[fast]" in line]
    assert line == (
        "Reading large logs more than twice as fast needs numba, which is not installed. "
        'Install it with: pip install "daf[fast]"'
    )
    assert [a.read_bytes() for a in small.written] == [b.read_bytes() for b in large.written]


def cache(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home / "daf" / "compiled"


def test_compiled_code_lies_in_a_directory_that_only_its_user_can_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cache(monkeypatch, tmp_path / "new")
    assert compiling.refusal("It") is None
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o750)
    assert "which must be a directory of this user with mode 0700" in (compiling.refusal("It") or "")
    assert "0750" in (compiling.refusal("It") or "")


def test_a_link_or_a_file_is_no_place_for_compiled_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache(monkeypatch, tmp_path)
    folder.parent.mkdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert "must be a directory of this user" in (compiling.refusal("It") or "")
    (tmp_path / "file").write_text("")
    cache(monkeypatch, tmp_path / "file")
    assert "Set XDG_CACHE_HOME" in (compiling.refusal("It") or "")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_the_directory_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cache(monkeypatch, tmp_path)
    folder.mkdir(parents=True, mode=0o700)
    os.chown(folder, 12_345, -1)
    assert "its owner 12345" in (compiling.refusal("It") or "")


@pytest.mark.thorough
def test_the_reader_is_compiled_once_before_processes_start_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(spoilt("flat", "7.5"))
    program = f"""
from daf.streams import running
from daf.streams.finding import find_logs
from daf.streams.planning import plan_parts
running.LARGE = 1
parts = plan_parts(find_logs([{str(tmp_path / "a.jsonl")!r}]), part=200_000)
total, _ = running.count(parts, jobs=2, announce=print)
print(len(parts) > 1, total.records, sum(t.slow_bytes for t in total.sources.values()) < 100_000)
"""
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(done.stdout.splitlines())
    assert outputs[0] == ["compiling the reader of large logs; this happens once for each version of DAF", *outputs[1]]
    assert outputs[1] == ["True 2400 True"]
