"""Collects rollouts: environments in processes, and the network that plays in them.

The collector holds what the next rollout depends on in addition to weights and tasks: the generator of actions, the
recurrent states and the environments. The generator draws a number for every agent of all ranks, and each rank uses
those of its agents, so an environment gets the same draws wherever it runs. `state()` represents an environment by the
actions since the start of its episode, and `restore()` replays them. Environments are therefore not reset at
checkpoints, which would cut every episode longer than the time between two of them.

Importing this module imports torch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from daf.config.training import DAFTrainingConfig
from daf.core._imitation import imitating, teacher_led
from daf.core._lessons import Lessons, joined_lessons
from daf.core._peers import Peers
from daf.core._rollout_buffer import RolloutBuffer
from daf.core._teachers import Teachers
from daf.core.curriculum import Curriculum, draw
from daf.core.rollout_sizes import RolloutSizes
from daf.errors import TrainingError
from daf.game.mission import Mission
from daf.game.trainable import Trainable
from daf.game.training_envs import TrainingEnvs
from daf.game.training_world import TRUNCATED, EndedEpisode, WorldState

Resolve = Callable[[str], Mission]


class RolloutCollector:
    """The environments of one process.

    buffer: the last rollout. envs: the environments, replaced when their processes restart. records: samples for
    json_logs, if a sampler collects them. lessons: what the last rollout recorded of the teacher, if there is one.
    """

    def __init__(
        self,
        config: DAFTrainingConfig,
        sizes: RolloutSizes,
        trainable: Trainable,
        curriculum: Curriculum,
        resolve: Resolve,
        *,
        peers: Peers,
        whole: RolloutSizes,
        action_seed: int,
        sampler: Any,
        teachers: Teachers | None,
        teacher_seed: int,
    ) -> None:
        """sizes: of this rank; whole: of all ranks, `peers`, together."""
        self._config, self._sizes, self._trainable, self._resolve = config, sizes, trainable, resolve
        self._missions = [task.mission for task in curriculum.tasks()]
        self._whole, self._own_rows = whole, peers.owned(whole.rows)
        self._environments, self._sampler = peers.environments, sampler
        self._sampling = torch.Generator().manual_seed(action_seed)
        tokens = trainable.interface.observation_space.shape[0]
        self.buffer = RolloutBuffer(
            sizes.rows, config.n_steps, tokens, sizes.horizon, trainable.device, trainable.dtype
        )
        self.records: list[dict[str, Any]] = []
        self._teachers = teachers
        self.envs = self._new_environments()
        self._states = [trainable.initial_state(rows.stop - rows.start) for rows in self.envs.group_rows]
        self._fresh = np.ones(sizes.environments, dtype=bool)
        """Environments whose next step is the first of an episode."""
        self.lessons: Lessons | None = None
        if teachers is not None:
            self.lessons = Lessons(
                config,
                teachers,
                trainable,
                self.envs.group_rows,
                rows=sizes.rows,
                own=self._own_rows,
                all_rows=whole.rows,
                seed=teacher_seed,
            )
        self._begun = False
        self._closed: list[WorldState] | None = None
        """The states of the environments since `close`; None while their processes run."""

    def _new_environments(self) -> TrainingEnvs:
        return TrainingEnvs(
            [self._resolve(mission).config for mission in self._missions],
            environments=self._sizes.environments,
            workers=self._sizes.workers,
            seed=self._config.seed,
            chooser=draw,
            sampler=self._sampler,
            first=self._environments.start,
            teaching=None
            if self._teachers is None
            else self._teachers.in_environments(self._config, self._whole.environments),
        )

    def collect(
        self, curriculum: Curriculum, precision: contextlib.AbstractContextManager[object], steps: int = 0
    ) -> list[EndedEpisode]:
        """Fill the buffer; returns the episodes that ended, ordered by environment and episode.

        curriculum: of the tasks of new episodes. precision: around calls of the network. steps: agent steps of training
        so far. Raises `TrainingError` if an environment fails, `PolicyError` if a teacher does.
        """
        self._reopen()
        self._publish(curriculum)
        if self._teachers is not None:
            self._lead(steps)
        if not self._begun:
            self.envs.begin()
            self._begun = True
        torch.set_num_threads(1)  # the other cores step the environments in the meantime
        with torch.no_grad(), precision:
            ended = self._fill()
        torch.set_num_threads(self._sizes.threads)
        # Groups finish in turns: without sorting, the curriculum would see another order with another number of groups.
        return sorted(ended, key=lambda end: (end.environment, end.episode))

    def _fill(self) -> list[EndedEpisode]:
        envs, buffer, trainable = self.envs, self.buffer, self._trainable
        ended: list[EndedEpisode] = []
        trainable.network.eval()
        for sparse in (buffer.begins, buffer.done, buffer.bootstrap):  # few steps begin or end an episode
            sparse.zero_()
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
                if group == 0:
                    draws = torch.rand(self._whole.rows, generator=self._sampling, dtype=torch.float64)
                    draws = draws[self._own_rows.start : self._own_rows.stop]
                    if self.lessons is not None:
                        self.lessons.draw()
                if step % buffer.horizon == 0:
                    buffer.keep_state(step // buffer.horizon, rows, self._states[group])
                self._act(group, step, draws[rows])
                envs.send(group)
        return ended

    def _act(self, group: int, step: int, draws: torch.Tensor) -> None:
        """Choose the group's actions and store them. draws: a random number for each of its agents."""
        envs, buffer = self.envs, self.buffer
        rows, environments = envs.group_rows[group], envs.group_environments[group]
        seen = self._trainable.prepared(torch.from_numpy(envs.observations[rows]))
        buffer.observations[rows, step] = seen
        fresh = self._fresh[environments.start : environments.stop]
        if fresh.any():
            begins = torch.from_numpy(np.repeat(fresh, envs.agents))
            buffer.begins[rows, step] = begins.to(buffer.begins.device)
            fresh[:] = False
        logits, values, self._states[group] = self._trainable.act(seen, self._states[group])
        logprobs = torch.log_softmax(logits, -1)
        # Inverse transform sampling on the CPU: one number per agent from a generator whose state is in the checkpoint,
        # on any device. In float64, and scaled by their sum, because float32 probabilities do not add up to exactly 1.
        chances = logprobs.exp().cpu().double()
        cumulated = chances.cumsum(-1)
        actions = (cumulated <= (draws * cumulated[:, -1]).unsqueeze(-1)).sum(-1).clamp(max=chances.shape[1] - 1)
        envs.actions[rows] = actions.numpy()
        if self.lessons is not None:
            led = np.repeat(envs.led[environments.start : environments.stop] > 0, envs.agents)
            taken = self.lessons.note(
                group, step, envs.observations[rows], envs.labels[rows], envs.views[rows], led, logits
            )
            envs.actions[rows][taken] = self.lessons.labels[rows, step].cpu().numpy()[taken]
        chosen = actions.to(logprobs.device)
        buffer.actions[rows, step] = chosen
        buffer.logprobs[rows, step] = logprobs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        buffer.values[rows, step] = values

    def _store_rewards(self, group: int, step: int, ends: Sequence[EndedEpisode]) -> None:
        """Store the rewards of the group's step; if episodes ended, reset the recurrent state for the next ones."""
        envs, buffer = self.envs, self.buffer
        rows = envs.group_rows[group]
        buffer.rewards[rows, step] = torch.from_numpy(envs.rewards[rows]).to(buffer.rewards.device)
        for end in ends:
            index = end.environment - self._environments.start
            agents = slice(index * envs.agents, (index + 1) * envs.agents)
            inside = slice(agents.start - rows.start, agents.stop - rows.start)
            buffer.done[agents, step] = 1.0
            state = self._states[group]
            if self._config.bootstrap_truncated and envs.done[index] == TRUNCATED:
                last = self._trainable.prepared(torch.from_numpy(envs.last_observations[agents]))
                _, values, _ = self._trainable.act(last, {key: part[inside] for key, part in state.items()})
                buffer.bootstrap[agents, step] = values
            for part in state.values():
                part[inside] = 0
            if self.lessons is not None:
                self.lessons.reset(group, inside)
            self._fresh[index] = True

    @property
    def teacher_seconds(self) -> float:
        """The time that teachers took in the environments' processes since these started, per process."""
        return float(self.envs.teaching_seconds.sum()) / max(1, self._sizes.workers)

    def restart(self, curriculum: Curriculum) -> None:
        """Start a new episode, with a new recurrent state and a task of `curriculum`, in every environment."""
        self._reopen()
        self._publish(curriculum)
        weights = curriculum.weights()
        following = [(state.environment, state.episode + 1) for state in self._worlds()]
        if following:
            empty = np.zeros((0, self.envs.agents), dtype=np.uint16)
            seed = self._config.seed
            self.envs.begin([WorldState(e, k, draw(weights, seed, e, k), empty) for e, k in following])
        self._fresh[:] = True
        for state in self._states:
            for part in state.values():
                part.zero_()
        if self.lessons is not None:
            self.lessons.restart()

    def _worlds(self) -> list[WorldState]:
        """The states of the environments; empty before the first rollout."""
        if not self._begun:
            return []
        return self.envs.states() if self._closed is None else self._closed

    def _lead(self, steps: int) -> None:
        """Let the teacher lead as many environments as after `steps` agent steps, or dismiss it after its phase."""
        share, taught = teacher_led(self._config, steps), imitating(self._config, steps)
        self.envs.set_leading(share, self._whole.environments, dismiss=not taught)

    def _publish(self, curriculum: Curriculum) -> None:
        """Send the tasks, if they have changed, and their weights to the environments."""
        missions = [task.mission for task in curriculum.tasks()]
        known = self._missions
        if missions != known:
            self.envs.set_tasks(
                [
                    None if index < len(known) and known[index] == mission else self._resolve(mission).config
                    for index, mission in enumerate(missions)
                ]
            )
            self._missions = missions
        self.envs.set_weights(curriculum.weights())

    def state(self) -> dict[str, Any]:
        """This rank's part of what `restore` needs: tensors, numbers and text only."""
        return {
            "sampling": self._sampling.get_state(),
            "states": self._states,
            "fresh": torch.from_numpy(self._fresh.copy()),
            "worlds": [
                (w.environment, w.episode, w.task, torch.from_numpy(w.actions.astype(np.int32)), w.led_until or 0)
                for w in self._worlds()
            ],
            **({} if self.lessons is None else {"lessons": self.lessons.state()}),
        }

    def restore(self, state: dict[str, Any], curriculum: Curriculum, steps: int = 0) -> None:
        """Continue from `state`, of all ranks' environments (`joined_states`), with the tasks of `curriculum`, after
        `steps` agent steps of training.

        An environment that `state` does not have starts its first episode.
        """
        self._reopen()
        self._sampling.set_state(state["sampling"])
        saved = len(state["fresh"])
        kept = [environment for environment in self._environments if environment < saved]
        self._fresh[:] = True
        self._fresh[: len(kept)] = state["fresh"][kept].numpy()
        rows = slice(self._own_rows.start, self._own_rows.start + len(kept) * self.envs.agents)
        for key in self._states[0]:
            mine = torch.zeros_like(torch.cat([part[key] for part in self._states]))
            mine[: rows.stop - rows.start] = torch.cat([part[key].to(mine.device) for part in state["states"]])[rows]
            for part, group in zip(self._states, self.envs.group_rows, strict=True):
                part[key].copy_(mine[group])
        if self.lessons is not None and "lessons" in state:
            self.lessons.restore(state["lessons"])
        self._publish(curriculum)
        if self._teachers is not None:  # before episodes are repeated: without a teacher, none of them is cut
            self._lead(steps)
        worlds = [
            WorldState(environment, episode, task, actions.numpy().astype(np.uint16), *led_until)  # nothing before 0.5
            for environment, episode, task, actions, *led_until in state["worlds"]
            if environment in self._environments
        ]
        if state["worlds"]:
            self.envs.begin(worlds)
        self._begun = bool(state["worlds"])

    def close(self) -> None:
        """End the environment processes; another rollout starts new ones in the same state."""
        if self._closed is not None:
            return
        self._closed = []
        try:
            if self._begun and not self.envs.stepping:
                self._closed = self.envs.states()
        except TrainingError:  # a process and its environments are gone
            self._begun = False
        finally:
            self._begun = self._begun and bool(self._closed)
            self.envs.close()

    def _reopen(self) -> None:
        """Restart the environment processes after `close`."""
        if self._closed is None:
            return
        worlds, self._closed = self._closed, None
        self.envs = self._new_environments()
        if worlds:
            self.envs.begin(worlds)


def joined_states(parts: Sequence[dict[str, Any]], environments: int) -> dict[str, Any]:
    """The state of all `environments` from the parts of the ranks, as one process with all of them would save it."""
    fresh = torch.cat([part["fresh"] for part in parts])
    groups = [group for part in parts for group in part["states"]]
    rows = {key: torch.cat([group[key].to(groups[0][key].device) for group in groups]) for key in groups[0]}
    split = environments // 2 * (len(next(iter(rows.values()))) // environments) if rows else 0
    halves = [slice(0, split), slice(split, None)] if environments > 1 else [slice(None)]
    return {
        "sampling": parts[0]["sampling"],
        "states": [{key: whole[half].clone() for key, whole in rows.items()} for half in halves],
        "fresh": fresh,
        "worlds": [world for part in parts for world in part["worlds"]],
        **({"lessons": joined_lessons([part["lessons"] for part in parts])} if "lessons" in parts[0] else {}),
    }
