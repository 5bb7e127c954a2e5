"""Environments, a network and PPO: one update at a time, and all the state that the next update depends on.

`state()` after an update and `restore()` before another reproduce the uninterrupted run, bit for bit on the same
machine with the same number of threads: weights, optimizer, generators, recurrent states, reward scale, curriculum, and
the environments, whose episodes are restored by replaying their actions. Environments are therefore not reset at
checkpoints, which would cut every episode longer than the time between two of them.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from daf.config.training import DAFTrainingConfig
from daf.core._episode_scores import EpisodeScores
from daf.core.curriculum import Curriculum, Outcome, draw
from daf.core.optimizers import make_optimizer, schedule
from daf.core.ppo import update
from daf.core.process_group import ProcessGroup
from daf.core.rollout_buffer import RewardScale, RolloutBuffer, scale_rewards
from daf.core.rollout_sizes import RolloutSizes
from daf.errors import TrainingError
from daf.game.missions import Mission
from daf.game.trainable import Trainable
from daf.game.training_envs import TrainingEnvs
from daf.game.training_world import TRUNCATED, EndedEpisode, WorldState

Resolve = Callable[[str], Mission]


class Learner:
    """PPO in progress.

    steps, updates: done so far. records: samples for json_logs, if a sampler collects them. scores: of the run's
    episodes. latest: task and score of the episodes that ended in the last update.
    """

    def __init__(
        self,
        config: DAFTrainingConfig,
        sizes: RolloutSizes,
        trainable: Trainable,
        curriculum: Curriculum,
        resolve: Resolve,
        *,
        sampler: Any = None,
        peers: ProcessGroup | None = None,
    ) -> None:
        """sizes: of this process only. peers: the process group that it learns in, None for a single process."""
        self._peers = peers
        self._rank, self._world = (0, 1) if peers is None else (peers.rank, peers.world)
        self._first_environment = self._rank * sizes.environments
        self.config, self.sizes, self.trainable, self.curriculum = config, sizes, trainable, curriculum
        self.resolve = resolve
        self.steps = self.updates = 0
        self.seconds = 0.0
        self.records: list[dict[str, Any]] = []
        self.scores = EpisodeScores()
        self.latest: list[tuple[str, float]] = []
        self.optimizer = make_optimizer(trainable.network, config)
        self._sampling = torch.Generator().manual_seed(_generator_seed(config.seed, "actions", self._rank))
        self._batches = torch.Generator().manual_seed(_generator_seed(config.seed, "minibatches", self._rank))
        tokens = trainable.interface.observation_space.shape[0]
        self.buffer = RolloutBuffer(sizes.rows, config.n_steps, tokens, sizes.horizon, trainable.device)
        self.scale = RewardScale(np.zeros(sizes.rows * self._world))
        self._missions = [task.mission for task in curriculum.tasks()]
        self._sampler = sampler
        self._worlds: list[WorldState] | None = None
        self.envs = self._environments()
        self._states = [trainable.initial_state(rows.stop - rows.start) for rows in self.envs.group_rows]
        self._fresh = np.ones(sizes.environments, dtype=bool)
        self._begun = False
        if config.compile:
            trainable.compile()

    def _environments(self) -> TrainingEnvs:
        return TrainingEnvs(
            [self.resolve(mission).config for mission in self._missions],
            environments=self.sizes.environments,
            workers=self.sizes.workers,
            seed=self.config.seed,
            chooser=draw,
            sampler=self._sampler,
            first=self._first_environment,
        )

    def update(self) -> dict[str, float]:
        """Collect a rollout and learn from it; returns the metrics, with the names of metrics.jsonl.

        Raises `DivergenceError`, `TrainingError`; the learner must then be restored or closed.
        """
        began = time.perf_counter()
        self._reopen()
        self._publish_tasks()
        if not self._begun:
            self.envs.begin()
            self._begun = True
        now = schedule(self.config, self.steps)
        torch.set_num_threads(1)  # the other cores step the environments in the meantime
        ended = self._collect()
        torch.set_num_threads(self.sizes.threads)
        collected = time.perf_counter()
        earned = float(self.buffer.rewards.cpu().double().mean())
        scale_rewards(self.buffer, self.scale, self.config, self._peers)
        losses = update(
            self.trainable,
            self.optimizer,
            self.buffer,
            self.config,
            now,
            batch=self.sizes.batch,
            chunk=self.sizes.chunk,
            generator=self._batches,
            context=self._precision(),
            peers=self._peers,
        )
        if self._peers is not None:
            ended = [end for part in self._peers.gather(ended) for end in part]  # order by rank is order by environment
            earned, losses = self._peers.average(earned), _averaged(self._peers.gather(losses))
        steps = self.sizes.steps(self.config.n_steps) * self._world
        self.steps += steps
        self.updates += 1
        self._record_outcomes(ended)
        finished = time.perf_counter()
        self.seconds += finished - began
        return {
            "reward/per_step": earned,
            **_episodes(ended),
            **losses,
            "schedule/learning_rate": now.learning_rate,
            "schedule/ent_coef": now.ent_coef,
            **({"schedule/reward_deviation": self.scale.deviation} if self.config.normalize_rewards else {}),
            **{f"curriculum/{name}": value for name, value in self.curriculum.metrics().items()},
            "clock/seconds": self.seconds,
            "clock/sps": steps / (finished - began),
            "clock/collect_seconds": collected - began,
            "clock/learn_seconds": finished - collected,
        }

    def _collect(self) -> list[EndedEpisode]:
        """Fill the buffer; returns the episodes that ended, ordered by environment and episode."""
        envs, buffer, trainable = self.envs, self.buffer, self.trainable
        horizon = self.sizes.horizon
        ended: list[EndedEpisode] = []
        trainable.network.eval()
        with torch.no_grad(), self._precision():
            # One pass more than there are steps: it receives the last rewards and values the observations after them.
            # While the processes step one group, the network chooses the actions of the other.
            for step in range(buffer.steps + 1):
                for group, rows in enumerate(envs.group_rows):
                    if step:
                        ends, records = envs.receive(group)
                        self._store_rewards(group, step - 1, ends)
                        ended.extend(ends)
                        self.records.extend(records)
                    if step == buffer.steps:
                        seen = trainable.prepared(torch.from_numpy(envs.observations[rows]))
                        _, values, _ = trainable.act(seen, self._states[group])
                        buffer.last_values[rows] = values
                        continue
                    if step % horizon == 0:
                        buffer.keep_state(step // horizon, rows, self._states[group])
                    self._act(group, step)
                    envs.send(group)
        # Groups finish in turns: without sorting, the curriculum would see another order with another number of groups.
        return sorted(ended, key=lambda end: (end.environment, end.episode))

    def _act(self, group: int, step: int) -> None:
        """Choose the group's actions and store them."""
        envs, buffer = self.envs, self.buffer
        rows, environments = envs.group_rows[group], envs.group_environments[group]
        seen = self.trainable.prepared(torch.from_numpy(envs.observations[rows]))
        buffer.observations[rows, step] = seen
        fresh = np.repeat(self._fresh[environments.start : environments.stop], envs.agents)
        buffer.begins[rows, step] = torch.from_numpy(fresh).to(buffer.begins.device)
        self._fresh[environments.start : environments.stop] = False
        logits, values, self._states[group] = self.trainable.act(seen, self._states[group])
        logprobs = torch.log_softmax(logits, -1)
        # Inverse transform sampling on the CPU: one number per agent from a generator whose state is in the checkpoint,
        # on any device. In float64, and scaled by their sum, because float32 probabilities do not add up to exactly 1.
        chances = logprobs.exp().cpu().double()
        cumulated = chances.cumsum(-1)
        draws = torch.rand(len(chances), generator=self._sampling, dtype=torch.float64)
        actions = (cumulated <= (draws * cumulated[:, -1]).unsqueeze(-1)).sum(-1).clamp(max=chances.shape[1] - 1)
        envs.actions[rows] = actions.numpy()
        chosen = actions.to(logprobs.device)
        buffer.actions[rows, step] = chosen
        buffer.logprobs[rows, step] = logprobs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        buffer.values[rows, step] = values

    def _store_rewards(self, group: int, step: int, ends: Sequence[EndedEpisode]) -> None:
        """Store the rewards of the group's step; if episodes ended, reset the recurrent state for the next ones."""
        envs, buffer = self.envs, self.buffer
        rows = envs.group_rows[group]
        buffer.rewards[rows, step] = torch.from_numpy(envs.rewards[rows]).to(buffer.rewards.device)
        buffer.done[rows, step] = 0.0
        buffer.bootstrap[rows, step] = 0.0
        for end in ends:
            index = end.environment - self._first_environment
            agents = slice(index * envs.agents, (index + 1) * envs.agents)
            inside = slice(agents.start - rows.start, agents.stop - rows.start)
            buffer.done[agents, step] = 1.0
            state = self._states[group]
            if self.config.bootstrap_truncated and envs.done[index] == TRUNCATED:
                last = self.trainable.prepared(torch.from_numpy(envs.last_observations[agents]))
                _, values, _ = self.trainable.act(last, {key: part[inside] for key, part in state.items()})
                buffer.bootstrap[agents, step] = values
            for part in state.values():
                part[inside] = 0
            self._fresh[index] = True

    def follow(self, curriculum: Curriculum) -> None:
        """Draw from another curriculum; every environment starts a new episode with a new recurrent state.

        The tasks of the previous curriculum must keep their indices in it.
        """
        self._reopen()
        self.curriculum = curriculum
        self._publish_tasks()
        weights = curriculum.weights()
        following = [(state.environment, state.episode + 1) for state in (self._world_states() if self._begun else [])]
        if following:
            empty = np.zeros((0, self.envs.agents), dtype=np.uint16)
            self.envs.begin([WorldState(e, k, draw(weights, self.config.seed, e, k), empty) for e, k in following])
        self._fresh[:] = True
        for state in self._states:
            for part in state.values():
                part.zero_()

    def _record_outcomes(self, ended: Sequence[EndedEpisode]) -> None:
        """Count the episodes that ended, and pass them to the curriculum."""
        outcomes = [Outcome(e.task, e.environment, e.episode, float(e.returns.mean()), e.steps, e.stats) for e in ended]
        tasks = self.curriculum.tasks()
        self.latest = [(tasks[outcome.task].key, outcome.score) for outcome in outcomes]
        self.scores.add(self.latest)
        self.curriculum.record(outcomes)

    def _world_states(self) -> list[WorldState]:
        """The states of the environments."""
        return self.envs.states() if self._worlds is None else self._worlds

    def _publish_tasks(self) -> None:
        missions = [task.mission for task in self.curriculum.tasks()]
        if missions != self._missions:
            known = self._missions
            self.envs.set_tasks(
                [
                    None if index < len(known) and known[index] == mission else self.resolve(mission).config
                    for index, mission in enumerate(missions)
                ]
            )
            self._missions = missions
        self.envs.set_weights(self.curriculum.weights())

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        if self.config.precision == "bfloat16":
            return torch.autocast(self.trainable.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def state(self) -> dict[str, Any]:
        """What `restore` needs in addition to the weights: tensors, numbers and text only."""
        return {
            "steps": self.steps,
            "updates": self.updates,
            "seconds": self.seconds,
            "optimizer": self.optimizer.state_dict(),
            "sampling": self._sampling.get_state(),
            "batches": self._batches.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.trainable.device) if self.trainable.device.type == "cuda" else None,
            "states": self._states,
            "fresh": torch.from_numpy(self._fresh.copy()),
            "scale": self.scale.state(),
            "curriculum": self.curriculum.state_dict(),
            "tally": self.scores.state(),
            "worlds": [
                (state.environment, state.episode, state.task, torch.from_numpy(state.actions.astype(np.int32)))
                for state in (self._world_states() if self._begun else [])
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Resume from `state`; the caller loads the weights."""
        self._reopen()
        self._load_progress(state)
        self._sampling.set_state(state["sampling"])
        self._batches.set_state(state["batches"])
        torch.set_rng_state(state["torch"])
        if self.trainable.device.type == "cuda" and state["cuda"] is not None:  # None: saved by a run on a CPU
            torch.cuda.set_rng_state(state["cuda"], self.trainable.device)
        for mine, kept in zip(self._states, state["states"], strict=True):
            for key, part in mine.items():
                part.copy_(kept[key])
        self._fresh[:] = state["fresh"].numpy()
        self.scale = RewardScale.of(state["scale"])
        self.curriculum.load_state_dict(state["curriculum"])
        self.scores.restore(state.get("tally"))
        self._publish_tasks()
        worlds = [
            WorldState(environment, episode, task, actions.numpy().astype(np.uint16))
            for environment, episode, task, actions in state["worlds"]
        ]
        if worlds:
            self.envs.begin(worlds)
        self._begun = bool(worlds)

    def inherit(self, state: dict[str, Any]) -> None:
        """Take over counters, optimizer state and reward scale, as a run that branches off does.

        The optimizer state is None if the other run used another kind of optimizer.
        """
        self._load_progress(state)
        kept = RewardScale.of(state["scale"])
        self.scale = RewardScale(self.scale.sums, kept.count, kept.mean, kept.squares)

    def _load_progress(self, state: dict[str, Any]) -> None:
        self.steps, self.updates, self.seconds = state["steps"], state["updates"], state["seconds"]
        kept = state["optimizer"]
        if kept is None:
            return
        groups = [
            {**{k: v for k, v in mine.items() if k != "params"}, "params": theirs["params"]}
            for mine, theirs in zip(self.optimizer.state_dict()["param_groups"], kept["param_groups"], strict=True)
        ]
        self.optimizer.load_state_dict({"state": kept["state"], "param_groups": groups})

    def close(self) -> None:
        """End the environment processes; another update starts new ones in the same state."""
        if self._worlds is None:
            self._worlds = []
            try:
                if self._begun and not self.envs.stepping:
                    self._worlds = self.envs.states()
            except TrainingError:  # a process and its environments are gone
                self._begun = False
            finally:
                self._begun = self._begun and bool(self._worlds)
                self.envs.close()

    def _reopen(self) -> None:
        """Restart the environment processes after `close`."""
        if self._worlds is None:
            return
        worlds, self._worlds = self._worlds, None
        self.envs = self._environments()
        self.envs.set_weights(self.curriculum.weights())
        if worlds:
            self.envs.begin(worlds)


def _generator_seed(seed: int, purpose: str, rank: int) -> int:
    """The seed of one of this learner's generators."""
    digest = hashlib.sha256(f"{purpose}\x00{seed}\x00{rank}".encode()).digest()
    return int.from_bytes(digest[:7], "little")


def _averaged(losses: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The means over processes, for the names that all of them have."""
    return {
        name: float(np.mean([each[name] for each in losses])) for name in losses[0] if all(name in e for e in losses)
    }


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
