"""Imported by the fork server: everything an episode needs, so that a new worker starts without importing it again."""

from daf.game import compat

compat.install()  # before anything else imports mettagrid, whose import it makes lighter

import mettagrid.policy.policy_env_interface  # noqa: E402
import mettagrid.runner.rollout  # noqa: E402
import mettagrid.simulator.replay_log_writer  # noqa: E402

from daf.game import _reference_rollout, object_rollout, rollout  # noqa: E402
from daf.game import _series as series  # noqa: E402

__all__ = ["_reference_rollout", "mettagrid", "object_rollout", "rollout", "series"]
