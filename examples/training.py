"""Train a small network for some seconds, stop, resume exactly, and evaluate the checkpoint.

Time: 40 s
"""

from daf.config import DAFTrainingConfig
from daf.training import daf_train_policy

config = DAFTrainingConfig(
    mission="training_facility_1,max_steps=60",
    policy="lstm",
    total_timesteps=4096,
    num_envs=2,
    num_workers=1,
    n_steps=64,
    batch_size=256,
    eval_episodes=2,
)
first = daf_train_policy(config=config, stop_at=2048)
print(f"{first.status} after {first.steps:,} agent steps")
result = daf_train_policy(resume=first.run_dir)  # ends as if it had never stopped, bit for bit
print(f"{result.status} after {result.steps:,} agent steps: {result.learned['sentence']}")
print("checkpoint:", result.final_checkpoint)
