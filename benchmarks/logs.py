"""How fast logs are read, against json, orjson, DuckDB and polars doing the same job.

    python benchmarks/logs.py                    # 160 MB per format, three alternating rounds, one core
    python benchmarks/logs.py --sizes 4096 --contenders daf --jobs 2 --kinds nested
    python benchmarks/logs.py --many 500 --file-mb 54 --jobs 2       # 27 GB in 500 files

The job: over all records n, mean, sd, least and greatest value of every reward column, visits per (map, x, y), and
the range of steps. (DAF does more in the same pass: quantiles, bins over steps and training, the sample, stretches,
validation.) Each contender runs in a process of its own; its results are compared with json's. Rounds alternate the
contenders, since the machine may be busy; wall time, the process's own CPU time, and its peak memory are reported,
medians over rounds.

With --many, what msgspec alone does is printed too: so many processes that decode such a log from memory with the same
types and drop the result. No reader made with it can be faster, on whatever machine this is.

Files are generated under --folder and removed at the end, unless --keep.
"""

import argparse
import importlib
import json
import math
import multiprocessing
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

COMPONENTS = ("event", "level", "heal", "badge", "explore", "dead", "stuck")
NESTED = """  {
    "step": %d,
    "total_steps": %d,
    "position": {
      "x": %d,
      "y": %d,
      "map": %d
    },
    "rewards": {
      "total": %r,
      "step": %r,
      "components": {
        "event": %r,
        "level": %r,
        "heal": %r,
        "badge": %r,
        "explore": %r,
        "dead": %r,
        "stuck": %r
      }
    },
"""
STATUS = """    "player_status": {
      "health": %r,
      "levels": [
        %d,
        1,
        0,
        0,
        0,
        0
      ],
      "levels_sum": %d,
      "badges": 0,
      "pokemon_count": 2,
      "pokemon_types": [
        176,
        36,
        255,
        255,
        255,
        255
      ]
    },
    "actions": {
      "last_action": %d
    },
    "statistics": {
      "deaths": %d,
      "exploration_coords": %d,
      "map_progress": 1,
      "healing_reward": %r,
      "event_progress": %r
    }
  }"""
FLAT = (
    '{"step": %d, "x": %d, "y": %d, "map": %d, "max_map_progress": 1, "last_action": %d, "pcount": 2, '
    '"levels": [%d, 1, 0, 0, 0, 0], "levels_sum": %d, "ptypes": [176, 36, 255, 255, 255, 255], "hp": %r, '
    '"coord_count": %d, "deaths": %d, "badge": 0, "event": %r, "healr": %r}'
)


