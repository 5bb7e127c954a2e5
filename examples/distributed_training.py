"""Train in two processes of this machine that share every update.

Time: 60 s
"""

from daf.distributed_training import daf_launch_distributed_training

result = daf_launch_distributed_training(
    "training_facility_1,max_steps=60",
    "lstm",
    num_steps=4096,
    checkpoints_path="runs",
    workers_per_node=2,
    batch_size=1024,
    minibatch_size=512,
)
print(result.status, "with", result.num_workers, "ranks:", result.final_checkpoint)
