"""The player, in a real browser: it plays, seeks, zooms, tells of agents, and asks the network for nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from replay_files import WHEEL

from daf.game.replays import read_replay
from daf.render.replays.page import replay_html, write_replay_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

READY = "html[data-ready]"
READ_PIXEL = """([x, y]) => {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(document.getElementById("map"), -Math.round(x), -Math.round(y));
    return [...context.getImageData(0, 0, 1, 1).data];
}"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("players")
    return {
        name: write_replay_html(read_replay(WHEEL / f"{name}.json.z"), folder / f"{name}.html").path
        for name in ("planky", "pens", "default")
    }


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    page = browser.new_page(viewport={"width": 1200, "height": 800})
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else heard.append(request.url)
    )
    yield page
    page.close()
    assert heard == []


def opened(page: "Page", place: Path, fragment: str = "") -> "Page":
    page.goto(place.as_uri() + fragment)
    page.wait_for_selector(READY)
    return page


def expect(thing: "Page | Locator"):
    from playwright.sync_api import expect

    return expect(thing)


def step(page: "Page") -> int:
    return int(re.findall(r"\d+", page.locator("#step").inner_text())[0])


def pixels(page: "Page") -> str:
    """The map as it is drawn now."""
    return page.evaluate("document.getElementById('map').toDataURL()")


def spot(page: "Page", x: int, y: int, width: int, height: int) -> tuple[float, float]:
    """Where on the page the middle of a cell lies while the whole map is in view."""
    box = page.locator("#map").bounding_box()
    cell = min(box["width"] / width, box["height"] / height)
    left, top = (box["width"] - cell * width) / 2, (box["height"] - cell * height) / 2
    return box["x"] + left + (x + 0.5) * cell, box["y"] + top + (y + 0.5) * cell


@pytest.mark.parametrize("name", ["pens", "planky", "default"])
def test_every_version_is_on_the_screen_with_all_its_agents(page, places, name):
    replay = read_replay(WHEEL / f"{name}.json.z")
    opened(page, places[name])
    assert page.locator("#agents button").count() == len(replay.agents)
    assert step(page) == 0
    colours = "new Set(document.getElementById('map').getContext('2d').getImageData(0,0,940,700).data).size"
    assert page.evaluate(colours) > 100


def test_the_panel_says_what_the_replay_says_at_any_step(page, places):
    replay = read_replay(WHEEL / "planky.json.z")
    opened(page, places["planky"])
    for wanted in (0, 999, 5000, 9999):
        page.evaluate("at => { location.hash = `#step=${at}`; }", wanted)
        expect(page.locator("#step")).to_have_text(f"step {wanted} of 9999")
        for number, row in enumerate(page.locator("#agents button").all()):
            agent = replay.agent_at(number, wanted)
            cells = row.locator("> span").all_inner_texts()
            assert cells[2:4] == [agent.role, str(agent.inventory.get("hp", 0))]
            assert cells[4:] == [str(agent.inventory.get("energy", 0)), agent.action]
        mean = sum(agent.total_reward for agent in replay.at(wanted).agents) / len(replay.agents)
        assert float(page.locator("#score b").first.inner_text()) == pytest.approx(mean, abs=0.01)


def test_it_plays_pauses_and_stops_at_the_end(page, places):
    opened(page, places["pens"], "#step=250")
    page.select_option("#speed", "100")
    page.click("#play")
    expect(page.locator("#step")).to_have_text("step 255 of 255")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    page.select_option("#speed", "10")
    page.keyboard.press("Home")
    page.click("#play")
    expect(page.locator("#step")).to_have_text(re.compile(r"step ([2-9]|\d\d+) of 255"))
    page.click("#play")
    at = step(page)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert step(page) == at


