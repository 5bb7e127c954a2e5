"""What hostile inputs are made from: a run of each kind, a checkpoint, a replay and a log.

python -m tests.hostile.making FOLDER
"""

import json
import os
import shutil
import sys
import zlib
from pathlib import Path

from tests.hostile.logs import GOOD
from tests.replays.replay_files import minimal


def make(folder: Path) -> None:
    """Put everything into the folder."""
    os.environ["DAF_OUTPUT_DIR"] = str(folder / "output")
    from daf.config import DAFSweepConfig, DAFTrainingConfig
    from daf.evaluation import Settings, evaluate
    from daf.output_manager import OutputManager
    from daf.sweeps.operation import launch
    from daf.training import daf_train_policy

    output = OutputManager(folder / "output", log_to_file=False)
    mission = "training_facility_1,max_steps=5"
    evaluate(["noop", "random"], [mission], settings=Settings(episodes=2, executor="serial", jobs=1), output=output)
    sweep = DAFSweepConfig(
        name="small", missions=[mission], policy_class_path="random", strategy="random", num_trials=2,
        search_space={"policy.vibe_action_p": {"min": 0.0, "max": 1.0}}, episodes_per_trial=1, held_out_best=0,
    )  # fmt: skip
    launch(sweep, output=OutputManager(folder / "output", log_to_file=False), executor="serial")
    training = DAFTrainingConfig(
        mission=mission, policy="token_lstm", total_timesteps=64, num_envs=2, n_steps=16, num_workers=1, threads=1,
        network={"hidden_size": 8}, eval_frequency=None, trackers=[],
    )  # fmt: skip
    trained = daf_train_policy(config=training, output=OutputManager(folder / "output", log_to_file=False))
    shutil.copytree(trained.final_checkpoint, folder / "checkpoint")
    (folder / "replay.json.z").write_bytes(zlib.compress(json.dumps(minimal()).encode()))
    (folder / "good.jsonl").write_text(GOOD)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
