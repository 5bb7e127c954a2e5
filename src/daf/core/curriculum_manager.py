"""A curriculum with one call per task: add tasks, draw the next one, report how it went.

`DAFCurriculumManager` is a thin layer for scripts over `daf.core.curriculum`: names instead of indices, and the method
names that earlier scripts use. It is itself a `Curriculum`, so a trainer accepts it; its draws and its learning are the
same as with a trainer's workers.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from daf.config import memory
from daf.core.curriculum import (
    Adaptation,
    CurriculumStagnationError,
    DAFCurriculumConfig,
    Outcome,
    Task,
    TaskCurriculum,
    TaskGenerationError,
    from_config,
)
from daf.core.curriculum._description import description, difficulties
from daf.core.curriculum._mission_parts import mission_of
from daf.core.curriculum.base_tasks import at_difficulty, names_mission
from daf.core.curriculum.interface import FloatArray
from daf.core.curriculum.slices import Slice
from daf.core.curriculum.stagnation import Stagnation
from daf.core.curriculum.tasks import check_fits
from daf.errors import DataError, UsageError, unknown
from daf.game import missions
from daf.output_manager import get_output_manager
from daf.storage import atomic
from daf.storage.yaml_strict import read_document

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

__all__ = [
    "CurriculumStagnationError",
    "DAFCurriculumConfig",
    "DAFCurriculumManager",
    "TaskGenerationError",
    "create_progressive_curriculum",
    "create_simple_curriculum",
]

Progression = Literal["linear", "adaptive", "random"]
_MISSION_FILES = "curriculum_missions"
logger = logging.getLogger(__name__)


class DAFCurriculumManager:
    """Tasks by name; `curriculum` is the `TaskCurriculum` that does the work."""

    def __init__(
        self,
        config: DAFCurriculumConfig | Mapping[str, Any] | None = None,
        *,
        seed: int = 42,
        directory: str | Path | None = None,
    ) -> None:
        """`config.missions` are the first tasks; there may be none.

        directory: for the mission files of `add_task_from_metta_config`; None: the session's artifacts. Raises
        `ConfigError`, `TaskGenerationError`.
        """
        if not isinstance(config, DAFCurriculumConfig):
            config = DAFCurriculumConfig(**(config or {}))
        self.config = config
        self.curriculum = from_config(config, seed) if config.missions else TaskCurriculum([], config, seed=seed)
        self._directory = None if directory is None else Path(directory)
        self._drawn = 0
        self._configured = len(self.curriculum.tasks())

    def add_task(
        self,
        id: str,
        difficulty: float = 0.0,
        config: "str | Path | Mapping[str, Any] | MettaGridConfig | tuple[str, MettaGridConfig] | None" = None,
    ) -> Task:
        """Add the task `id`. The curriculum uses only the order of difficulties.

        config: a mission (a string, a path, a config, a `(name, config)` pair), or its parts (mission, cogs, max_steps,
        variants, rewards). None, or parts without a mission: the mission string `id`, or, if `id` is not the name of a
        mission, the curriculum's base mission at that difficulty between 0 and 1 (`daf.core.curriculum.base_tasks`).
        Raises `TaskGenerationError` if the mission cannot be built, does not fit the other tasks, or `id` is taken.
        """
        if config is not None and not isinstance(config, str | Path | Mapping):
            return self.add_task_from_metta_config(id, config, difficulty)
        given = str(config) if isinstance(config, Path) else config
        if not isinstance(given, str) and "mission" not in (given or {}) and not names_mission(id, self.config.game):
            given = at_difficulty(self.config.base, difficulty, given or {}, game=self.config.game)
            logger.info("task %s: the base mission at difficulty %g is %s", id, difficulty, mission_of(id, given)[0])
        mission, axes = mission_of(id, given)
        check_fits(mission, self.tasks(), game=self.config.game)
        return self.curriculum.add(id, mission, difficulty=float(difficulty), axes=axes)

    def add_task_from_metta_config(
        self, id: str, config: "MettaGridConfig | tuple[str, MettaGridConfig]", difficulty: float = 0.0
    ) -> Task:
        """Add a task whose mission is a custom config, kept as a JSON mission file.

        Raises `TaskGenerationError`, `StorageError`.
        """
        mission = missions.resolve(config if isinstance(config, tuple) else (id, config))[0]
        folder = self._directory or get_output_manager().get_operation_dir("artifacts", _MISSION_FILES)
        path = folder.absolute() / f"{mission.config_hash}.json"
        if "," in str(path):
            raise TaskGenerationError(f"{folder}: the path of a directory for mission files must not contain a comma.")
        atomic.write_bytes(path, mission.config_json)
        return self.add_task(id, difficulty, {"mission": str(path)})

    def generate_task_sequence(
        self, sequence_length: int, difficulty_progression: Progression = "linear"
    ) -> list[Task]:
        """`sequence_length` active tasks in the order to play them; draws nothing and changes nothing.

        linear: all tasks equally often, easiest first. adaptive: in proportion to the current weights, easiest first.
        random: by the weights and the seed, in the order of draws. Raises `UsageError`, `TaskGenerationError`.
        """
        if sequence_length < 1:
            raise UsageError(f"sequence_length must be 1 or more, got {sequence_length}.")
        memory.require(
            sequence_length * 40, what=f"sequence_length {sequence_length:,}", way_out="Choose a shorter sequence."
        )
        if difficulty_progression not in get_args(Progression):
            raise UsageError(unknown("difficulty progression", str(difficulty_progression), get_args(Progression)))
        weights = self.weights()
        if difficulty_progression == "random":
            return [self.curriculum.draw(1, number) for number in range(sequence_length)]
        tasks = self.curriculum.active()
        ordered = sorted(tasks, key=lambda task: (task.difficulty, task.index))
        if difficulty_progression == "linear":
            shares = np.full(len(ordered), 1.0 / len(ordered))
        else:
            shares = weights[[task.index for task in ordered]]
        # The position of each episode in the cumulative shares: each task gets its share, to within one episode.
        positions = (np.arange(sequence_length) + 0.5) / sequence_length
        chosen = np.searchsorted(np.cumsum(shares), positions * shares.sum(), side="right")
        return [ordered[min(int(number), len(ordered) - 1)] for number in chosen]

    def get_next_task(self) -> Task:
        """Draw a task: determined by the current weights, the seed, and the number of earlier draws.

        Raises `TaskGenerationError` if there is none.
        """
        task = self.curriculum.draw(0, self._drawn)
        self._drawn += 1
        return task

    def update_task_performance(
        self,
        task: str | int | Task,
        score: float | Sequence[float],
        *,
        steps: int = 0,
        stats: Mapping[str, float] | None = None,
    ) -> None:
        """Report how a task went: the score of one episode, or of all episodes that one policy played.

        Raises `UsageError` for an unknown task, `DataError` for a score that is not a number, and
        `CurriculumStagnationError` if `on_stagnation` is "raise" and no task is being learned any more.
        """
        index = self._task(task).index
        scores = list(score) if isinstance(score, Sequence) else [score]
        outcomes = [
            Outcome(index, 0, self.curriculum.episodes + number, float(value), steps, dict(stats or {}))
            for number, value in enumerate(scores)
        ]
        self.record(outcomes)

    def adapt_curriculum(self, kind: str = "recover", why: str = "") -> Adaptation:
        """Make the curriculum harder, easier or wider, explore again, or recover from stagnation.

        The kinds are those of `daf.core.curriculum._adaptation`, with the aliases "adjust_difficulty" (recover),
        "reduce_difficulty" (easier) and "increase_difficulty" (harder); `why` goes into the record of events. The
        result reports whether anything changed, and why (`changed`, `reason`). Raises `UsageError` for an unknown kind.
        """
        return self.curriculum.adapt(kind, why)

    def check_stagnation(self) -> None:
        """Raise `CurriculumStagnationError`, with the evidence, if no task is being learned any more."""
        found = self.stagnation()
        if found is not None:
            raise CurriculumStagnationError(found)

    def stagnation(self) -> Stagnation | None:
        """The evidence that no task is being learned any more; None if there is none."""
        return self.curriculum.stagnation()

    def slices(self) -> list[Slice]:
        """What was drawn and learned, by axis."""
        return self.curriculum.slices()

    def get_curriculum_stats(self) -> dict[str, Any]:
        """The curriculum as JSON data: metrics, every task, slices, events, stagnation.

        num_custom_tasks: tasks that were added individually. avg_performance: the mean current level of the tasks that
        were played; None before. adaptation_needed: whether `adapt_curriculum` would detect stagnation.
        """
        levels = [past.fast for past in self.curriculum.history.tasks if past.known]
        data = description(self.curriculum)
        return data | {
            "tasks_drawn": self._drawn,
            "num_custom_tasks": len(self.tasks()) - self._configured,
            "avg_performance": float(np.mean(levels)) if levels else None,
            "adaptation_needed": data["stagnation"] is not None,
        }

    def get_task_difficulty_distribution(self, bins: int = 5) -> dict[str, Any]:
        """The number of tasks and active tasks, and the weight, in each of `bins` equal parts of the difficulty range.

        Raises `UsageError` if `bins` is too small, `TaskGenerationError` without tasks.
        """
        if bins < 1:
            raise UsageError(f"bins must be 1 or more, got {bins}.")
        return difficulties(self.curriculum, bins)

    def get_performance_history(self, task: str | int | Task | None = None) -> dict[str, Any]:
        """By task: `levels`, (curriculum episodes, level) at each review, and its `first` and `recent` scores.

        task: only this one. Raises `UsageError` for an unknown one.
        """
        chosen = self.tasks() if task is None else [self._task(task)]
        return {
            one.key: {
                "levels": self.curriculum.trace.of(one.index),
                "first": list(self.curriculum.history.tasks[one.index].first),
                "recent": list(self.curriculum.history.tasks[one.index].recent),
            }
            for one in chosen
        }

    def export_curriculum_state(self, path: str | Path | None = None) -> dict[str, Any]:
        """The state for `import_curriculum_state`, as JSON data; also written to `path`. Raises `StorageError`."""
        state = self.state_dict()
        if path is not None:
            atomic.write_json(path, state)
        return state

    def import_curriculum_state(self, state: Mapping[str, Any] | str | Path) -> None:
        """Restore a state, or a file with one; saved tasks that this curriculum lacks are added.

        Raises `ConfigError` if it belongs to another curriculum, and `StorageError`.
        """
        if isinstance(state, str | Path):
            path, state = state, read_document(state).value
            if not isinstance(state, Mapping):
                raise DataError(f"{path} is not a saved curriculum.")
        self.load_state_dict(state)

    def tasks(self) -> Sequence[Task]:
        """The current table of tasks."""
        return self.curriculum.tasks()

    def weights(self) -> FloatArray:
        """(tasks,) probabilities of the next draws. Raises `TaskGenerationError` if there are no tasks."""
        return self.curriculum.weights()

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Add an update's outcomes, as a trainer passes them."""
        self.curriculum.record(outcomes)

    def metrics(self) -> dict[str, float]:
        """Finite numbers for the metrics stream."""
        return self.curriculum.metrics()

    def state_dict(self) -> dict[str, Any]:
        """The complete state, as JSON data."""
        return self.curriculum.state_dict() | {"drawn": self._drawn}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state`. Raises `ConfigError` if it belongs to another curriculum."""
        self.curriculum.load_state_dict(state)
        self._drawn = int(state.get("drawn", 0))

    def _task(self, task: str | int | Task) -> Task:
        if isinstance(task, int) and not 0 <= task < len(self.tasks()):
            raise UsageError(f"no task {task}; the curriculum has {len(self.tasks())}.")
        if isinstance(task, int):
            return self.tasks()[task]
        key = task.key if isinstance(task, Task) else task
        found = next((one for one in self.tasks() if one.key == key), None)
        if found is None:
            raise UsageError(unknown("task", key, [one.key for one in self.tasks()]))
        return found


def create_simple_curriculum(
    tasks: Sequence[str] = ("training_facility_1",), *, name: str = "simple", seed: int = 42, **settings: Any
) -> DAFCurriculumManager:
    """The missions `tasks`, drawn by learning progress; `settings` are fields of `DAFCurriculumConfig`."""
    return DAFCurriculumManager(DAFCurriculumConfig(name=name, missions=list(tasks), **settings), seed=seed)


def create_progressive_curriculum(
    tasks: Sequence[str] = ("training_facility_1", "training_facility_2"),
    *,
    name: str = "progressive",
    seed: int = 42,
    **settings: Any,
) -> DAFCurriculumManager:
    """The missions `tasks` from easy to hard; the next starts when the current one has converged.

    settings: fields of `DAFCurriculumConfig`; `sampler: {name: sequence, target: …}` sets a target score instead.
    """
    chosen = {"sampler": "sequence"} | settings
    return DAFCurriculumManager(DAFCurriculumConfig(name=name, missions=list(tasks), **chosen), seed=seed)
