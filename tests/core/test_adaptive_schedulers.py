"""What every scheduler promises, and what each decides."""

import itertools
import random
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from daf.config.sweep import DAFParameterRange
from daf.config.training import DAFTrainingConfig, Scalar
from daf.core.adaptive.config import Parameter, PopulationSettings
from daf.core.adaptive.schedulers import FixedList, Known, PopulationBased, Scheduler, SuccessiveHalving, Wanted
from daf.core.adaptive.schedulers.space import perturbed
from daf.core.search.space import dimension_of

SETTINGS = [{"learning_rate": 0.001 * (i + 1), "n_epochs": i + 1} for i in range(8)]
SPACE = {"learning_rate": DAFParameterRange(min=1e-5, max=0.1, log=True), "optimizer": ["adam", "sgd", "rmsprop"]}


def population(**how: float) -> Scheduler:
    return PopulationBased(SETTINGS, 100, SPACE, PopulationSettings(interval=30, **how), seed=5)  # type: ignore[arg-type]


SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "fixed": lambda: FixedList(SETTINGS, 100),
    "halving": lambda: SuccessiveHalving(SETTINGS, 100, 10, 2),
    "halving by three": lambda: SuccessiveHalving(SETTINGS, 90, 10, 3),
    "population": population,
    "population, half": lambda: population(fraction=0.5, resample_probability=1.0),
}


@pytest.fixture(params=SCHEDULERS)
def make(request: pytest.FixtureRequest) -> Callable[[], Scheduler]:
    return SCHEDULERS[request.param]


def value(run: str, target: int) -> float:
    return random.Random(f"{run}{target}").random()


def go_through(
    scheduler: Scheduler, order: random.Random, fails: Callable[[str, int], bool] = lambda run, target: False
) -> tuple[list[tuple[Wanted, ...]], Mapping[str, Known]]:
    """Let everything wanted end, one at a time in any order; every answer on the way, and what is known at the end."""
    known: dict[str, Known] = {}
    answers = [scheduler.wanted(known)]
    while open_now := [w for w in answers[-1] if not known.get(w.run, Known()).over(w.target)]:
        ended = order.choice(open_now)
        before = known.get(ended.run, Known())
        if fails(ended.run, ended.target):
            known[ended.run] = Known(before.scores, failed=True)
        else:
            known[ended.run] = Known({**before.scores, ended.target: value(ended.run, ended.target)})
        shuffled = list(known.items())
        order.shuffle(shuffled)
        answers.append(scheduler.wanted(dict(shuffled)))
    return answers, known


def test_what_comes_out_does_not_depend_on_what_ends_first(make: Callable[[], Scheduler]) -> None:
    first, known = go_through(make(), random.Random(0))
    for seed in range(1, 8):
        answers, again = go_through(make(), random.Random(seed))
        assert answers[-1] == first[-1]
        assert again == known


def test_nothing_that_was_wanted_is_dropped_or_changed(make: Callable[[], Scheduler]) -> None:
    answers, _ = go_through(make(), random.Random(3))
    for earlier, later in itertools.pairwise(answers):
        now = {wanted.run: wanted for wanted in later}
        for wanted in earlier:
            assert now[wanted.run].settings == wanted.settings
            assert now[wanted.run].parent == wanted.parent
            assert now[wanted.run].target >= wanted.target


def test_a_parent_has_been_scored_at_the_steps_that_are_branched_from(make: Callable[[], Scheduler]) -> None:
    answers, known = go_through(make(), random.Random(4))
    for wanted in answers[-1]:
        if wanted.parent is not None:
            assert wanted.parent[1] in known[wanted.parent[0]].scores


