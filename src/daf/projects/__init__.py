"""`daf init`: a new project with a policy, a mission, a sweep, a pipeline and a test, all of which work as they stand.

Nothing is ever overwritten: if one of the files exists, none is written.
"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from daf.errors import StorageError, UsageError
from daf.policy_analysis import new_policy
from daf.storage.atomic import explain, write_text
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console

POLICY = "my_policy.py"
SKELETON = (
    "README.md",
    "mission.py",
    "sweep.yaml",
    "pipeline.yaml",
    "pyproject.toml",
    "tests/test_my_policy.py",
    ".gitignore",
)
"""The files in addition to the policy. In DAF's package a Python file has the suffix .in, and .gitignore no dot."""
FIRST_COMMAND = f"daf evaluate -p {POLICY} -m mission.py -e 4 --save-replays best"


@dataclass(frozen=True)
class Project:
    """A new project. files: relative to `directory`."""

    directory: Path
    files: tuple[str, ...]
    first_command: str = FIRST_COMMAND


def daf_init_project(directory: str | Path = ".", *, console: "Console | None" = None) -> Project:
    """Write the files of a new project into `directory`, which is created if missing.

    Raises `UsageError` if one of the files exists or `directory` is a file, `StorageError`.
    """
    root = Path(directory).expanduser()
    names = (POLICY, *SKELETON)
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file. Name a directory for the project.")
    taken = [name for name in names if (root / name).exists() or (root / name).is_symlink()]
    if taken:
        raise UsageError(f"{root} has {', '.join(taken)} already; nothing is overwritten. Choose another directory.")
    try:
        (root / "tests").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(explain(error, f"creating the project {root}")) from error
    for name in SKELETON:
        write_text(root / name, _text(name))
    new_policy(root / POLICY, shown=POLICY)
    project = Project(root, names)
    if console is not None:
        for name in names:
            console.print(terminal_text(str(root / name)), soft_wrap=True)
    return project


def _text(name: str) -> str:
    stored = f"{name}.in" if name.endswith(".py") else name.removeprefix(".")
    return resources.files(__name__).joinpath("skeleton", *stored.split("/")).read_text(encoding="utf-8")
