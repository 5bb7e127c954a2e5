"""Imported by the fork server: everything an episode needs, so that a new worker starts without importing it again."""

import mettagrid.policy.policy_env_interface
import mettagrid.runner.rollout
import mettagrid.simulator.replay_log_writer

from daf.game import _reference_rollout, compat, object_rollout, rollout
from daf.game import _series as series

compat.install()

__all__ = ["_reference_rollout", "mettagrid", "object_rollout", "rollout", "series"]
