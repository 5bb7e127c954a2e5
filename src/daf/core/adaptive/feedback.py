"""Feedback: training and evaluation results as evidence for changing the curriculum.

Scores of one task from one source (training, or evaluations) are collected, and assessed whenever a window of them is
full. The assessment uses intervals in units of the scores' spread, since rewards have no fixed scale, and training and
evaluations have different levels:

    falling     clearly below the previous window                   easier
    rising      clearly above the previous window                   nothing: the task is being learned
    mastered    at rest, and clearly above the task's first window  harder
    stuck       at rest for four windows, no higher than the first  support: recover, else easier, else explore
    open        none of these                                       nothing: more results are needed

"Clearly" means by a 90 % interval. "At rest" and "no higher" mean that the interval contains 0 and the estimate is
below half a standard deviation: with few results that proves nothing, which is why being stuck takes twice as many.

After a change, evidence for the task is collected from scratch, from every source. A task's first window is kept,
because it is the same task. Results without a task's name belong to the mix that the curriculum draws, which differs
after any change, so their first window is discarded too. Every change is written to the journal with the numbers that
it is based on, even if the curriculum found nothing to do.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from daf.core.adaptive.errors import AdaptiveControllerError
from daf.core.curriculum.change import Change, change
from daf.core.curriculum.interface import Task
from daf.errors import UsageError, unknown

Verdict = Literal["falling", "mastered", "stuck", "rising", "open"]
REST_MARGIN = 0.5
"""Changes below it, in standard deviations of one result, count as none; the same default as the curriculum's."""
PATIENCE = 4
"""Windows at rest before a task that never rose counts as stuck."""
RETURNS = ("score", "mean", "episode/return", "avg_reward", "mean_reward", "reward")
"""Keys under which a result's mean return is looked up, in this order."""


class Adapted(Protocol):
    """A curriculum's answer to a requested change."""

    @property
    def changed(self) -> bool:
        """Whether anything changed."""

    @property
    def reason(self) -> str:
        """What was done, or why nothing was done."""


class Adjustable(Protocol):
    """A curriculum that accepts requests for changes: `DAFCurriculumManager`, or a trainer's `TaskCurriculum`.

    The first has `adapt_curriculum(kind, why)`, the second `adapt(kind, why)`; kinds are harder, easier, widen, explore
    and recover, and `why` goes into the curriculum's record.
    """

    def tasks(self) -> Sequence[Task]:
        """The current table of tasks."""


@dataclass
class Evidence:
    """A task's results from one source since the last change. first: its first window, see the module."""

    first: list[float] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Adjustment:
    """A change of the curriculum. kinds: those requested; if `changed`, the last one was applied."""

    what: str
    task: str | None
    kinds: tuple[str, ...]
    changed: bool
    reason: str
    why: str
    evidence: Mapping[str, Any]


def result_of(results: Mapping[str, Any]) -> tuple[str | None, float]:
    """The task (if it is named) and the mean return in `results`. Raises `AdaptiveControllerError`."""
    for name in RETURNS:
        value = results.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not np.isfinite(value):
                raise AdaptiveControllerError(f"the result's {name} must be finite, got {value}.")
            task = results.get("task", results.get("task_id"))
            return None if task is None else str(task), float(value)
    names = ", ".join(sorted(map(str, results))[:8]) or "nothing"
    raise AdaptiveControllerError(f"no mean return in the results: one of {', '.join(RETURNS)} is needed, got {names}.")


def weigh(evidence: Evidence, window: int) -> tuple[Verdict, dict[str, Any]]:
    """The verdict on a task's results, and the numbers behind it."""
    recent = evidence.recent[-2 * window :]
    numbers: dict[str, Any] = {"results": len(evidence.recent), "window": window}
    if len(recent) < 2 * window:
        return "open", numbers
    earlier, later = recent[:window], recent[window:]
    deviation = _spread([earlier, later])
    moved = change([(earlier, later, deviation)])
    since = change([(evidence.first, later, deviation)])
    if moved is None or since is None:
        return "open", numbers
    numbers |= {
        "mean_before": float(np.mean(earlier)),
        "mean_now": float(np.mean(later)),
        "mean_first": float(np.mean(evidence.first)),
        "spread": deviation,
        "change": [moved.mean, moved.low, moved.high],
        "change_since_first": [since.mean, since.low, since.high],
        "interval": 0.9,
    }
    if moved.high < 0:
        return "falling", numbers
    if moved.low > 0:
        return "rising", numbers
    if not _at_rest(moved):
        return "open", numbers
    if since.low > 0:
        return "mastered", numbers
    half = PATIENCE * window // 2
    long = evidence.recent[-2 * half :]
    if len(long) < 2 * half or since.mean >= REST_MARGIN:
        return "open", numbers
    slow = change([(long[:half], long[half:], _spread([long[:half], long[half:]]))])
    return ("stuck" if slow is not None and _at_rest(slow) else "open"), numbers


def _at_rest(moved: Change) -> bool:
    """Whether there is no evidence of a change: the interval contains 0 and the estimate is small."""
    return moved.low <= 0 <= moved.high and abs(moved.mean) < REST_MARGIN


def _spread(groups: Sequence[Sequence[float]]) -> float:
    """The pooled standard deviation within groups."""
    return float(np.sqrt(np.mean([np.var(group, ddof=1) for group in groups])))


