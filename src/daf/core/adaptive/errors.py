"""What adaptive control raises on purpose."""

from daf.errors import DAFError, UsageError


class AdaptiveControllerError(DAFError):
    """An experiment cannot begin, go on or be changed in the way that was asked for."""


class ExperimentSettingsError(AdaptiveControllerError, UsageError):
    """What an experiment asks for cannot be: a setting, mission or policy; the cause is the original error."""


class TrainingEnvironmentError(DAFError):
    """A training environment lacks what training needs, or failed while it was trained on."""
