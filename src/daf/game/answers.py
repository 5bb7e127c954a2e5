"""Answers of the game that were worked out before, so that asking again does not import it.

`answer(question, kind, work_out)` returns what `work_out()` returned for the same question, in this or an earlier
process. An answer belongs to its question and to the code that gave it: CoGames' packages by version and files, and
DAF's own code between them and the answer. After a change in any of them, the question is asked again.

An entry carries a checksum over itself and its question, and is read with bounds and into a declared type; a damaged
entry, or one under another's name, is ignored and replaced. Entries lie in `$XDG_CACHE_HOME/daf/answers` (by default
`~/.cache/daf/answers`), which may be deleted at any time. Where nothing can be written, questions are always asked.
"""

import functools
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from daf.storage import checked
from daf.storage.hashing import hash_bytes, hash_json
from daf.storage.installed import fingerprint, version

FORMAT = 1
"""Part of every key. Raise it when the meaning of an answer changes."""
MOST_ENTRIES = 1_000
"""Entries are about 40 KB; beyond this number, the oldest are removed."""


def answer[T](
    question: Iterable[Any], kind: type[T], work_out: Callable[[], T], *, lasting: Callable[[T], bool] | None = None
) -> T:
    """The answer to `question`, as kept or as `work_out()` gives it now.

    question: JSON values that determine the answer, together with the code. kind: the type of the answer, one that
    msgspec writes and reads, and never None. lasting: whether an answer may be kept (default: always).
    """
    folder = _folder()
    if folder is None:
        return work_out()
    key = hash_json([FORMAT, list(question), game_code()])

    def keep(found: T) -> bool:
        if lasting is not None and not lasting(found):
            return False
        _prune(folder)
        return True

    return checked.kept(folder / key[:2] / key, key, kind, work_out, keep)


@functools.cache
def game_code() -> str:
    """Hash of what determines the game's answers: CoGames' packages as installed, and DAF's code around them."""
    own = Path(__file__).parent
    files = [*sorted(own.rglob("*.py")), own.parent / "storage" / "yaml_strict.py"]
    return hash_json(
        {
            "python": platform.python_version(),
            "game": [fingerprint(name) for name in ("cogames", "mettagrid", "metta_alo")],
            "libraries": [version(name) for name in ("pydantic", "pydantic-core", "msgspec")],
            "own": [hash_bytes(file.read_bytes()) for file in files],
        }
    )


def _folder() -> Path | None:
    """Where entries lie; None for a user without a home directory."""
    named = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(named) if named else Path.home() / ".cache") / "daf" / "answers"
    except RuntimeError:
        return None


def _prune(folder: Path) -> None:
    """Remove the oldest quarter of the entries if there are too many. Raises `OSError`."""
    found = [(entry.stat().st_mtime, entry) for entry in folder.glob("??/*")]
    if len(found) < MOST_ENTRIES:
        return
    for _, entry in sorted(found)[: MOST_ENTRIES // 4]:
        entry.unlink(missing_ok=True)
