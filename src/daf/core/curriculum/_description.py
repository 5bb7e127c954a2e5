"""A curriculum in numbers, as JSON data for people and reports."""

from typing import Any

import numpy as np

from daf.core.curriculum._engine import TaskCurriculum
from daf.core.curriculum.interface import Task
from daf.storage.jsonable import jsonable


def description(curriculum: TaskCurriculum) -> dict[str, Any]:
    """Metrics, every task, slices, events, and the stagnation if there is one."""
    tasks = curriculum.tasks()
    weights = curriculum.weights() if tasks else np.zeros(0)
    stagnation = curriculum.stagnation()
    data: dict[str, Any] = jsonable(
        {
            "name": curriculum.config.name,
            "sampler": curriculum.config.chosen_sampler.name,
            "episodes": curriculum.episodes,
            "metrics": curriculum.metrics() if tasks else {},
            "tasks": {task.key: _facts(curriculum, task, float(weights[task.index])) for task in tasks},
            "slices": curriculum.slices(),
            "events": curriculum.events,
            "stagnation": None if stagnation is None else stagnation.sentence(),
        }
    )
    return data


def difficulties(curriculum: TaskCurriculum, bins: int) -> dict[str, Any]:
    """Tasks, active tasks and weight in each of `bins` equal parts of the range of difficulties, and their means."""
    weights = curriculum.weights()
    difficulty = np.array([task.difficulty for task in curriculum.tasks()])
    active = np.array([curriculum.state_of(task.index) == "active" for task in curriculum.tasks()])
    edges = np.histogram_bin_edges(difficulty, bins)
    return {
        "edges": [float(edge) for edge in edges],
        "tasks": [int(n) for n in np.histogram(difficulty, edges)[0]],
        "active": [int(n) for n in np.histogram(difficulty[active], edges)[0]],
        "weight": [float(w) for w in np.histogram(difficulty, edges, weights=weights)[0]],
        "mean": float(difficulty.mean()),
        "mean_drawn": float(difficulty @ weights),
    }


def _facts(curriculum: TaskCurriculum, task: Task, weight: float) -> dict[str, Any]:
    past = curriculum.history.tasks[task.index]
    return {
        "mission": task.mission,
        "difficulty": task.difficulty,
        "axes": dict(task.axes),
        "state": curriculum.state_of(task.index),
        "weight": weight,
        "episodes": past.episodes,
        "mean": past.mean if past.episodes else None,
        "best": past.best if past.episodes else None,
        "level": past.fast if past.known else None,
        "deviation": past.deviation if past.explored else None,
        "change": past.change if past.explored else None,
        "change_error": past.change_error if past.explored else None,
    }
