"""Sweep results that are made by hand, from the fields that the contract names."""

from pathlib import Path

import pytest

from daf.errors import DataError, UsageError
from daf.sweeps import SweepResult, SweepTrialResult, daf_sweep_best_config
from daf.visualization import daf_plot_sweep_results


def by_hand(directions: str | tuple[str, ...] = ("maximize",)) -> SweepResult:
    result = SweepResult(name="by hand", directions=directions)  # type: ignore[arg-type]
    for number, score in enumerate((0.2, 0.9, 0.5)):
        result.add_trial(
            SweepTrialResult(
                trial_id=number,
                hyperparameters={"learning_rate": 0.1 * (number + 1)},
                primary_metric=score,
                all_metrics={"reward": score},
                mission_results={"arena": score},  # type: ignore[dict-item]
                success=True,
            )
        )
    result.add_trial(
        SweepTrialResult(
            trial_id=3,
            hyperparameters={"learning_rate": 0.4},
            primary_metric=None,
            all_metrics={},
            mission_results={},
            success=False,
        )
    )
    return result.finalize()


@pytest.mark.parametrize(("direction", "best", "worst"), [("maximize", 1, 0), ("minimize", 0, 1)])
def test_a_direction_as_a_string_and_as_a_tuple_mean_the_same(direction: str, best: int, worst: int) -> None:
    for given in (direction, (direction,), [direction]):
        result = by_hand(given)  # type: ignore[arg-type]
        assert (result.get_best_trial().trial_id, result.get_worst_trial().trial_id) == (best, worst)
        assert [trial.trial_id for trial in result.top_trials(3)] == sorted(
            (0, 1, 2), key=lambda n: (0.2, 0.9, 0.5)[n], reverse=direction == "maximize"
        )


def test_another_direction_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="Nearest: maximize"):
        SweepResult(directions="maximise")  # type: ignore[arg-type]


def test_status_and_values_follow_from_the_contracts_fields(tmp_path: Path) -> None:
    result = by_hand()
    assert (result.status, result.counts()) == (
        "done",
        {"complete": 3, "infeasible": 0, "stopped": 0, "failed": 1, "running": 0},
    )
    best = result.get_best_trial()
    assert (best.values, best.status, best.mission_results) == ((0.9,), "complete", {"arena": {"value": 0.9}})
    assert daf_sweep_best_config(result).hyperparameters == {"learning_rate": 0.2}
    again = SweepResult.load(result.save_json(tmp_path / "sweep.json"))
    assert again.trials == result.trials


def test_mission_results_that_are_numbers_are_drawn(tmp_path: Path) -> None:
    plot = daf_plot_sweep_results(by_hand(), tmp_path / "results.png")
    assert plot.paths[0].stat().st_size > 10_000


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"success": True}, "needs its primary_metric"),
        ({"success": True, "primary_metric": float("nan")}, "needs finite numbers"),
        ({"success": True, "primary_metric": 2.0, "values": (1.0,)}, "primary_metric is 2.0"),
        ({"success": True, "primary_metric": 2.0, "status": "failed"}, "success is True, and status is failed"),
        ({"success": False, "status": "complete", "primary_metric": 1.0}, "success is False, and status is complete"),
        ({"mission_results": {"arena": "good"}}, "the result on arena must be a finite number or a mapping"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        SweepTrialResult(trial_id=0, hyperparameters={}, **fields)  # type: ignore[arg-type]
