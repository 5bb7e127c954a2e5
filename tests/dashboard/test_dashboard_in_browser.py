"""The dashboard in a real browser: live, filtered, compared, by keyboard, safe against what runs are called."""

import json
import re
from typing import TYPE_CHECKING

import pytest
from browsing import HOSTILE, expect, key, opened
from runs_made import append, comparison, running, training

from daf.dashboard import Dashboard
from daf.game.sprites import data_dir
from daf.sweeps import journal
from daf.sweeps.result import SweepTrialResult

if TYPE_CHECKING:
    from playwright.sync_api import Page


def names(page: "Page") -> list[str]:
    return page.locator(".runs tbody tr td.name a").all_inner_texts()


def test_a_run_appears_and_its_curves_grow_while_the_page_is_open(page, dashboard, base):
    opened(page, dashboard)
    expect(page.locator("#view")).to_contain_text("No runs in")
    with running(base, "it learns", config={"total_timesteps": 20_000}) as folder:
        row = page.locator(".runs tbody tr")
        expect(row).to_contain_text("it learns")
        expect(row.locator(".tag")).to_have_text("running")
        append(folder, range(4))
        expect(row.locator(".advance")).to_contain_text("4k of 20k steps · 500 steps/s, 32 s left")
        row.locator("td.name a").click()
        chart = page.locator('.chart[data-name="episode/return"]')
        expect(chart.locator(".now")).to_have_text("0.4000")
        before = chart.locator("path.line").get_attribute("d")
        append(folder, range(4, 10))
        expect(chart.locator(".now")).to_have_text("1")
        assert chart.locator("path.line").get_attribute("d") != before
        expect(page.locator('.chart[data-name="evaluation/mean"] .band')).to_have_count(1)
        expect(page.locator("[aria-label=Evaluations] tbody tr").first).to_contain_text("10,000")
    expect(page.locator("h1 .tag")).to_have_text("completed")
    assert "token" not in page.url


def test_runs_are_filtered_and_sorted_and_the_address_keeps_it(page, dashboard, base):
    training(base, "bravo arena", 2)
    training(base, "alpha miner", 5)
    comparison(base, "charlie arena", {"a": [1.0]})
    opened(page, dashboard)
    expect(page.locator("output")).to_have_text("3 of 3")
    page.keyboard.press("/")
    page.keyboard.type("ARENA")
    expect(page.locator("output")).to_have_text("2 of 3")
    page.select_option("select[aria-label=Kind]", "training")
    assert names(page) == ["bravo arena"]
    page.fill("input[type=search]", "")
    page.locator("th button", has_text="Run").click()
    assert names(page) == ["alpha miner", "bravo arena"]
    page.locator("th button", has_text="Run").click()
    assert names(page) == ["bravo arena", "alpha miner"]
    page.reload()
    page.wait_for_selector(".runs tbody tr")
    assert names(page) == ["bravo arena", "alpha miner"]
    assert page.locator("select[aria-label=Kind]").input_value() == "training"


def test_two_trainings_are_laid_over_each_other(page, dashboard, base):
    first = training(base, "slow", 10, gain=0.1, config={"learning_rate": 0.001, "total_timesteps": 10_000})
    second = training(base, "fast", 10, gain=0.3, config={"learning_rate": 0.003, "total_timesteps": 10_000})
    opened(page, dashboard)
    for folder in (first, second):
        page.get_by_label(f"Compare {key(folder)}", exact=True).check()
    page.get_by_role("button", name="Compare 2 runs").click()
    chart = page.locator('.chart[data-name="episode/return"]')
    expect(chart.locator("path.line")).to_have_count(2)
    expect(chart.locator(".now")).to_have_text("1 3")
    assert chart.locator("path.line").nth(0).get_attribute("stroke-dasharray") != chart.locator("path.line").nth(
        1
    ).get_attribute("stroke-dasharray")
    rows = page.locator('[aria-label="Last evaluations"] tbody tr')
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text="arena").nth(1)).to_contain_text("[2.5, 3.5]")
    expect(page.locator('[aria-label="Settings that differ"] tbody tr')).to_have_text([re.compile("learning_rate")])
    append(second, range(10, 11), gain=0.5)
    expect(chart.locator(".now")).to_have_text("1 5.500")


