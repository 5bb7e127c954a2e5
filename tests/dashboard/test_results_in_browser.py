"""The results of every kind of run in the dashboard: what their reports show, with links to players and runs."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsing import HOSTILE, eventually, expect, key, opened
from runs_made import append, comparison, running, training

from daf.ablation import daf_policy_ablation
from daf.core.adaptive.record import run_dir
from daf.crossplay import daf_crossplay
from daf.dashboard import Dashboard
from daf.deployment.gate import Gate, play_gate
from daf.evaluation import Settings, evaluate
from daf.game.sprites import data_dir
from daf.metrics import daf_metrics
from daf.mission_analysis import daf_analyze_mission
from daf.output_manager import OutputManager, labels
from daf.output_manager.kinds import kind_of
from daf.power import daf_power
from daf.reporting.outcomes import outcome_of
from daf.scoring_analysis import daf_score
from daf.sweeps import journal
from daf.sweeps.result import SweepTrialResult
from daf.sweeps.variants import daf_variant_sweep
from daf.test_runner import TestRunner
from daf.until_decided import compare_until_decided
from tests.conftest import SMALL, SMALLEST
from tests.render.adaptive_runs import experiment
from tests.render.sweep_runs import search_hill

sys.path.insert(0, str(Path(__file__).parent.parent / "streams"))

from log_makers import flush, write_array

if TYPE_CHECKING:
    from playwright.sync_api import FrameLocator, Page

SETTINGS = Settings(episodes=2, executor="serial", report=False, resamples=200, save_replays="all")
WIDTHS = (1280, 400)
LOOKS: dict[str, Any] = {"max_episodes": 6, "looks": 2}


@dataclass(frozen=True)
class Made:
    """A run of one kind. shows: texts that its results must contain."""

    folder: Path
    kind: str
    shows: tuple[str, ...]
    label: str = ""


def played(base: Path) -> Iterator[Made]:
    """Runs that played episodes, on the two smallest missions."""

    def output() -> OutputManager:
        return OutputManager(base, monitor_system_stats=False)

    found = evaluate(["starter", "noop"], [SMALL], settings=SETTINGS, output=output())
    yield Made(found.run_dir, "evaluation", ("starter", "noop", "Episodes"))
    cross = daf_crossplay(["starter", "noop"], [SMALL], settings=SETTINGS, output=output())
    yield Made(cross.run_dir, "crossplay", ("Self-play and cross-play", "starter", "noop"))
    scored = daf_score("starter", ["noop"], SMALL, settings=SETTINGS, output=output())
    yield Made(scored.run_dir, "score", ("VOR", "Replacement"))
    ablated = daf_policy_ablation("miner", SMALLEST, ["mask:tag"], settings=SETTINGS, output_manager=output())
    yield Made(ablated.run_dir, "ablation", ("mask:tag", "Unchanged"))
    daf_analyze_mission(SMALLEST, ["noop"], settings=SETTINGS, output_manager=output())
    folder = next(path.parent for path in base.glob("*/*/analysis.json"))
    yield Made(folder, "analysis", ("The mission", "noop"))
    settings = replace(SETTINGS, save_replays="none")
    paired = evaluate(["miner", "noop"], [SMALLEST], settings=settings, output=output(), operation="comparisons")
    yield Made(paired.run_dir, "comparison", ("miner", "noop", "Policy against policy"))
    measured = daf_metrics(SMALLEST, ["noop"], settings=settings, output_manager=output())
    yield Made(measured.evaluation.run_dir, "metrics", ("reward", "Equal to", "Command and configuration"))
    planned = daf_power(difference=0.2, deviation=0.5, output_manager=output())
    yield Made(planned.run_dir, "power", ("Needed", "68 blocks with a fixed number"))
    decided = compare_until_decided(["miner", "noop"], [SMALLEST], settings=settings, output=output(), **LOOKS)
    yield Made(decided.evaluation.run_dir, "comparison", ("Played until decided, in 2 looks", "miner"), "looks")
    gate = Gate((SMALL,), 0.1, mixes=("2+2",))
    gated = play_gate(
        "noop", "noop", gate, names=("new", "old"), settings=replace(settings, episodes=5), output=output()
    )
    yield Made(gated.run_dir, "gate", ("2+2", "alone"))
    suite = base.parent / "test_small.py"
    suite.write_text("def test_good(): pass\ndef test_bad(): assert 1 == 2\n")
    runner = TestRunner(base)
    runner.run_test_suite(suite)
    runner.save_test_report()
    folder = next(path.parent for path in base.glob("*/*/tests.json"))
    yield Made(folder, "tests", ("test_bad", "1 == 2"))
    varied = daf_variant_sweep("noop", SMALLEST, ["no_clips"], 2, settings=settings, output_manager=output())
    yield Made(varied.run_dir, "variants", ("no_clips", "Single variants"))


def described(base: Path) -> Iterator[Made]:
    """Runs whose reports come from files that are written here in their formats."""
    with running(base, "a pipeline", "artifacts") as folder:
        stages = [{"name": "train", "status": "completed", "seconds": 61}, {"name": "deploy", "status": "skipped"}]
        (folder / "pipeline.json").write_text(json.dumps({"stages": stages}))
    yield Made(folder, "pipeline", ("1 of 2 stages is done", "1 min 1 s"))
    with running(base, "a release", "deployment") as folder:
        (folder / "results.json").write_text(json.dumps({"checks": [{"name": "size", "ok": True}]}))
    yield Made(folder, "run", ("Checks", "size"))
    with running(base, "recordings", "visualizations") as folder:
        (folder / "replays").mkdir()
        (folder / "replays" / "pens.json.z").write_bytes((data_dir() / "replays" / "pens.json.z").read_bytes())
    yield Made(folder, "replays", ("pens.json.z",))
    with running(base, "training logs", "logs") as folder:
        records = flush("nested", envs=2, length=30, start=0, total=60, seed=1)
        write_array(folder / "json_logs" / "stats_1753500000.json", records)
    yield Made(folder, "logs", ("60 records", "Rewards over training"))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, dict[str, Made]]]:
    """A dashboard over one run of each kind."""
    base = tmp_path_factory.mktemp("output")
    made = {one.label or one.kind: one for one in (*played(base), *described(base))}
    made["adaptive"] = Made(experiment(base), "adaptive", ("Score of each run", "out of memory", "r1"))
    sweep = search_hill(base)
    made["sweep"] = Made(sweep, "sweep", ("Hyperparameter importance", "Parallel coordinates", "Best trials"))
    with OutputManager(base).operation("training", title="a training run") as folder:
        append(folder, range(10))
    made["training"] = Made(folder, "training", ("Evaluations", "Learning"))
    serving = Dashboard(base, port=0)
    serving.start()
    before = written(base)
    yield serving, made
    serving.stop()
    assert written(base) == before, "the dashboard wrote into run directories"


def written(base: Path) -> dict[Path, tuple[int, int]]:
    """Every file below `base`, with its size and the time of its last change."""
    return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in base.rglob("*") if file.is_file()}


KINDS = (
    "evaluation", "comparison", "metrics", "power", "crossplay", "score", "ablation", "analysis", "variants",
    "adaptive", "sweep", "training", "pipeline", "run", "replays", "logs", "looks", "gate", "tests",
)  # fmt: skip


def report(page: "Page") -> "FrameLocator":
    return page.frame_locator("iframe.embedded")


def results(page: "Page", dashboard: Dashboard, made: Made) -> "FrameLocator":
    """The report of a run, once it is shown at its full height."""
    tab = "report" if made.kind == "training" else "results"
    opened(page, dashboard, f"#/run/{key(made.folder)}/{tab}")
    expect(page.locator("iframe.embedded")).to_be_visible()
    expect(page.locator(".empty:visible")).to_have_count(0)
    return report(page)


@pytest.fixture
def dashboard(shown: tuple[Dashboard, dict[str, Made]], request: pytest.FixtureRequest) -> Iterator[Dashboard]:
    """The dashboard over all kinds, or over `base` for a test that makes its own runs."""
    if "base" not in request.fixturenames:
        yield shown[0]
        return
    serving = Dashboard(request.getfixturevalue("base"), port=0)
    serving.start()
    yield serving
    serving.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_results_show_the_report_of_every_kind_and_fit_the_window(page, dashboard, shown, kind):
    made = shown[1][kind]
    frame = results(page, dashboard, made)
    for text in made.shows:
        expect(frame.locator("main")).to_contain_text(text)
    expect(page.locator(".head dl")).to_contain_text(f"kind{made.kind}")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        eventually(
            page, lambda: page.frames[-1].evaluate("document.body.getBoundingClientRect().height <= innerHeight + 1")
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.frames[-1].evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width}: too wide"


def test_the_numbers_of_a_crossplay_and_a_score_are_those_of_their_records(page, dashboard, shown):
    cross = results(page, dashboard, shown[1]["crossplay"])
    cells = [text.strip() for text in cross.locator("#matrix svg text").all_text_contents()]
    for cell in recorded(shown[1]["crossplay"])["matrix"]:
        assert any(same(text, cell["own"]) for text in cells), (cell, cells)
    score = results(page, dashboard, shown[1]["score"])
    row = score.locator("#overall tbody tr").first.locator("td")
    mission = recorded(shown[1]["score"])["missions"][0]
    assert same(row.nth(3).inner_text(), mission["replacement"])
    assert same(row.nth(5).inner_text(), mission["vor"])
    assert row.nth(2).inner_text() == str(mission["n"])


def test_the_list_shows_the_kind_and_the_result_of_every_run(page, dashboard, shown):
    opened(page, dashboard)
    rows = page.locator(".runs tbody tr")
    expect(rows).to_have_count(len(KINDS))
    for made in shown[1].values():
        row = page.locator(f".runs tr[data-key='{key(made.folder)}']")
        expect(row.locator("[data-name=Kind]")).to_have_text(made.kind)
        expect(row.locator("[data-name=Result]")).to_have_text(outcome_of(made.folder, kind_of(made.folder)).text)
    value = recorded(shown[1]["score"])["vor"]["value"]
    score = page.locator(f".runs tr[data-key='{key(shown[1]['score'].folder)}'] [data-name=Result]").inner_text()
    assert same(score, value)


def test_a_report_of_a_running_sweep_is_updated_on_request(page, dashboard, base):
    with running(base, "a sweep", "sweeps") as folder:
        facts = {"run_id": folder.name, "name": "a sweep", "objectives": ["reward"], "directions": ["maximize"]}
        rest = {"strategy": "random", "planned": 9, "best_n": 1, "config": {}}
        (folder / "sweep.json").write_text(json.dumps(facts | rest))

        def trial(number: int) -> None:
            given, value = {"rate": 0.1 * number}, float(number)
            journal.proposed(folder, journal.Proposal(number, given, "random"))
            ended = {"values": (value,), "status": "complete", "success": True}
            journal.finished(folder, SweepTrialResult(number, given, value, **ended))

        trial(1)
        trial(2)
        frame = results(page, dashboard, Made(folder, "sweep", ()))
        expect(frame.locator("#finding")).to_contain_text("Trial 2")
        trial(3)
        page.get_by_role("button", name="Update the report").click()
        expect(frame.locator("#finding")).to_contain_text("Trial 3")
    expect(page.locator("h1 .tag")).to_have_text("completed")


def recorded(made: Made) -> dict[str, Any]:
    return json.loads((made.folder / "results.json").read_text())


def same(text: str, value: float) -> bool:
    """Whether `text` starts with `value`, rounded to the digits that it has."""
    found = re.match(r"[-−+]?\d[\d,]*(\.\d+)?", text.strip())
    if found is None:
        return False
    decimals = len(found[1] or ".") - 1
    return abs(float(found[0].replace("−", "-").replace(",", "")) - value) <= 0.5001 * 10**-decimals


@pytest.mark.parametrize("height", [500, 900])
def test_an_episode_in_a_report_opens_in_a_player_that_fits_the_window(page, dashboard, shown, height):
    made = shown[1]["evaluation"]
    page.set_viewport_size({"width": 1280, "height": height})
    frame = results(page, dashboard, made)
    replays = [episode["replay"] for episode in recorded(made)["episodes"]]
    assert len(replays) == 4
    assert all(replays)
    expect(frame.locator("#all-episodes tbody a")).to_have_count(4)
    frame.locator("#all-episodes tbody a").nth(1).click()
    player = page.locator("iframe.replay")
    expect(page.frame_locator("iframe.replay").locator("#step")).to_have_text(re.compile("step 0 of"))
    assert page.get_by_label("Replay", exact=True).first.input_value().startswith("replays/")
    box = player.bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= height


def test_a_run_in_an_adaptive_report_opens_and_the_curves_of_all_runs_lie_together(page, dashboard, base):
    folder = experiment(base)
    for name, gain in (("r0", 0.1), ("r1", 0.3)):
        run_dir(folder, name).mkdir(parents=True, exist_ok=True)
        append(run_dir(folder, name), range(6), gain=gain)
    frame = results(page, dashboard, Made(folder, "adaptive", ()))
    frame.locator("#runs a", has_text="r1").first.click()
    expect(page.locator(".crumbs")).to_contain_text(f"runs/{run_dir(folder, 'r1').name}")
    page.goto(f"http://127.0.0.1:{dashboard.port}/#/run/{key(folder)}/parts")
    chart = page.locator('.chart[data-name="episode/return"]')
    expect(chart.locator("path.line")).to_have_count(2)
    expect(chart.locator(".now")).to_have_text("0.6000 1.800")
    append(run_dir(folder, "r0"), range(6, 8), gain=0.1)
    expect(chart.locator(".now")).to_have_text("0.8000 1.800")


def test_a_trial_is_opened_with_its_episodes_and_replays(page, dashboard, base):
    folder = search_hill(base, trials=12)
    (folder / "trials" / "0003" / "replays").mkdir(parents=True)
    append(folder / "trials" / "0003", range(2))
    pens = (data_dir() / "replays" / "pens.json.z").read_bytes()
    (folder / "trials" / "0003" / "replays" / "pens.json.z").write_bytes(pens)
    (folder / "replays" / "trial_0003").mkdir(parents=True)
    (folder / "replays" / "trial_0003" / "arena-001-bbbbbbbb.json.z").write_bytes(pens)
    facts = json.loads((folder / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps(facts | {"config": {"seed": 42}}))
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    for line in lines:
        if line["event"] == "finished" and line["result"]["trial_id"] == 3:
            values = [0.25, line["result"]["primary_metric"] * 2 - 0.25]
            entry = {"value": sum(values) / 2, "n": 2, "values": values, "mission": "arena,cogs=2"}
            line["result"] |= {
                "mission_results": {"arena": entry | {"keys": ["a" * 64, "b" * 64]}},
                "policy": "starter",
            }
    (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    opened(page, dashboard, f"#/run/{key(folder)}/trials")
    page.get_by_role("button", name="Episodes and replays of trial 3", exact=True).click()
    panel = page.locator(".trial")
    expect(panel.locator("tbody tr")).to_have_count(2)
    expect(panel.locator("tbody tr").first).to_contain_text("0.25")
    expect(panel.locator("pre")).to_contain_text("daf evaluate -p starter -m arena,cogs=2 -e 2 --seed 42")
    expect(panel.locator("tbody a")).to_have_count(1)
    panel.locator("tbody tr").nth(1).locator("a").click()
    expect(page.get_by_label("Replay", exact=True).first).to_have_value("replays/trial_0003/arena-001-bbbbbbbb.json.z")
    expect(page.frame_locator("iframe.replay").locator("#step")).to_have_text("step 0 of 255")
    page.go_back()
    page.get_by_role("button", name="Episodes and replays of trial 3", exact=True).click()
    panel.locator("a", has_text="pens.json.z").click()
    expect(page.frame_locator("iframe.replay").locator("#step")).to_have_text("step 0 of 255")
    page.goto(f"http://127.0.0.1:{dashboard.port}/#/run/{key(folder)}/trials")
    page.locator("circle[data-trial='1']").first.click()
    expect(panel.locator("h2")).to_contain_text("Trial 1 ")
    expect(panel).to_contain_text("recorded no single episodes")


def test_a_trial_in_the_report_of_a_sweep_unfolds_its_episodes(page, dashboard, base):
    folder = search_hill(base, trials=4)
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    for line in lines:
        if line["event"] == "finished":
            value = line["result"]["primary_metric"]
            line["result"]["mission_results"] = {"arena": {"value": value, "n": 1, "values": [value]}}
    (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    frame = results(page, dashboard, Made(folder, "sweep", ()))
    expect(frame.locator("#trial-2")).not_to_be_visible()
    frame.locator("#trials a", has_text=re.compile("^2$")).click()
    expect(frame.locator("#trial-2 tbody tr")).to_have_count(1)
    expect(frame.locator("#trial-2")).to_be_visible()


def test_whether_a_policy_learned_is_the_first_sentence_of_its_run(page, dashboard, base):
    folder = training(base, "it", 5)
    sentence = f"After 5,000 agent steps, the policy is better than random {HOSTILE} by 0.5 [0.2, 0.8], p=0.01."
    learned = {"sentence": sentence, "step": 5000, "left_out": 0, "comparisons": []}
    facts = {"status": "done", "steps": 5000, "updates": 5, "metrics": {"episode/return": 0.5}, "learned": learned}
    (folder / "training.json").write_text(json.dumps(facts))
    opened(page, dashboard, f"#/run/{key(folder)}")
    expect(page.locator(".head p.wide").first).to_have_text(sentence)
    assert page.locator("#view img, #view script").count() == 0
    (folder / "training.json").write_text(json.dumps(facts | {"learned": {}}))
    page.reload()
    expect(page.locator(".head h1")).to_contain_text("it")
    expect(page.locator(".head")).not_to_contain_text("better than")


def test_runs_are_found_by_name_tag_and_note(page, dashboard, base):
    first, second = training(base, "one", 2), training(base, "two", 2)
    good = labels.Labels(name="the good one", tags=("baseline", "lr"), note="a reward that was too sparse")
    labels.edit(first, lambda _: good)
    labels.edit(second, lambda _: labels.Labels(name=HOSTILE.replace("/", ""), tags=("lr",), note=HOSTILE))
    comparison(base, "three", {"a": [1.0]})
    opened(page, dashboard)
    rows = page.locator(".runs tbody tr")
    expect(rows).to_have_count(3)
    page.fill("input[type=search]", "too SPARSE")
    expect(rows).to_have_count(1)
    expect(rows.locator("a")).to_have_text("the good one")
    page.fill("input[type=search]", "")
    rows.get_by_role("button", name="baseline").click()
    expect(rows).to_have_count(1)
    page.select_option("select[aria-label=Tag]", "lr")
    expect(rows).to_have_count(2)
    page.reload()
    expect(rows).to_have_count(2)
    page.select_option("select[aria-label=Kind]", "training")
    expect(rows).to_have_count(2)
    labels.edit(first, lambda _: labels.Labels(name="renamed"))
    expect(rows).to_have_count(1)
    page.goto(f"http://127.0.0.1:{dashboard.port}/#/run/{key(second)}")
    expect(page.locator(".head .note")).to_have_text(HOSTILE)
    expect(page.locator(".head h1")).to_contain_text("onerror")
    page.locator(".head .label-tag", has_text="lr").click()
    expect(rows).to_have_count(1)
    assert page.locator("#view img, #view script").count() == 0
    assert page.title() == "DAF dashboard"


def test_names_in_a_report_are_only_text_and_a_page_of_others_opens_only_what_the_run_lists(page, dashboard, base):
    hostile = comparison(base, "policies", {HOSTILE: [1.0, 2.0], "b": [1.5, 1.0]}, mission=HOSTILE)
    frame = results(page, dashboard, Made(hostile, "run", ()))
    expect(frame.locator("main")).to_contain_text("onerror")
    assert frame.locator("img, main script").count() == 0
    with running(base, "others") as folder:
        (folder / "analysis.json").write_text("{}")
        (folder / "secret.txt").write_text("x")
        targets = ["../../secret", "javascript:alert(1)", "http://127.0.0.1:9/", "/api/runs", "%ZZ", "runs/none"]
        script = f"for (const link of {json.dumps(targets)}) parent.postMessage({{ daf: 'report', link }}, '*');"
        asks = "fetch('/api/runs').then(() => out.textContent = 'read', () => out.textContent = 'kept out');"
        text = f"<html><head></head><body><main><p id=out>?</p></main><script>{script}{asks}</script></body></html>"
        (folder / "analysis.html").write_text(text)
    frame = results(page, dashboard, Made(folder, "analysis", ()))
    expect(frame.locator("#out")).to_have_text("kept out")
    expect(page.locator(".alert.warn:visible")).to_contain_text("is not in this run's directory")
    assert page.url.endswith(f"#/run/{key(folder)}/results")
    page.heard[:] = [line for line in page.heard if "Content Security Policy" not in line]


def test_a_report_that_cannot_be_made_says_why(page, dashboard, base):
    folder = experiment(base)
    (folder / "experiment.jsonl").write_text("")
    opened(page, dashboard, f"#/run/{key(folder)}")
    expect(page.locator("[role=alert]")).to_contain_text("its journal is empty")
    page.heard[:] = [line for line in page.heard if "404" not in line]
