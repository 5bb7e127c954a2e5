"""Hostile training logs, and hostile files next to good ones."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import zstandard

from tests.hostile.corpus import NOT_FILES, Input, Place, Spoiler, content

RECORD = {"step": 1, "x": 1, "y": 1, "map": 1, "event": 1.0}
GOOD = "".join(json.dumps(RECORD | {"step": step}) + "\n" for step in range(50))


def _nested(step: int, components: dict[str, float]) -> dict[str, Any]:
    return {"step": step, "position": {"x": 1, "y": 1, "map": 1}, "rewards": {"total": 1.0, "components": components}}


def inputs() -> Iterator[Input]:
    """All of them."""
    for name, spoiler in NOT_FILES.items():
        yield _log(name, "bad.json", spoiler, "bad.json|no record|logs|regular", (1, 2))
    for name, text in (
        ("an empty file", ""),
        ("only white space", " \n" * 100_000),
        ("null", "null"),
        ("a number", "17"),
        ("objects that are not records", '{"a": 1}\n' * 100),
        ("nested 100,000 deep", "[" * 100_000),
        ("objects 50,000 deep", '{"a":' * 50_000),
        ("an unfinished record", '{"step": 1, "x": '),
        ("an unfinished string of 9 MB", '{"step": 1, "event": "' + "x" * 9_000_000),
        ("2 MB of brackets", "[]{}" * 500_000),
        ("2 MB of quotes", '"' * 2_000_000),
        ("NUL bytes", "\0" * 100_000),
        ("a record in a list in a list", json.dumps([[[{"a": RECORD}]]])),
    ):
        yield _log(name, "bad.json", content(text), "no record|neither", (1,))
    for name, data in (
        ("invalid UTF-8", b'{"step": 1, "event": "\xff\xfe"}\n' * 10),
        ("a byte order mark alone", b"\xff\xfe"),
        ("half a UTF-16 character", '[{"a": 1}]'.encode("utf-16")[:-1]),
    ):
        yield _log(name, "bad.json", content(data), "", (0, 1))
    for number in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "null", "true", '"x"', "[]", "{}", "9" * 6000):
        text = GOOD + '{"step": 3, "x": 1, "y": 1, "map": 1, "event": NUMBER}\n'.replace("NUMBER", number)
        yield _log(f"event {number[:30]}", "bad.jsonl", content(text), "50|51", (0,))
    for field in ("step", "total_steps", "x", "y", "map"):
        for value in (1e308, -1e308, 2**62):
            records = "".join(json.dumps(RECORD | {"step": s, field: value}) + "\n" for s in range(20))
            yield _log(f"{field} {value:g}", "bad.jsonl", content(records), "20 records", (0,))
    for name, records in (
        ("20,000 component names", [_nested(s, {f"c{i}": 1.0 for i in range(20_000)}) for s in range(3)]),
        ("a component name per record", [_nested(s, {f"c{s}": 1.0}) for s in range(5_000)]),
    ):
        yield _log(name, "bad.json", content(json.dumps(records)), "more than 256 reward components", (1,))
    yield _log(
        "a component name of 1 MB", "bad.json", content(json.dumps([_nested(1, {"x" * 1_000_000: 1.0})])), "", (0, 1)
    )
    yield _log("20,000 levels", "bad.json", content(json.dumps([RECORD | {"levels": [1] * 20_000}])), "", (0, 1))
    yield _log(
        "names with escapes", "bad.json", content(json.dumps([_nested(1, {"\x1b[31m\u202e<b>": 1.0})])), "", (0, 1)
    )
    for suffix, pack in ((".gz", gzip.compress), (".zst", zstandard.ZstdCompressor(level=19).compress)):
        for name, data, says in (
            ("100 MB of spaces", lambda pack=pack: pack(b" " * 100_000_000), "no record"),
            ("100 MB of zeros", lambda pack=pack: pack(b"\0" * 100_000_000), "no record"),
            ("a cut stream", lambda pack=pack: pack(GOOD.encode())[:20], "no record"),
            ("no stream", lambda: b"not compressed at all", "no record"),
            ("nothing", lambda: b"", "no record"),
        ):
            spoiler = lambda path, data=data: content(data())(path)  # noqa: E731
            yield _log(f"{suffix}: {name}", f"bad.json{suffix}", spoiler, says, (1,))
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=31, enable_ldm=True)
    packing = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    long = packing.compress(GOOD.encode()) + packing.flush()
    yield _log("zstd with a window of 2 GB", "bad.json.zst", content(long), "zstd -d --long=31", (1,))
    wide = io.StringIO()
    csv.writer(wide).writerows([["step", *(f"rewards.components.c{i}" for i in range(5_000))], ["1"] * 5_001])
    for name, text, codes in (
        ("5,000 columns", wide.getvalue(), (1,)),
        ("a header of 9 MB", "x" * 9_000_000, (1,)),
        ("a cell of 200,000 characters", f'step,x,y,map,event\n1,1,1,1,"{"x" * 200_000}"\n', (0, 1)),
        ("an unfinished quote", 'step,x,y,map,event\n1,1,1,1,"', (0, 1)),
        ("a deep list in a cell", "step,x,y,map,event\n1,1,1,1," + "[" * 100_000 + "\n", (0, 1)),
        ("only a header", "step,x,y,map,event\n", (1,)),
        ("no header", "1,2,3\n4,5,6\n", (1,)),
    ):
        yield _log(f"CSV: {name}", "bad.csv", content(text), "", codes)
    for name, text in (
        ("a python tag", "reward_scale: !!python/object/apply:os.system ['touch ../../ran']\n"),
        ("aliases", "a: &a [*a]\n"),
        ("two million digits", "reward_scale: " + "9" * 2_000_000),
        ("infinity", "reward_scale: .inf\n"),
        ("a list", "reward_scale: [1]\n"),
        ("W&B without a value", "reward_scale: {desc: x}\n"),
        ("180,000 keys", "\n".join(f"k{i}: 1" for i in range(180_000))),
        ("not YAML", "a: [\x00"),
    ):
        yield _beside(f"YAML next to it: {name}", content(text))
    yield _beside("YAML next to it: a pipe", NOT_FILES["fifo"], note="")
    yield _beside("YAML next to it: zeros without end", NOT_FILES["zeros without end"], note="")
    yield _beside("YAML next to it: 20 GB", NOT_FILES["20 GB"])
    for name, arguments, says in (
        ("a sample of 10^18", ["--sample-size", str(10**18)], ""),
        ("a window of 10^18", ["--smooth-window", str(10**18), "--format", "svg"], ""),
        ("a seed of 100 digits", ["--seed", "9" * 100], ""),
        ("a million jobs", ["--jobs", "1000000"], ""),
        ("jobs of 5,000 digits", ["--jobs", "9" * 5000], "jobs"),
        ("an unknown format", ["--format", "exe"], "format"),
    ):
        yield _options(name, arguments, says)


def _log(name: str, file: str, spoiler: Spoiler, says: str, codes: tuple[int, ...]) -> Input:
    def make(place: Place) -> list[str]:
        spoiler(place.work / file)
        return ["logs", file, "--format", "", "--output-dir", "plots", "--jobs", "1"]

    return Input(name, make, says, codes)


def _beside(name: str, spoiler: Spoiler, note: str = "note: .*bad.yaml") -> Input:
    def make(place: Place) -> list[str]:
        (place.work / "stats_1753500000.jsonl").write_text(GOOD)
        spoiler(place.work / "bad.yaml")
        return ["logs", ".", "--format", "", "--output-dir", "plots", "--jobs", "1"]

    return Input(name, make, f"(?s)50 records.*{note}", (0,))


def _options(name: str, arguments: list[str], says: str) -> Input:
    def make(place: Place) -> list[str]:
        (place.work / "stats_1753500000.jsonl").write_text(GOOD)
        return ["logs", ".", "--format", "", "--output-dir", "plots", *arguments]

    return Input(name, make, says, (0, 1, 2))


WARM_UP = ["logs", "MADE/good.jsonl", "--format", "", "--output-dir", "plots", "--jobs", "1"]
