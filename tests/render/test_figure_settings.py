"""Axes of hyperparameters: the scale that was searched, whole numbers for whole numbers, names apart."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from daf.render.scales import setting_of
from daf.render.text import estimates, same_bounds, same_decimals
from daf.sweeps import journal
from daf.sweeps.result import SweepResult, SweepTrialResult
from daf.visualization.sweep_plots import search_of


def test_a_scale_that_was_searched_is_used_whatever_the_values_look_like() -> None:
    rates = [0.001, 0.0012, 0.003]
    assert not setting_of("rate", rates).log
    assert setting_of("rate", rates, log=True).log
    assert not setting_of("rate", [0.0, 0.1, 0.3], log=True).log  # 0 has no place on it


@pytest.mark.parametrize(
    "values", [[0.0011, 0.0012, 0.05], [100_001, 100_002, 900_000], [0.00021 * 1.09**n for n in range(17)]]
)
@pytest.mark.parametrize("log", [True, False])
def test_names_on_an_axis_leave_each_other_room(values: list[float], log: bool) -> None:
    setting = setting_of("x", values, log=log)
    ticks = setting.ticks()
    assert len(ticks) > 1
    for (low, left), (high, right) in pairwise(ticks):
        assert setting.at(high) - setting.at(low) > 0.0125 * (len(left) + len(right))


def test_whole_numbers_have_whole_ticks() -> None:
    values = [ticked for ticked, _ in setting_of("layers", [1, 2, 3, 4, 5, 6, 7, 8], log=False).ticks()]
    assert len(values) > 1
    assert all(float(value).is_integer() for value in values)
    assert [name for _, name in setting_of("size", [32, 64, 128, 32]).ticks()] == ["32", "64", "128"]


def test_a_sweep_s_folder_reports_which_hyperparameters_were_searched_logarithmically(tmp_path: Path) -> None:
    space = {"rate": {"min": 0.001, "max": 0.01, "log": True}, "gain": {"min": 1, "max": 900}, "kind": ["a", "b"]}
    facts = {"name": "s", "objectives": ["reward"], "directions": ["maximize"], "strategy": "random"}
    rest = {"run_id": "s", "planned": 3, "best_n": 1, "config": {"search_space": space}}
    (tmp_path / "sweep.json").write_text(json.dumps({**facts, **rest}))
    for number in range(3):
        given = {"rate": 0.002 + 0.001 * number, "gain": 1.5 + 400 * number, "kind": "a"}
        journal.proposed(tmp_path, journal.Proposal(number, given, "random"))
        done = SweepTrialResult(number, given, 1.0, values=(1.0,), status="complete", success=True)
        journal.finished(tmp_path, done)
    _, search = search_of(SweepResult.load(tmp_path), None, None)
    assert {setting.name: setting.log for setting in search.settings()} == {"rate": True, "gain": False, "kind": False}


def test_the_numbers_of_a_column_have_the_same_decimals_and_none_that_they_do_not_need() -> None:
    assert same_decimals([0.34375, 0.2, None, 0.16875]) == ["0.344", "0.200", "–", "0.169"]
    assert same_decimals([1, 20, 300]) == ["1", "20", "300"]
    assert same_decimals([0.61234, 0.0071], [0.06, 0.01]) == ["0.612", "0.007"]
    assert same_decimals([1e-5, 10.0]) == ["1e-05", "10"]  # they cannot share decimals
    assert same_bounds([(0.478, 0.7271), None, (-0.003, 0.0172)]) == ["0.478 to 0.727", "–", "-0.003 to 0.017"]


def test_an_estimate_and_its_interval_have_the_decimals_that_the_interval_supports() -> None:
    means, around = estimates([1.23456, None, -0.5], [(1.0, 1.5), None, (-1.0, 0.0)])
    assert means == ["1.23", "–", "-0.50"]
    assert around == ["1.0 to 1.5", "–", "-1.0 to 0.0"]
