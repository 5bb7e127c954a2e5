"""A world to try curricula on: tasks whose scores follow from practice by a known rule."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from daf.core.curriculum import DAFCurriculumConfig, Outcome, Task, TaskCurriculum, draw

Rule = Callable[[int], float]
"""A task's true level after so many episodes of it."""

STEPS = 10


def flat(level: float) -> Rule:
    return lambda played: level


def rising(rate: float, start: float = 0.0) -> Rule:
    return lambda played: start + rate * played


def saturating(top: float, pace: float) -> Rule:
    return lambda played: float(top * (1 - np.exp(-played / pace)))


@dataclass
class World:
    """Plays what the curriculum draws; noise is keyed by task and episode, so every world repeats."""

    rules: Sequence[Rule]
    noise: Sequence[float]
    environments: int = 8
    seed: int = 0
    updates: int = 0
    played: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.played = [0] * len(self.rules)

    def play(self, curriculum, updates: int) -> None:
        for _ in range(updates):
            curriculum.record(self.rollout(curriculum))

    def rollout(self, curriculum) -> list[Outcome]:
        weights = curriculum.weights()
        tasks = [draw(weights, self.seed, environment, self.updates) for environment in range(self.environments)]
        outcomes = []
        levels = [rule(count) for rule, count in zip(self.rules, self.played, strict=True)]
        for environment, task in enumerate(tasks):
            rng = np.random.default_rng([self.seed, self.updates, environment])
            score = levels[task] + self.noise[task] * float(rng.standard_normal())
            outcomes.append(Outcome(task, environment, self.updates, score, STEPS))
            self.played[task] += 1
        self.updates += 1
        return outcomes


def table(count: int) -> list[Task]:
    """`count` tasks of rising difficulty, in two missions."""
    return [
        Task(i, f"task{i}", f"mission{i % 2}", {"mission": f"mission{i % 2}", "max_steps": float(i // 2)}, float(i))
        for i in range(count)
    ]


def curriculum(sampler, count: int = 6, *, seed: int = 5, **settings) -> TaskCurriculum:
    return TaskCurriculum(table(count), DAFCurriculumConfig(sampler=sampler, **settings), seed=seed)


def through_json(state):
    """The state as a checkpoint would keep it."""
    return json.loads(json.dumps(state, allow_nan=False))
