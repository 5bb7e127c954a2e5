"""Read the metrics of a training run, or of logs larger than memory, and draw them.

Time: 30 s
"""

from daf.config import DAFTrainingConfig
from daf.log_analysis import daf_analyze_logs
from daf.training import daf_train_policy

config = DAFTrainingConfig(
    mission="training_facility_1,max_steps=60",
    policy="lstm",
    total_timesteps=4096,
    num_envs=2,
    num_workers=1,
    n_steps=64,
    batch_size=256,
    eval_frequency=None,
    eval_baselines=False,
)
training = daf_train_policy(config=config)
analysis = daf_analyze_logs(training.run_dir, output_dir="plots")
print(analysis.summary.components.to_string())
