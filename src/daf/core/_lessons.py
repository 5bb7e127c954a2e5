"""What a rollout records of the teacher: its actions in the states that were reached, and how the student compares.

The student acts in every state, with a separate recurrent state, also where the teacher leads: then its action is
replaced, and the environment takes the teacher's. `state()` and `restore()` cover all that later labels depend on, but
for teachers in the environments' processes, whose state is restored there.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from daf.config.training import DAFTrainingConfig
from daf.core._peers import Peers
from daf.core._rollout_buffer import RolloutBuffer
from daf.core._teachers import Teachers
from daf.game.teaching import UNLABELLED
from daf.game.trainable import State, Trainable
from daf.game.training_world import EndedEpisode

LOOP_STEPS, LOOP_PLACES = 32, 4
"""An agent loops if it is in at most `LOOP_PLACES` places during `LOOP_STEPS` steps that it leads, and does something
else than the teacher in half of the states that are labelled: teachers that mine or wait stay in place too.
"""
GLOBAL = 0xFE


class Lessons:
    """The teacher's part of the rollouts of one process. Tensors are (rows, steps), as in the buffer.

    labels: the index of the teacher's action, `UNLABELLED` where it is not known. views: how often the agent has had
    its view in the episode. led: whether the teacher leads. greedy: the student's most probable action. logprobs:
    (rows, steps, actions) of the teacher, for the loss "kl".
    counts: how often each action was a label, in all rollouts so far.
    """

    def __init__(
        self,
        config: DAFTrainingConfig,
        teachers: Teachers,
        student: Trainable,
        group_rows: Sequence[slice],
        *,
        rows: int,
        own: range,
        all_rows: int,
        seed: int,
    ) -> None:
        """rows: of this process; own: which these are of all processes' `all_rows`."""
        self.teachers = teachers
        self._group_rows, self._own, self._all_rows = group_rows, own, all_rows
        device, shape = student.device, (rows, config.n_steps)
        self.labels = torch.full(shape, UNLABELLED, dtype=torch.int64, device=device)
        self.views = torch.ones(shape, dtype=torch.int32, device=device)
        self.led = torch.zeros(shape, dtype=torch.bool, device=device)
        self.greedy = torch.zeros(shape, dtype=torch.int64, device=device)
        self.logprobs = torch.zeros((*shape, student.actions), device=device) if config.imitation_loss == "kl" else None
        self.counts = torch.zeros(student.actions, dtype=torch.float64)
        self._actions = list(student.interface.action_names)
        self._place_features = [f.id for f in student.interface.obs_features if f.name.startswith("lp:")]
        self._drawing = torch.Generator().manual_seed(seed)
        self._draws = torch.zeros(0, dtype=torch.float64)
        agents = len(teachers.assignment)
        taught_by = torch.tensor(teachers.assignment).repeat(rows // agents)
        self._taught_by = {index: (taught_by == index).to(device) for index in teachers.networks}
        self._states: list[dict[int, State]] = [
            {index: net.initial_state(r.stop - r.start) for index, net in teachers.networks.items()} for r in group_rows
        ]
        self._seconds_before = 0.0

    def draw(self) -> None:
        """Draw the numbers that decide the actions of teachers that are networks, for one step of all rows."""
        if self.teachers.networks:
            draws = torch.rand(self._all_rows, generator=self._drawing, dtype=torch.float64)
            self._draws = draws[self._own.start : self._own.stop]

    def note(
        self,
        group: int,
        step: int,
        observations: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.int32],
        views: npt.NDArray[np.int32],
        led: npt.NDArray[np.bool_],
        logits: torch.Tensor,
    ) -> npt.NDArray[np.bool_]:
        """Record a step of a group; returns which of its agents are to take the teacher's action, `self.labels`.

        observations, labels, views, led: of the group's rows, from the environments. logits: the student's.
        """
        rows = self._group_rows[group]
        known = torch.from_numpy(labels.astype(np.int64)).to(self.labels.device)
        for index, net in self.teachers.networks.items():
            mine = self._taught_by[index][rows]
            found, _, self._states[group][index] = net.act(
                net.prepared(torch.from_numpy(observations)), self._states[group][index]
            )
            logprobs = torch.log_softmax(found, -1)
            cumulated = logprobs.exp().cpu().double().cumsum(-1)
            chosen = (cumulated <= (self._draws[rows] * cumulated[:, -1]).unsqueeze(-1)).sum(-1)
            chosen = chosen.clamp(max=cumulated.shape[1] - 1).to(known.device)
            known = torch.where(mine, chosen, known)
            if self.logprobs is not None:
                self.logprobs[rows, step] = torch.where(mine.unsqueeze(-1), logprobs, self.logprobs[rows, step])
        self.labels[rows, step] = known
        self.views[rows, step] = torch.from_numpy(views).to(self.views.device)
        self.led[rows, step] = torch.from_numpy(led).to(self.led.device)
        self.greedy[rows, step] = logits.argmax(-1)
        taken: npt.NDArray[np.bool_] = led & (known.cpu().numpy() != UNLABELLED)
        return taken

    def reset(self, group: int, agents: slice) -> None:
        """Start the teachers' recurrent states again for agents, by their places in the group, whose episode ended."""
        for state in self._states[group].values():
            for part in state.values():
                part[agents] = 0

    def restart(self) -> None:
        """Start all recurrent states again."""
        for group, rows in enumerate(self._group_rows):
            self.reset(group, slice(0, rows.stop - rows.start))

    def count(self, peers: Peers) -> None:
        """Add the labels of the rollout to `counts`."""
        labelled = self.labels[self.labels != UNLABELLED].cpu()
        self.counts += peers.total(torch.bincount(labelled, minlength=len(self.counts)).double())

    def metrics(
        self, buffer: RolloutBuffer, ended: Sequence[EndedEpisode], seconds: float, peers: Peers
    ) -> dict[str, float]:
        """The metrics of the rollout. ended: the episodes of all processes. seconds: with teachers, since the start."""
        labelled, right = self.labels != UNLABELLED, self.greedy == self.labels
        own, first = labelled & ~self.led, self.views == 1
        found: dict[str, tuple[torch.Tensor | float, torch.Tensor | float]] = {
            "imitation/labelled": (labelled.sum(), labelled.numel()),
            "imitation/teacher_led": (self.led.sum(), self.led.numel()),
            "imitation/agreement": ((right & own).sum(), own.sum()),
            "imitation/agreement_in_new_views": ((right & own & first).sum(), (own & first).sum()),
            "imitation/new_views": ((labelled & first).sum(), labelled.sum()),
            "imitation/agreement_when_led": ((right & labelled & self.led).sum(), (labelled & self.led).sum()),
        }
        for index, name in enumerate(self._actions):
            asked = own & (self.labels == index)
            found[f"imitation/recall/{name}"] = ((right & asked).sum(), asked.sum())
        found["imitation/looping"] = self.loops(buffer)
        found["clock/teacher_seconds"] = (seconds - self._seconds_before, 1.0 / peers.world)
        self._seconds_before = seconds
        pairs = torch.tensor([[float(part) for part in pair] for pair in found.values()], dtype=torch.float64)
        totals = peers.total(pairs.to(buffer.values.device)).tolist()
        values = {name: total / count for name, (total, count) in zip(found, totals, strict=True) if count}
        for name, by_teacher in (("imitation/student_return", False), ("imitation/teacher_return", True)):
            returns = [float(end.returns.mean()) for end in ended if end.led is by_teacher]
            if returns:
                values[name] = float(np.mean(returns))
        return values

    def loops(self, buffer: RolloutBuffer) -> tuple[int, int]:
        """In how many windows of `LOOP_STEPS` steps an agent loops, and in how many it leads during one episode."""
        length = min(LOOP_STEPS, buffer.steps)
        own = (self.labels != UNLABELLED) & ~self.led
        stuck, whole = _still(buffer, self._place_features, length)
        wrong = (own & (self.greedy != self.labels)).unfold(1, length, length).sum(-1) * 2
        alone = whole & ~self.led.unfold(1, length, length).any(-1)
        looping = alone & stuck & (wrong >= own.unfold(1, length, length).sum(-1).clamp(min=1))
        return int(looping.sum()), int(alone.sum())

    def state(self) -> dict[str, Any]:
        """This process's part of what `restore` needs: tensors, numbers and text only."""
        return {
            "drawing": self._drawing.get_state(),
            "counts": self.counts.clone(),
            "states": [
                {f"{index}.{key}": part.clone() for index, state in group.items() for key, part in state.items()}
                for group in self._states
            ],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`, of the rows of all processes, in their order."""
        self._drawing.set_state(state["drawing"])
        self.counts = state["counts"].clone()
        for index, net in self.teachers.networks.items():
            for key in net.initial_state(1):
                whole = torch.cat([part[f"{index}.{key}"] for part in state["states"]])
                mine = whole[self._own.start : self._own.stop]
                for group, rows in zip(self._states, self._group_rows, strict=True):
                    part = group[index][key]
                    kept = mine[rows].to(part.device)
                    part.zero_()
                    part[: len(kept)] = kept


def joined_lessons(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The state of all processes from their parts, by rank."""
    return {**parts[0], "states": [group for part in parts for group in part["states"]]}


def _still(buffer: RolloutBuffer, place_features: Sequence[int], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows, windows of `length` steps): whether the agent stays in place; whether the window lies in one episode."""
    tokens = buffer.observations
    if place_features:  # the mission reports the position
        of_all = tokens[..., 0] == GLOBAL
        place = torch.zeros(tokens.shape[:2], dtype=torch.int64, device=tokens.device)
        for number, feature in enumerate(place_features):
            place += (tokens[..., 2] * (of_all & (tokens[..., 1] == feature))).sum(-1) << (9 * number)
    else:  # what the agent sees, without the global tokens, some of which change at every step
        factors = torch.arange(1, tokens[0, 0].numel() + 1, device=tokens.device) * 2654435761 % 2**31
        seen = tokens * (tokens[..., :1] != GLOBAL)
        place = (seen.flatten(2).long() * factors).sum(-1)
    ordered = place.unfold(1, length, length).sort(-1).values
    places = 1 + (ordered[..., 1:] != ordered[..., :-1]).sum(-1)
    begins = buffer.begins.clone()
    begins[:, ::length] = False
    return places <= min(LOOP_PLACES, length - 1), ~begins.unfold(1, length, length).any(-1)
