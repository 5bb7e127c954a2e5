"""Coverage of several suites together, measured by coverage.py where it is installed."""

import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from daf.errors import UsageError, quoted
from daf.test_runner.result import Coverage, FileCoverage

if TYPE_CHECKING:
    from coverage import Coverage as Measured


def check_sources(sources: Sequence[str]) -> None:
    """Raise `UsageError` if one of `sources` is neither a file or directory nor a package that a suite can import."""
    for source in sources:
        top = source.partition(".")[0]
        found = importlib.machinery.PathFinder.find_spec(top, [str(Path.cwd()), *sys.path])
        if found is None and not Path(source).exists():
            raise UsageError(
                f"--coverage {quoted(source)}: no such directory, and no package that Python can import from "
                f"{Path.cwd()}."
            )


def combined(folder: Path, sources: Sequence[str]) -> Coverage | None:
    """What the suites whose data lies in `folder` covered together; None if no suite left any.

    Files that are not valid Python, or are gone, have no lines and are left out.
    """
    from coverage import Coverage as Measured
    from coverage.exceptions import NoDataError

    measured = Measured(data_file=str(folder / "all.coverage"), source=list(sources), messages=False)
    data = [str(path) for path in sorted(folder.glob("*.coverage")) if path.name != "all.coverage"]
    if not data:
        return None
    try:
        measured.combine(data, keep=True)
    except NoDataError:
        return None
    return Coverage(tuple(sources), tuple(_files(measured)))


def _files(measured: "Measured") -> list[FileCoverage]:
    from coverage.exceptions import NoSource, NotPython

    found = []
    for file in sorted(measured.get_data().measured_files()):
        try:
            _, lines, _, missing, _ = measured.analysis2(file)
        except (NoSource, NotPython):
            continue
        path = Path(file)
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        found.append(FileCoverage(str(shown), len(lines), len(lines) - len(missing)))
    return found
