"""The leaderboard as data: rows with places and ties, the verdicts they are based on, and notes."""

from dataclasses import dataclass
from typing import Any

from daf.stats.pair_verdict import PairVerdict
from daf.stats.summaries import PolicySummary
from daf.storage.jsonable import jsonable

ALPHA = 0.05


@dataclass(frozen=True)
class BoardRow:
    """A line. place: first and last place compatible with the tests. tied: names without a significant difference."""

    place: tuple[int, int]
    summary: PolicySummary
    tied: tuple[str, ...]
    runs: tuple[str, ...]
    failed: int

    @property
    def place_text(self) -> str:
        """ "1" or "1–3"."""
        first, last = self.place
        return str(first) if first == last else f"{first}–{last}"


@dataclass(frozen=True)
class Leaderboard:
    """The rows of a leaderboard. notes: for the reader. level: of the intervals, "95 %"."""

    title: str
    missions: tuple[str, ...]
    blocks: int
    rows: tuple[BoardRow, ...]
    pairs: tuple[PairVerdict, ...]
    notes: tuple[str, ...]
    alpha: float = ALPHA

    @property
    def level(self) -> str:
        return f"{100 * (1 - self.alpha):g} %"

    def to_data(self) -> dict[str, Any]:
        """The leaderboard as JSON data."""
        data: dict[str, Any] = jsonable(
            {
                "title": self.title,
                "missions": self.missions,
                "unit": "reward per agent",
                "blocks": self.blocks,
                "alpha": self.alpha,
                "rows": [
                    {
                        "place": row.place,
                        "policy": row.summary.name,
                        "mean": row.summary.mean,
                        "ci": row.summary.ci,
                        "iqm": row.summary.iqm,
                        "iqm_ci": row.summary.iqm_ci,
                        "n": row.summary.n,
                        "tied_with": row.tied,
                        "caveat": row.summary.caveat,
                        "failed_episodes": row.failed,
                        "runs": row.runs,
                    }
                    for row in self.rows
                ],
                "notes": self.notes,
            }
        )
        return data
