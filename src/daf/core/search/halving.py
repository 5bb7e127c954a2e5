"""Successive halving: runs are compared at rungs, and one in `factor` continues for `factor` times the steps.

A scheduler that waits for all runs of a rung and a pruner that compares with the runs so far follow the same rule and
differ only in the runs that are compared. Not guaranteed: that the best at the end is among the best at the first rung;
slow starters are lost.
Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization", AISTATS 2016.
"""


def rungs(first: int, total: int, factor: int) -> list[int]:
    """The agent steps below `total` at which runs are compared, ascending."""
    found = []
    while first < total:
        found.append(first)
        first *= factor
    return found


def places(compared: int, factor: int) -> int:
    """How many of `compared` runs at a rung continue."""
    return max(1, compared // factor)
