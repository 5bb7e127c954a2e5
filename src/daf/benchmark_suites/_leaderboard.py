"""The leaderboard of a suite: a file of JSON lines that every benchmark adds its scores to.

Only scores on the same terms are ranked together: the same version of the suite, the same seeds, episodes and step
limit, and the same CoGames. A policy that was scored twice on the same terms counts once, by its latest scores. Lines
are added whole, also by several processes at once.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daf.errors import DataError
from daf.storage import journal

FOLDER = "leaderboards"


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that make scores comparable."""

    suite: str
    version: int
    seed: int
    episodes: int
    max_steps: int | None
    cogames: str
    mettagrid: str


@dataclass(frozen=True, slots=True)
class BoardScore:
    """One policy's line. identity: of everything that determines its behaviour. missions: score by mission."""

    policy: str
    identity: str
    score: float
    ci: tuple[float, float] | None
    n: int
    missions: dict[str, float]
    run_id: str
    when: str


def leaderboard_path(base_dir: Path, suite: str, version: int) -> Path:
    """The path of a suite's leaderboard, below the output directory."""
    return base_dir / FOLDER / f"{suite}-v{version}.jsonl"


def add(path: Path, terms: Terms, scores: list[BoardScore]) -> None:
    """Add lines to the leaderboard; the file is created if missing."""
    for score in scores:
        journal.append(path, {"terms": asdict(terms), **asdict(score)})


def read(path: Path, terms: Terms | None = None) -> list[tuple[Terms, BoardScore]]:
    """The lines that count, best score first within equal terms, terms in the order in which they first appear.

    terms: only those. Raises `DataError` for a damaged line.
    """
    latest: dict[tuple[Terms, str], BoardScore] = {}
    for number, line in enumerate(journal.read(path), 1):
        found, score = _parsed(path, number, line)
        if terms is None or found == terms:
            latest.pop((found, score.identity), None)
            latest[found, score.identity] = score
    order = list(dict.fromkeys(found for found, _ in latest))
    rows = [(found, score) for (found, _), score in latest.items()]
    return sorted(rows, key=lambda row: (order.index(row[0]), -row[1].score))


def _parsed(path: Path, number: int, line: dict[str, Any]) -> tuple[Terms, BoardScore]:
    try:
        values = dict(line)
        terms = Terms(**values.pop("terms"))
        bounds = values.pop("ci")
        return terms, BoardScore(ci=tuple(bounds) if bounds else None, **values)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}:{number}: not a line of a leaderboard ({error}). Remove the line, or the file."
        ) from error
