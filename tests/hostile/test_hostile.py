"""Hostile files, strings and requests are refused in a sentence, quickly, in bounded memory, and touch nothing else."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import made_once
from tests.hostile.driving import MEGABYTES, SECONDS

KINDS = ("replays", "configs", "logs", "strings", "bundles", "checkpoints", "runs", "requests")
ROOT = Path(__file__).parents[2]
FEWEST = 300
PATIENCE = 600
EVERY = 23
"""`make test` gives one input of 23. The loops that make them have 6, 9, 13, 15 or 21 turns, so it meets all."""


@pytest.fixture(scope="session")
def made() -> Path:
    """Valid runs, a checkpoint, a replay and a log, which most inputs are copies of."""

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "tests.hostile.making", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=PATIENCE)

    return made_once("hostile", make)


@pytest.mark.thorough
@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("kind", KINDS)
def test_every_hostile_input_is_refused_in_a_sentence(kind: str, made: Path, tmp_path: Path) -> None:
    check([kind], 1, made, tmp_path)


@pytest.mark.timeout(PATIENCE)
def test_a_sample_of_the_hostile_inputs_is_refused_in_a_sentence(made: Path, tmp_path: Path) -> None:
    check(KINDS, EVERY, made, tmp_path)


def check(kinds: Sequence[str], every: int, made: Path, folder: Path) -> None:
    """Give `daf` every `every`th input of these kinds, in another process."""
    command = [sys.executable, "-m", "tests.hostile.driving", ",".join(kinds), str(every), str(folder), str(made)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    reports = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"name"')]
    assert len(reports) == sum(-(-counts()[kind] // every) for kind in kinds)
    wrong = {report["name"]: found for report in reports if (found := _wrong(report))}
    assert not wrong, json.dumps(wrong, indent=2)


@pytest.mark.thorough
def test_there_are_hundreds_of_hostile_inputs_of_every_kind() -> None:
    assert sum(counts().values()) >= FEWEST
    assert min(counts().values()) >= 50, counts()
    for kind in KINDS:
        names = [each.name for each in import_module(f"tests.hostile.{kind}").inputs()]
        assert len(names) == len(set(names)), f"{kind}: two inputs have one name"


@cache
def counts() -> dict[str, int]:
    """How many inputs each kind has."""
    return {kind: sum(1 for _ in import_module(f"tests.hostile.{kind}").inputs()) for kind in KINDS}


def _wrong(report: dict[str, Any]) -> list[str]:
    """What should not be so."""
    if report["escaped"]:
        return [f"it escaped: {report['escaped']}"]
    found = []
    if report["code"] not in report["codes"]:
        found.append(f"code {report['code']} where {report['codes']} are right: {report['said'][-500:]}")
    elif not re.search(report["says"], report["said"]):
        found.append(f"it does not say {report['says']!r}: {report['said'][-500:]}")
    if "Traceback (most recent call last)" in report["said"]:
        found.append(f"a traceback: {report['said'][-1000:]}")
    # Machines differ threefold: a bomb takes many times the promised second, a slow machine does not.
    if report["seconds"] > 5 * SECONDS and report["code"] not in (0, 200):  # what is not refused may take its time
        found.append(f"{report['seconds']:.1f} s of processor time")
    if report["megabytes"] > MEGABYTES:
        found.append(f"{report['megabytes']:.0f} MB more memory")
    if report["outside"]:
        found.append(f"it wrote outside its folder: {report['outside']}")
    return found
