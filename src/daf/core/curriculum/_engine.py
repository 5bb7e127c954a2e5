"""The curriculum: a table of tasks, their history, and a sampler's weights.

`TaskCurriculum` is the `Curriculum` of trainers and the engine of `DAFCurriculumManager`. Equal configurations, tables
and outcomes give equal weights, bit for bit; `state_dict` holds the complete state, so a restored curriculum continues
as if it had never stopped.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from daf.core.curriculum import _adaptation as adaptation
from daf.core.curriculum import stagnation
from daf.core.curriculum._adaptation import Adaptation
from daf.core.curriculum._drawing import draw
from daf.core.curriculum._errors import CurriculumStagnationError, TaskGenerationError
from daf.core.curriculum._state import SAVED_BY, check_same
from daf.core.curriculum._task_states import TaskStates
from daf.core.curriculum._trace import Trace
from daf.core.curriculum.config import DAFCurriculumConfig
from daf.core.curriculum.history import History
from daf.core.curriculum.interface import FloatArray, Outcome, Task
from daf.core.curriculum.samplers import make_sampler
from daf.core.curriculum.slices import Slice, slices
from daf.core.curriculum.stagnation import Recovery, Stagnation

logger = logging.getLogger(__name__)

NAMED_IN_METRICS = 32
"""With more tasks than this, metrics describe only the table as a whole."""
MOST_EVENTS = 1000


class TaskCurriculum:
    """Tasks, and the probability of drawing each of them."""

    def __init__(self, tasks: Sequence[Task], config: DAFCurriculumConfig, *, seed: int) -> None:
        """Raise `TaskGenerationError` if a key is a duplicate or an index is not the task's position."""
        self.config, self.seed = config, seed
        self._tasks: list[Task] = []
        self._keys: set[str] = set()
        self._sampler = make_sampler(config.chosen_sampler, rest_margin=config.rest_margin)
        self._history = History(0, window=config.window, fast=config.fast_rate, slow=config.slow_rate)
        self._states = TaskStates([], config.max_active_tasks)
        self._adapted_at: list[int] = []
        """Each task's episodes at the last adaptation."""
        self._next_review = config.stats_update_frequency
        self._next_check = 0
        """The episode count from which to check for stagnation again."""
        self._reported = False
        self._stagnant = False
        """The result of the last check."""
        self.trace = Trace()
        self.events: list[dict[str, Any]] = []
        """Evictions, stagnations and adaptations with their reasons, the latest `MOST_EVENTS`."""
        for task in tasks:
            self._append(task)
        self._states.arrange(self._tasks, self._history)

    def tasks(self) -> Sequence[Task]:
        """The current table of tasks."""
        return tuple(self._tasks)

    @property
    def episodes(self) -> int:
        """Episodes recorded so far."""
        return self._history.episodes

    @property
    def history(self) -> History:
        """The history of each task; read-only."""
        return self._history

    def active(self) -> list[Task]:
        """The tasks that currently take part."""
        return [self._tasks[index] for index in self._states.active(self._tasks).tolist()]

    def state_of(self, task: int) -> str:
        """waiting, active, mastered, plateaued or unlearnable."""
        return self._states.states[task]

    def add(self, key: str, mission: str, *, difficulty: float = 0.0, axes: Mapping[str, str | float]) -> Task:
        """Append a task to the table. Raises `TaskGenerationError` if the key exists."""
        task = Task(len(self._tasks), key, mission, dict(axes), difficulty)
        self._append(task)
        self._states.arrange(self._tasks, self._history)
        return task

    def weights(self) -> FloatArray:
        """(tasks,) probabilities. Raises `TaskGenerationError` if the table is empty."""
        if not self._tasks:
            raise TaskGenerationError(f'the curriculum "{self.config.name}" has no tasks yet.')
        active = self._states.active(self._tasks)
        own = self._sampler.weights(self._tasks, self._history, active)
        found = np.zeros(len(self._tasks))
        found[active] = own / own.sum()
        return found

    def draw(self, environment: int, episode: int) -> Task:
        """The task that the current weights and the curriculum's seed give to an episode."""
        return self._tasks[draw(self.weights(), self.seed, environment, episode)]

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Add an update's outcomes, in their order; review the tasks that are due for it.

        Raises `DataError` for an invalid outcome, and `CurriculumStagnationError` if configured to, after recording the
        outcomes.
        """
        self._history.record(outcomes)
        if not outcomes:
            return
        self._sampler.observe(self._tasks, self._history, self._states.active(self._tasks))
        if self._history.episodes >= self._next_review:
            self._next_review = self._history.episodes + self.config.stats_update_frequency
            self.trace.add(self._history)
            self._review()

    def adapt(self, kind: str, why: str = "") -> Adaptation:
        """Change the curriculum on request (kinds: `daf.core.curriculum._adaptation`); `why` goes into the record.

        Raises `UsageError` for an unknown kind.
        """
        asked = adaptation.check_kind(kind)
        before = self._drawable()
        found = self.stagnation() if asked == "recover" else None
        chosen: Recovery | None = found.recovery if found else None if asked == "recover" else asked
        if not self._tasks:
            changed, reason = False, "the curriculum has no tasks yet"
        elif chosen is None:
            changed, reason = False, "the curriculum does not stagnate"
        elif not adaptation.possible(chosen, self._tasks, self._states, self._sampler):
            changed, reason = False, f"{chosen} would not change which tasks take part ({len(before)})"
        else:
            changed = True
            reason = adaptation.apply(chosen, self._tasks, self._states, self._sampler, self._history)
            self._adapted_at = [past.episodes for past in self._history.tasks]
            self._reported = self._stagnant = False
        done = Adaptation(asked, changed, reason, self.episodes, before, self._drawable())
        self._note(f"adapted:{chosen or asked}", None, f"{why}{'; ' if why else ''}{reason}")
        return done

    def stagnation(self) -> Stagnation | None:
        """The evidence that no task is being learned any more; None if there is none."""
        active = self._states.active(self._tasks)
        if not len(active):
            return None
        found = stagnation.find(
            self._tasks, self._history, active, self._adapted_at, margin=self.config.rest_margin
        )  # fmt: skip
        if found is None:
            return None
        moved, risen = found
        mastered = 2 * risen > len(active)
        ways: tuple[Recovery, ...] = ("widen", "harder", "explore") if mastered else ("easier", "widen", "explore")
        way = next(way for way in ways if adaptation.possible(way, self._tasks, self._states, self._sampler))
        return Stagnation(self.episodes, len(active), risen, moved, way)

    def slices(self) -> list[Slice]:
        """What was drawn and learned, by axis; empty if `enable_slice_analysis` is off."""
        return slices(self._tasks, self._history) if self.config.enable_slice_analysis else []

    def metrics(self) -> dict[str, float]:
        """The table in numbers; for small tables also each task's weight, level and change."""
        weights = self.weights()
        active = self._states.active(self._tasks)
        likely = weights[weights > 0]
        explored = [self._history.tasks[index] for index in active.tolist() if self._history.tasks[index].explored]
        found = {
            "tasks": float(len(self._tasks)),
            "tasks_active": float(len(active)),
            "tasks_played": float(sum(past.episodes > 0 for past in self._history.tasks)),
            "tasks_mastered": float(self._states.states.count("mastered")),
            "tasks_unlearnable": float(self._states.states.count("unlearnable")),
            "tasks_effective": float(np.exp(-(likely * np.log(likely)).sum())),
            "episodes": float(self.episodes),
            "stagnant": float(self._stagnant),
        }
        if explored:
            found["progress"] = float(np.mean([abs(past.change) for past in explored]))
        levels = self._sampler.levels(self._tasks, active)
        if levels is not None:
            found["level"] = float(levels[0])
        if len(self._tasks) <= NAMED_IN_METRICS:
            for task, weight, past in zip(self._tasks, weights, self._history.tasks, strict=True):
                found[f"weight/{task.key}"] = float(weight)
                if past.known:
                    found[f"level/{task.key}"] = past.fast
                    found[f"change/{task.key}"] = past.change
        return found

    def state_dict(self) -> dict[str, Any]:
        """The complete state, as JSON data."""
        return {
            "saved_by": SAVED_BY,
            "name": self.config.name,
            "seed": self.seed,
            "config": self.config.to_data(),
            "tasks": [asdict(task) for task in self._tasks],
            "history": self._history.state_dict(),
            "roster": self._states.state_dict(),
            "sampler": self._sampler.state_dict(),
            "adapted_at": list(self._adapted_at),
            "next_review": self._next_review,
            "next_question": self._next_check,
            "told": self._reported,
            "stagnant": self._stagnant,
            "trace": self.trace.state(),
            "events": [dict(event) for event in self.events],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state`; tasks that were added to the saved curriculum are added here.

        If `max_active_tasks` differs from the saved configuration's, the value of this configuration applies, even if
        `widen` had raised the saved one. Raises `ConfigError`, with the differences, if sampler, seed, windows or tasks
        differ; nothing is changed then.
        """
        saved = check_same(state, self.config, self.seed, self._tasks)
        for task in saved[len(self._tasks) :]:
            self._append(task)
        self._history.load_state_dict(state["history"])
        self._states.load_state_dict(state["roster"])
        most = self.config.max_active_tasks
        if most != DAFCurriculumConfig.model_validate(state["config"]).max_active_tasks:
            self._states.limit(most, self._tasks, self._history)
        self._sampler.load_state_dict(state["sampler"])
        self._adapted_at = [int(count) for count in state["adapted_at"]]
        self._next_review, self._reported = int(state["next_review"]), bool(state["told"])
        self._next_check = int(state["next_question"])
        self._stagnant = bool(state["stagnant"])
        self.trace.load(state["trace"])
        self.events = [dict(event) for event in state["events"]]

    def _append(self, task: Task) -> None:
        if task.index != len(self._tasks):
            raise TaskGenerationError(
                f'task "{task.key}" has index {task.index} and must have index {len(self._tasks)}.'
            )
        if task.key in self._keys:
            raise TaskGenerationError(f'task "{task.key}" exists already; choose another name.')
        if not -1e100 < task.difficulty < 1e100:
            raise TaskGenerationError(f'task "{task.key}": difficulty must be a finite number, got {task.difficulty}.')
        self._tasks.append(task)
        self._keys.add(task.key)
        self._history.grow()
        self._states.grow()
        self._adapted_at.append(0)

    def _review(self) -> None:
        if self.config.max_active_tasks is not None:
            self._evict()
        if self.episodes < self._next_check:
            return
        # Checked again when about half of the evidence is new, because intervals of many tasks take time to compute.
        self._next_check = self.episodes + self.config.window // 2 * len(self._states.active(self._tasks))
        found = self.stagnation()
        self._stagnant = found is not None
        if found is None:
            if stagnation.moving(self._history, self._states.active(self._tasks)):
                self._reported = False
            return
        how = self.config.on_stagnation
        if how == "ignore" or (how == "warn" and self._reported):
            return
        self._reported = True
        sentence = found.sentence()
        self._note("stagnation", None, sentence)
        if how == "raise":
            raise CurriculumStagnationError(found)
        logger.warning("%s", sentence)
        if how == "adapt":
            self.adapt("recover", why=f"the change was {found.change.text()}")

    def _evict(self) -> None:
        done = self._states.review(
            self._tasks, self._history, margin=self.config.rest_margin, target=self.config.mastered_at
        )
        for index, verdict, successor in done:
            self._note(verdict.state, index, f"{verdict.reason} Its replacement is {self._tasks[successor].key}.")

    def _note(self, kind: str, task: int | None, reason: str) -> None:
        key = None if task is None else self._tasks[task].key
        self.events.append({"episodes": self.episodes, "kind": kind, "task": key, "reason": reason})
        del self.events[:-MOST_EVENTS]

    def _drawable(self) -> tuple[str, ...]:
        if not self._tasks:
            return ()
        return tuple(self._tasks[index].key for index in np.flatnonzero(self.weights()).tolist())
