"""The pages of runs in a real browser: no name runs, nothing is fetched, figures answer to pointer and keyboard."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from adaptive_runs import experiment
from sweep_runs import search_hill
from training_runs import train_bandit

from daf.comparison import ComparisonReport
from daf.errors import EnvironmentCheckError
from daf.output_manager import OutputManager
from daf.reporting import daf_export_comparison_html, daf_generate_leaderboard, daf_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


SCRIPT = "</script><script>window.hit=1</script>"
IMAGE = "\"'><img src=http://127.0.0.1:9/x onerror=window.hit=1>"
ANSI = "\x1b[31mred\x1b[0m \u202egpj.exe"
TEMPLATE = "{{ 7*7 }}${window.hit=1}"
EVIL = (SCRIPT, IMAGE, ANSI, TEMPLATE)


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[Callable[[Path], "Page"]]:
    """Opens files, and fails the test where one speaks on the console, errs, or asks for anything."""
    pages, heard = [], []

    def opened(path: Path) -> "Page":
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith(("file:", "data:")) else heard.append(one.url))
        page.goto(path.resolve().as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert heard == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return daf_report(train_bandit(tmp_path_factory.mktemp("out"), missions=2)).html


def evil_training(base: Path) -> Path:
    folder = train_bandit(base, updates=5, mission=SCRIPT + IMAGE, policy=ANSI + TEMPLATE, title=SCRIPT, error=IMAGE)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line |= {f"stats/{name}": float(line["update"]) for name in EVIL}
        line |= {f"curriculum/{name}": 1.0 for name in EVIL} | dict.fromkeys(EVIL, 0.5)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with (folder / "evaluations.jsonl").open("a") as file:
        row = {"mean": 1.0, "low": 0.5, "high": 1.5, "n": 3, "replays": ["javascript:window.hit=1", IMAGE]}
        file.write(json.dumps({"step": 900, "missions": dict.fromkeys(EVIL, row), **row}) + "\n")
    return daf_report(folder).html


def evil_sweep(base: Path) -> Path:
    held_out = {name: [{name: name}] for name in EVIL}
    folder = search_hill(base, name=SCRIPT, names=(IMAGE, TEMPLATE), fails=ANSI + SCRIPT, objectives=EVIL[:2],
                         held_out=held_out)  # fmt: skip
    return daf_report(folder).html


def evil_chain(base: Path) -> Path:
    output = OutputManager(base)
    folder = output.log_operation_start("artifacts", title=IMAGE, config={name: [name] for name in EVIL})
    stages = [{"name": name, "status": name, "run_dir": f"javascript:{name}", name: name} for name in EVIL]
    (folder / "pipeline.json").write_text(
        json.dumps({"stages": stages, "errors": list(EVIL), "outputs": {SCRIPT: IMAGE}})
    )
    output.log_operation_complete("artifacts", "failed", error=f"{SCRIPT}\n{IMAGE}")
    return daf_report(folder).html


def evil_run(base: Path) -> Path:
    output = OutputManager(base)
    folder = output.log_operation_start("deployment", title=TEMPLATE)
    (folder / "results.json").write_text(json.dumps({name: {name: [{name: name}], "x": name} for name in EVIL}))
    (folder / "a<img src=x onerror=window.hit=1>.txt").write_text("x")
    output.log_operation_complete("deployment")
    return daf_report(folder).html


def evil_experiment(base: Path) -> Path:
    return daf_report(experiment(base, name=SCRIPT, setting=IMAGE, error=ANSI + SCRIPT)).html


def evil_comparison(base: Path) -> Path:
    report = ComparisonReport(policies=[], missions=[], notes=list(EVIL))
    for position, name in enumerate(EVIL):
        report.add_policy_results(name, IMAGE, [position + 0.1, position + 0.4, position + 0.2])
    board = base / "board.html"
    daf_generate_leaderboard(report, board, "html", title=SCRIPT)
    return board


def evil_export(base: Path) -> Path:
    report = ComparisonReport(policies=[], missions=[], notes=list(EVIL))
    for position, name in enumerate(EVIL):
        report.add_policy_results(name, SCRIPT, [position + 0.1, position + 0.4, position + 0.2])
    return daf_export_comparison_html(report, base / "page.html", title=IMAGE)


@pytest.mark.parametrize(
    "make",
    [evil_training, evil_sweep, evil_chain, evil_run, evil_experiment, evil_comparison, evil_export],
    ids=lambda make: make.__name__,
)
def test_no_name_runs_as_a_script_or_becomes_an_element(make, open_page, tmp_path):
    path = make(tmp_path)
    page = open_page(path)
    assert page.evaluate("window.hit") is None
    assert page.locator("img").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0
    assert "\x1b" not in path.read_text(encoding="utf-8")
    assert "\u202e" not in path.read_text(encoding="utf-8")
    assert page.evaluate("document.body.innerText.includes('window.hit=1')")


def test_the_markdown_of_hostile_names_has_no_markup_of_theirs(tmp_path):
    text = (evil_training(tmp_path).parent / "REPORT.md").read_text(encoding="utf-8")
    fences = text.split("\n```\n")
    outside = [line for part in fences[::2] for line in part.splitlines() if "window.hit" in line]
    assert outside
    assert all("<script" not in line.replace("\\<", "") for line in outside)
    assert "\x1b" not in text


def test_the_pointer_reads_values_in_every_figure_of_a_group_at_once(trained, open_page):
    page = open_page(trained)
    group = page.locator("#learning .plots")
    figure = group.locator("svg.curve").first
    box = figure.bounding_box()
    figure.hover(position={"x": box["width"] * 0.98, "y": box["height"] / 2})
    reported = group.locator("output").all_text_contents()
    assert len(reported) == 3
    assert all(text.startswith("at 7,680 – ") for text in reported)
    last = json.loads((trained.parent / "metrics.jsonl").read_text().splitlines()[-1])
    assert float(reported[0].partition(" – ")[2]) == pytest.approx(last["loss/entropy"], rel=1e-3)
    assert page.locator("#training output").first.text_content() == ""


def test_arrow_keys_walk_along_a_figure(trained, open_page):
    page = open_page(trained)
    figure = page.locator("#evaluations svg.curve").first
    figure.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    text = page.locator("#evaluations output").first.text_content() or ""
    assert text.startswith("at 2,560 – ")
    assert "[" in text


def test_a_series_is_hidden_by_its_button_and_comes_back(trained, open_page):
    page = open_page(trained)
    button = page.locator("#evaluations .legend button").first
    series = page.locator("#evaluations figure", has=page.locator(".legend")).locator("[data-series='0']")
    assert series.is_visible()
    button.click()
    assert not series.is_visible()
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert series.is_visible()


def test_tables_of_a_sweep_are_sorted_and_filtered(open_page, tmp_path):
    page = open_page(daf_report(search_hill(tmp_path)).html)
    page.select_option("#trials select[aria-label=Status]", "failed")
    rows = page.locator("#trials tbody tr:not([hidden])")
    assert rows.count() == 5
    page.select_option("#trials select[aria-label=Status]", "")
    page.locator("#trials th button", has_text="reward").click()
    page.locator("#trials th button", has_text="reward").click()
    values = page.evaluate(
        "[...document.querySelectorAll('#trials tbody tr td:nth-child(3)')].map(cell => cell.textContent)"
    )
    shown = [float(value) for value in values if value != "–"]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == 35


@pytest.mark.parametrize("width", [1280, 400])
def test_pages_do_not_scroll_sideways_and_figures_keep_their_marks_inside(trained, open_page, width):
    page = open_page(trained)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    least = page.evaluate(
        """Math.min(...[...document.querySelectorAll("svg.curve")].flatMap(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("path, circle, text")].map(mark => {
                const box = mark.getBoundingClientRect();
                return Math.min(box.left - frame.left, frame.right - box.right, box.top - frame.top,
                    frame.bottom - box.bottom);
            });
        }))"""
    )
    assert least > -1.5


@pytest.mark.usefixtures("browser")
def test_a_report_is_printed_as_pdf(tmp_path):
    files = daf_report(train_bandit(tmp_path, updates=12), pdf=True)
    assert files.pdf is not None
    content = files.pdf.read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page") > 1


def test_without_a_browser_pdf_says_what_to_install_and_nothing_is_written(tmp_path, monkeypatch):
    folder = train_bandit(tmp_path, updates=5)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentCheckError, match="apt install chromium"):
        daf_report(folder, pdf=True)
    monkeypatch.setenv("DAF_CHROMIUM", str(tmp_path / "none"))
    with pytest.raises(EnvironmentCheckError, match="must be an executable program"):
        daf_report(folder, pdf=True)
    assert not (folder / "report.html").exists()


def every_kind(base: Path) -> dict[str, Path]:
    evaluation = ComparisonReport(policies=[], missions=[])
    for position in range(3):
        evaluation.add_policy_results(f"policy_{position}", "arena", [position + 0.1, position + 0.4, position + 0.2])
    folders = {
        "training": train_bandit(base / "training", updates=12, missions=2),
        "sweep": search_hill(base / "sweep"),
        "adaptive": experiment(base / "adaptive"),
    }
    pages = {kind: daf_report(folder).html for kind, folder in folders.items()}
    return pages | {"comparison": daf_export_comparison_html(evaluation, base / "comparison.html")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_every_figure_fits_or_scrolls_in_itself_with_readable_labels(browser, tmp_path, scheme):
    context = browser.new_context(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    for kind, path in every_kind(tmp_path).items():
        page = context.new_page()
        page.goto(path.resolve().as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 400, kind
        figures = page.evaluate(
            """[...document.querySelectorAll("svg.figure")].filter(svg => svg.getClientRects().length).map(svg => {
                const figure = svg.closest("figure");
                const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
                const size = text => parseFloat(getComputedStyle(text).fontSize);
                return {fits: figure.scrollWidth <= figure.clientWidth,
                    scrolls: getComputedStyle(figure).overflowX === "auto",
                    label: scale * Math.min(...[...svg.querySelectorAll("text")].map(size))};
            })"""
        )
        assert figures, kind
        assert all(figure["fits"] or figure["scrolls"] for figure in figures), (kind, figures)
        assert min(figure["label"] for figure in figures) > 10, (kind, figures)
    context.close()


def test_the_reason_of_a_run_in_an_experiment_is_shown_whole(browser, tmp_path):
    folder = experiment(tmp_path)
    reason = (
        "extended: the mean of its last three evaluations is above the median of all runs at the same number of steps"
    )
    lines = (folder / "experiment.jsonl").read_text().replace('"goes on"', json.dumps(reason))
    (folder / "experiment.jsonl").write_text(lines)
    for width in (1280, 400):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(daf_report(folder).html.resolve().as_uri())
        shown = page.locator("#runs td", has_text=reason).first
        assert shown.text_content() == reason
        box = shown.evaluate(
            """cell => {
                const shown = cell.getBoundingClientRect(), table = cell.closest(".scroll");
                return {cut: cell.scrollWidth > cell.clientWidth, width: shown.width,
                    beyond: shown.right - table.getBoundingClientRect().right,
                    scrolls: getComputedStyle(table).overflowX === "auto"};
            }"""
        )
        assert not box["cut"]
        assert box["width"] >= 200
        assert box["beyond"] <= 1 if width == 1280 else box["scrolls"]
        page.close()
