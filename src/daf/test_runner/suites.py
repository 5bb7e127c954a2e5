"""Which suites there are, and which ones a user means.

A suite is a directory or file of tests, or one test of a file (`FILE::NAME`). Without names, the suites of a project
are what lies directly in its `tests` directory: every directory with tests, and every file of tests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daf.errors import UsageError, unknown
from daf.storage.paths import existing

TESTS = "tests"
PATTERNS = ("test_*.py", "*_test.py")


@dataclass(frozen=True)
class Suite:
    """path: what pytest gets. name, category: for the report."""

    path: str
    category: str
    name: str


def find_suites(names: Sequence[str] = (), root: Path | None = None) -> list[Suite]:
    """The suites that `names` mean, all of the project's without names, each once and in this order.

    names: paths, or names in the `tests` directory (`cli`, `test_cli`). root: the project, the current directory if
    None. Raises `UsageError`.
    """
    place = Path.cwd() if root is None else root
    known = {suite.name: suite for suite in _all(place / TESTS)}
    if not names:
        if not known:
            raise UsageError(
                f"no tests in {place / TESTS}. Name a directory or file of tests: daf test PATH. "
                "`daf init` creates a project with one."
            )
        return list(known.values())
    return list(dict.fromkeys(known[name] if name in known else suite_of(name, known=known) for name in names))


def suite_of(
    path: str | Path, category: str | None = None, name: str | None = None, *, known: Iterable[str] = ()
) -> Suite:
    """The suite at `path`. known: names that an error may propose. Raises `UsageError` if there is none."""
    text = str(path)
    file = text.partition("::")[0]
    found = existing(file)
    if found is None:
        siblings = [str(Path(file).parent / each) for each in _names(Path(file).parent)]
        raise UsageError(unknown("test suite", text, [*known, *siblings], hint="`daf test --list` lists them."))
    if found.is_file() and found.suffix != ".py":
        raise UsageError(f"{text} is not a test suite: it must be a directory or a Python file.")
    shown = _shown_name(found) + text[len(file) :]
    return Suite(f"{found}{text[len(file) :]}", category or _category(found), name or shown)


def _all(tests: Path) -> list[Suite]:
    """The suites of the project with this `tests` directory, by name."""
    if not tests.is_dir():
        return []
    found = [path for path in sorted(tests.iterdir()) if _is_suite(path)]
    return [Suite(_relative(path), _category(path), _shown_name(path)) for path in found]


def _is_suite(path: Path) -> bool:
    if path.name.startswith((".", "__")):
        return False
    if path.is_dir():
        return any(next(path.rglob(pattern), None) is not None for pattern in PATTERNS)
    return path.is_file() and any(path.match(pattern) for pattern in PATTERNS)


def _relative(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _shown_name(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem.removeprefix("test_").removesuffix("_test")


def _category(path: Path) -> str:
    """The directory that a suite belongs to."""
    return path.resolve().parent.name or TESTS


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if _is_suite(path)] if folder.is_dir() else []