def test_keys_and_buttons_step_seek_and_change_the_speed(page, places):
    opened(page, places["pens"])
    for key, expected in (
        ("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("End", 255), ("ArrowRight", 255), ("Home", 0),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert step(page) == expected, key
    page.click("#on")
    page.click("#on")
    page.click("#back")
    assert step(page) == 1
    page.keyboard.press(">")
    assert page.input_value("#speed") == "20"
    page.locator("#seek").fill("77")
    assert step(page) == 77


def test_each_step_looks_different_and_the_same_step_looks_the_same(page, places):
    opened(page, places["pens"], "#step=10")
    first = pixels(page)
    page.keyboard.press("ArrowRight")
    assert pixels(page) != first
    page.keyboard.press("ArrowLeft")
    assert pixels(page) == first


def test_a_click_on_an_agent_shows_it_over_time(page, places):
    replay = read_replay(WHEEL / "default.json.z")
    opened(page, places["default"], "#step=3000")
    agent = replay.agent_at(4, 3000)
    page.mouse.click(*spot(page, agent.x, agent.y, replay.width, replay.height))
    page.wait_for_selector("#infos .info.now")
    assert page.locator("#chosen h2").first.inner_text() == "Agent 4 of cogs_red"
    chosen = page.locator("#chosen .row").all_inner_texts()
    assert chosen[0].split("\n")[0] == "return"
    assert {text.split("\n")[0]: text.split("\n")[1] for text in chosen}["hp"] == str(agent.inventory["hp"])
    shown = replay.agents[4].policy_infos().at(3000)["message"].strip().splitlines()[0]
    assert shown in page.locator("#infos .info.now").inner_text()
    page.locator("#chosen canvas").first.click(position={"x": 0.5, "y": 10})
    assert step(page) < 100
    page.keyboard.press("Escape")
    assert page.locator("#chosen").is_hidden()


def test_a_link_opens_a_step_and_an_agent_and_follows_what_is_seen(page, places):
    opened(page, places["planky"], "#step=1234&agent=3")
    page.wait_for_selector("#chosen h2")
    assert step(page) == 1234
    assert "Agent 3" in page.locator("#chosen h2").first.inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("n")
    expect(page).to_have_url(places["planky"].as_uri() + "#step=1235&agent=4")


def test_a_link_beyond_the_episode_opens_its_last_step(page, places):
    opened(page, places["pens"], "#step=99999999&agent=77")
    assert step(page) == 255
    assert page.locator("#chosen").is_hidden()


def test_wheel_drag_minimap_fit_and_follow_move_the_view(page, places):
    opened(page, places["planky"], "#step=500")
    whole = pixels(page)
    assert page.locator("#mini").is_hidden()
    page.mouse.move(400, 300)
    page.mouse.wheel(0, -700)
    page.wait_for_selector("#mini", state="visible")
    near = pixels(page)
    assert near != whole
    page.mouse.down()
    page.mouse.move(300, 200, steps=4)
    page.mouse.up()
    dragged = pixels(page)
    assert dragged != near
    assert page.locator("#chosen").is_hidden()
    page.locator("#mini").click(position={"x": 120, "y": 120})
    assert pixels(page) != dragged
    page.keyboard.press("0")
    assert pixels(page) == whole
    page.keyboard.press("n")
    page.wait_for_selector("#chosen h2")
    page.keyboard.press("f")
    following = pixels(page)
    page.keyboard.press("Shift+ArrowRight")
    assert pixels(page) != following


def test_the_heat_map_shows_where_the_chosen_agent_was(page, places):
    replay = read_replay(WHEEL / "planky.json.z")
    opened(page, places["planky"], "#step=2000&agent=0")
    page.wait_for_selector("#chosen h2")
    cells = {tuple(replay.agents[0].location.at(at)) for at in range(2001)}
    occupied = {(o.x, o.y) for o in replay.at(2000).objects}
    visited = sorted(cells - occupied)[len(cells) // 2]
    never = next((x, 5) for x in range(20, 90) if (x, 5) not in cells)
    box = page.locator("#map").bounding_box()

    def colour(x, y):
        left, top = spot(page, x, y, replay.width, replay.height)
        return page.evaluate(READ_PIXEL, [left - box["x"], top - box["y"]])

    before = [colour(*visited), colour(*never)]
    page.click("#heat")
    after = [colour(*visited), colour(*never)]
    assert after[0] != before[0]
    assert after[1] == before[1]
    page.keyboard.press("h")
    assert colour(*visited) == before[0]


def test_hostile_names_and_infos_are_shown_as_text(page, write, tmp_path):
    hostile = "</script><script>document.title='owned'</script>"
    path = write(mg_config={"label": hostile, "game": {"vibe_names": ["default", "heart"]}})
    place = write_replay_html(read_replay(path), tmp_path / "hostile.html").path
    opened(page, place, "#step=3&agent=0")
    page.wait_for_selector("#infos .info")
    assert page.locator("h1").inner_text() == hostile
    assert "<script>alert(1)</script>" in page.locator("#infos").inner_text()
    assert page.title() != "owned"


def test_help_lists_the_keys(page, places):
    opened(page, places["pens"])
    page.keyboard.press("?")
    assert "heat map of visits" in page.locator("#help").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()


def test_the_page_carries_everything_and_links_nowhere(write):
    text = replay_html(read_replay(write()))
    assert "default-src 'none'" in text
    assert not re.findall(r"(?:src|href)=[\"']?(?!data:|[\"'])[^\s>]+", text)
    assert "http:" not in text
    assert "https:" not in text


def test_the_same_replay_gives_the_same_page(write):
    path = write()
    assert replay_html(read_replay(path)) == replay_html(read_replay(path))
