"""Teach a small network what a scripted policy does, and measure how far it agrees.

Time: 90 s
"""

from daf.config import DAFTrainingConfig
from daf.training import daf_clone_policy

config = DAFTrainingConfig(
    mission="training_facility_1,max_steps=100",
    policy="token_lstm",
    total_timesteps=20_000,
    num_envs=8,
    num_workers=1,
    eval_episodes=8,
)
clone = daf_clone_policy("facility_solver", config=config, agreement_episodes=4)
print(clone.training.learned["sentence"])
print("report:", clone.training.report)