def generate(path: Path, kind: str, megabytes: float, *, envs: int, start: int, total: int, seed: int) -> int:
    """Write a log of about so many megabytes, shaped as the real writers'; how many records it has."""
    length = max(int(megabytes * 1e6 / (985 if kind == "nested" else 287) / envs), 2)
    rng = np.random.default_rng(seed)
    with path.open("w", buffering=1 << 20) as file:
        file.write("[\n" if kind == "nested" else "[")
        for env in range(envs):
            x = (20 + np.cumsum(rng.integers(-1, 2, length))) % 40
            y = (18 + np.cumsum(rng.integers(-1, 2, length))) % 36
            maps = np.repeat(rng.integers(0, 60, length // 400 + 1), 400)[:length]
            event = np.cumsum(rng.random(length) < 0.002)
            level = 6 + np.cumsum(rng.random(length) < 0.002)
            healr = np.cumsum(rng.random(length) * 0.001)
            coords = np.cumsum(rng.random(length) < 0.3)
            deaths = np.cumsum(rng.random(length) < 0.0003)
            stuck = np.cumsum(rng.random(length) < 0.01)
            hp = rng.random(length)
            columns = [c.tolist() for c in (x, y, maps, event, level, healr, coords, deaths, stuck, hp)]
            for index, (cx, cy, cm, ce, cl, ch, cc, cd, cs, cp) in enumerate(zip(*columns, strict=True)):
                if env or index:
                    file.write(",\n" if kind == "nested" else ", ")
                step = start + index
                if kind == "flat":
                    file.write(FLAT % (step, cx, cy, cm, cx % 8, cl, cl + 1, cp, cc, cd, ce * 2.0, ch))
                    continue
                parts = (ce * 2.0, cl * 0.5, ch * 15.0, 0.0, cc * 0.0125, cd * -0.05, cs * -0.025)
                whole = math.fsum(parts)
                file.write(NESTED % (step, total, cx, cy, cm, whole, whole - 3.5, *parts))
                file.write(STATUS % (cp, cl, cl + 1, cx % 8, cd, cc, ch, ce * 1.0))
        file.write("\n]" if kind == "nested" else "]")
    return envs * length


def result(columns: dict[str, tuple[float, float, float, float, float]], visits: dict, steps: tuple) -> dict:
    return {
        "columns": {name: list(values) for name, values in sorted(columns.items())},
        "visits": sorted([int(m), int(x), int(y), int(n)] for (m, x, y), n in visits.items()),
        "steps": [float(steps[0]), float(steps[1])],
    }


def by_loads(path: Path, loads: object) -> dict:
    """The job with a parser that gives Python objects: what one would write first."""
    records = loads(path.read_bytes())  # type: ignore[operator]
    nested = "rewards" in records[0]
    values: dict[str, list[float]] = {}
    visits: Counter = Counter()
    for r in records:
        p = r["position"] if nested else r
        visits[p["map"], p["x"], p["y"]] += 1
    if nested:
        values["total"] = [r["rewards"]["total"] for r in records]
        values["step_reward"] = [r["rewards"]["step"] for r in records]
        for name in COMPONENTS:
            values[name] = [r["rewards"]["components"][name] for r in records]
    else:
        values["event"] = [r["event"] for r in records]
    moments = {}
    for name, column in values.items():
        array = np.array(column)
        moments[name] = (len(array), array.mean(), array.std(ddof=1), array.min(), array.max())
    steps = [r["step"] for r in records]
    return result(moments, visits, (min(steps), max(steps)))


def by_json(path: Path, jobs: int) -> dict:
    return by_loads(path, json.loads)


def by_orjson(path: Path, jobs: int) -> dict:
    import orjson

    return by_loads(path, orjson.loads)


def by_duckdb(path: Path, jobs: int) -> dict:
    import duckdb

    nested = "nested" in path.name
    db = duckdb.connect()
    db.execute(f"SET threads = {jobs}")
    if nested:
        parts = ", ".join(f"{name} DOUBLE" for name in COMPONENTS)
        columns = (
            "{step: 'BIGINT', total_steps: 'BIGINT', position: 'STRUCT(x BIGINT, y BIGINT, map BIGINT)', "
            f"rewards: 'STRUCT(total DOUBLE, step DOUBLE, components STRUCT({parts}))'}}"
        )
        names = {"total": "rewards.total", "step_reward": "rewards.step"}
        names |= {name: f"rewards.components.{name}" for name in COMPONENTS}
        cell = "position.map AS m, position.x AS x, position.y AS y"
    else:
        columns = "{step: 'BIGINT', x: 'BIGINT', y: 'BIGINT', map: 'BIGINT', event: 'DOUBLE'}"
        names, cell = {"event": "event"}, "map AS m, x, y"
    table = f"read_json('{path}', format='array', columns={columns}, maximum_object_size=16777216)"
    picked = ", ".join(f"{source} AS {name}_" for name, source in names.items())
    sums = ", ".join(f"count({n}_), avg({n}_), stddev_samp({n}_), min({n}_), max({n}_)" for n in names)
    db.execute(f"CREATE TEMP TABLE log AS SELECT step, {cell}, {picked} FROM {table}")
    row = db.execute(f"SELECT min(step), max(step), {sums} FROM log").fetchone()
    visits = {(m, x, y): n for m, x, y, n in db.execute("SELECT m, x, y, count(*) FROM log GROUP BY ALL").fetchall()}
    moments = {name: row[2 + 5 * i : 7 + 5 * i] for i, name in enumerate(names)}
    return result(moments, visits, row[:2])


def by_polars(path: Path, jobs: int) -> dict:
    os.environ["POLARS_MAX_THREADS"] = str(jobs)
    import polars as pl

    col = pl.col
    nested = "nested" in path.name
    frame = pl.read_json(path)
    if nested:
        names = {"total": col("rewards").struct["total"], "step_reward": col("rewards").struct["step"]}
        names |= {name: col("rewards").struct["components"].struct[name] for name in COMPONENTS}
        cell = [col("position").struct[key].alias(key) for key in ("map", "x", "y")]
    else:
        names, cell = {"event": col("event")}, [col(key) for key in ("map", "x", "y")]
    frame = frame.select("step", *cell, *(source.alias(f"{name}_") for name, source in names.items()))
    moments = {}
    for name in names:
        column = frame[f"{name}_"]
        moments[name] = (len(column), column.mean(), column.std(), column.min(), column.max())
    visits = {(m, x, y): n for m, x, y, n in frame.group_by("map", "x", "y").len().iter_rows()}
    return result(moments, visits, (frame["step"].min(), frame["step"].max()))


def by_daf(path: Path, jobs: int) -> dict:
    from daf.streams.finding import find_logs
    from daf.streams.planning import plan_parts
    from daf.streams.running import count
    from daf.streams.summary import summarize

    aggregate, peak = count(plan_parts(find_logs([path])), jobs=jobs)
    if path.is_dir():
        return {"records": aggregate.records, "peak": peak}
    importing, cpu = time.perf_counter(), time.process_time()
    importlib.import_module("pandas")  # after the memory was taken; no contender's imports are on its clock
    importing, cpu = time.perf_counter() - importing, time.process_time() - cpu
    summary = summarize(aggregate)
    moments = {n: tuple(r[["n", "mean", "sd", "min", "max"]]) for n, r in summary.components.iterrows()}
    visits = {(m, x, y): n for m, x, y, n in summary.visits.itertuples(index=False)}
    return {**result(moments, visits, summary.step_range), "peak": peak, "importing": (importing, cpu)}


def msgspec_alone(path: Path, jobs: int) -> float:
    """Bytes per second of so many processes that only decode the log `path`, from memory, and drop the result."""
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        return sum(pool.map(_only_decode, [path] * jobs, chunksize=1))


def _only_decode(path: Path) -> float:
    from msgspec import defstruct
    from msgspec.json import Decoder

    parts = defstruct("Parts", [(name, float) for name in COMPONENTS], gc=False)
    position = defstruct("Position", [(name, float) for name in ("x", "y", "map")], gc=False)
    rewards = defstruct("Rewards", [("total", float), ("step", float), ("components", parts)], gc=False)
    fields = [("step", float), ("total_steps", float), ("position", position), ("rewards", rewards)]
    decoder = Decoder(list[defstruct("Record", fields, gc=False)])  # type: ignore[misc]
    text, at, blocks = path.read_bytes()[:64_000_000], 2, []
    while (cut := text.rfind(b"},\n  {", at, at + 256 * 1024) + 1) > at:
        blocks.append(b"[" + text[at:cut] + b"]")
        at = cut + 1
    began, done = time.perf_counter(), 0
    while time.perf_counter() < began + 3:
        for block in blocks:
            decoder.decode(block)
        done += sum(map(len, blocks))
    return done / (time.perf_counter() - began)


CONTENDERS = {"json": by_json, "orjson": by_orjson, "duckdb": by_duckdb, "polars": by_polars, "daf": by_daf}


def run_one(name: str, path: Path, jobs: int) -> None:
    """The child: do the job once, print figures as JSON."""
    from daf.streams import _kernels, running

    for module in {"json": [], "orjson": ["orjson"], "duckdb": ["duckdb"], "polars": ["polars"]}.get(
        name, ["daf.streams.processor", "daf.streams.csvlog"]
    ):
        importlib.import_module(module)
    if name == "daf" and path.is_file() and path.stat().st_size >= running.LARGE and _kernels.are_kept():
        _kernels.load()  # what importing it is to the others
    began, cpu = time.perf_counter(), time.process_time()
    found = CONTENDERS[name](path, jobs)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = found.pop("peak", None) or running.peak_memory()
    for_imports = found.pop("importing", (0.0, 0.0))
    wall, cpu = wall - for_imports[0], cpu - for_imports[1]
    print(json.dumps({"wall": wall, "cpu": cpu + children.ru_utime + children.ru_stime, "peak": peak, "found": found}))


def measure(name: str, path: Path, jobs: int) -> dict:
    command = [sys.executable, __file__, "--one", name, str(path), "--jobs", str(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"}
    return json.loads(done.stdout.splitlines()[-1])


def differs(a: dict, b: dict) -> str | None:
    """What differs between two results, beyond the last bits of floats; `None` where nothing does."""
    if a["steps"] != b["steps"]:
        return f"steps {a['steps']} and {b['steps']}"
    if a["visits"] != b["visits"]:
        return "visits"
    if a["columns"].keys() != b["columns"].keys():
        return "columns"
    for name, values in a["columns"].items():
        if not np.allclose(values, b["columns"][name], rtol=1e-9, atol=1e-12):
            return f"{name}: {values} and {b['columns'][name]}"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/daf_logs_bench"))
    parser.add_argument("--sizes", type=float, nargs="+", default=[160], help="megabytes of one file")
    parser.add_argument("--kinds", nargs="+", default=["nested", "flat"])
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--many", type=int, help="files of a run, most of them hard links to --distinct ones")
    parser.add_argument("--distinct", type=int, default=50)
    parser.add_argument("--file-mb", type=float, default=54)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    if given.one:
        run_one(given.one[0], Path(given.one[1]), given.jobs)
        return
    made: list[Path] = []
    try:
        if given.many:
            many(given, made)
        else:
            compare(given, made)
    finally:
        for path in made if not given.keep else []:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def compare(given: argparse.Namespace, made: list[Path]) -> None:
    given.folder.mkdir(parents=True, exist_ok=True)
    for kind in given.kinds:
        for megabytes in given.sizes:
            path = given.folder / f"{kind}_{megabytes:g}.json"
            if not path.exists():
                generate(path, kind, megabytes, envs=16, start=0, total=0, seed=0)
            made.append(path)
            size = path.stat().st_size
            subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)  # into the page cache
            runs: dict[str, list[dict]] = {name: [] for name in given.contenders}
            for index in range(given.rounds):
                names = given.contenders if index % 2 == 0 else given.contenders[::-1]
                for name in names:
                    runs[name].append(measure(name, path, given.jobs))
            reference = next(
                (r["found"] for name in ("json", "orjson") for r in runs.get(name, []) if "found" in r), None
            )
            print(f"{kind}, {size / 1e6:.0f} MB in one file, {given.jobs} core(s), {given.rounds} rounds, medians:")
            for name, rounds in runs.items():
                good = [r for r in rounds if "found" in r]
                if not good:
                    print(f"  {name:8} failed: {rounds[0].get('error', '')[:90]}")
                    continue
                wall, cpu = (statistics.median(r[key] for r in good) for key in ("wall", "cpu"))
                wrong = differs(reference, good[0]["found"]) if reference else None
                print(
                    f"  {name:8} {size / wall / 1e6:7.0f} MB/s wall  {size / cpu / 1e6:7.0f} MB/s of CPU time  "
                    f"peak {max(r['peak'] for r in good) / 1e6:6.0f} MB  "
                    + ("same results" if reference and not wrong else f"DIFFERS: {wrong}" if wrong else "")
                )


def many(given: argparse.Namespace, made: list[Path]) -> None:
    for kind in given.kinds:
        folder = given.folder / f"many_{kind}"
        logs = folder / "json_logs"
        logs.mkdir(parents=True, exist_ok=True)
        made.append(folder)
        for index in range(given.many):
            path = logs / f"stats_{1753500000 + index}.json"
            if path.exists():
                continue
            if index < given.distinct:
                generate(path, kind, given.file_mb, envs=16, start=index * 1000, total=(index + 1) * 10**6, seed=index)
            else:
                os.link(logs / f"stats_{1753500000 + index % given.distinct}.json", path)
        files = sorted(logs.iterdir())
        size = sum(path.stat().st_size for path in files)
        for path in files[: given.distinct]:
            subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
        print(
            f"{kind}: {size / 1e9:.1f} GB in {len(files)} files ({given.distinct} distinct), {given.jobs} process(es)"
        )
        for _ in range(given.rounds):
            alone = msgspec_alone(files[0], given.jobs) if kind == "nested" else None
            done = measure("daf", folder, given.jobs)
            if "error" in done:
                print("  failed:", done["error"])
                continue
            print(
                f"  {done['wall']:6.1f} s  {size / done['wall'] / 1e6:6.0f} MB/s  CPU {done['cpu']:.1f} s  "
                f"{done['found']['records']:,} records  peak {done['peak'] / 1e6:.0f} MB a process"
                + (f"; msgspec alone {alone / 1e6:.0f} MB/s" if alone else "")
            )


if __name__ == "__main__":
    main()
