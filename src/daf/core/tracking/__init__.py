"""The trackers of a training run's metrics: JSON lines always; TensorBoard, W&B, MLflow and trackio on request."""

from daf.core.tracking._fan_out import NAMES, Trackers, trackers
from daf.core.tracking._interface import TrackedRun, Tracker, flat_evaluation
from daf.core.tracking._json_lines import EVALUATIONS, METRICS

__all__ = ["EVALUATIONS", "METRICS", "NAMES", "TrackedRun", "Tracker", "Trackers", "flat_evaluation", "trackers"]
