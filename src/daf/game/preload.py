"""Imported by the fork server: everything an episode needs, so that a new worker starts without importing it again."""

import mettagrid.policy.policy_env_interface
import mettagrid.runner.rollout
import mettagrid.simulator.replay_log_writer

from daf.game import _series as series
from daf.game import compat, object_rollout, reference_rollout, rollout

compat.install()

__all__ = ["mettagrid", "object_rollout", "reference_rollout", "rollout", "series"]