def test_evaluations_of_the_same_episodes_are_compared_with_intervals(page, dashboard, base):
    first = comparison(base, "old", {"starter": [float(n % 5) for n in range(20)]})
    second = comparison(base, "new", {"mine": [n % 5 + 1 + 0.01 * (n % 3) for n in range(20)]})
    opened(page, dashboard, f"#/compare?run={key(first)}&run={key(second)}")
    expect(page.locator("[aria-label=Pairs] tbody tr")).to_contain_text("decided")
    expect(page.locator("[aria-label=Ranking] tbody tr")).to_have_text([re.compile("mine"), re.compile("starter")])
    assert page.locator("svg.forest .interval").count() == 2


def test_charts_are_read_zoomed_and_smoothed_by_keys_and_pointer(page, dashboard, base):
    folder = training(base, "it", 50)
    opened(page, dashboard, f"#/run/{key(folder)}")
    chart = page.locator('.chart[data-name="episode/return"]')
    drawing = chart.locator("svg")
    drawing.focus()
    page.keyboard.press("Home")
    expect(chart.locator(".tip")).to_contain_text("steps 1,000")
    page.keyboard.press("ArrowRight")
    expect(chart.locator(".tip")).to_contain_text("0.2000")
    page.keyboard.press("Shift+ArrowRight")
    expect(chart.locator(".tip")).to_contain_text("steps 12,000")
    assert "1.200" in drawing.get_attribute("aria-label")
    assert page.locator('.chart[data-name="clock/sps"] .mark line').count() == 1
    box = drawing.bounding_box()
    whole = chart.locator("path.line").get_attribute("d")
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 60, steps=3)
    page.mouse.up()
    expect(page.get_by_role("button", name="reset zoom")).to_be_visible()
    assert chart.locator("path.line").get_attribute("d") != whole
    page.get_by_role("button", name="reset zoom").click()
    page.mouse.move(5, 5)
    expect(chart.locator("path.line")).to_have_attribute("d", whole)
    page.get_by_label("Smoothing").fill("0.9")
    expect(chart.locator("path.raw")).to_have_count(1)
    assert chart.locator("path.line").get_attribute("d") != whole
    page.get_by_label("Smoothing").fill("0")
    page.get_by_label("Horizontal axis").select_option("time")
    expect(chart).to_contain_text("seconds")
    page.get_by_label("Filter curves").fill("policy")
    expect(page.locator(".chart:visible")).to_have_count(1)
    page.get_by_label("Filter curves").fill("")


def test_what_runs_are_called_is_only_ever_text(page, dashboard, base):
    folder = training(base, HOSTILE, 5, config={HOSTILE: HOSTILE, "total_timesteps": 5000})
    line = {"step": 6000, "update": 6, f"stats/{HOSTILE}": 1.0, "episode/return": 2.0}
    (folder / "metrics.jsonl").open("a").write(json.dumps(line) + "\n")
    (folder / "logs" / "more.log").write_text(HOSTILE + "\n")
    (folder / f"{HOSTILE.replace('/', '')}.txt").write_text("x")
    other = comparison(base, "policies", {HOSTILE: [1.0, 2.0], "b": [1.5, 1.0]}, mission=HOSTILE)
    results = json.loads((other / "results.json").read_text())
    results["summary"] = {"notes": [HOSTILE]}
    results[HOSTILE] = {HOSTILE: [HOSTILE]}
    results["ranking"] = [{"policy": HOSTILE, "rank": 1, "mean": 1.0, "ci": [0, 2], "iqm": 1, "iqm_ci": None, "n": 2}]
    (other / "results.json").write_text(json.dumps(results))
    opened(page, dashboard)
    expect(page.locator(".runs tbody")).to_contain_text(HOSTILE)
    for place, tab in ((folder, "curves"), (folder, "about"), (folder, "logs"), (folder, "files")):
        page.goto(f"http://127.0.0.1:{dashboard.port}/#/run/{key(place)}/{tab}")
        if tab == "logs":
            page.select_option("[aria-label='Log file']", "logs/more.log")
        expect(page.locator("[role=tabpanel]")).to_contain_text("onerror")
        assert page.locator("#view img, #view script").count() == 0
        assert page.title() != "owned"
    page.goto(f"http://127.0.0.1:{dashboard.port}/#/compare?run={key(folder)}&run={key(other)}")
    expect(page.locator("#view")).to_contain_text("Settings that differ")
    assert page.locator("#view img, #view script").count() == 0


