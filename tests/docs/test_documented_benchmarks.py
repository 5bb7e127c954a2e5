"""docs/benchmarks.md has every benchmark, with options that it takes, and the page of its results names it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = re.findall(
    r"^\| (\w+) \| `python (benchmarks/\w+\.py)([^`]*)` \| .* \| \[[^]]+\]\((\w+\.md)\) \|$",
    (ROOT / "docs" / "benchmarks.md").read_text(),
    re.MULTILINE,
)
PROGRAMS = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "argparse" in path.read_text()}


def test_every_benchmark_has_a_row() -> None:
    assert {name for name, *_ in ROWS} == PROGRAMS


@pytest.mark.parametrize(("name", "program", "arguments", "page"), ROWS, ids=[name for name, *_ in ROWS])
def test_a_benchmark_takes_the_documented_arguments(name: str, program: str, arguments: str, page: str) -> None:
    code = (ROOT / program).read_text()
    assert Path(program).stem == name
    for word in arguments.split():
        assert f'"{word}"' in code or f'"{word.lower()}"' in code, f"{program} has no {word}"
    assert (ROOT / "docs" / page).is_file()


def test_every_benchmark_of_make_bench_exists() -> None:
    named = re.search(r"^BENCHMARKS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named is not None
    assert set(named[1].split()) <= PROGRAMS
