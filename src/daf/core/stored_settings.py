"""The settings of a training run as stored in its directory, in a form that another process can resolve."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.config.training import DAFTrainingConfig
from daf.errors import DataError, UsageError
from daf.game import mission_files
from daf.game.mission import load_config
from daf.game.policy_finding import anchored
from daf.game.policy_strings import with_arguments
from daf.storage import atomic
from daf.storage.reading import read_bytes, read_text

if TYPE_CHECKING:
    from mettagrid import MettaGridConfig

    from daf.core.training_run import TrainingRun

CONFIG_FILE, MISSION_FILE, MISSION_NAME = "training_config.yaml", "mission.json", "mission_name.txt"


def write_settings(training: "TrainingRun", mission: Any, policy: Any) -> None:
    """Write the settings of `training` into its directory, and the mission too if it was passed as an object.

    mission, policy: as passed to the trainer. Raises `UsageError` for several missions as objects, `StorageError`.
    """
    run_dir = training.run_dir
    config = training.config
    chosen = DAFTrainingConfig(**{name: getattr(config, name) for name in DAFTrainingConfig.model_fields})
    if mission is not None and not isinstance(mission, str | Path | list):
        (only, *others) = training.missions
        if others:
            raise UsageError(
                "only one mission object can be trained on; pass several as mission strings, or as a curriculum."
            )
        atomic.write_bytes(run_dir / MISSION_FILE, only.config_json)
        atomic.write_text(run_dir / MISSION_NAME, only.name)
        chosen = chosen.replace(mission=str(run_dir / MISSION_FILE))
    if policy is not None and not isinstance(policy, str | Path):
        spec = training.policy
        data = f",data={spec.data_path}" if spec.data_path is not None else ""
        chosen = chosen.replace(policy=with_arguments(f"class={spec.class_path}{data}", spec.kwargs))
    elif chosen.policy is not None:
        chosen = chosen.replace(policy=anchored(chosen.policy))
    if isinstance(chosen.teacher, str):
        chosen = chosen.replace(teacher=anchored(chosen.teacher))
    elif chosen.teacher is not None:
        chosen = chosen.replace(teacher=[anchored(each) for each in chosen.teacher])
    if isinstance(chosen.mission, str):
        chosen = chosen.replace(mission=mission_files.anchored(chosen.mission))
    elif isinstance(chosen.mission, list):
        chosen = chosen.replace(mission=[mission_files.anchored(each) for each in chosen.mission])
    if chosen.initial_weights is not None:
        chosen = chosen.replace(initial_weights=chosen.initial_weights.absolute())
    chosen.to_yaml(run_dir / CONFIG_FILE)


def stored_mission(run_dir: Path, config: DAFTrainingConfig) -> "tuple[str, MettaGridConfig] | None":
    """The mission object that was passed to the run in `run_dir`, with its name; None if the settings name one."""
    file = run_dir / MISSION_FILE
    if Path(str(config.mission)).name != MISSION_FILE or not (run_dir / MISSION_NAME).is_file():
        return None
    name, content = read_text(run_dir / MISSION_NAME, limit=2**16), read_bytes(file)
    if name is None or content is None:
        raise DataError(
            f"{run_dir} lacks {MISSION_NAME} or {MISSION_FILE}, the mission that was passed to the run as an object."
        )
    return name, load_config(content)
