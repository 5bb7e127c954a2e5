"""The error of a failed training run: when it happened, what remains, and what to try.

Importing this module imports torch.
"""

from pathlib import Path

import torch

from daf.core import checkpoints
from daf.core._learner import Learner
from daf.errors import DivergenceError, ExecutorError, TrainingError

OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)


def fault_of_machine(error: BaseException) -> bool:
    """Whether the machine is the cause of `error`, so that a retry may help."""
    return isinstance(error, (*OUT_OF_MEMORY, ExecutorError)) or bool(getattr(error, "machine", False))


def training_failure(error: BaseException, learner: Learner | None, checkpoint_dir: Path) -> TrainingError:
    """`error` as a `TrainingError`, with the update at which it happened and the last good checkpoint.

    learner: None if it could not be created. The result's `machine` is true if retrying may help.
    """
    machine, out_of_memory = fault_of_machine(error), isinstance(error, OUT_OF_MEMORY)
    at = "" if learner is None else f" at update {learner.updates + 1}, after {learner.steps:,} agent steps"
    good = checkpoints.latest(checkpoint_dir)
    kept = "No checkpoint has been saved." if good is None else f"The last good checkpoint is {good}."
    hint = ""
    if isinstance(error, DivergenceError):
        hint = " Try a lower learning_rate or a lower max_grad_norm."
    elif out_of_memory:
        hint = " Try fewer environments (--envs), a smaller max_minibatch_size, or memory_budget_mb."
    text = str(error).strip() or type(error).__name__
    kind = type(error) if isinstance(error, TrainingError) else TrainingError
    return kind(f"training failed{at}: {text.rstrip('.')}. {kept}{hint}", machine=machine)