@pytest.mark.parametrize("which", ["some", "all"])
def test_failures_are_never_waited_for_and_never_copied(make: Callable[[], Scheduler], which: str) -> None:
    def fails(run: str, target: int) -> bool:
        return which == "all" or random.Random(f"fail {run} {target}").random() < 0.3

    answers, known = go_through(make(), random.Random(1), fails)
    assert all(known[wanted.run].over(wanted.target) for wanted in answers[-1])
    for earlier, later in itertools.pairwise(answers):
        grown = {w.run for w in later} & {w.run for w in earlier if w.target < {x.run: x.target for x in later}[w.run]}
        assert not any(known[run].failed and not known[run].scores for run in grown)
    assert len(answers) < 200


def test_every_run_of_a_fixed_list_trains_to_the_end() -> None:
    answers, _ = go_through(FixedList(SETTINGS, 100), random.Random(0))
    assert [(w.run, w.target) for w in answers[-1]] == [(f"r{i:04d}", 100) for i in range(8)]


def test_halving_lets_the_better_half_continue_at_each_rung() -> None:
    scheduler = SuccessiveHalving(SETTINGS, 100, 10, 2)
    assert scheduler.targets == [10, 20, 40, 80, 100]
    _, known = go_through(scheduler, random.Random(0))
    for rung, entered, kept in ((10, 8, 4), (20, 4, 2), (40, 2, 1), (80, 1, 1)):
        scores = {run: one.scores[rung] for run, one in known.items() if rung in one.scores}
        assert len(scores) == entered
        after = scheduler.targets[scheduler.targets.index(rung) + 1]
        went_on = {run for run, one in known.items() if after in one.scores}
        assert went_on == set(sorted(scores, key=lambda run: -scores[run])[:kept])


def test_the_worst_of_a_population_are_replaced_by_changed_copies_of_the_best() -> None:
    scheduler = population(fraction=0.25)
    answers, known = go_through(scheduler, random.Random(0))
    wanted = {w.run: w for w in answers[-1]}
    first = {run: known[run].scores[30] for run in [f"r{i:04d}" for i in range(8)]}
    ranked = sorted(first, key=lambda run: first[run], reverse=True)
    children = [w for w in wanted.values() if w.parent is not None and w.parent[1] == 30]
    assert len(children) == 2
    assert {child.parent[0] for child in children if child.parent} <= set(ranked[:2])
    assert {run for run in first if wanted[run].target == 30} == set(ranked[-2:])
    for child in children:
        assert child.parent is not None
        parent = wanted[child.parent[0]].settings
        assert child.settings != parent
        rate = child.settings["learning_rate"]
        assert isinstance(rate, float)
        assert 1e-5 <= rate <= 0.1
    assert sum(w.target == 100 for w in wanted.values()) == 8


def test_a_failed_member_of_a_population_is_replaced() -> None:
    answers, _ = go_through(population(), random.Random(0), lambda run, target: run == "r0003" and target == 30)
    assert any("replaces r0003, which failed" in w.why for w in answers[-1])


def sample(parameter: Parameter, generator: np.random.Generator) -> Scalar:
    return dimension_of("x", parameter).sample(generator)


def test_draws_stay_in_their_range_and_are_uniform_there() -> None:
    log = DAFParameterRange(min=1e-4, max=1e-2, log=True)
    steps = DAFParameterRange(type="int", min=2, max=11, step=3)
    whole = DAFParameterRange(type="int", min=1, max=4)
    draws = [np.random.default_rng(seed) for seed in range(2000)]
    rates = [float(sample(log, draw)) for draw in draws]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert 0.45 < np.mean(np.array(rates) < 1e-3) < 0.55
    assert {sample(steps, draw) for draw in draws} == {2, 5, 8, 11}
    assert {sample(whole, draw) for draw in draws} == {1, 2, 3, 4}


