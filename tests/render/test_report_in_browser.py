"""The page in a real browser: it sorts, filters, follows light and dark, and asks the network for nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from reports import report_of

from daf.evaluation.page import render_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = report_of(
        policies=("starter", "<b>x</b>  \"y' & z", "noop"),
        fails=lambda mission, block, policy: (mission, policy) == (0, 2) and block == 1,
        notes=["1 of 60 episodes failed."],
    )
    path = tmp_path_factory.mktemp("run") / "report.html"
    path.write_text(render_html(report), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: "Browser", place: Path) -> Iterator["Page"]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else heard.append(request.url)
    )
    page.goto(place.as_uri())
    yield page
    page.close()
    assert heard == []


def column(page: "Page", position: int) -> list[str]:
    cells = f"[...document.querySelectorAll('#episodes tbody tr:not([hidden]) td:nth-child({position})')]"
    return page.evaluate(f"{cells}.map(cell => cell.textContent.trim())")


def test_a_click_sorts_numbers_as_numbers_and_a_second_click_turns_them(page):
    head = page.locator("#episodes th button", has_text="Reward per agent")
    head.click()
    shown = column(page, 5)
    assert shown[-1] == ""
    rewards = [float(text) for text in shown[:-1]]
    assert rewards == sorted(rewards)
    assert page.locator("#episodes th[aria-sort=ascending]").count() == 1
    head.click()
    shown = column(page, 5)
    assert [float(text) for text in shown[:-1]] == rewards[::-1]
    assert shown[-1] == ""


def test_filters_leave_the_episodes_that_fit(page):
    page.select_option("select[aria-label=Mission]", "arena")
    page.select_option("select[aria-label=Policy]", index=2)
    assert column(page, 1) == ["arena"] * 10
    assert set(column(page, 4)) == {"<b>x</b>  \"y' & z"}
    assert page.locator(".controls output").text_content() == "10 of 60"
    page.select_option("select[aria-label=Policy]", "")
    page.select_option("select[aria-label=Status]", "failed")
    assert column(page, 3) == ["43"]
    page.select_option("select[aria-label=Status]", "")
    page.fill("input[type=search]", "43 STARTER")
    assert set(column(page, 3)) == {"43"}


def test_the_page_does_not_scroll_sideways_on_a_telephone(page):
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_dark_and_print_have_their_own_ground(page):
    def ground() -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.emulate_media(color_scheme="light")
    assert ground() == "rgb(255, 255, 255)"
    page.emulate_media(color_scheme="dark")
    assert ground() == "rgb(20, 23, 27)"
    page.emulate_media(color_scheme="dark", media="print")
    assert ground() == "rgb(255, 255, 255)"


def test_markers_and_intervals_are_drawn_inside_the_figure(page):
    boxes = page.evaluate(
        """[...document.querySelectorAll("svg.figure")].flatMap(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("path, circle, text")].map(mark => {
                const box = mark.getBoundingClientRect();
                return [box.left - frame.left, frame.right - box.right, box.top - frame.top, frame.bottom - box.bottom];
            });
        })"""
    )
    assert len(boxes) > 60
    assert min(min(box) for box in boxes) > -1


def test_without_scripts_every_episode_is_there_and_the_controls_are_not(browser, place):
    page = browser.new_page(java_script_enabled=False)
    page.goto(place.as_uri())
    assert page.locator("#episodes tbody tr").count() == 60
    assert not page.locator(".controls").is_visible()
    page.close()
