"""`sweep.html`: what it says, that it needs nothing else, and that hostile names stay names."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from daf.reporting import daf_report
from daf.sweeps import SweepResult, SweepTrialResult, daf_sweep_importance, journal
from daf.sweeps.journal import Proposal

from .sweeping import config_of, run, run_dir_in

sys.path.insert(0, str(Path(__file__).parent.parent / "render"))

from reports import Page
from sweep_runs import search_hill

HOSTILE = "</svg><script>alert(1)</script>"


def page_of(folder):
    files = daf_report(folder)
    assert files.html.name == "sweep.html"
    return Page(files.html.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hill(tmp_path_factory):
    return search_hill(tmp_path_factory.mktemp("hill"), trials=90, objectives=("reward", "size"))


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A sweep with a hyperparameter that is searched for one optimizer only, and trials of different cost."""
    folder = search_hill(tmp_path_factory.mktemp("conditional"), trials=0)
    random = np.random.default_rng(0)
    for number in range(60):
        given = {"optimizer": ["adam", "sgd"][number % 2], "learning_rate": float(10 ** random.uniform(-4, -1))}
        if given["optimizer"] == "sgd":
            given["momentum"] = float(random.uniform())
        score = -abs(float(np.log10(given["learning_rate"])) + 2.5) + 0.1 * float(random.normal())
        journal.proposed(folder, Proposal(number, given, "random"))
        result = SweepTrialResult(
            number, given, score, success=True, status="complete", values=(score,), seconds=1.0 + number
        )
        journal.finished(folder, result)
    return folder


def test_the_sections_stand_in_the_order_of_what_a_reader_asks(hill):
    page = page_of(hill)
    sections = [values["id"] for tag, values in page.elements if tag == "section" and "id" in values]
    wanted = ["warnings", "best", "history", "front", "importance", "hyperparameters", "space", "trials", "run"]
    assert [name for name in sections if name in wanted] == wanted


def test_importance_is_that_of_the_trials_for_every_objective(hill):
    page, result = page_of(hill), SweepResult.load(hill)
    said = page.text
    for objective in result.objectives:
        found = daf_sweep_importance(result, objective=objective)
        assert found.how in said
        reported = [row.name for row in found.rows if row.significant]
        assert f"{objective}: by the values of the best trials, {reported[0]}" in said


def test_every_complete_trial_is_a_line_at_the_heights_of_its_values(conditional):
    page, result = page_of(conditional), SweepResult.load(conditional)
    (drawn,) = [values["data-parallel"] for _, values in page.elements if "data-parallel" in values]
    heights = np.array(json.loads(drawn))
    assert heights.shape == (60, 4)
    scores = np.sort([trial.values[0] for trial in result.trials])
    along = np.sort(heights[:, -1])[::-1]  # the better, the higher
    assert np.corrcoef(scores, along)[0, 1] == pytest.approx(-1, abs=1e-4)
    below = (heights == heights.max()).sum(axis=0)
    assert sorted(below) == [0, 0, 0, 30]  # momentum, where it was not searched
    assert "not searched" in page.by_id["space"]


def test_costs_are_drawn_against_scores_and_failures_in_the_history(conditional, hill):
    costs = page_of(conditional).by_id["cost"]
    assert "n = 60 complete trials, 1,830 seconds in total" in costs
    failed = len(SweepResult.load(hill).failed)
    history = page_of(hill).by_id["history"]
    assert f"{failed} failed (crosses)" in history


def test_with_few_trials_the_page_says_why_it_shows_no_importance(tmp_path):
    said = page_of(search_hill(tmp_path, trials=12)).by_id["importance"]
    assert "needs at least 20 complete trials, got 11" in said


def test_a_sweep_in_which_every_trial_failed_has_a_page_that_says_so(tmp_path):
    page = page_of(search_hill(tmp_path, trials=8, all_fail=True))
    assert "8 trials failed: OutOfMemory" in page.by_id["warnings"]
    assert "importance" not in page.by_id
    assert "space" not in page.by_id


def test_names_that_are_markup_stay_names_and_nothing_is_fetched(tmp_path):
    folder = search_hill(tmp_path, trials=40, name=HOSTILE, names=(HOSTILE, "b"), fails=HOSTILE)
    text = daf_report(folder).html.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert HOSTILE in Page(text).by_id["space"]
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_the_page_is_the_same_bytes_again(conditional):
    first, second = (daf_report(conditional).html.read_bytes() for _ in range(2))
    assert first == second


def test_a_page_of_many_trials_stays_small(tmp_path):
    folder = search_hill(tmp_path, trials=0)
    random = np.random.default_rng(0)
    lines = []
    for number in range(7_000):
        given = {f"name_{i}": float(value) for i, value in enumerate(random.uniform(size=6))}
        result = SweepTrialResult(
            number, given, given["name_0"], success=True, status="complete", values=(given["name_0"],), seconds=1.0
        )
        proposed = {"event": "proposed", "trial": number, "hyperparameters": given, "source": "random", "state": {}}
        finished = {"event": "finished", "trial": number, "result": result.to_data()}
        lines += [json.dumps(proposed), json.dumps(finished)]
    (folder / journal.FILE).write_text("\n".join(lines) + "\n")
    assert daf_report(folder).html.stat().st_size < 8_000_000


