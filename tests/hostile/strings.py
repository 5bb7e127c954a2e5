"""Hostile policy strings, mission strings and options, and what lies at the paths that they name."""

from collections.abc import Iterator
from pathlib import Path

from tests.hostile.corpus import NOT_FILES, Input, Place, Spoiler, content

MISSION = "training_facility_1,max_steps=5"
WARM_UP = ["evaluate", "-p", "nobody", "-m", MISSION]

POLICIES: dict[str, str] = {
    "empty": "",
    "spaces": "   ",
    "200,000 characters": "x" * 200_000,
    "200,000 slashes": "/" * 200_000,
    "200,000 dots": "." * 200_000,
    "200,000 commas": "," * 200_000,
    "200,000 equals signs": "=" * 200_000,
    "100,000 keywords": "class=random," + ",".join(f"kw.k{i}=1" for i in range(100_000)),
    "100,000 levels": ".".join(["a"] * 100_000),
    "the root": "/",
    "the folder above": "..",
    "this folder": ".",
    "the process's memory": "/proc/self/mem",
    "a device": "/dev/zero",
    "standard input": "/dev/stdin",
    "NUL": "a\0b",
    "a line break": "ran\ndom",
    "escapes": "\x1b]0;title\x07\x1b[31mred",
    "a lone surrogate": "\ud800",
    "right to left": "\u202eybbat",
    "an unfinished keyword": "class=",
    "a keyword twice": "class=random,class=noop",
    "an unknown keyword": "klass=random",
    "a number of 5,000 digits": "class=random,kw.a=" + "9" * 5000,
    "a keyword without a name": "class=random,kw.=1",
    "weights that are a device": "class=token_lstm,data=/dev/zero",
    "weights that climb": "class=token_lstm,data=../../precious/data.txt",
    "a class of the standard library": "os.system",
    "a class that exits": "builtins.exit",
    "a class that is a module": "json",
    "a class that is a function": "json.dumps",
    "a class that is a number": "sys.maxsize",
    "a class with a space": "my policy.Class",
    "run: nothing": "run:",
    "run: climbing": "run:../../precious",
    "run: absolute": "run:/etc",
    "run: 100,000 characters": "run:" + "x" * 100_000,
    "run: NUL": "run:\0",
    "a URL": "https://127.0.0.1:9/policy.zip",
    "a file URL": "file:///etc/passwd",
    "metta": "metta://policy/../../x",
    "s3": "s3://bucket/policy.zip",
}
MISSIONS: dict[str, str] = {
    "empty": "",
    "200,000 characters": "x" * 200_000,
    "200,000 commas": "arena" + "," * 200_000,
    "200,000 stars": "*" * 200_000,
    "alternating stars": "*a" * 5_000,
    "brackets": "[" * 10_000,
    "a range without end": "[a-",
    "200,000 plus signs": "arena,variants=" + "+" * 200_000,
    "the root": "/",
    "the folder above": "..",
    "a device": "/dev/zero",
    "NUL": "are\0na",
    "a lone surrogate": "\ud800",
    "cogs 10^9": "arena,cogs=1000000000",
    "cogs 0": "arena,cogs=0",
    "cogs negative": "arena,cogs=-1",
    "cogs of 5,000 digits": "arena,cogs=" + "9" * 5000,
    "cogs that are text": "arena,cogs=many",
    "steps 10^18": "arena,max_steps=1000000000000000000",
    "steps 0": "arena,max_steps=0",
    "an option twice": "arena,cogs=4,cogs=5",
    "an unknown option": "arena,cog=4",
    "an unknown variant": "arena,variants=none",
    "a variant twice": "arena,variants=small_50+small_50",
    "an unknown reward": "arena,rewards=all",
    "an option without a value": "arena,cogs=",
    "escapes": "\x1b[2Jarena",
    "nothing matches": "zzz*",
}
OPTIONS: dict[str, list[str]] = {
    "two billion episodes": ["--episodes", "2000000000"],
    "a billion episodes": ["--episodes", "1000000000"],
    "episodes 0": ["--episodes", "0"],
    "episodes of 5,000 digits": ["--episodes", "9" * 5000],
    "a million jobs": ["--jobs", "1000000"],
    "jobs of 5,000 digits": ["--jobs", "9" * 5000],
    "a negative seed": ["--seed", "-1"],
    "a seed of 100 digits": ["--seed", "9" * 100],
    "an unknown executor": ["--executor", "cloud"],
    "a device of 5,000 digits": ["--device", "cuda:" + "9" * 5000],
    "an output folder that is a device": ["--output-dir", "/dev/null"],
    "an output folder with NUL": ["--output-dir", "a\0b"],
    "an output folder of 100,000 characters": ["--output-dir", "x" * 100_000],
    "an output folder in /proc": ["--output-dir", "/proc/daf"],
    "an unknown option": ["--" + "x" * 100_000],
}


