"""One suite that every strategy runs: in the space, repeatable after a restart, independent of who finishes first."""

import importlib.util
import json
import math

import pytest

from daf.config import DAFSweepConfig
from daf.core.search.space import space_of
from daf.errors import ConfigError
from daf.sweeps.journal import Proposal
from daf.sweeps.result import SweepTrialResult
from daf.sweeps.strategies import Proposer

SPACE = {
    "x": {"min": -2.0, "max": 2.0},
    "lr": {"min": 1e-5, "max": 1e-1, "log": True},
    "n": {"min": 1, "max": 9, "int": True},
    "kind": ["a", "b", "c"],
    "depth": {"min": 1, "max": 4, "type": "int", "when": {"kind": ["b", "c"]}},
}
NUMBERS = {name: SPACE[name] for name in ("x", "lr", "n")}
GRID = {"x": [1.0, 2.0], "kind": ["a", "b"], "depth": {"min": 1, "max": 3, "type": "int", "when": {"kind": "b"}}}
HAS_PROTEIN = all(importlib.util.find_spec(name) for name in ("pufferlib", "pyro", "torch"))
HAS_TORCH = importlib.util.find_spec("torch") is not None
STRATEGIES = [
    "grid", "random", "qmc", "tpe", "cmaes", "nsga2",
    pytest.param("gp", marks=[pytest.mark.thorough, pytest.mark.skipif(not HAS_TORCH, reason="needs torch")]),
    pytest.param(
        "protein", marks=[pytest.mark.slow, pytest.mark.skipif(not HAS_PROTEIN, reason="needs PufferLib")]
    ),
]  # fmt: skip


def config_of(strategy, **fields):
    space = {"grid": GRID, "protein": NUMBERS}.get(strategy, SPACE)
    trials = {} if strategy == "grid" else {"num_trials": {"gp": 12, "protein": 5}.get(strategy, 30)}
    values = {"name": "t", "missions": ["arena"], "policy_class_path": "noop", "search_space": space, "seed": 3}
    return DAFSweepConfig(**values | {"strategy": strategy, **trials} | fields)


def proposer_of(config):
    return Proposer(config, space_of(config.search_space), ["maximize"] * len(config.objectives or [1]))


def outcome(number, values, config):
    """A smooth function with its best at x = 1, lr = 1e-3, n = 5, kind b; every ninth trial fails."""
    if number % 9 == 8:
        return SweepTrialResult(number, values, status="failed", reason="it broke")
    kind = {"a": 0.5, "b": 0.0, "c": 1.0}[values.get("kind", "b")]
    loss = (values.get("x", 1) - 1) ** 2 + (math.log10(values.get("lr", 1e-3)) + 3) ** 2 + (values.get("n", 5) - 5) ** 2
    score = -loss - kind
    scores = (score, float(values.get("n", 0)))[: len(config.objectives or [1])]
    return SweepTrialResult(
        number, values, scores[0], values=scores, success=True, status="complete", cost=1.0 + values.get("n", 0)
    )


def run(config):
    """Every proposal, where each trial ends before the next begins."""
    proposer = proposer_of(config)
    proposals, results = [], []
    for number in range(proposer.total):
        proposal = proposer.next(number, results)
        proposals.append(proposal)
        results.append(outcome(number, dict(proposal.hyperparameters), config))
    return proposals, results


