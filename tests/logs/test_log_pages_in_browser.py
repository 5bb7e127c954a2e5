"""Pages of logs in a real browser: figures and maps answer to pointer and keyboard, at any width."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from log_makers import flush, write_array

from daf.log_analysis import LogAnalysis, daf_analyze_logs, daf_compare_logs
from daf.render.axis import axis_for
from daf.render.pages.html import shared_script

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LogAnalysis]:
    folder = tmp_path_factory.mktemp("logs")
    for name, seed in (("first", 1), ("second", 2)):
        records = flush("nested", envs=6, length=200, seed=seed)
        write_array(folder / name / "20250102_120000" / "json_logs" / "stats_1753500000.json", records)
    found = {
        name: daf_analyze_logs(folder / name / "20250102_120000", formats=("html",), output_dir=folder / name)
        for name in ("first", "second")
    }
    runs = [folder / name / "20250102_120000" for name in ("first", "second")]
    daf_compare_logs(runs, formats=("html",), output_dir=folder / "both")
    return found


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    heard: list[str] = []
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    opened.on("console", lambda message: heard.append(message.text))
    opened.on("pageerror", lambda error: heard.append(str(error)))
    yield opened
    opened.close()
    assert heard == []


def open_report(page: "Page", folder: Path) -> None:
    [report] = folder.glob("*_report.html")
    page.goto(report.as_uri())


def test_the_arrow_keys_read_the_mean_and_the_records_of_a_bin(page, logs):
    log = logs["first"]
    open_report(page, log.output_dir)
    page.locator("#rewards-over-training svg.curve").first.focus()
    page.keyboard.press("Home")
    text = page.locator("#rewards-over-training output").first.text_content()
    found = re.fullmatch(r"at ([\d,.]+) – (\S+) \[(\S+), (\S+)\] n = (\d+)", text)
    assert found, text
    low, high = (float(found.group(k).replace("−", "-")) for k in (3, 4))
    first = log.summary.timeline.query("column == 'total'").iloc[0]
    assert int(found.group(5)) >= first["n"]
    assert low < high


def test_dragging_zooms_all_figures_of_the_group_and_escape_returns(page, logs):
    open_report(page, logs["first"].output_dir)
    figure = page.locator("#rewards-over-training svg.curve").first
    before = figure.locator(".scale").inner_html()
    box = figure.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60)
    page.mouse.up()
    count = page.locator("#rewards-over-training svg.curve").count()
    assert page.locator("#rewards-over-training svg.zoomed").count() == count > 1
    assert figure.locator(".scale").inner_html() != before
    figure.focus()
    page.keyboard.press("Home")
    read = page.locator("#rewards-over-training output").first.text_content()
    first = int(re.search(r"at ([\d,]+)", read).group(1).replace(",", ""))
    low, high = logs["first"].summary.time_range
    assert low + 0.3 * (high - low) < first < low + 0.5 * (high - low)
    page.keyboard.press("Escape")
    assert page.locator("svg.zoomed").count() == 0
    assert figure.locator(".scale").inner_html() == before


def test_a_log_is_hidden_in_every_figure_of_a_comparison_at_once(page, logs):
    open_report(page, logs["first"].output_dir.parent / "both")
    hidden = page.locator("#rewards-over-training [data-series='1'][hidden]")
    page.locator("[data-toggle='1']").first.click()
    assert hidden.count() == page.locator("#rewards-over-training svg.curve").count()
    page.locator("[data-toggle='1']").last.click()
    assert hidden.count() == 0


def test_a_map_shows_exact_counts_by_key_and_pointer_and_alone_from_the_menu(page, logs):
    summary = logs["first"].summary
    visits = summary.visits
    open_report(page, logs["first"].output_dir)
    output = page.locator("#visits output")
    page.locator("#visits select").select_option(str(visits["map"].iloc[-1]))
    of_map = visits[visits["map"] == visits["map"].iloc[-1]]
    page.locator("svg.visits").focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('#visits output').value !== ''")
    found = re.fullmatch(r"map (\d+), x (\d+), y (\d+): ([\d,]+) visits?", output.text_content())
    assert found, output.text_content()
    name, x, y, count = (int(part.replace(",", "")) for part in found.groups())
    assert name == of_map["map"].iloc[0]
    assert count == of_map["visits"].max() == of_map.set_index(["x", "y"]).at[(x, y), "visits"]
    ticks = page.locator("svg.visits .scale text").all_text_contents()
    assert ticks
    assert all(int(tick) in range(int(visits[["x", "y"]].min().min()), int(visits.max().max()) + 1) for tick in ticks)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_of_a_log_scrolls_sideways_on_a_phone(browser, logs, scheme):
    page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    for report in logs["first"].output_dir.parent.rglob("*.html"):
        page.goto(report.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, report
    page.close()


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-3.2, 17.9), (1e-5, 3e-5), (12_345.0, 987_654.0), (-1e7, -9e6)])
def test_javascript_places_the_ticks_that_python_places(page, bounds):
    axis = axis_for(bounds, left=0, right=1, ticks=5)
    script = shared_script("scales.js").replace("export ", "")
    ticks = page.evaluate(f"() => {{ {script}; return ticksBetween({axis.low}, {axis.high}, 5); }}")
    assert ticks == pytest.approx(list(axis.ticks), rel=1e-9, abs=1e-12), json.dumps([ticks, axis.ticks])