def test_the_same_seeds_draw_what_they_drew_in_earlier_versions() -> None:
    space: dict[str, Parameter] = {
        "float": DAFParameterRange(min=0.1, max=0.9),
        "log": DAFParameterRange(min=1e-4, max=0.1, log=True),
        "int": DAFParameterRange(min=3, max=900, type="int"),
        "int_log": DAFParameterRange(min=1, max=1000, type="int", log=True),
        "step": DAFParameterRange(min=0.0, max=1.0, step=0.25),
        "int_step": DAFParameterRange(min=8, max=64, step=8, type="int"),
        "choices": [16, 32, 64, 128],
    }
    drawn = {name: [sample(of, np.random.default_rng([7, i])) for i in range(3)] for name, of in space.items()}
    assert drawn == {
        "float": [0.6000763732837335, 0.7161127608027793, 0.3223762257548648],
        "log": [0.007503888976201422, 0.020437268612084794, 0.0006821986357558214],
        "int": [851, 784, 255],
        "int_log": [75, 204, 7],
        "step": [1.0, 1.0, 0.25],
        "int_step": [64, 56, 24],
        "choices": [128, 128, 32],
    }
    first = {name: values[0] for name, values in drawn.items()}
    changed = [perturbed(first, space, np.random.default_rng([8, i]), factor=0.2, resample=0.25) for i in range(3)]
    assert [list(settings.values()) for settings in changed] == [
        [0.48006109862698687, 0.0027346160755456553, 900, 90, 1.0, 64, 128],
        [0.8459750050628192, 0.00023654376185753786, 900, 90, 0.75, 64, 128],
        [0.48006109862698687, 0.006003111180961138, 577, 90, 0.75, 64, 64],
    ]


def test_a_perturbed_whole_number_moves_even_where_the_factor_is_too_small() -> None:
    space = {"n_epochs": DAFParameterRange(type="int", min=1, max=10)}
    found = {
        perturbed({"n_epochs": 2}, space, np.random.default_rng(s), factor=0.2, resample=0.0)["n_epochs"]
        for s in range(9)
    }
    assert found == {1, 3}


def test_a_seed_is_not_perturbed() -> None:
    changed = perturbed({"seed": 10, "gamma": 0.5}, {}, np.random.default_rng(0), factor=0.2, resample=0.0)
    assert changed["seed"] == 10
    assert changed["gamma"] in (0.4, 0.6)


def changed_alone(settings: Mapping[str, float | str], seeds: int = 12) -> list[dict[str, object]]:
    """What `settings` become without a space, for so many draws."""
    draws = [np.random.default_rng(seed) for seed in range(seeds)]
    return [dict(perturbed(settings, {}, draw, factor=0.2, resample=0.0)) for draw in draws]


def test_without_a_space_numbers_stay_in_the_bounds_of_their_hyperparameters() -> None:
    found = changed_alone({"gamma": 0.99, "adam_beta2": 0.999, "lr": 0.9, "n_epochs": 1, "vf_coef": 1})
    values = {name: {round(float(str(one[name])), 9) for one in found} for name in found[0]}
    assert values["gamma"] == {1.0, 0.792}
    assert values["adam_beta2"] == {0.9995, 0.7992}
    assert values["lr"] == {1.0, 0.72}
    assert values["n_epochs"] == {1.0, 2.0}
    assert values["vf_coef"] == {1.2, 0.8}
    for one in found:
        DAFTrainingConfig(**one)


def test_without_a_space_a_small_whole_number_moves_too() -> None:
    assert {one["n_epochs"] for one in changed_alone({"n_epochs": 2})} == {1, 3}


def test_a_population_keeps_its_policies_and_networks() -> None:
    settings = {"policy": "lstm", "network.hidden_size": 64}
    assert all(one == settings for one in changed_alone(settings))


def test_zero_in_a_range_moves_though_multiplying_does_not_move_it() -> None:
    space = {"ent_coef": DAFParameterRange(min=0.0, max=0.1)}
    draws = [np.random.default_rng(seed) for seed in range(9)]
    found = [perturbed({"ent_coef": 0.0}, space, draw, factor=0.2, resample=0.0)["ent_coef"] for draw in draws]
    assert all(0 < float(value) <= 0.1 for value in found)
