"""Runs whose ranks are processes of one or several machines, started and restarted by torchrun's elastic agent.

`training.train_in_ranks` starts a run where its directory is, `training.join_training` takes part from another machine,
and `rank` is the program of one rank.
"""
