"""What adaptive control raises on purpose."""

from daf.errors import DAFError


class AdaptiveControllerError(DAFError):
    """An experiment cannot begin, go on or be changed in the way that was asked for."""


class TrainingEnvironmentError(DAFError):
    """A training environment lacks what training needs, or failed while it was trained on."""
