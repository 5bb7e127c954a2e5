"""Export of a sweep for other programs: all trials as CSV or JSON, the best configuration as YAML."""

import csv
import io
import json

from daf.storage.yaml_strict import dump_yaml
from daf.sweeps.library import daf_sweep_best_config
from daf.sweeps.result import SweepResult, hyperparameter_names


def exported(result: SweepResult, as_format: str) -> str:
    """Export the sweep as "csv", "json" or "yaml" (raises `DataError` if no trial is complete)."""
    if as_format == "csv":
        return _csv(result)
    if as_format == "json":
        return json.dumps(result.to_data(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    best = daf_sweep_best_config(result)
    return dump_yaml({"trial": best.trial, result.objectives[0]: best.value, "hyperparameters": dict(best)})


def _csv(result: SweepResult) -> str:
    names = hyperparameter_names(result.trials)
    metrics = list(dict.fromkeys(name for trial in result.trials for name in trial.all_metrics))
    extra = [name for name in metrics if name not in result.objectives]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    facts = ["source", "seconds", "cost", "attempts", "reason"]
    writer.writerow(["trial", "status", *result.objectives, *(f"hp.{name}" for name in names), *extra, *facts])
    for trial in result.trials:
        values = [*trial.values, *[""] * (len(result.objectives) - len(trial.values))]
        hyper = [trial.hyperparameters.get(name, "") for name in names]
        more = [trial.all_metrics.get(name, "") for name in extra]
        details = [trial.source, trial.seconds, trial.cost, trial.attempts, trial.reason]
        writer.writerow([trial.trial_id, trial.status, *values, *hyper, *more, *details])
    return text.getvalue()
