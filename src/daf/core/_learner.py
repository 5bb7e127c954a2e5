"""Environments, a network and PPO or imitation: one update at a time, and all the state that the next depends on.

`state()` after an update and `restore()` before another reproduce the uninterrupted run, bit for bit on the same
machine with the same number of threads: weights, optimizer, generators, recurrent states, reward scale, curriculum,
and the environments in the middle of their episodes.

With several ranks, each has a learner with a part of the environments. Draws of actions and minibatches belong to
places of the whole rollout, so the ranks together make the update of a single process, up to the order of sums. The
state is that of the whole, which any number of ranks can restore.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from daf.config.training import DAFTrainingConfig
from daf.core._allocator import keep_freed_memory
from daf.core._episode_scores import EpisodeScores
from daf.core._imitation import imitate, imitating, teacher_led
from daf.core._optimizers import make_optimizer, schedule
from daf.core._peers import Alone, Peers
from daf.core._ppo import update
from daf.core._rollout_buffer import RewardScale, scale_rewards
from daf.core._rollout_collector import Resolve, RolloutCollector, joined_states
from daf.core._teachers import Teachers
from daf.core.curriculum import Curriculum, Outcome
from daf.core.rollout_sizes import RolloutSizes, share_of
from daf.game.trainable import Trainable
from daf.game.training_envs import TrainingEnvs
from daf.game.training_world import EndedEpisode


class Learner:
    """Training in progress: PPO, or in the phase `imitate` a teacher's actions.

    steps, updates: done so far. scores: of the run's episodes. latest: task and score of the episodes that ended in the
    last update. interrupted: whether another rank was asked to stop during the last update.
    """

    interrupted = False

    def __init__(
        self,
        config: DAFTrainingConfig,
        sizes: RolloutSizes,
        trainable: Trainable,
        curriculum: Curriculum,
        resolve: Resolve,
        *,
        sampler: Any = None,
        peers: Peers | None = None,
        on_machine: int = 1,
        teachers: Teachers | None = None,
    ) -> None:
        """sizes: of all ranks together. peers: the ranks that it learns with, None for a single process. on_machine:
        the number of ranks that share this machine's cores. teachers: of the phase `imitate`, if the run has one.
        """
        self._peers = peers or Alone(sizes.environments)
        self.config, self.sizes, self.trainable, self.curriculum = config, sizes, trainable, curriculum
        self.steps = self.updates = 0
        self.seconds = 0.0
        self.scores = EpisodeScores()
        self.latest: list[tuple[str, float]] = []
        self.optimizer = make_optimizer(trainable.network, config)
        self._batches = torch.Generator().manual_seed(_generator_seed(config.seed, "minibatches"))
        self.scale = RewardScale(np.zeros(sizes.rows))
        self._collector = RolloutCollector(
            config,
            share_of(sizes, len(self._peers.environments), on_machine),
            trainable,
            curriculum,
            resolve,
            peers=self._peers,
            whole=sizes,
            action_seed=_generator_seed(config.seed, "actions"),
            sampler=sampler,
            teachers=teachers,
            teacher_seed=_generator_seed(config.seed, "teachers"),
        )
        if self._peers.rank:  # networks may draw themselves (dropout); rank 0 continues where its weights were drawn
            torch.manual_seed(_generator_seed(config.seed, f"network of rank {self._peers.rank}"))
        if config.compile:
            trainable.compile()
        else:
            trainable.accelerate()
        if trainable.device.type == "cpu":
            keep_freed_memory()

    def update(self) -> dict[str, float]:
        """Collect a rollout and learn from it; returns the metrics, with the names of metrics.jsonl.

        Raises `DivergenceError`, `TrainingError`; the learner must then be restored or closed.
        """
        began = time.perf_counter()
        peers = self._peers
        now = schedule(self.config, self.steps, peers.world)
        ended = self._collector.collect(self.curriculum, self._precision(), self.steps)
        collected = time.perf_counter()
        buffer = self._collector.buffer
        rewards, done = peers.join(buffer.rewards), peers.join(buffer.done)
        earned = float(rewards.cpu().double().mean())
        scale_rewards(buffer, self.scale, self.config, rewards, done)
        lessons = self._collector.lessons if imitating(self.config, self.steps) else None
        if lessons is not None:
            lessons.count(peers)
        learn = update if lessons is None else partial(imitate, lessons=lessons)
        losses = learn(
            self.trainable,
            self.optimizer,
            buffer,
            config=self.config,
            schedule=now,
            batch=self.sizes.batch,
            chunk=self.sizes.chunk,
            generator=self._batches,
            peers=peers,
            context=self._precision(),
        )
        ended = [end for end in self._exchanged(ended) if not end.cut]
        steps = self.sizes.steps(self.config.n_steps)
        self.steps += steps
        self.updates += 1
        self._record_outcomes(ended)
        taught: dict[str, float] = {}
        if lessons is not None:
            taught = lessons.metrics(buffer, ended, self._collector.teacher_seconds, peers)
            taught["schedule/teacher_led"] = teacher_led(self.config, self.steps - steps)
        finished = time.perf_counter()
        self.seconds += finished - began
        return {
            "reward/per_step": earned,
            **_episodes(ended),
            **losses,
            **taught,
            "schedule/learning_rate": now.learning_rate,
            "schedule/ent_coef": now.ent_coef,
            **({"schedule/reward_deviation": self.scale.deviation} if self.config.normalize_rewards else {}),
            **{f"curriculum/{name}": value for name, value in self.curriculum.metrics().items()},
            "clock/seconds": self.seconds,
            "clock/sps": steps / (finished - began),
            "clock/collect_seconds": collected - began,
            "clock/learn_seconds": finished - collected,
        }

    def _exchanged(self, ended: Sequence[EndedEpisode]) -> list[EndedEpisode]:
        """The episodes of all ranks; their samples for logs go to rank 0."""
        parts = self._peers.gather((ended, self._collector.records))
        self._collector.records = [record for _, records in parts for record in records] if not self._peers.rank else []
        return [end for episodes, _ in parts for end in episodes]  # order by rank is order by environment

    @property
    def envs(self) -> TrainingEnvs:
        """The environments of this process."""
        return self._collector.envs

    @property
    def records(self) -> list[dict[str, Any]]:
        """Samples for json_logs since the list was last cleared; empty without a sampler."""
        return self._collector.records

    def follow(self, curriculum: Curriculum) -> None:
        """Draw from another curriculum; every environment starts a new episode with a new recurrent state.

        The tasks of the previous curriculum must keep their indices in it.
        """
        self.curriculum = curriculum
        self._collector.restart(curriculum)

    def _record_outcomes(self, ended: Sequence[EndedEpisode]) -> None:
        """Count the episodes that ended, and pass them to the curriculum."""
        outcomes = [Outcome(e.task, e.environment, e.episode, float(e.returns.mean()), e.steps, e.stats) for e in ended]
        tasks = self.curriculum.tasks()
        self.latest = [(tasks[outcome.task].key, outcome.score) for outcome in outcomes]
        self.scores.add(self.latest)
        self.curriculum.record(outcomes)

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self.config.precision == "bfloat16":
            return torch.autocast(self.trainable.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def state(self) -> dict[str, Any]:
        """What `restore` needs in addition to the weights, of all ranks: tensors, numbers and text only."""
        parts = self._peers.gather((self._collector.state(), torch.get_rng_state(), self._gpu_generator()))
        own: dict[str, Any] = {}
        if len(parts) > 1:  # generators that networks may draw from, by rank; draws of the trainer are common to all
            own = {"torch_of_ranks": [part[1] for part in parts], "cuda_of_ranks": [part[2] for part in parts]}
        return {
            "steps": self.steps,
            "updates": self.updates,
            "seconds": self.seconds,
            "optimizer": self.optimizer.state_dict(),
            "batches": self._batches.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": self._gpu_generator(),
            "scale": self.scale.state(),
            "curriculum": self.curriculum.state_dict(),
            "tally": self.scores.state(),
            **joined_states([part[0] for part in parts], self.sizes.environments),
            **own,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from `state`, which any number of ranks may have saved; the caller loads the weights."""
        self._load_progress(state)
        self._batches.set_state(state["batches"])
        rank, generators = self._peers.rank, (state["torch"], state["cuda"])
        if len(state.get("torch_of_ranks", [0])) == self._peers.world > 1:
            generators = (state["torch_of_ranks"][rank], state["cuda_of_ranks"][rank])
        elif rank:  # saved by another number of ranks, and rank 0 has the state that was saved
            torch.manual_seed(_generator_seed(self.config.seed, f"network of rank {rank} after {self.updates} updates"))
            generators = (torch.get_rng_state(), None)
        torch.set_rng_state(generators[0])
        if self.trainable.device.type == "cuda" and generators[1] is not None:  # None: saved by a run on a CPU
            torch.cuda.set_rng_state(generators[1], self.trainable.device)
        self.scale = RewardScale.of(state["scale"], self.sizes.rows)
        self.curriculum.load_state_dict(state["curriculum"])
        self.scores.restore(state.get("tally"))
        self._collector.restore(state, self.curriculum, self.steps)

    def inherit(self, state: dict[str, Any]) -> None:
        """Take over counters, optimizer state and reward scale, as a run that branches off does.

        The optimizer state is None if the other run used another kind of optimizer.
        """
        self._load_progress(state)
        kept = RewardScale.of(state["scale"], self.sizes.rows)
        self.scale = RewardScale(self.scale.sums, kept.count, kept.mean, kept.squares)

    def _load_progress(self, state: dict[str, Any]) -> None:
        self.steps, self.updates, self.seconds = state["steps"], state["updates"], state["seconds"]
        kept = state["optimizer"]
        if kept is None:
            return
        # The settings of the groups are those of this run: a branch may have another learning rate or weight decay.
        groups = [
            {**{k: v for k, v in ours.items() if k != "params"}, "params": theirs["params"]}
            for ours, theirs in zip(self.optimizer.state_dict()["param_groups"], kept["param_groups"], strict=True)
        ]
        self.optimizer.load_state_dict({"state": kept["state"], "param_groups": groups})

    def _gpu_generator(self) -> torch.Tensor | None:
        return torch.cuda.get_rng_state(self.trainable.device) if self.trainable.device.type == "cuda" else None

    def close(self) -> None:
        """End the environment processes; another update starts new ones in the same state."""
        self._collector.close()


def _generator_seed(seed: int, purpose: str) -> int:
    """The seed of one of the learner's generators."""
    digest = hashlib.sha256(f"{purpose}\x00{seed}\x000".encode()).digest()
    return int.from_bytes(digest[:7], "little")


def _episodes(ended: Sequence[EndedEpisode]) -> dict[str, float]:
    """Means over the episodes that ended; empty if none did."""
    if not ended:
        return {}
    stats: dict[str, list[float]] = defaultdict(list)
    for end in ended:
        for name, value in end.stats.items():
            stats[name].append(value)
    return {
        "episode/return": float(np.mean([end.returns.mean() for end in ended])),
        "episode/length": float(np.mean([end.steps for end in ended])),
        "episode/count": float(len(ended)),
        **{f"stats/{name}": float(np.mean(values)) for name, values in sorted(stats.items())},
    }
