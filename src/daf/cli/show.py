"""Output on the terminal: tables and JSON on stdout, messages and progress on stderr."""

import itertools
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from daf.errors import Interrupted
from daf.render.text import estimates
from daf.stats.sentences import counted
from daf.storage.printable import printable_json, printable_lines

if TYPE_CHECKING:  # `daf missions` needs none of their modules
    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.episodes.run import RunResult
    from daf.playing.run import Played
    from daf.stats.pair_verdict import PairVerdict
    from daf.stats.summaries import PolicySummary

PLAIN_LINE_SECONDS = 10.0
"""Seconds between two lines of progress where there is no terminal."""

LEAST_PLAYED, LEAST_SECONDS = 3, 3.0
"""Episodes and seconds before the first estimate of the time left: one episode after a cold start says little."""

WIDTH_ELSEWHERE = 160
"""Columns of tables where there is no terminal to fit."""

_elsewhere = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_ELSEWHERE


class TerminalConsole(Console):
    """A console whose text cannot control the terminal: only rich's own styles become escape sequences."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable_lines(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            safe = segment.control or segment.text.isprintable()
            yield segment if safe else Segment(printable_lines(segment.text), segment.style)


out = TerminalConsole(highlight=False, emoji=False, width=_elsewhere)
err = TerminalConsole(stderr=True, highlight=False, emoji=False)


def emit(value: Mapping[str, Any]) -> None:
    """Print the one JSON object of `--json`. Numbers that are not finite become null."""
    finite = _finite(value)
    text = json.dumps(finite, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # JSON has its own notation for every character; a "?" would be another value
        text = json.dumps(finite)
    print(printable_json(text))


def raw(text: str) -> None:
    """Print a file's content on stdout: as it is for a pipe or a file, printable on a terminal."""
    print(printable_lines(text) if sys.stdout.isatty() else text, end="")


def say(line: str) -> None:
    """Print a line of progress or a message on stderr."""
    print(printable_lines(line), file=sys.stderr, flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def seconds(value: float) -> str:
    """ "8 s", "3 min 20 s", "2 h 05 min"."""
    whole = round(value)
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Breakable:
    """A name that is too long for its column: broken after punctuation, and within a word only if one has no room."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._parts = [part.end() for part in re.finditer(r"[^.,_:=/+ -]*[.,_:=/+ -]*", text.plain) if part.group()]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        width, start, cuts = options.max_width, 0, []
        for before, end in itertools.pairwise([0, *self._parts]):
            if end - start > width and before > start:
                cuts.append(before)
                start = before
        yield Text("\n").join(self._text.divide(cuts))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = max((end - before for before, end in itertools.pairwise([0, *self._parts])), default=1)
        return Measurement(min(longest, options.max_width), min(len(self._text.plain), options.max_width))


class PlainTable(Table):
    """A table whose `overflow="fold"` columns hold names, which break after punctuation."""

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        columns = [*self.columns, *itertools.repeat(None, len(cells))]
        super().add_row(
            *(
                Breakable(Text.from_markup(printable_lines(cell), emoji=False))
                if isinstance(cell, str) and column is not None and column.overflow == "fold"
                else cell
                for cell, column in zip(cells, columns, strict=False)
            ),
            **options,
        )


def short(value: object) -> str:
    """A setting's value: a float with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def plain_table(title: str, *, header: bool = True, caption: str | None = None) -> Table:
    """A table in DAF's one style."""
    return PlainTable(
        title=escape(title),
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_header=header,
        padding=(0, 1),
    )


def ranking_table(title: str, rows: "Sequence[PolicySummary]") -> Table:
    """Contenders, best mean first, with intervals."""
    table = plain_table(title)
    table.add_column("#", justify="right")
    table.add_column("policy")
    for name in ("mean", "95 % interval", "IQM", "95 % interval", "n"):
        table.add_column(name, justify="right")
    means = estimates([row.mean for row in rows], [row.ci for row in rows])
    middles = estimates([row.iqm for row in rows], [row.iqm_ci for row in rows])
    for row, *numbers in zip(rows, *means, *middles, strict=True):
        table.add_row(str(row.rank), escape(row.name), *numbers, str(row.n))
    return table


_MARKS = {"better": "▲", "worse": "▲", "equal": "=", "identical": "=", "undecided": "?", "too few": "?"}


def say_pairs(pairs: "Sequence[PairVerdict]") -> None:
    """Print one sentence per pair."""
    for pair in pairs:
        out.print(f"  {_MARKS[pair.verdict]} {escape(pair.sentence)}", soft_wrap=True)


def say_end(result: "RunResult", took: float, report: Path | None) -> None:
    """Print the number of episodes, the time, and the path of the report."""
    played = f"{counted(result.played, 'episode')} played, {result.read} from cache, {len(result.failures)} failed"
    out.print(f"\n{played}; {seconds(took)}", highlight=False)
    if report:
        out.print(f"report: {report}", soft_wrap=True, markup=False)


def say_run(played: "Played") -> None:
    """Print the run directory, and whether it is an earlier one."""
    out.print(f"run:    {played.run_dir}", soft_wrap=True, markup=False)
    if played.cached:
        out.print("        the same command left it before; --rerun makes a new one", soft_wrap=True, markup=False)


class EpisodeProgress:
    """Progress over a plan's episodes: a bar on a terminal, otherwise a line from time to time; nothing if quiet.

    The remaining time is estimated from the episodes that were played, not from those that come from the cache.
    Ctrl-C leaves it as `Interrupted`, with the command that resumes.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.total = 0
        self.finished = 0
        self.cached = 0
        self.failed = 0
        self._started = time.monotonic()
        self._spoke = self._started
        self._bar: Progress | None = None

    def __enter__(self) -> "EpisodeProgress":
        if not self._quiet and err.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("episodes"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                console=err,
                transient=True,
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is KeyboardInterrupt:
            raise Interrupted(self._how_to_resume()) from None

    def plan(self, plan: "Plan") -> None:
        """Start with the number of episodes."""
        self.total = len(plan.episodes)
        self._started = time.monotonic()
        if self._bar is not None:
            self._bar.add_task("episodes", total=self.total, note="")

    def __call__(self, record: "EpisodeRecord") -> None:
        self.finished += 1
        self.cached += record.cached
        self.failed += not record.ok
        note = self._note()
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.finished, note=note)
        elif not self._quiet and time.monotonic() - self._spoke >= PLAIN_LINE_SECONDS:
            self._spoke = time.monotonic()
            say(f"{self.finished}/{self.total} episodes{', ' if note else ''}{note}")

    def _how_to_resume(self) -> str:
        """The message of an interrupted run: how many episodes were played, and the command that resumes."""
        if not self.total:
            return "stopped before the first episode."
        command = shlex.join(["daf", *sys.argv[1:]])
        if not self.finished:
            return f"stopped before the first episode ended. The same command starts again: {command}"
        return (
            f"stopped after {self.finished} of {self.total} episodes, which are kept. The same command plays the rest: "
            f"{command}"
        )

    def _note(self) -> str:
        played = self.finished - self.cached
        parts = []
        if self.cached:
            parts.append(f"{self.cached} from cache")
        if self.failed:
            parts.append(f"{self.failed} failed")
        waited = time.monotonic() - self._started
        if played >= LEAST_PLAYED and waited >= LEAST_SECONDS and self.finished < self.total:
            left = waited / played * (self.total - self.finished)
            parts.append(f"about {seconds(left)} left")
        return ", ".join(parts)
