"""Errors that adaptive control raises."""

from daf.errors import DAFError, UsageError


class AdaptiveControllerError(DAFError):
    """An experiment cannot be started, resumed or changed as requested."""


class ExperimentSettingsError(AdaptiveControllerError, UsageError):
    """An experiment's configuration is invalid: a setting, mission or policy; the cause is the original error."""


class TrainingEnvironmentError(DAFError):
    """A training environment lacks something that training needs, or failed during training."""
