"""Constraints of a sweep: a trial that violates one keeps its values and is never best, and strategies avoid it."""

import json

import pytest

from daf.config import DAFSweepConfig
from daf.core.search.space import space_of
from daf.errors import ConfigError, MetricError
from daf.sweeps import SweepResult
from daf.sweeps.journal import Proposal
from daf.sweeps.result import SweepTrialResult
from daf.sweeps.strategies import Proposer

from .sweeping import config_of, run, run_dir_in

STEPS = {"missions": ["memory_mystery_path_easy"], "search_space": {"max_steps": [4, 5, 6]}, "strategy": "grid",
         "objective_metric": "steps", "num_trials": 3, "episodes_per_trial": 1}  # fmt: skip


def test_the_best_trial_is_the_best_of_those_that_meet_the_constraints(tmp_path):
    result = run(config_of(**STEPS, constraints={"steps": "<= 5"}, held_out_best=1), tmp_path)
    assert [(trial.status, trial.primary_metric) for trial in result.trials] == [
        ("complete", 4.0), ("complete", 5.0), ("infeasible", 6.0),
    ]  # fmt: skip
    assert result.get_best_trial().trial_id == 1
    assert result.trials[2].constraints == {"steps": 1.0}
    assert result.trials[2].reason == "steps is 6, and must be <= 5"
    assert result.counts()["infeasible"] == 1
    assert [entry["trial"] for entry in result.held_out["trials"]] == [1]
    assert "violates a constraint (steps is 1,000, and must be <= 5)" in result.to_data()["notes"][-1] or any(
        "infeasible" in note for note in result.notes
    )
    page = (run_dir_in(tmp_path) / "sweep.html").read_text()
    assert "steps is 6, and must be &lt;= 5" in page
    again = SweepResult.load(run_dir_in(tmp_path))
    assert again.trials[2] == result.trials[2]


def test_without_a_trial_that_meets_them_none_is_best_and_the_reason_is_given(tmp_path):
    result = run(config_of(**STEPS, constraints={"steps": ">= 7"}), tmp_path)
    assert result.status == "failed"
    with pytest.raises(Exception, match=r"steps is 4, and must be >= 7"):
        result.get_best_trial()


def test_the_copy_for_optuna_has_the_constraints(tmp_path):
    import optuna

    run(config_of(**STEPS, constraints={"steps": "<= 5"}), tmp_path)
    study = optuna.load_study(study_name="small", storage=f"sqlite:///{run_dir_in(tmp_path) / 'optuna.db'}")
    assert [trial.constraints for trial in study.trials] == [{"steps": -1.0}, {"steps": 0.0}, {"steps": 1.0}]
    assert study.best_trial.number == 1


@pytest.mark.thorough
def test_the_latency_of_a_policy_is_measured_once_and_kept(tmp_path):
    grid = {"search_space": {"policy.vibe_action_p": [0.5]}, "strategy": "grid", "num_trials": 1}
    config = config_of(**grid, constraints={"latency_p99_ms": "<= 0.0000001"})
    (trial,) = run(config, tmp_path).trials
    assert trial.status == "infeasible"
    assert 0 < trial.all_metrics["latency_p99_ms"] < 1000
    assert run(config, tmp_path).trials == [trial]


@pytest.mark.parametrize(("constraints", "says"), [
    ({"steps": "5"}, r'constraints: steps: a bound is "<= NUMBER" or ">= NUMBER", got "5"'),
    ({"steps": "<= nan"}, 'got "<= nan"'),
    ({"stepss": "<= 5"}, r'"stepss" is not a metric.* Also available: latency_p50_ms'),
    ({"agent.*": "<= 5"}, "without wildcards"),
    ({"parameters": "<= 5"}, "parameters is for networks"),
    ({}, "at least 1"),
])  # fmt: skip
def test_a_bound_without_meaning_is_refused_before_anything_is_written(tmp_path, constraints, says):
    with pytest.raises(ConfigError, match=says):
        run(config_of(**STEPS, constraints=constraints), tmp_path)
    assert not (tmp_path / "sweeps").exists()


def test_a_metric_that_a_mission_does_not_have_is_refused(tmp_path):
    with pytest.raises(MetricError, match=r"constraints: .*agent.no.such"):
        run(config_of(**STEPS, constraints={"agent.no.such": "<= 5"}), tmp_path)


SPACE = {name: {"min": -4.0, "max": 4.0} for name in ("x", "y", "z")}


def searching(strategy, *, constrained, trials=40):
    """The sweep of (x - 1)², which is best at 1, where x must be at most 0; proposals of the second half."""
    config = DAFSweepConfig(
        name="t", missions=["arena"], policy_class_path="noop", search_space=SPACE, seed=3,
        strategy=strategy, num_trials=trials, constraints={"steps": "<= 0"} if constrained else None,
    )  # fmt: skip
    return config, proposals(config, trials, constrained)


def proposals(config, trials, constrained, restart_at=None):
    proposer, found, known = Proposer(config, space_of(config.search_space), ["maximize"]), [], []
    for number in range(trials):
        if number == restart_at:
            proposer = Proposer(config, space_of(config.search_space), ["maximize"])
            for place, there in enumerate(found):
                proposer.restore(
                    Proposal(place, there.hyperparameters, there.source, json.loads(json.dumps(there.state)))
                )
        found.append(proposer.next(number, known[: proposer.needs(number)]))
        x = found[-1].hyperparameters["x"]
        value = -((x - 1) ** 2)
        status = "infeasible" if constrained and x > 0 else "complete"
        constraints = {"steps": x} if constrained else {}
        known.append(
            SweepTrialResult(number, found[-1].hyperparameters, value, status=status, constraints=constraints, cost=1.0)
        )
    return [there.hyperparameters["x"] for there in found]


@pytest.mark.parametrize("strategy", [
    "tpe", "cmaes", "nsga2", pytest.param("gp", marks=pytest.mark.thorough),
])  # fmt: skip
def test_strategies_that_learn_search_where_the_constraints_are_met(strategy):
    trials = {"gp": 20, "tpe": 60}.get(strategy, 120)
    _, free = searching(strategy, constrained=False, trials=trials)
    _, bound = searching(strategy, constrained=True, trials=trials)
    late = trials // 2
    met = [sum(x <= 0 for x in found[late:]) / (trials - late) for found in (free, bound)]
    assert met[1] > met[0] + 0.2, met
    assert min(abs(x) for x in bound if x <= 0) < 0.5


@pytest.mark.parametrize("strategy", ["tpe", "nsga2"])
def test_a_restart_with_constraints_proposes_the_same(strategy):
    config, whole = searching(strategy, constrained=True, trials=30)
    assert proposals(config, 30, True, restart_at=25) == whole
