"""A learner whose updates are made by all ranks of a process group.

Rank 0 runs the training loop with a `LeadingLearner`. Its methods first announce to the other ranks what to do; they
`take_part`, each with a `Learner` that has a part of the environments, until rank 0 announces the end.

Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from daf.config.training import DAFTrainingConfig
from daf.core._learner import Learner
from daf.core._peers import Together
from daf.core._process_group import ProcessGroup
from daf.core._rollout_collector import Resolve
from daf.core._teachers import Teachers
from daf.core.curriculum import Curriculum
from daf.core.distributed.launch import RANKS
from daf.core.rollout_sizes import RolloutSizes
from daf.errors import UsageError
from daf.game.trainable import Trainable

UPDATE, STATE, RESTORE, INHERIT, CURRICULUM, END = "update", "state", "restore", "inherit", "curriculum", "end"
_INHERITED = ("optimizer", "steps", "updates", "seconds", "scale")


class GroupLearner(Learner):
    """The learner of one rank of `group`; sizes are those of all ranks together."""

    def __init__(
        self,
        config: DAFTrainingConfig,
        sizes: RolloutSizes,
        trainable: Trainable,
        curriculum: Curriculum,
        resolve: Resolve,
        *,
        group: ProcessGroup,
        sampler: Any = None,
        on_machine: int = 1,
        teachers: Teachers | None = None,
    ) -> None:
        """Every rank must create one; rank 0's weights become those of all."""
        self.group = group
        group.share_weights(trainable.network)
        super().__init__(
            config,
            sizes,
            trainable,
            curriculum,
            resolve,
            sampler=sampler,
            peers=Together(group, sizes.environments),
            on_machine=on_machine,
            teachers=teachers,
        )

    def updated(self, interrupted: bool) -> dict[str, float]:
        """One update. interrupted: whether this rank asks for a stop after it."""
        values = super().update()
        self.group.share_buffers(self.trainable.network)
        self.interrupted = any(self.group.gather(interrupted))
        return values

    def restored(self, state: dict[str, Any]) -> None:
        """Continue from `state` with the weights of rank 0."""
        self.group.share_weights(self.trainable.network)
        super().restore(state)

    def inherited(self, state: dict[str, Any]) -> None:
        """Take over from `state` with the weights of rank 0."""
        self.group.share_weights(self.trainable.network)
        super().inherit(state)


class LeadingLearner(GroupLearner):
    """The learner of rank 0; see the module."""

    def update(self) -> dict[str, float]:
        """One update of all ranks; see `Learner.update`."""
        self.group.share((UPDATE, None))
        return {**self.updated(interrupted=False), RANKS: float(self.group.world)}

    def state(self) -> dict[str, Any]:
        """The state of all ranks."""
        self.group.share((STATE, None))
        return super().state()

    def restore(self, state: dict[str, Any]) -> None:
        """See `Learner.restore`."""
        self.group.share((RESTORE, state))
        self.restored(state)

    def inherit(self, state: dict[str, Any]) -> None:
        """See `Learner.inherit`."""
        self.group.share((INHERIT, {name: state[name] for name in _INHERITED}))
        self.inherited(state)

    def change_curriculum(self, state: dict[str, Any]) -> None:
        """Let all ranks draw from the curriculum in `state`, which changed in another way than by their episodes."""
        self.group.share((CURRICULUM, state))
        self.curriculum.load_state_dict(state)

    def follow(self, curriculum: Curriculum) -> None:
        """Refused: the other ranks draw from the curriculum that they started with. Raises `UsageError`."""
        raise UsageError("a run of several ranks can't change its curriculum; train on single tasks with one process.")

    def end(self, result: Any) -> None:
        """Let the other ranks end, with this result."""
        self.group.share((END, result))


def take_part(learner: GroupLearner, interrupted: Callable[[], bool]) -> Any:
    """Take part in what rank 0 announces until it ends; returns its result. interrupted: whether to ask for a stop."""
    nothing: tuple[str, Any] = ("", None)
    while True:
        announced, value = learner.group.share(nothing)
        if announced == UPDATE:
            learner.updated(interrupted())
        elif announced == STATE:
            learner.state()
        elif announced == RESTORE:
            learner.restored(value)
        elif announced == INHERIT:
            learner.inherited(value)
        elif announced == CURRICULUM:
            learner.curriculum.load_state_dict(value)
        else:
            return value
