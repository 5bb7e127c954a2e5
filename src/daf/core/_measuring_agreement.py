"""Plays episodes that a student leads and its teacher labels, without learning, and counts where they agree.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import torch

from daf.core._peers import Alone
from daf.core._rollout_collector import RolloutCollector
from daf.core.agreement import Agreement, Share
from daf.core.rollout_sizes import rollout_sizes
from daf.core.training_run import TrainingRun
from daf.errors import UsageError
from daf.game.observations import END
from daf.game.teaching import UNLABELLED
from daf.game.trainable import Trainable

GEAR = ("aligner", "scrambler", "miner", "scout")
"""What an agent can carry that gives it a role."""
NO_GEAR = "no gear"
SEED_STEP = 1_000_003
"""Added to the run's seed, so that other episodes are played than in training."""


def measure_agreement(run: TrainingRun, episodes: int) -> Agreement:
    """Play at least `episodes` episodes with the run's network as it is. Raises `UsageError` without a teacher."""
    if run.teachers is None:
        raise UsageError("the run has no teacher to agree with.")
    config = run.config.replace(
        num_envs=episodes,
        seed=(run.config.seed + SEED_STEP) % 2**31,
        teacher_led=0.0,
        teacher_led_final=None,
        batch_size="auto",
        imitate_steps=None,
        stagger_episodes=False,
        idle_steps=None,
        memory_budget_mb=None,
    )
    agents = run.missions[0].num_agents
    tokens = run.trainable.interface.observation_space.shape[0]
    sizes = rollout_sizes(config, agents=agents, tokens=tokens, cores=run.sizes.workers)
    collector = RolloutCollector(
        config,
        sizes,
        run.trainable,
        run.curriculum,
        run.resolve,
        peers=Alone(sizes.environments),
        whole=sizes,
        action_seed=config.seed,
        sampler=None,
        teachers=run.teachers,
        teacher_seed=config.seed,
    )
    interface = run.trainable.interface
    tally = _Tally(agents, list(interface.action_names), _gear(run.trainable), _own_place(interface.egocentric_shape))
    played = 0
    with contextlib.closing(collector):
        while played < episodes:
            played += len(collector.collect(run.curriculum, contextlib.nullcontext()))
            assert collector.lessons is not None
            lessons = collector.lessons
            tally.add(collector.buffer.observations, lessons.labels, lessons.greedy, lessons.views)
            tally.loops(lessons.loops(collector.buffer))
    return tally.agreement(run.teachers.name, played)


class _Tally:
    """Counts of labelled states, and of those in which the student agrees, by action, agent and role."""

    def __init__(self, agents: int, actions: Sequence[str], gear: Mapping[str, int], own_place: int) -> None:
        self._agents, self._actions, self._gear, self._own_place = agents, actions, gear, own_place
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        self._looping = self._windows = 0

    def add(self, observations: torch.Tensor, labels: torch.Tensor, greedy: torch.Tensor, views: torch.Tensor) -> None:
        """Count a rollout: (rows, steps, tokens, 3), and three of (rows, steps)."""
        labelled, right = labels != UNLABELLED, labels == greedy
        self._count("all", "", labelled, right)
        self._count("new views", "new views", labelled & (views == 1), right)
        for index, name in enumerate(self._actions):
            self._count("actions", name, labels == index, right)
        agent = torch.arange(len(labels), device=labels.device).remainder(self._agents).unsqueeze(1)
        for index in range(self._agents):
            self._count("agents", str(index), labelled & (agent == index), right)
        if not self._gear:
            return
        here = (observations[..., 0] == self._own_place) & (observations[..., 1] != END) & (observations[..., 2] > 0)
        without = labelled
        for name, feature in self._gear.items():
            wears = (here & (observations[..., 1] == feature)).any(-1) & without
            without = without & ~wears
            self._count("roles", name, wears, right)
        self._count("roles", NO_GEAR, without, right)

    def loops(self, counted: tuple[int, int]) -> None:
        """Count windows: those in which a student loops, and all."""
        self._looping += counted[0]
        self._windows += counted[1]

    def _count(self, part: str, name: str, states: torch.Tensor, right: torch.Tensor) -> None:
        before = self._counts.get((part, name), (0, 0))
        self._counts[part, name] = (before[0] + int(states.sum()), before[1] + int((states & right).sum()))

    def _part(self, part: str) -> tuple[Share, ...]:
        found = [(name, states, right) for (kind, name), (states, right) in self._counts.items() if kind == part]
        return tuple(Share(name, states, right / states) for name, states, right in found if states)

    def agreement(self, teacher: str, episodes: int) -> Agreement:
        """The counts as shares."""
        states, right = self._counts["all", ""]
        return Agreement(
            teacher=teacher,
            episodes=episodes,
            states=states,
            agreement=right / states if states else 0.0,
            looping=self._looping / self._windows if self._windows else None,
            actions=self._part("actions"),
            agents=self._part("agents"),
            roles=self._part("roles"),
            new_views=next(iter(self._part("new views")), None),
        )


def _gear(model: Trainable) -> dict[str, int]:
    """The features that report what an agent carries, by gear; empty in missions without gear."""
    names = {feature.name: feature.id for feature in model.interface.obs_features}
    return {gear: names[f"inv:{gear}"] for gear in GEAR if f"inv:{gear}" in names}


def _own_place(view: tuple[int, int]) -> int:
    """The location of the agent's own cell."""
    return (view[0] // 2) << 4 | view[1] // 2
