"""Searches over hyperparameters: of training, of policies' arguments and of missions."""

from daf.sweeps.result import SweepResult, SweepTrialResult

__all__ = ["SweepResult", "SweepTrialResult"]
