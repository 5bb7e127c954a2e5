"""Hostile run directories: every file of a run spoilt in every way, under the commands that read runs."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hostile.corpus import NOT_FILES, NOT_JSON, Input, Place, Spoiler, changed, content, flipped, link

WARM_UP = ["runs", "list", "--output-dir", "MADE/output"]
EVALUATION = (
    "execution_log.json", "experiment_config.json", "results.json", "plan.json", "records/*.json", "missions/*.json",
    "stats/system.jsonl", "stats/episodes.duckdb", "stats/episodes.parquet",
)  # fmt: skip
TRAINING = (
    "execution_log.json", "training.json", "metrics.jsonl", "evaluations.jsonl", "training_config.yaml",
    "stats/system.jsonl",
)  # fmt: skip
COMMANDS: tuple[Callable[[str], list[str]], ...] = (
    lambda run: ["runs", "list"],
    lambda run: ["runs", "show", run],
    lambda run: ["report", run],
    lambda run: ["runs", "rebuild", run],
    lambda run: ["runs", "export", run],
    lambda run: ["runs", "clean", "--older-than", "1d", "--yes"],
    lambda run: ["runs", "show", run, "--sql", "SELECT count(*) FROM episodes"],
)


def inputs() -> Iterator[Input]:
    """All of them."""
    turn = 0
    for operation, files in (("evaluations", EVALUATION), ("training", TRAINING)):
        for file in files:
            for name, spoiler in {**NOT_FILES, **NOT_JSON}.items():
                turn += 1
                if name in NOT_FILES or turn % 2:
                    yield _input(
                        f"{operation}/{file}: {name}", operation, file, spoiler, COMMANDS[turn % len(COMMANDS)]
                    )
    edits: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "a climbing id": lambda log: log | {"run_id": "../../../precious"},
        "an absolute id": lambda log: log | {"run_id": "/etc"},
        "an id that is a list": lambda log: log | {"run_id": [1]},
        "a climbing operation": lambda log: log | {"operation": "../outside/evil"},
        "an end in the past": lambda log: log | {"run_id": "../../precious", "ended_at": "1970-01-01T00:00:00+00:00"},
        "an end that is a number": lambda log: log | {"ended_at": 10**30},
        "a status that is a mapping": lambda log: log | {"status": {}},
        "a title of 5 MB": lambda log: log | {"title": "x" * 5_000_000},
        "a title with escapes": lambda log: log | {"title": "\x1b]0;x\x07\x1b[2J<script>alert(1)</script>"},
        "a pid of 10^30": lambda log: log | {"pid": 10**30, "status": "running"},
        "a start that is text": lambda log: log | {"started_at": "yesterday"},
    }
    for name, edit in edits.items():
        for command in COMMANDS[:6:2]:
            words = " ".join(command("RUN")[:2])
            yield _input(f"execution log: {name}: {words}", "evaluations", "execution_log.json", changed(edit), command)
    for name, spoiler in (("a link to what is outside", link("../../../../../precious")), ("a file", content("x"))):
        for command in COMMANDS[:6]:
            words = " ".join(command("RUN")[:2])
            yield _input(f"stats: {name}: {words}", "evaluations", "stats", spoiler, command)
    for name, spoiler in (
        ("flipped", flipped(0.5)),
        ("early", flipped(0.01)),
        ("another format", content(b"PAR1" * 99)),
    ):
        yield _input(f"tables: {name}", "evaluations", "stats/episodes.duckdb", spoiler, COMMANDS[6])
    for name, query in (
        ("reads a file", "SELECT * FROM read_csv('../../precious/data.txt')"),
        ("writes a file", "COPY (SELECT 1) TO '../../ran'"),
        ("loads an extension", "INSTALL httpfs; LOAD httpfs"),
        ("never ends", "SELECT sum(a.range) FROM range(1000000) a, range(1000000) b"),
        ("attaches", "ATTACH '../../ran.db'"),
        ("is empty", ""),
        ("is 10 MB", "SELECT " + "1," * 5_000_000 + "1"),
        ("is deep", "SELECT " + "(" * 50_000 + "1" + ")" * 50_000),
    ):
        query_of = lambda run, q=query: ["runs", "show", run, "--sql", q, "--sql-timeout", "1"]  # noqa: E731
        yield _input(f"SQL that {name}", "evaluations", None, content(""), query_of, (1, 2))
    for name, run in (
        ("climbing", "../../precious"), ("absolute", "/etc"), ("empty", ""), ("100,000 characters", "x" * 100_000),
        ("NUL", "a\0b"), ("a pattern", "*"), ("escapes", "\x1b[31m"), ("a number", "99999999999999999999"),
    ):  # fmt: skip
        yield _input(
            f"a run that is {name}", "evaluations", None, content(""), lambda _, r=run: ["runs", "show", r], (1, 2)
        )
        yield _input(f"a page of {name}", "evaluations", None, content(""), lambda _, r=run: ["report", r], (1, 2))
    for age in ("-1d", "99999999999999999999d", "x", "", "1" * 5000 + "d", "nan d"):
        clean = lambda _, a=age: ["runs", "clean", "--older-than", a, "--yes"]  # noqa: E731
        yield _input(f"runs older than {age[:20]}", "evaluations", None, content(""), clean, (0, 1, 2))
    for name, spoiler in {**NOT_FILES, **NOT_JSON}.items():
        yield _journal(f"journal: {name}", spoiler)
    for name, text in (
        ("an event without a name", '{"trial": 1}\n'),
        ("an unknown event", '{"event": "bomb"}\n'),
        ("a trial that is a list", _proposed("[1]")),
        ("a trial of 10^30", _proposed("1" + "0" * 30)),
        ("settings that are a list", _proposed("1", "[1]")),
        ("an end before its beginning", '{"event": "finished", "trial": 9, "result": {}}\n'),
        ("a result that is text", _proposed("9") + '{"event": "finished", "trial": 9, "result": "x"}\n'),
        ("held-out trials that are a list", '{"event": "held_out", "record": [1]}\n'),
        ("a million lines", '{"event": "held_out", "record": {}}\n' * 1_000_000),
        ("a line of 20 MB", '{"event": "held_out", "record": {"a": "' + "x" * 20_000_000 + '"}}\n'),
        ("a rung that is text", '{"event": "rung", "trial": 1, "goal": "x", "result": {}}\n'),
    ):  # fmt: skip
        yield _journal(f"journal: {name}", content(text))


def _input(
    name: str,
    operation: str,
    file: str | None,
    spoiler: Spoiler,
    command: Callable[[str], list[str]],
    codes: tuple[int, ...] = (0, 1, 2),
) -> Input:
    """Whatever the file, a command copes with a damaged run or refuses it in a sentence."""

    def make(place: Place) -> list[str]:
        shutil.copytree(place.made / "output", place.work / "output", symlinks=True)
        run = next(path for path in (place.work / "output" / operation).iterdir() if path.is_dir())
        if file is not None:
            _spoil(run, file, spoiler)
        return command(run.name)

    return Input(name, make, r"(?s)." if codes == (0, 1, 2) else r"Error: .+", codes)


def _journal(name: str, spoiler: Spoiler) -> Input:
    def make(place: Place) -> list[str]:
        shutil.copytree(place.made / "output", place.work / "output", symlinks=True)
        run = next(path for path in (place.work / "output" / "sweeps").iterdir() if path.is_dir())
        spoiler(run / "trials.jsonl")
        return ["sweep", ("status", "show", "best", "export")[len(name) % 4], run.name]

    return Input(name, make, r"(?s).", (0, 1, 2))


def _proposed(trial: str, settings: str = "{}") -> str:
    head = f'{{"event": "proposed", "trial": {trial}, "hyperparameters": {settings}, '
    return head + '"source": "x", "state": {}}\n'


def _spoil(run: Path, file: str, spoiler: Spoiler) -> None:
    if "*" in file:
        spoiler(sorted(run.glob(file))[0])
        return
    if file == "stats":
        shutil.rmtree(run / "stats", ignore_errors=True)
    spoiler(run / file)
