"""The page of a leaderboard."""

from daf.render.pages.parts import Alert, Column, Plot, Plots, RunPage, Section, Sentences, Table, Text, cell
from daf.render.svg.intervals import IntervalRow, interval_figure
from daf.render.text import estimates, printable, same_decimals
from daf.render.theme import style
from daf.reporting._board import BoardRow, Leaderboard
from daf.stats.sentences import counted, half_width

MOST_SENTENCES = 15
_KINDS = {"better": "decided", "worse": "decided", "equal": "equal", "identical": "equal"}


def board_page(board: Leaderboard) -> RunPage:
    """Build the page of `board`."""
    caveats = any(row.summary.caveat for row in board.rows)
    summaries = [row.summary for row in board.rows]
    means, around = estimates([row.mean for row in summaries], [row.ci for row in summaries])
    middles = same_decimals([row.iqm for row in summaries], [half_width(row.iqm_ci) for row in summaries])
    rows = [
        [
            cell(row.place_text, strong=True),
            cell(row.summary.name, slot=style(row.summary.policy).slot),
            cell(mean, strong=True),
            cell(ci),
            cell(middle),
            cell(row.summary.n),
            cell(", ".join(row.tied) or "–"),
            *([cell(row.summary.caveat)] if caveats else []),
        ]
        for row, mean, ci, middle in zip(board.rows, means, around, middles, strict=True)
    ]
    columns = [
        Column("Place"),
        Column("Policy"),
        Column("Mean", number=True),
        Column(f"{board.level} interval", number=True),
        Column("IQM", number=True),
        Column("Blocks", number=True),
        Column("No significant difference from"),
        *([Column("Caveat")] if caveats else []),
    ]
    figure = interval_figure(
        [
            IntervalRow(row.summary.name, style(row.summary.policy), row.summary.mean, row.summary.ci, row.summary.iqm)
            for row in board.rows
        ],
        axis_title="reward per agent",
        description="Mean reward per agent of each policy with intervals, best first",
    )
    caption = (
        f"Means of {counted(board.blocks, 'block')} that every policy played; lines: "
        f"{board.level} intervals; dashed ticks: interquartile means."
    )
    sections = [Section("board", "Ranking", [Table(columns, rows), Plots([Plot("Means", figure, caption, "full")])])]
    if board.pairs:
        sentences = [
            (_KINDS.get(pair.verdict, "open"), "decided" if pair.verdict in ("better", "worse") else pair.verdict,
             pair.sentence)
            for pair in board.pairs
        ]  # fmt: skip
        folded = f"{len(sentences)} pairs in words" if len(sentences) > MOST_SENTENCES else ""
        sections.append(Section("pairs", "Pairwise comparisons", [Sentences(sentences, folded=folded)]))
    sections.append(_sources(board))
    missions = ", ".join(printable(mission) for mission in board.missions)
    return RunPage(
        title=printable(board.title),
        subtitle=f"{counted(len(board.rows), 'policy')} on {missions}",
        chips=[counted(board.blocks, "block"), counted(len(board.missions), "mission")],
        alerts=[Alert(printable(note)) for note in board.notes],
        finding=_finding(board.rows),
        sections=sections,
        reading=[
            (
                "Place",
                "1–3 means that the paired tests find no significant difference among the top three policies. "
                f"The family-wise error rate of all verdicts is {board.alpha:g}.",
            ),
            (
                "Mean",
                "Reward per agent; every mission has equal weight. A block with a failed episode is excluded for all.",
            ),
        ],
    )


def _finding(rows: tuple[BoardRow, ...]) -> str:
    top = rows[0]
    if len(rows) == 1:
        return f"{top.summary.name} is the only policy."
    first = [row for row in rows if row.place[0] == 1]
    if len(first) == 1:
        text = f"{first[0].summary.name} is first: "
        if first[0].place == (1, 1):
            return f"{text}it is significantly better than every other policy."
        return f"{text}it is the only policy that is not significantly worse than another one."
    if not first:
        return "No policy is first: every policy is significantly worse than another one."
    *names, last = [row.summary.name for row in first]
    if len(names) > 6:
        names, last = names[:6], f"{len(first) - 6} more"
    return f"First place is undecided between {', '.join(names)} and {last}: the differences are not significant."


def _sources(board: Leaderboard) -> Section:
    rows = [
        [cell(row.summary.name), cell(", ".join(row.runs) or "added by hand"), cell(row.failed)] for row in board.rows
    ]
    columns = [Column("Policy"), Column("Runs"), Column("Failed episodes", number=True)]
    runs = sorted({run for row in board.rows for run in row.runs})
    note = f"daf report {run} shows the episodes." if (run := next(iter(runs), "")) else ""
    return Section("sources", "Sources", [Table(columns, rows), Text([note], muted=True)])