def through_json(proposal):
    data = json.loads(json.dumps([proposal.number, proposal.hyperparameters, proposal.source, proposal.state]))
    return Proposal(*data)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_proposal_lies_in_the_space(strategy):
    config = config_of(strategy)
    space = space_of(config.search_space)
    proposals, _ = run(config)
    assert proposals
    for proposal in proposals:
        values = dict(proposal.hyperparameters)
        assert list(values) == [d.name for d in space.dimensions if d.name in values]
        for dimension in space.dimensions:
            assert (dimension.name in values) == space.active(dimension, values)
            if dimension.name in values and dimension.choices:
                assert values[dimension.name] in dimension.choices
            elif dimension.name in values:
                assert dimension.low <= values[dimension.name] <= dimension.high
                assert isinstance(values[dimension.name], int) == dimension.whole


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("parallel", [1, 3])
def test_a_restart_anywhere_proposes_the_same(strategy, parallel):
    config = config_of(strategy, num_parallel=parallel)
    proposals, results = run(config)
    for cut in sorted({1, len(proposals) // 2, len(proposals) - 1}):
        again = proposer_of(config)
        for proposal in proposals[:cut]:
            again.restore(through_json(proposal))
        for number in range(cut, min(cut + 2, len(proposals))):
            proposal = again.next(number, results[: again.needs(number)])
            assert dict(proposal.hyperparameters) == dict(proposals[number].hyperparameters), (strategy, number)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_results_beyond_what_a_trial_needs_change_nothing(strategy):
    config = config_of(strategy, num_parallel=3)
    proposals, results = run(config)
    proposer = proposer_of(config)
    for number, proposal in enumerate(proposals):
        needed = results[: proposer.needs(number)]
        assert dict(proposer.next(number, needed).hyperparameters) == dict(proposal.hyperparameters)


@pytest.mark.parametrize("strategy", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "cmaes"])
def test_strategies_that_learn_come_closer_than_random(strategy):
    if strategy == "gp" and not HAS_TORCH:
        pytest.skip("needs torch")
    space = {name: SPACE[name] for name in ("x", "lr")}
    trials = 24 if strategy == "gp" else 60

    def best(which, seed):
        config = config_of(which, search_space=space, num_trials=trials, seed=seed)
        return max(result.values[0] for result in run(config)[1] if result.success)

    learned = sum(best(strategy, seed) for seed in range(2)) / 2
    blind = sum(best("random", seed) for seed in range(8)) / 8
    assert learned > blind, (strategy, learned, blind)


def test_a_grid_has_every_cell_once_and_no_cell_of_a_condition_that_does_not_hold():
    proposals, _ = run(config_of("grid"))
    cells = [tuple(proposal.hyperparameters.items()) for proposal in proposals]
    assert len(cells) == len(set(cells)) == 2 * (1 + 3)
    assert cells[0] == (("x", 1.0), ("kind", "a"))
    assert cells[1] == (("x", 1.0), ("kind", "b"), ("depth", 1))


def test_starting_points_come_first_and_priors_before_them():
    space = SPACE | {"x": {"min": -2.0, "max": 2.0, "prior": 0.5}}
    for strategy in ("random", "tpe", "cmaes", "nsga2", "qmc"):
        config = config_of(strategy, search_space=space, starting_points=[{"n": 7, "kind": "c"}])
        proposals, _ = run(config)
        assert proposals[0].hyperparameters["x"] == 0.5
        assert (proposals[1].hyperparameters["n"], proposals[1].hyperparameters["kind"]) == (7, "c")
        assert [proposal.source for proposal in proposals[:3]] == ["start", "start", strategy]
        assert isinstance(proposals[1].hyperparameters["n"], int)


def test_the_size_of_a_grid_is_known_without_going_through_it():
    many = {name: list(range(1000)) for name in ("a", "b", "c")}
    config = config_of("grid", search_space=many)
    with pytest.raises(ConfigError, match="1,000,000,000 cells"):
        proposer_of(config)
    assert proposer_of(config_of("grid", search_space=many, num_trials=5)).total == 5


def test_the_first_cells_of_a_large_grid_are_found_without_building_the_others():
    space = {"a": {"min": 0, "max": 10**12, "int": True}, "b": {"min": 0, "max": 10**12, "int": True}}
    proposals, _ = run(config_of("grid", search_space=space, num_trials=3))
    assert [dict(proposal.hyperparameters) for proposal in proposals] == [{"a": 0, "b": n} for n in range(3)]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"starting_points": [{"n": 2.4}]}, r"starting_points\[0\]\.n: 2\.4 is no whole number\. Take 2"),
        ({"starting_points": [{"s": 0.3}]}, r"starting_points\[0\]\.s: 0\.3 is not on the steps .* Take 0\.25"),
        ({"search_space": {"s": {"min": 0, "max": 1, "step": 0.25, "prior": 0.3}}}, r"search_space\.s\.prior: 0\.3"),
        ({"starting_points": [{"n": 1}, {"n": 2}], "num_trials": 1}, "num_trials: 1 is below the 2 starting points"),
    ],
)
def test_a_starting_point_is_run_as_it_is_or_refused(fields, says):
    space = {"n": SPACE["n"], "s": {"min": 0, "max": 1, "step": 0.25}}
    with pytest.raises(ConfigError, match=says):
        proposer_of(config_of("random", **{"search_space": space} | fields))


def test_starting_points_on_steps_are_taken_up_to_rounding():
    space = {"s": {"min": 0.1, "max": 1.0, "step": 0.1}, "z": {"min": -1, "max": 1, "step": 0.1, "prior": 0}}
    config = config_of("random", search_space=space, starting_points=[{"s": 0.1 + 0.2}])
    proposals, _ = run(config)
    assert (proposals[0].hyperparameters["z"], proposals[1].hyperparameters["s"]) == (0.0, 0.3)


def test_cmaes_refuses_a_space_in_which_every_name_has_one_value():
    with pytest.raises(ConfigError, match="cmaes has nothing to search"):
        proposer_of(config_of("cmaes", search_space={"kind": ["a"], "x": {"min": 2.0, "max": 2.0}}))


@pytest.mark.parametrize("choices", [[True, False, 1], [0, 2, False], [1.0, True]])
def test_equal_choices_of_two_kinds_are_refused(choices):
    with pytest.raises(ConfigError, match=r"search_space\.b: .* are equal and of different types"):
        space_of(config_of("nsga2", search_space={"x": SPACE["x"], "b": choices}).search_space)


def test_nsga2_finds_several_trials_that_none_beats():
    objectives = [{"metric": "reward"}, {"metric": "steps"}]
    config = config_of("nsga2", objectives=objectives, num_trials=60, population_size=10)
    from daf.sweeps.result import SweepResult

    _, results = run(config)
    front = SweepResult(directions=("maximize", "maximize"), trials=results).pareto_trials()
    assert len(front) >= 3
    assert max(trial.values[1] for trial in front) == 9.0