def inputs() -> Iterator[Input]:
    """All of them."""
    for name, text in POLICIES.items():
        yield _call(f"-p {name}", "-p", text)
    for name, text in list(POLICIES.items())[::5]:
        yield Input(f"daf policies: {name}", lambda place, t=text: ["policies", t], r"Error: .+")
    for name, text in MISSIONS.items():
        yield _call(f"-m {name}", "-m", text)
    for name, text in list(MISSIONS.items())[::5]:
        yield Input(f"daf missions: {name}", lambda place, t=text: ["missions", t], r"Error: .+")
    for name, options in OPTIONS.items():
        arguments = ["evaluate", "-p", "noop", "-m", MISSION, "--jobs", "1", *options]
        yield Input(name, lambda place, a=arguments: a, r"Error: .+")
    for suffix in (".yaml", ".json", ".py", ".zip"):
        option = "-p" if suffix == ".zip" else "-m"
        for name, spoiler in NOT_FILES.items():
            if name != "20 GB":
                yield _call(f"{option} {suffix}: {name}", option, f"bad{suffix}", spoiler)
    for name, text in (
        ("empty", ""), ("null", "null"), ("a list", "[1]"), ("deep", "[" * 100_000), ("deep objects", '{"a":' * 50_000),
        ("not UTF-8", "\udcff"), ("wrong fields", '{"game": {"num_agents": "many"}}'),
        ("agents without end", '{"game": {"num_agents": 1000000000}}'),
        ("a map without end", '{"game": {"map_builder": {"type": "random", "width": 1000000, "height": 1000000}}}'),
        ("a map that is text", '{"game": {"map_builder": "huge"}}'),
    ):  # fmt: skip
        yield _call(f"-m .json: {name}", "-m", "bad.json", content(text))
    for name, text in (
        ("a python tag", "a: !!python/object/apply:os.system ['touch ../../ran']\n"),
        ("a billion laughs", "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"a{i}: &a{i} [{','.join(['*a' + (str(i - 1) if i else '')] * 9)}]\n" for i in range(9)
        )),
        ("a chain of aliases", "a: &a [1]\n" + "".join(
            f"a{i}: &a{i} [*a{i - 1 if i else ''}]\n" for i in range(3000)
        )),
        ("a wide file", "a: [" + "1," * 900_000 + "1]"),
        ("not YAML", "a: [\n"),
    ):  # fmt: skip
        yield _call(f"-m .yaml: {name}", "-m", "bad.yaml", content(text))
    for name, text in (
        ("it exits", "raise SystemExit(0)\n"),
        ("it does not parse", "def (:\n"),
        ("it has nothing", "x = 1\n"),
        ("it raises", "raise RuntimeError('\\x1b[31mno')\n"),
        ("NUL", "\0"),
        ("deep brackets", "(" * 10_000),
    ):
        yield _call(f"-m .py: {name}", "-m", "bad.py", content(text))
        yield _call(f"-p .py: {name}", "-p", "bad.py", content(text))
    yield Input("daf policies does not run a file here", _described, r"ended its process|SystemExit")


def _described(place: Place) -> list[str]:
    (place.work / "evil.py").write_text("raise SystemExit(0)\n")
    return ["policies", "evil.py"]


def _call(name: str, option: str, text: str, spoiler: Spoiler | None = None) -> Input:
    other = ["-m", MISSION] if option == "-p" else ["-p", "noop"]

    def make(place: Place) -> list[str]:
        if spoiler is not None:
            spoiler(place.work / Path(text))
        return ["evaluate", option, text, *other, "--episodes", "1", "--jobs", "1"]

    return Input(name, make, r"Error: .+")
