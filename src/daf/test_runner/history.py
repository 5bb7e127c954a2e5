"""How tests came out in earlier runs, and which of them are flaky.

A test is flaky if it passed and failed at one commit without local changes, if it needed another attempt within a run,
or if its outcome changed twice or more over the runs. The runs are the last ones that the output directory holds.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daf.errors import DAFError
from daf.output_manager import list_runs
from daf.test_runner.result import FILE, CaseResult, RecordedTests

RUNS = 20
"""Runs that count, this one included."""


@dataclass(frozen=True)
class FlakyTest:
    """outcomes: of the runs that had the test, the oldest first. why: the sentence that says what makes it flaky."""

    id: str
    outcomes: tuple[str, ...]
    why: str


def earlier_runs(base_dir: Path, before: RecordedTests) -> tuple[list[RecordedTests], list[str]]:
    """The runs of tests in `base_dir` that started before this one, oldest first, and a note on each damaged one."""
    found, notes = [], []
    for run in list_runs(base_dir, "evaluations"):
        if run.run_id == before.run_id or not (run.path / FILE).is_file():
            continue
        try:
            recorded = RecordedTests.read(run.path / FILE)
        except DAFError as error:
            notes.append(f"An earlier run does not count: {error}")
            continue
        if recorded is not None and recorded.started_at <= before.started_at:
            found.append(recorded)
        if len(found) == RUNS - 1:
            break
    found.reverse()  # the newest comes first in a list of runs, also of those that started in the same second
    return sorted(found, key=lambda run: run.started_at), notes


def flaky_tests(runs: Sequence[RecordedTests]) -> list[FlakyTest]:
    """The flaky tests of `runs`, the oldest first; the last run's are those that are listed."""
    seen: dict[str, list[tuple[RecordedTests, CaseResult]]] = defaultdict(list)
    for run in runs:
        for suite in run.suites:
            for case in suite.cases:
                seen[case.id].append((run, case))
    now = [case.id for suite in runs[-1].suites for case in suite.cases] if runs else []
    found = []
    for name in dict.fromkeys(now):
        why = _why(seen[name])
        if why:
            found.append(FlakyTest(name, tuple(case.outcome for _, case in seen[name]), why))
    return found


def _why(seen: Sequence[tuple[RecordedTests, CaseResult]]) -> str:
    if seen[-1][1].reruns:
        return f"needed {seen[-1][1].reruns + 1} attempts in this run"
    ran = [(run, case.bad) for run, case in seen if case.bad or case.outcome == "passed"]
    by_commit: dict[str, set[bool]] = defaultdict(set)
    for run, bad in ran:
        if run.commit is not None and run.clean:
            by_commit[run.commit].add(bad)
    both = next((commit for commit, outcomes in by_commit.items() if len(outcomes) == 2), None)
    if both is not None:
        return f"passed and failed at commit {both[:10]}"
    changes = _changes(bad for _, bad in ran)
    return f"changed its outcome {changes} times in {len(ran)} runs" if changes >= 2 else ""


def _changes(outcomes: Iterable[bool]) -> int:
    values = list(outcomes)
    return sum(one != two for one, two in itertools.pairwise(values))