def test_a_replay_plays_inside_a_frame_that_can_ask_the_server_nothing(page, dashboard, base):
    folder = training(base, "it", 1)
    (folder / "replays").mkdir()
    (folder / "replays" / "pens.json.z").write_bytes((data_dir() / "replays" / "pens.json.z").read_bytes())
    (folder / "report.html").write_text(
        "<p id=outcome>?</p><script>"
        "fetch('/api/runs').then(() => outcome.textContent = 'read', () => outcome.textContent = 'kept out');"
        "try { parent.document.title = 'owned' } catch { outcome.title = 'apart' }</script>"
    )
    opened(page, dashboard, f"#/run/{key(folder)}/replays")
    frame = page.frame_locator("iframe.replay")
    expect(frame.locator("#step")).to_have_text("step 0 of 255")
    frame.locator("#seek").fill("77")
    expect(frame.locator("#step")).to_have_text("step 77 of 255")
    page.get_by_role("tab", name="Reports").click()
    outcome = page.frame_locator("iframe.report").locator("#outcome")
    expect(outcome).to_have_text("kept out")
    expect(outcome).to_have_attribute("title", "apart")
    page.heard[:] = [line for line in page.heard if "Content Security Policy" not in line and "sandboxed" not in line]


def test_a_missing_run_is_reported_and_one_deleted_while_it_is_viewed(page, dashboard, base):
    opened(page, dashboard, "#/run/training/20260101_000000")
    expect(page.locator(".alert.bad")).to_contain_text('no run "training/20260101_000000"')
    folder = training(base, "it", 2)
    page.goto(f"http://127.0.0.1:{dashboard.port}/#/run/{key(folder)}")
    expect(page.locator("h1")).to_contain_text("it")
    folder.rename(base / "away")
    expect(page.locator(".alert.bad")).to_contain_text("no run")
    page.goto(f"http://127.0.0.1:{dashboard.port}/#/nonsense/x")
    expect(page.locator(".alert.bad")).to_contain_text("This page does not exist")
    page.heard[:] = [line for line in page.heard if "404" not in line]


def test_a_log_is_followed_and_filtered(page, dashboard, base):
    with running(base, "it") as folder:
        opened(page, dashboard, f"#/run/{key(folder)}/logs")
        expect(page.locator(".log")).to_contain_text("training started")
        with (folder / "logs" / "training.jsonl").open("a") as file:
            for level, event in (("warning", "the entropy is low"), ("info", "update 7")):
                line = {"time": "2026-11-20T10:00:00Z", "level": level, "logger": "daf", "event": event, "step": 7000}
                file.write(json.dumps(line) + "\n")
        expect(page.locator(".log")).to_contain_text("update 7")
        page.select_option("[aria-label='Minimum level']", label="warning and above")
        shown = page.locator(".log .line:visible")
        expect(shown).to_have_count(1)
        expect(shown).to_contain_text("the entropy is low")


def test_a_sweep_is_watched_while_trials_come_in(page, dashboard, base):
    with running(base, "lr sweep", "sweeps") as folder:
        facts = {"name": "lr", "objectives": ["reward"], "directions": ["maximize"], "config": {}, "strategy": "tpe"}
        (folder / "sweep.json").write_text(json.dumps({**facts, "run_id": folder.name, "planned": 9, "best_n": 3}))

        def trial(number: int, rate: float, value: float | None) -> None:
            given = {"learning_rate": rate}
            journal.proposed(folder, journal.Proposal(number, given, "tpe"))
            if value is None:
                journal.finished(folder, SweepTrialResult(number, given, status="failed", reason="out of memory"))
            else:
                result = SweepTrialResult(number, given, value, values=(value,), status="complete", success=True)
                journal.finished(folder, result)

        trial(0, 1e-4, 1.0)
        trial(1, 1e-2, None)
        opened(page, dashboard, f"#/run/{key(folder)}")
        expect(page.locator("[role=tabpanel]")).to_contain_text("1 in trial 0")
        expect(page.locator(".alert.bad")).to_contain_text("out of memory")
        trial(2, 1e-3, 2.5)
        expect(page.locator("[role=tabpanel]")).to_contain_text("2.500 in trial 2")
        expect(page.locator("[aria-label=Trials] tbody tr")).to_have_count(3)
        expect(page.locator("figure", has_text="learning_rate").locator("circle")).to_have_count(2)


