"""What a test, a suite and a whole run of suites came to, and the file that holds it: `tests.json`.

The file is read as exactly these types; anything else is damage.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daf.storage.atomic import write_json
from daf.storage.jsonable import jsonable
from daf.storage.reading import read_json

FILE = "tests.json"
FORMAT = "daf-tests-1"
_MOST_BYTES = 512 * 2**20

Outcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed", "timeout"]
BAD: tuple[Outcome, ...] = ("failed", "error", "timeout")
Status = Literal["passed", "failed", "empty", "error", "timeout", "crashed", "interrupted"]


@dataclass(frozen=True)
class CaseResult:
    """One test. id: as pytest names it. outcome: "error" if its setup or teardown failed, "timeout" if it was still
    running when its suite was killed. reruns: earlier attempts in the same run. message: one line; output: traceback
    and captured output, of tests that did not pass.
    """

    id: str
    outcome: Outcome
    seconds: float
    message: str = ""
    output: str = ""
    reruns: int = 0

    @property
    def bad(self) -> bool:
        """Whether it counts as a failure."""
        return self.outcome in BAD


@dataclass(frozen=True)
class TestResult:
    """One suite. status: "empty" if it has no test, "error" if pytest could not run it, "crashed" if its process died.

    returncode: of the process, negative for a signal. error: why the suite did not end by itself, or ran no test.
    log, junit: files in the run directory, relative to it; None where pytest wrote none.
    """

    __test__ = False

    name: str
    category: str
    path: str
    status: Status
    duration: float
    returncode: int | None
    cases: tuple[CaseResult, ...] = ()
    error: str = ""
    log: str | None = None
    junit: str | None = None

    @property
    def success(self) -> bool:
        """Whether all of its tests passed or were skipped; a suite without tests did not fail either."""
        return self.status in ("passed", "empty")

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of tests by outcome."""
        return Counter(case.outcome for case in self.cases)

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """The tests that failed."""
        return tuple(case for case in self.cases if case.bad)


@dataclass(frozen=True)
class FileCoverage:
    """Lines of a file that can run and that did."""

    file: str
    lines: int
    covered: int


@dataclass(frozen=True)
class Coverage:
    """Which lines of `sources` the suites ran. Suites that were killed are not in it."""

    sources: tuple[str, ...]
    files: tuple[FileCoverage, ...]

    @property
    def percent(self) -> float | None:
        """Covered lines of a hundred; None if there are no lines."""
        lines = sum(each.lines for each in self.files)
        return 100 * sum(each.covered for each in self.files) / lines if lines else None


@dataclass(frozen=True)
class RecordedTests:
    """All suites of a run. commit, clean: of the repository around the working directory; None without one."""

    run_id: str
    started_at: str
    suites: tuple[TestResult, ...]
    commit: str | None = None
    clean: bool | None = None
    coverage: Coverage | None = None
    format: Literal["daf-tests-1"] = field(default="daf-tests-1")

    @property
    def success(self) -> bool:
        """Whether no suite failed, and one at least had tests."""
        return all(suite.success for suite in self.suites) and any(suite.cases for suite in self.suites)

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of tests by outcome."""
        return Counter(case.outcome for suite in self.suites for case in suite.cases)

    def write(self, path: Path) -> Path:
        """Write the file, with the totals in addition for people who read it."""
        data = {"format": FORMAT, "success": self.success, "counts": dict(self.counts), **jsonable(self)}
        write_json(path, data)
        return path

    @classmethod
    def read(cls, path: Path) -> "RecordedTests | None":
        """The file at `path`, None if there is none. Raises `DamagedFileError`, `StorageError`."""
        return read_json(path, cls, limit=_MOST_BYTES)
