"""Progress of a training run on a console: a few live lines on a terminal, otherwise occasional lines.

Everything shown was measured by the run. A number that an update does not have (no episode ended) keeps its last value,
with episodes averaged over the last `RECENT_UPDATES` updates; speed and remaining time are over these updates too,
including evaluations and checkpoints. Without a console nothing is shown.
"""

import time
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from daf.core.recorded_training import BASELINE, START, TEACHER
from daf.stats.sentences import number
from daf.storage.printable import terminal_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PLAIN_LINE_SECONDS = 10.0
"""Without a terminal, a line is printed at most this often."""
RECENT_UPDATES = 20
LEAST_SECONDS = 1.0
"""Seconds of training before speed and remaining time are shown: the first update includes warm-up."""

_PARTS: dict[str, dict[str, str]] = {
    "teacher": {
        "imitation/agreement": "agreement",
        "imitation/agreement_in_new_views": "in new views",
        "imitation/looping": "looping",
        "imitation/student_return": "student's return",
        "imitation/teacher_return": "teacher's return",
        "schedule/teacher_led": "teacher leads",
    },
    "losses": {
        "loss/imitation": "imitation",
        "loss/policy": "policy",
        "loss/value": "value",
        "loss/entropy": "entropy",
        "loss/approx_kl": "KL",
        "loss/clip_fraction": "clipped",
        "loss/explained_variance": "explained",
    },
    "learning": {"schedule/learning_rate": "rate", "gradient/norm": "gradient norm", "schedule/ent_coef": "entropy ×"},
    "machine": {
        "system/cpu_percent": "CPU %",
        "system/memory_mb": "memory MB",
        "system/gpu_percent": "GPU %",
        "system/gpu_memory_mb": "GPU memory MB",
    },
}
"""What each line shows: metrics with their labels."""
_STATS_SHOWN = 8