def test_a_sweep_writes_its_page_when_it_ends(tmp_path):
    result = run(config_of(), tmp_path)
    page = Page((run_dir_in(tmp_path) / "sweep.html").read_text(encoding="utf-8"))
    assert isinstance(result, SweepResult)
    assert f"Trial {result.get_best_trial().trial_id} is the best of 4 complete trials" in page.by_id["finding"]
    assert "still in progress" not in page.by_id.get("warnings", "")


def test_dragging_along_an_axis_keeps_the_trials_inside_and_a_click_lets_go(conditional, browser):
    path = daf_report(conditional).html
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(path.as_uri())
    axis = page.locator("svg[data-parallel] [data-axis]").last
    axis.scroll_into_view_if_needed()
    box = axis.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.4)
    page.mouse.up()
    off = page.locator("svg[data-parallel] .trial.off").count()
    text = page.locator("figure:has(svg[data-parallel]) output").text_content()
    assert 0 < off < 60
    assert text == f"{60 - off} of 60 trials"
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("svg[data-parallel] .trial.off").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not errors
    page.close()


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Three trials of a logarithmic and a linear range, a listed number, and a cost in agent steps."""
    folder = search_hill(tmp_path_factory.mktemp("few"), trials=0)
    facts = json.loads((folder / "sweep.json").read_text())
    facts["config"] = {
        "search_space": {
            "learning_rate": {"min": 1e-4, "max": 1e-2, "log": True},
            "gamma": {"min": 0.9, "max": 0.999},
            "hidden_size": [16, 32],
        },
        "cost": "steps",
    }
    (folder / "sweep.json").write_text(json.dumps(facts))
    rates, gammas, sizes = (
        (0.0002988422027128482, 0.003535154189395976, 0.0040738576294966945),
        (0.91234567890123, 0.98765432109876, 0.95555555555555),
        (16, 16, 32),
    )
    for number, (rate, gamma, size) in enumerate(zip(rates, gammas, sizes, strict=True)):
        given = {"learning_rate": rate, "gamma": gamma, "hidden_size": size}
        journal.proposed(folder, Proposal(number, given, "random"))
        journal.finished(
            folder,
            SweepTrialResult(number, given, 0.34375 - 0.1 * number, values=(0.34375 - 0.1 * number,), status="complete",
                             success=True, seconds=2.0, cost=4096.0 * (number + 1)),
        )  # fmt: skip
    return folder


def test_ranges_are_numeric_axes_over_the_searched_range_however_few_trials_there_are(few):
    heights = np.array(json.loads(page_attribute(few, "data-parallel")))
    order = ["learning_rate", "gamma", "hidden_size"]
    trials = sorted(SweepResult.load(few).trials, key=lambda trial: trial.values[0])  # drawn worst first
    bottom, top = heights[:, 3].max(), heights[:, 3].min()
    for place, (name, low, high) in enumerate([(order[0], -4, -2), (order[1], 0.9, 0.999)]):
        values = np.array([trial.hyperparameters[name] for trial in trials])
        values = np.log10(values) if place == 0 else values
        expected = bottom - (values - low) / (high - low) * (bottom - top)
        assert heights[:, place] == pytest.approx(expected, abs=0.1)
    assert set(heights[:, 2]) == {bottom, top}
    space = page_of(few).by_id["space"]
    for tick in ("0.0001", "0.001", "0.01", "0.925", "0.975"):
        assert tick in space


def test_no_label_of_a_figure_has_more_than_four_significant_digits(few):
    labels = re.findall(r"<text[^>]*>([^<]+)", daf_report(few).html.read_text(encoding="utf-8"))
    numbers = [label for label in labels if re.fullmatch(r"[−-]?[\d.,]+(e-?\d+)?( \(n = \d+\))?", label)]
    assert len(numbers) > 20
    for label in numbers:
        digits = label.partition(" (")[0].partition("e")[0].replace(",", "").replace(".", "").lstrip("−-0")
        assert len(digits) <= 4 or label.replace(",", "").isdecimal(), label


def test_costs_have_the_unit_that_the_sweep_counts(few):
    cost = page_of(few).by_id["cost"]
    assert "cost of the trial (agent steps)" in cost
    assert "24,576 agent steps in total" in cost
    assert "Durations depend" not in cost


def page_attribute(folder, name):
    (found,) = [values[name] for _, values in page_of(folder).elements if name in values]
    return found


def test_a_logarithmic_axis_reads_and_zooms_in_the_values_of_its_range(few, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(daf_report(few).html.as_uri())
    figure = page.locator("#hyperparameters svg.curve").first
    figure.focus()
    page.keyboard.press("Home")
    text = page.locator("#hyperparameters figure:has(svg.curve) output").first.text_content()
    assert text.startswith("at 0.0002988 – 0.3438")
    page.keyboard.press("+")
    ticks = figure.locator(".scale .ticks").last.locator("text").all_text_contents()
    assert ticks
    assert all(0.0001 <= float(tick) <= 0.01 for tick in ticks)
    assert not errors
    page.close()
