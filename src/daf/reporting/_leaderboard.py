"""Leaderboards: the policies of one or several comparisons, ranked with intervals and explicit ties.

Policies of several runs are ranked on the blocks (mission, seed, step limit) that all of them played, so that none is
evaluated on easier episodes; if there are no such blocks, that is an error. A place is a range. It starts after the
policies that are significantly better by the paired tests and ends before those that are significantly worse. Policies
with the same range do not differ significantly.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from daf.errors import DataError, UsageError, unknown
from daf.reporting._board import ALPHA, BoardRow, Leaderboard
from daf.reporting._leaderboard_entries import LeaderboardEntry, RankedSource, take
from daf.stats.pair_verdict import PairVerdict
from daf.stats.sentences import counted, labels
from daf.stats.summaries import summarise
from daf.stats.verdicts import compare_pairs
from daf.storage.atomic import write_text
from daf.storage.console_tables import show

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("markdown", "json", "html")
RESAMPLES, SEED = 10_000, 0


def daf_generate_leaderboard(
    sources: "RankedSource | Sequence[RankedSource]",
    output_path: str | Path | None = None,
    format: Literal["markdown", "json", "html"] = "markdown",
    *,
    title: str | None = None,
    base_dir: str | Path | None = None,
    console: "Console | None" = None,
) -> str:
    """Rank the policies of `sources` and return the leaderboard as text; with output_path, also write it there.

    sources: a `ComparisonReport`, an `Evaluation`, a run (id, "latest", directory), or several of these. Raises
    `UsageError` (an unknown format or run), `DataError` (nothing was played, or no block by all).
    """
    if format not in FORMATS:
        raise UsageError(unknown("format of leaderboards", format, FORMATS))
    board = leaderboard(sources, title=title, base_dir=base_dir)
    if format == "json":
        text = json.dumps(board.to_data(), indent=2, ensure_ascii=False) + "\n"
    else:
        from daf.render.pages.markdown import run_markdown
        from daf.render.pages.parts import run_html
        from daf.reporting._leaderboard_page import board_page

        page = board_page(board)
        text = run_html(page) if format == "html" else run_markdown(page)
    if output_path is not None:
        write_text(Path(output_path).expanduser(), text)
    rows = [
        {"place": row.place_text, "policy": row.summary.name}
        | {"mean": row.summary.mean, "ci": row.summary.ci, "n": row.summary.n}
        for row in board.rows
    ]
    show(console, board.title, rows)
    return text


def leaderboard(
    sources: "RankedSource | Sequence[RankedSource]", *, title: str | None = None, base_dir: str | Path | None = None
) -> Leaderboard:
    """The leaderboard as data. See `daf_generate_leaderboard`."""
    listed: list[Any] = list(sources) if isinstance(sources, list | tuple) else [sources]
    if not listed:
        raise UsageError("a leaderboard needs a comparison, an evaluation or a run.")
    entries: dict[str, LeaderboardEntry] = {}
    missions: dict[str, str] = {}
    for source in listed:
        take(source, entries, missions, base_dir)
    return _ranked(list(entries.values()), missions, title)


def _ranked(entries: Sequence[LeaderboardEntry], missions: Mapping[str, str], title: str | None) -> Leaderboard:
    scored = [entry for entry in entries if entry.scores]
    if not scored:
        raise DataError("no policy finished an episode, so there is nothing to rank.")
    common = set.intersection(*(set(entry.scores) for entry in scored))
    played = set.union(*(set(entry.scores) for entry in scored))
    if not common:
        counts = ", ".join(f"{entry.name}: {counted(len(entry.scores), 'block')}" for entry in scored[:6])
        raise DataError(
            f"no block (mission, seed, step limit) was played by all {len(scored)} policies ({counts}), so they "
            "cannot be ranked together. Use `daf compare` to play them on the same blocks."
        )
    order = list(dict.fromkeys(block[0] for entry in scored for block in entry.scores))
    there = [name for name in order if any(block[0] == name for block in common)]
    blocks = sorted(common, key=lambda block: (there.index(block[0]), str(block[1]).rjust(24), str(block[2])))
    scores = np.array([[entry.scores[block] for block in blocks] for entry in scored])
    strata = np.array([there.index(block[0]) for block in blocks])
    names = _names(scored)
    ranking = summarise(names, scores, strata, alpha=ALPHA, resamples=RESAMPLES // 2, seed=SEED)
    shown = [missions[name] for name in there]
    pairs = compare_pairs(names, scores, strata, shown, alpha=ALPHA, resamples=RESAMPLES, seed=SEED)
    overall = [pair for pair in pairs if pair.stratum is None]
    shown_names = labels(names)
    rows = []
    for summary in ranking:
        better, worse, tied = _decided(summary.policy, overall, shown_names)
        entry = scored[summary.policy]
        place = (1 + better, len(scored) - worse)
        rows.append(BoardRow(place, summary, tuple(tied), tuple(entry.runs), entry.failed))
    rows.sort(key=lambda row: (row.summary.rank, row.place))
    return Leaderboard(
        title=title or f"Leaderboard on {', '.join(shown)}",
        missions=tuple(shown),
        blocks=len(blocks),
        rows=tuple(rows),
        pairs=tuple(overall),
        notes=tuple(_notes(entries, len(played) - len(common))),
    )


def _names(entries: Sequence[LeaderboardEntry]) -> list[str]:
    """Names, with the run appended if different policies share a name."""
    plain = [entry.name for entry in entries]
    return [
        f"{entry.name} of {entry.runs[0]}" if plain.count(entry.name) > 1 and entry.runs else entry.name
        for entry in entries
    ]


def _decided(policy: int, pairs: Sequence[PairVerdict], names: Sequence[str]) -> tuple[int, int, list[str]]:
    """The numbers of better and worse policies, and the names of those without a significant difference."""
    better = worse = 0
    tied = []
    for pair in pairs:
        if policy not in (pair.a, pair.b):
            continue
        other = pair.b if pair.a == policy else pair.a
        if pair.verdict not in ("better", "worse"):
            tied.append(names[other])
        elif (pair.verdict == "better") == (pair.a == policy):
            worse += 1
        else:
            better += 1
    return better, worse, tied


def _notes(entries: Sequence[LeaderboardEntry], left_out: int) -> list[str]:
    notes = []
    failing = [entry for entry in entries if entry.failed]
    if failing:
        counts = ", ".join(f"{entry.name}: {entry.failed}" for entry in failing)
        notes.append(f"Failed episodes are excluded and never count as 0 ({counts}).")
    absent = [entry.name for entry in entries if not entry.scores]
    if absent:
        notes.append(f"Not ranked, because no episode finished: {', '.join(absent)}.")
    if left_out:
        blocks = counted(left_out, "block")
        notes.append(f"{blocks} that not every policy finished {'is' if left_out == 1 else 'are'} excluded.")
    return notes