def test_what_a_sweep_found_on_held_out_seeds_is_a_table_with_whole_seeds(page, dashboard, base):
    trial = {"trial": 3, "in_the_sweep": 2.5, "value": 1.8, "error": None, "difference": 0.475, "ci": [-4, 5]}
    trial |= {"p": 0.2, "p_adjusted": 0.4, "verdict": "undecided", "sentence": "Trial 3 does not differ significantly."}
    record = {"objective": "reward", "seed": 1_000_042, "episodes": 8, "trials": [trial], "winner": 3}
    record |= {"default": {"in_the_sweep": 1.1, "value": 1.325, "error": None}, "asked": [[3], 1_000_042, 8, 0.05]}
    with running(base, "lr sweep", "sweeps") as folder:
        facts = {"name": "lr", "objectives": ["reward"], "directions": ["maximize"], "config": {}, "strategy": "tpe"}
        (folder / "sweep.json").write_text(json.dumps({**facts, "run_id": folder.name, "planned": 1, "best_n": 1}))
        journal.proposed(folder, journal.Proposal(3, {"learning_rate": 0.1}, "tpe"))
        given = SweepTrialResult(3, {"learning_rate": 0.1}, 2.5, values=(2.5,), status="complete", success=True)
        journal.finished(folder, given)
        journal.held_out(folder, record)
        opened(page, dashboard, f"#/run/{key(folder)}")
        rows = page.locator("[aria-label='Held-out seeds'] tbody tr")
        expect(rows.locator("td:first-child")).to_have_text(["3best", "default"])
        expect(rows.locator("[data-name='In the sweep']")).to_have_text(["2.5", "1.1"])
        expect(rows.locator("[data-name='Held out']")).to_have_text(["1.80", "1.33"])
        expect(rows.locator("[data-name='Interval']")).to_have_text(["[−4, 5]", "–"])
        expect(rows.locator("[data-name='Adjusted p']")).to_have_text(["0.40", "–"])
        expect(page.locator("[role=tabpanel]")).to_contain_text("with seeds from 1000042")
        expect(page.locator("[role=tabpanel]")).to_contain_text("Trial 3 does not differ significantly.")


def test_hyperparameters_of_a_sweep_have_the_axes_that_they_were_searched_on(page, dashboard, base):
    space = {"rate": {"min": 0.001, "max": 0.01, "log": True}, "size": [32, 64, 128], "gain": {"min": 1, "max": 900}}
    with running(base, "axes", "sweeps") as folder:
        facts = {
            "name": "axes",
            "objectives": ["reward"],
            "directions": ["maximize"],
            "config": {},
            "strategy": "random",
        }
        rest = {"run_id": folder.name, "planned": 5, "best_n": 1, "config": {"search_space": space}}
        (folder / "sweep.json").write_text(json.dumps({**facts, **rest}))
        for number, size in enumerate((32, 64, 128, 64, 32)):
            given = {"rate": 0.002 + 0.001 * number, "size": size, "gain": 1.5 + 200 * number}
            journal.proposed(folder, journal.Proposal(number, given, "random"))
            done = SweepTrialResult(
                number, given, 0.1 * number, values=(0.1 * number,), status="complete", success=True
            )
            journal.finished(folder, done)
        opened(page, dashboard, f"#/run/{key(folder)}")
        charts = page.locator(".charts figure")
        expect(charts.locator("figcaption")).to_have_text(["ratelog scale", "size", "gain"])
        expect(charts.nth(1).locator("text.below")).to_have_text(["32", "64", "128"])
        expect(charts.nth(0).locator("text.below").first).to_have_text("0.001")
        expect(charts.nth(0).locator("text.below").last).to_have_text("0.01")
        expect(charts.nth(2).locator("text.below").last).to_have_text("800")
        rates = page.locator("[aria-label=Trials] tbody [data-name=rate]")
        expect(rates).to_have_text(["0.006", "0.005", "0.004", "0.003", "0.002"])
        expect(page.locator("[aria-label=Trials] tbody [data-name=reward]")).to_have_text(
            ["0.4", "0.3", "0.2", "0.1", "0.0"]
        )