class ShowsProgress(Protocol):
    """What shows a run; a context manager around it. The methods are those of `TrainingProgress`."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def update(self, step: int, values: Mapping[str, float]) -> None: ...

    def evaluation(self, record: Mapping[str, Any]) -> None: ...

    def say(self, text: str) -> None: ...


class TrainingProgress:
    """See the module; a context manager around the run."""

    def __init__(self, console: "Console | None", *, title: str, total_timesteps: int, begun_at: int = 0) -> None:
        """title: the policy and its missions. begun_at: the step from which a resumed run continues."""
        self._console = console
        self._title = title
        self._total = total_timesteps
        self._step = begun_at
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), begun_at)], maxlen=RECENT_UPDATES + 1)
        self._episodes: deque[tuple[float, float, float]] = deque(maxlen=RECENT_UPDATES)
        self._values: dict[str, float] = {}
        self._evaluation = ""
        self._printed_at = time.monotonic()
        self._live: Any = None

    def __enter__(self) -> Self:
        if self._console is not None and self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, get_renderable=self._lines, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, step: int, values: Mapping[str, float]) -> None:
        """Show one update's metrics, the same that the trackers receive."""
        now = time.monotonic()
        self._step = step
        self._marks.append((now, step))
        self._values.update(values)
        count = values.get("episode/count", 0.0)
        if count and "episode/return" in values:
            self._episodes.append((count, values["episode/return"], values.get("episode/length", 0.0)))
        if self._console is not None and self._live is None and now - self._printed_at >= PLAIN_LINE_SECONDS:
            self._printed_at = now
            self._console.print(self.line(), soft_wrap=True, markup=False, highlight=False)

    def restart(self, step: int) -> None:
        """Measure the speed from `step` and now on, because the time before was not spent training."""
        self._marks = deque([(time.monotonic(), step)], maxlen=self._marks.maxlen)

    def evaluation(self, record: Mapping[str, Any]) -> None:
        """Show an evaluation, as in evaluations.jsonl."""
        self._evaluation = evaluation_text(record)
        self.say(self._evaluation)
        if START in record:
            self.restart(record["step"])
        if BASELINE in record:
            self.say(f"{BASELINE} on the same episodes: {_score_text(record[BASELINE])}")
        if TEACHER in record:
            self.say(f"{record[TEACHER]['name']} on the same episodes: {_score_text(record[TEACHER])}")

    def say(self, text: str) -> None:
        """Print a line that stays: a checkpoint, a warning."""
        if self._console is not None:
            self._console.print(terminal_text(text), soft_wrap=True, highlight=False)

    def line(self) -> str:
        """All important values in one line."""
        parts = [f"{self._step:,} of {self._total:,} steps ({100 * self._step / self._total:.0f} %)", self._speed()]
        episodes = self._episode_text()
        parts += [episodes] if episodes else []
        parts += [f"{word} {_shown(self._values[name])}" for name, word in _BRIEF.items() if name in self._values]
        return ", ".join(part for part in parts if part)

    def _speed(self) -> str:
        """ "31,200 steps/s, about 25 s left"; nothing in the first second."""
        (first, begun), (last, step) = self._marks[0], self._marks[-1]
        if step <= begun or last - first < LEAST_SECONDS:
            return ""
        from daf.render.text import duration

        rate = (step - begun) / (last - first)
        left = max(0, self._total - step) / rate
        return f"{rate:,.0f} steps/s" + (f", about {duration(left)} left" if left else "")

    def _episode_text(self) -> str:
        count = sum(n for n, _, _ in self._episodes)
        if not count:
            return ""
        mean = sum(n * value for n, value, _ in self._episodes) / count
        length = sum(n * steps for n, _, steps in self._episodes) / count
        return f"return {_shown(mean)} per agent, {length:,.0f} steps per episode (last {count:,.0f})"

    def _lines(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        head = Table.grid(padding=(0, 1))
        share = ", ".join(part for part in (f"{self._step:,} of {self._total:,} steps", self._speed()) if part)
        head.add_row(terminal_text(self._title, style="bold"), ProgressBar(self._total, self._step, width=30), share)
        rows = Table.grid(padding=(0, 2))
        rows.add_column(style="dim")
        rows.add_column(overflow="fold")
        texts = {"episodes": self._episode_text(), "stats": self._stats()}
        for name, part in _PARTS.items():
            texts[name] = "  ".join(
                f"{word} {_shown(self._values[m])}" for m, word in part.items() if m in self._values
            )
        texts["evaluation"] = self._evaluation
        for name, text in texts.items():
            if text:
                rows.add_row(name, terminal_text(text))
        return Group(head, rows)

    def _stats(self) -> str:
        """What agents gained, lost and made: the game's counters that changed, without those of the map and of steps,
        in a fixed order, so that the line does not jump.
        """
        stats = {
            name.removeprefix("stats/").removeprefix("agent."): value
            for name, value in self._values.items()
            if name.startswith("stats/") and value and not name.endswith(".amount")
        }
        shown = [name for name in sorted(stats) if not name.startswith(_STATS_HIDDEN)]
        return "  ".join(f"{name} {_shown(stats[name])}" for name in shown[:_STATS_SHOWN])


_STATS_HIDDEN = ("objects.", "tokens_", "action.", "cell.", "status.", "hp.", "energy.", "solar.")
_BRIEF = {
    "imitation/agreement": "agreement",
    "loss/imitation": "imitation loss",
    "loss/entropy": "entropy",
    "loss/approx_kl": "KL",
    "loss/value": "value loss",
    "gradient/norm": "gradient norm",
}


def evaluation_text(record: Mapping[str, Any]) -> str:
    """ "evaluated at 100,000 steps: 3.2 [2.9, 3.5] per agent, 20 episodes on 2 missions"."""
    return f"evaluated at {record['step']:,} steps: {_score_text(record)}"


def _score_text(record: Mapping[str, Any]) -> str:
    failed = f", {record['failed']} failed" if record.get("failed") else ""
    count = len(record["missions"])
    where = f"{record['n']} episodes on {count} missions" if count > 1 else f"{record['n']} episodes"
    if record["mean"] is None:
        return f"no score, {where}{failed}"
    text = number(record["mean"])
    if record["low"] is not None:
        half = (record["high"] - record["low"]) / 2
        text = f"{number(record['mean'], half)} [{number(record['low'], half)}, {number(record['high'], half)}]"
    return f"{text} per agent, {where}{failed}"


def _shown(value: float) -> str:
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else number(value)
