"""Whether there is something to train before each of a scheduler's targets.

Training proceeds in whole updates, so a run exceeds its target by some steps, and a checkpoint that a run branches from
counts with its steps. A run that is already at its next target would be scored again without training.
"""

from collections.abc import Iterable
from pathlib import Path

from daf.core.adaptive.errors import AdaptiveControllerError
from daf.errors import CheckpointError, ConfigError
from daf.game.checkpoint_folders import reached


def steps_of(checkpoint: Path) -> int:
    """The agent steps of a checkpoint. Raises `AdaptiveControllerError` if the path is not one."""
    try:
        return reached(checkpoint)["steps"]
    except CheckpointError as error:
        raise AdaptiveControllerError(
            f"initial_checkpoint {checkpoint} cannot be read: {error} Give a folder like RUN/checkpoints/final."
        ) from error


def check(targets: Iterable[int], *, started_at: int, update: int) -> None:
    """Raise `ConfigError` if a run would be at one of its targets before it trained towards it.

    targets: ascending. started_at: the steps of its starting checkpoint. update: agent steps of an update.
    """
    at = started_at
    for target in targets:
        if at >= target:
            raise ConfigError(
                f"nothing would be trained before {target:,} agent steps: "
                + (
                    f"the initial_checkpoint has {started_at:,} already, and they count. Give a later first target "
                    "(halving.min_timesteps, population.interval, training.total_timesteps)."
                    if at == started_at
                    else f"an update takes {update:,}, so that a run is at {at:,} when it was compared last. Give "
                    "larger steps (halving.min_timesteps, population.interval), or smaller updates (n_steps, num_envs)."
                )
            )
        at += -(-(target - at) // update) * update