def test_the_runs_inside_an_experiment_are_watched_and_compared(page, dashboard, base):
    with running(base, "an experiment") as folder:
        for name in ("run_a", "run_b"):
            (folder / "runs" / name).mkdir(parents=True)
            append(folder / "runs" / name, range(2))
        opened(page, dashboard, f"#/run/{key(folder)}/parts")
        rows = page.locator("[aria-label='Runs'] tbody tr")
        expect(rows).to_contain_text(["2k steps", "2k steps"])
        append(folder / "runs" / "run_b", range(2, 8), gain=0.3)
        expect(rows).to_contain_text(["2k steps", "8k steps"])
        for name in ("run_a", "run_b"):
            page.get_by_label(f"Compare {key(folder)}/runs/{name}").check()
        page.get_by_role("button", name="Compare 2 runs").click()
        expect(page.locator('.chart[data-name="episode/return"] .now')).to_have_text("0.2000 2.400")


def test_the_machine_s_load_is_shown(page, dashboard, base):
    with running(base, "it"):
        opened(page, dashboard, "#/machine")
        expect(page.locator("[aria-label='Runs in progress'] tbody tr")).to_contain_text(re.compile("[MG]iB"))
        expect(page.locator("#meters")).to_contain_text("CPU")
        expect(page.locator("figure").first.locator(".now")).to_contain_text("%")


def test_everything_is_reached_by_keyboard(page, dashboard, base):
    training(base, "one", 5)
    training(base, "two", 5)
    opened(page, dashboard)
    expect(page.locator(".runs tbody tr")).to_have_count(2)
    page.locator(".runs td.name a").first.focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "one"
    page.keyboard.press("Enter")
    page.locator("[role=tab][aria-selected=true]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[role=tab][aria-selected=true]")).to_have_text("Results")
    assert page.evaluate("document.activeElement.textContent") == "Results"
    page.keyboard.press("End")
    expect(page.locator("[role=tabpanel]")).to_contain_text("learning_rate")


@pytest.mark.parametrize("width", [400, 1280])
def test_no_view_scrolls_sideways(page, dashboard, base, width):
    first = training(base, "a run with a rather long title that goes on and on " * 3, 12)
    (first / "replays").mkdir()
    (first / "replays" / f"{'long' * 20}.json.z").write_bytes((data_dir() / "replays" / "pens.json.z").read_bytes())
    second = comparison(base, "b", {"p" * 90: [1.0, 2.0], "q": [2.0, 3.0]})
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, dashboard)
    views = ["#/", "#/machine", f"#/compare?run={key(first)}&run={key(second)}", f"#/run/{key(second)}/results"]
    views += [f"#/run/{key(first)}/{tab}" for tab in ("curves", "replays", "logs", "files", "about")]
    for view in views:
        page.goto(f"http://127.0.0.1:{dashboard.port}/{view}")
        page.wait_for_selector("#view h1, #view .runs tbody tr")
        page.wait_for_function("!document.querySelector('#view').textContent.includes('Loading the run')")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def test_the_theme_follows_the_system(page, dashboard):
    opened(page, dashboard)
    for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 27)")):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


def test_a_lost_server_is_reported_and_the_page_continues_when_it_is_back(browser, base):
    training(base, "one", 2)
    serving = Dashboard(base, port=0)
    port, token = serving.port, serving.token
    serving.start()
    page = browser.new_page()
    page.goto(serving.url)
    expect(page.locator(".runs tbody tr")).to_have_count(1)
    serving.stop()
    expect(page.locator("#live")).to_have_text("connection lost")
    training(base, "two", 2)
    again = Dashboard(base, port=port)
    again.token = token
    again.start()
    try:
        expect(page.locator("#live")).to_have_text("live")
        expect(page.locator(".runs tbody tr")).to_have_count(2)
    finally:
        page.close()
        again.stop()


def test_a_server_with_another_token_is_distinguished_from_a_lost_one(browser, base):
    serving = Dashboard(base, port=0)
    serving.start()
    page = browser.new_page()
    page.goto(serving.url)
    expect(page.locator("#live")).to_have_text("live")
    serving.stop()
    again = Dashboard(base, port=serving.port)
    again.start()
    try:
        expect(page.locator("#live")).to_contain_text("dashboard restarted")
    finally:
        page.close()
        again.stop()