class Feedback:
    """Collects evidence and asks a curriculum for changes.

    note: called with each change, to keep it. If feedback is off, or there is no curriculum, a requested change is an
    `Adjustment` that changed nothing, with the reason.
    """

    def __init__(
        self,
        curriculum: Adjustable | None,
        *,
        window: int,
        enabled: bool,
        note: Callable[[Adjustment], None],
    ) -> None:
        self._curriculum: Adjustable | None = None
        self._adapt: Callable[[str, str], Adapted] | None = None
        if curriculum is not None:
            self.follow(curriculum)
        self._window = window
        self._enabled = enabled
        self._note = note
        self._evidence: dict[tuple[str | None, str], Evidence] = {}
        """By task (None: everything that the curriculum draws) and source."""
        self.task: str | None = None
        self._last: str | None = None
        """The last task that a result named."""
        self.taken = 0
        """Number of results so far."""
        self.made: list[Adjustment] = []

    @property
    def follows(self) -> bool:
        """Whether there is a curriculum."""
        return self._curriculum is not None

    def follow(self, curriculum: Adjustable) -> None:
        """Change this curriculum from now on. Raises `AdaptiveControllerError` if it can't be changed."""
        found = getattr(curriculum, "adapt_curriculum", None) or getattr(curriculum, "adapt", None)
        if not callable(found):
            raise AdaptiveControllerError(
                f"a {type(curriculum).__name__} can't be asked for changes; a DAFCurriculumManager can."
            )
        self._curriculum, self._adapt = curriculum, found

    def take(self, results: Mapping[str, Any], source: str) -> Adjustment | None:
        """Add a result; `source` describes its origin. Returns the change that the evidence now calls for, or None."""
        named, score = result_of(results)
        self._last = named if named is not None else self._last
        task = named if named is not None else self.task
        evidence = self._evidence.setdefault((task, source), Evidence())
        self.taken += 1
        if len(evidence.first) < self._window:
            evidence.first.append(score)
        evidence.recent.append(score)
        if not self._enabled or self._adapt is None or len(evidence.recent) % self._window:
            return None
        verdict, numbers = weigh(evidence, self._window)
        kinds = _CALLS_FOR[verdict]
        if not kinds:
            return None
        evidence.recent.clear()
        why = f"{verdict}: {source} of {task or 'the curriculum'} went from {numbers['mean_before']:.6g} to "
        why += f"{numbers['mean_now']:.6g} over {2 * self._window} results (first {numbers['mean_first']:.6g})"
        return self.adjust(
            "feedback", kinds, why, evidence={"verdict": verdict, "source": source, **numbers}, task=task
        )

    def adjust(
        self,
        what: str,
        kinds: Sequence[str],
        why: str,
        *,
        evidence: Mapping[str, Any] | None = None,
        task: str | None = None,
    ) -> Adjustment:
        """Request the `kinds` in order until one of them changes something."""
        if not self._enabled or self._adapt is None:
            reason = (
                "there is no curriculum to change. Give the controller one: curriculum_manager=DAFCurriculumManager(…)."
                if self._enabled
                else "the curriculum is not changed: enable_curriculum_learning is off."
            )
            unchanged = Adjustment(what, task, tuple(kinds), False, reason, why, dict(evidence or {}))
            self._keep(unchanged)
            return unchanged
        requested: list[str] = []
        changed, reason = False, ""
        for kind in kinds:
            requested.append(kind)
            done = self._adapt(kind, why)
            changed, reason = done.changed, done.reason
            if changed:
                break
        if changed:
            self._discard_evidence(task)
        adjustment = Adjustment(what, task, tuple(requested), changed, reason, why, dict(evidence or {}))
        self._keep(adjustment)
        return adjustment

    def choose(self, task: str) -> None:
        """Attribute results without a task's name to `task` from now on. Raises `UsageError` for an unknown one."""
        known = [one.key for one in self.tasks()]
        if self._curriculum is not None and task not in known:
            raise UsageError(unknown("task", task, known))
        self.task = task

    def harder(self, why: str) -> Adjustment:
        """Choose the easiest task that is harder than the current one, by default the task of the last result."""
        tasks = sorted(self.tasks(), key=lambda task: (task.difficulty, task.key))
        present = self.task if self.task is not None else self._last
        now = next((task for task in tasks if task.key == present), None)
        found = None if now is None else next((task for task in tasks if task.difficulty > now.difficulty), None)
        if not tasks:
            reason = "there is no curriculum with tasks to choose from."
        elif now is None:
            reason = "there is no current task: call set_current_task, or report results that name their task."
        elif found is None:
            reason = f"no task is harder than {now.key} (difficulty {now.difficulty:g})."
        else:
            reason = f"{now.key} (difficulty {now.difficulty:g}) → {found.key} ({found.difficulty:g})"
            self.task = found.key
        chosen = None if found is None else found.key
        adjustment = Adjustment("increase_task_difficulty", chosen, (), found is not None, reason, why, {})
        self._keep(adjustment)
        return adjustment

    def _discard_evidence(self, task: str | None) -> None:
        """Discard the results before a change: all of those without a task, and the recent ones of `task`."""
        self._evidence = {key: past for key, past in self._evidence.items() if key[0] is not None}
        for (of, _), past in self._evidence.items():
            if of == task:
                past.recent.clear()

    def _keep(self, adjustment: Adjustment) -> None:
        self._note(adjustment)
        self.made.append(adjustment)

    def tasks(self) -> Sequence[Task]:
        """The curriculum's tasks; empty without a curriculum."""
        return () if self._curriculum is None else self._curriculum.tasks()


_CALLS_FOR: dict[Verdict, tuple[str, ...]] = {
    "falling": ("easier",),
    "mastered": ("harder",),
    "stuck": ("recover", "easier", "explore"),
    "rising": (),
    "open": (),
}
SUPPORT = _CALLS_FOR["stuck"]
