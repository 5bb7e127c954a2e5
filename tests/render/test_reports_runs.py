"""Reports of training runs, sweeps, chains and others: what they say about what lies in the folder."""

import json
import math
import sys
from pathlib import Path

import pytest
from adaptive_runs import experiment
from reports import Page
from sweep_runs import search_hill
from training_runs import train_bandit

from daf.core.recorded_training import read_lines, read_training_run
from daf.errors import DataError, UsageError
from daf.output_manager import OutputManager
from daf.reporting import daf_report

sys.path.insert(0, str(Path(__file__).parent.parent / "streams"))

from log_makers import flush, write_array


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_bandit(tmp_path_factory.mktemp("out"), missions=2)


def page_of(folder: Path) -> Page:
    return Page(daf_report(folder).html.read_text(encoding="utf-8"))


def curves(page: Page) -> list[dict[str, object]]:
    return [json.loads(values["data-curve"] or "") for tag, values in page.elements if "data-curve" in values]


def drawn(page: Page, label: str) -> dict[str, list[float]]:
    return next(series for one in curves(page) for series in one["series"] if series["label"] == label)


def test_a_training_run_is_read_with_every_value_at_its_step(trained):
    run = read_training_run(trained)
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert run.series["episode/return"].values == tuple(line["episode/return"] for line in lines)
    assert run.series["episode/return"].steps == tuple(line["step"] for line in lines)
    assert (run.steps, run.updates) == (60 * 128, 60)
    assert [one.step for one in run.evaluations] == [1280, 2560, 3840, 5120, 6400, 7680]
    assert set(run.evaluations[-1].missions) == {"bandit,arms=4 0", "bandit,arms=4 1"}
    assert [checkpoint.step for checkpoint in run.checkpoints] == [7680, None]


def test_a_line_that_is_half_written_is_not_there_yet_and_comes_with_the_next_reading(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "update": 1, "a": 1.0}\n{"step": 2, "upd')
    first = read_lines(path)
    assert [row["step"] for row in first.rows] == [1]
    with path.open("a") as file:
        file.write('ate": 2, "a": 2.0}\n')
    second = read_lines(path, first.end)
    assert [row["step"] for row in second.rows] == [2]
    assert second.end == path.stat().st_size


def test_values_that_are_not_finite_are_omitted_counted_and_reported(tmp_path):
    folder = train_bandit(tmp_path, updates=12)
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9000, "update": 71, "loss/entropy": NaN, "episode/return": 1e999}\n')
        file.write("not json\n")
    run = read_training_run(folder)
    assert run.not_finite == {"loss/entropy": 1, "episode/return": 1}
    assert run.damaged == 1
    assert len(run.series["loss/entropy"].values) == 12
    text = page_of(folder).by_id["warnings"]
    assert "loss/entropy (1)" in text
    assert "1 damaged line is omitted (of metrics.jsonl" in text


def test_the_finding_of_a_training_run_is_its_last_evaluation_with_its_interval(trained):
    last = json.loads((trained / "evaluations.jsonl").read_text().splitlines()[-1])
    text = page_of(trained).by_id["finding"]
    assert "After 7,680 agent steps" in text
    assert f"{last['mean']:.2f}" in text
    assert f"[{last['low']:.2f}, {last['high']:.2f}]" in text
    assert "40 episodes on 2 missions" in text


def test_the_curves_hold_the_values_that_were_logged(trained):
    run, page = read_training_run(trained), page_of(trained)
    returns = run.series["episode/return"]
    shown = drawn(page, "Return of training episodes")
    assert shown["x"] == list(returns.steps)
    assert shown["y"] == pytest.approx(returns.values, rel=1e-4)
    assert drawn(page, "all missions")["low"] == pytest.approx([one.low for one in run.evaluations], rel=1e-4)


def test_a_long_curve_keeps_its_highest_and_lowest_value(tmp_path):
    folder = train_bandit(tmp_path, updates=12)
    rows = [{"step": step, "update": step, "episode/return": float(step % 7)} for step in range(5_000)]
    rows[2_345]["episode/return"] = 99.0
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = page_of(folder)
    shown = drawn(page, "Return of training episodes")
    assert max(shown["y"]) == 99.0
    assert len(shown["y"]) < 700
    assert "1 value beyond the axis" in page.text


def test_a_failed_training_run_says_so_before_any_number(tmp_path):
    folder = train_bandit(tmp_path, updates=5, error="loss/value is not finite after update 5\nTraceback: …")
    html = daf_report(folder).html.read_text(encoding="utf-8")
    assert html.index("Training failed. TrainingDiverged: loss/value is not finite") < html.index('id="finding"')
    assert "Traceback" in Page(html).by_id["warnings"]


def test_without_evaluations_the_page_says_that_none_was_made(tmp_path):
    folder = train_bandit(tmp_path, updates=20)
    (folder / "evaluations.jsonl").unlink()
    page = page_of(folder)
    assert "The policy was not evaluated" in page.by_id["warnings"]
    assert "means of the first and the last tenth of 20 updates" in page.by_id["finding"]
    assert "evaluations" not in page.by_id


def test_a_running_training_run_without_a_result_has_a_page_too(tmp_path):
    folder = train_bandit(tmp_path, updates=5)
    (folder / "training.json").unlink()
    assert "640 agent steps" in page_of(folder).text


def test_hyperparameters_show_what_differs_from_the_default(trained):
    rows = [row for row in page_of(trained).rows if row and row[0] in ("learning_rate", "own_argument")]
    assert rows[0][:3] == ["learning_rate", "0.5", "0.001"]
    assert rows[1][1:] == ["3", "–", "Argument of the policy class."]


def test_the_markdown_has_the_finding_the_numbers_and_the_environment(trained):
    text = (daf_report(trained).markdown or Path()).read_text(encoding="utf-8")
    assert "After 7,680 agent steps" in text
    assert "| episode/return |" in text
    assert "- cogames: " in text


@pytest.mark.parametrize("make", [train_bandit, search_hill, experiment], ids=lambda make: make.__name__)
def test_the_same_run_gives_the_same_bytes_again(make, tmp_path):
    folder = make(tmp_path)
    first = daf_report(folder).html.read_bytes(), (folder / "REPORT.md").read_bytes()
    assert (daf_report(folder).html.read_bytes(), (folder / "REPORT.md").read_bytes()) == first


def test_a_folder_without_results_is_refused_with_the_reason(tmp_path):
    with pytest.raises(UsageError, match="is not a run directory"):
        daf_report(tmp_path)
    (tmp_path / "training.json").write_text("[1, 2]")
    with pytest.raises(DataError, match=r"training\.json is damaged: Expected `object`, got `array`"):
        daf_report(tmp_path)


def test_a_sweep_says_its_best_trial_and_why_others_failed_first(tmp_path):
    folder = search_hill(tmp_path)
    page = page_of(folder)
    assert "5 trials failed: OutOfMemory: 24 GB are too few" in page.by_id["warnings"]
    assert "Trials 6, 13, 20, 27, 34" in page.by_id["warnings"]
    from daf.sweeps.result import SweepResult

    best = SweepResult.load(folder).get_best_trial()
    assert f"Trial {best.trial_id} is the best of 35" in page.by_id["finding"]
    assert "was not played on held-out seeds" in page.by_id["finding"]
    history = next(one for one in curves(page) if one["series"][0]["label"] == "trials")
    assert history["series"][1]["y"][-1] == pytest.approx(best.values[0], rel=1e-4)
    trials = [row for row in page.rows if len(row) > 2 and row[1] in ("complete", "failed")]
    assert len(trials) == 40
    assert "the same episodes of each mission: seeds 42 to 46" in page.text
    rates = [math.log10(trial.hyperparameters["learning_rate"]) for trial in SweepResult.load(folder).finished]
    assert drawn(page, "learning_rate")["x"] == pytest.approx(sorted(rates), rel=1e-6)
    for size in (32, 64, 128):
        tried = sum(trial.hyperparameters["hidden_size"] == size for trial in SweepResult.load(folder).finished)
        assert f"{size} (n = {tried})" in page.by_id["hyperparameters"]


def test_a_sweep_reports_its_best_trials_on_held_out_episodes_next_to_the_values_that_selected_them(tmp_path):
    sentence = (
        "Trial 3 beats the default configuration on 20 held-out episodes: 0.4 [0.2, 0.6] reward, adjusted p=0.01."
    )
    best = {"trial": 3, "in_the_sweep": 1.12, "value": 0.9, "error": None, "difference": 0.4, "ci": [0.2, 0.6],
            "p_adjusted": 0.01, "verdict": "better", "sentence": sentence}  # fmt: skip
    broken = {"trial": 5, "in_the_sweep": 1.0, "value": None, "error": "no checkpoint"}
    record = {"objective": "reward", "seed": 1_000_042, "episodes": 20, "winner": 3, "default_failed": None,
              "default": {"in_the_sweep": 0.5, "value": 0.5, "error": None}, "trials": [best, broken]}  # fmt: skip
    page = page_of(search_hill(tmp_path, held_out=record))
    assert sentence in page.by_id["finding"]
    rows = {row[0]: row for row in page.rows if row and row[0] in ("trial 3", "trial 5", "default")}
    assert rows["trial 3"][1:5] == ["1.12", "0.9", "0.4", "0.2 to 0.6"]
    assert rows["trial 5"][2] == "–"
    assert rows["trial 5"][6] == "no checkpoint"
    assert rows["default"][1:3] == ["0.50", "0.5"]


def test_a_sweep_of_failures_has_no_best_trial(tmp_path):
    page = page_of(search_hill(tmp_path, trials=4, all_fail=True))
    assert page.by_id["finding"].strip() == "No trial is complete."
    assert "4 trials failed" in page.by_id["warnings"]


def test_a_sweep_of_two_objectives_shows_the_trials_that_are_not_beaten(tmp_path):
    from daf.sweeps.result import SweepResult

    folder = search_hill(tmp_path, objectives=("reward", "small"))
    front = {trial.trial_id for trial in SweepResult.load(folder).pareto_trials()}
    drawn = next(one for one in curves(page_of(folder)) if one["series"][0]["label"] == "front")
    assert {int(note.removeprefix("trial ")) for note in drawn["series"][0]["notes"]} == front


def chain(base: Path, data: dict[str, object], status: str = "completed") -> Path:
    output = OutputManager(base)
    folder = output.log_operation_start("artifacts", title="a pipeline")
    (folder / "pipeline.json").write_text(json.dumps(data))
    output.log_operation_complete("artifacts", status, error=None if status == "completed" else "stage train failed")
    return folder


def test_a_pipeline_shows_its_stages_those_that_failed_first(tmp_path):
    stages = [
        {"name": "train", "status": "completed", "seconds": 61, "run_dir": "train"},
        {"name": "evaluate", "status": "failed", "error": {"type": "PolicyError", "message": "no weights\nmore"}},
        {"name": "deploy", "status": "skipped"},
    ]
    page = page_of(chain(tmp_path, {"stages": stages}, "failed"))
    assert page.by_id["warnings"].strip().startswith("evaluate failed: no weights")
    assert page.by_id["finding"].strip() == "1 of 3 stages is done, 1 failed, 1 did not finish."
    rows = [row for row in page.rows if len(row) > 3 and row[1] in ("train", "evaluate", "deploy")]
    assert [row[2] for row in rows] == ["completed", "failed", "skipped"]
    assert rows[0][3] == "1 min 1 s"


def test_a_pipeline_result_by_names_shows_them_as_stages(tmp_path):
    data = {
        "stages_completed": ["train"],
        "stages_failed": ["deploy"],
        "errors": {"deploy": "no server"},
        "outputs": {},
    }
    page = page_of(chain(tmp_path, data))
    assert "deploy failed: no server" in page.by_id["warnings"]
    assert "1 of 2 stages is done, 1 failed." in page.by_id["finding"]


def test_any_other_run_shows_its_results_as_tables(tmp_path):
    output = OutputManager(tmp_path)
    with output.operation("deployment", title="release 1.2", config={"version": "1.2"}) as folder:
        (folder / "results.json").write_text(json.dumps({"checks": [{"name": "size", "ok": True, "mb": 3.5}]}))
    page = page_of(folder)
    assert ["size", "yes", "3.5"] in page.rows
    assert "1.2" in page.by_id["run"]


def test_a_run_is_reported_while_it_runs(tmp_path):
    output = OutputManager(tmp_path)
    folder = output.log_operation_start("training", title="still going")
    assert "still in progress" in page_of(folder).by_id["warnings"]
    output.log_operation_complete("training")


def test_an_adaptive_experiment_shows_failed_runs_first_then_the_best(tmp_path):
    page = page_of(experiment(tmp_path))
    assert page.by_id["warnings"].strip().startswith("r2 failed after 0 steps and 1 launch: out of memory")
    text = "r1 is the best of 2 evaluated runs: 0.90 [0.80, 1.00] reward per agent after 1,024 steps (n = 20)"
    assert text in page.by_id["finding"]
    assert drawn(page, "r1")["y"] == pytest.approx([0.45, 0.9])
    rows = {row[1]: row for row in page.rows if len(row) > 8}
    assert rows["r1"][0] == "1"
    assert "r0 at 500" in rows["r1"]
    assert rows["r2"][2] == "failed"


def test_logs_have_a_report_offline_with_their_finding_in_markdown(tmp_path):
    records = flush("nested", envs=2, length=30, start=0, total=60, seed=1)
    write_array(tmp_path / "v1" / "json_logs" / "stats_1753500000.json", records)
    files = daf_report(tmp_path / "v1")
    assert files.kind == "logs"
    assert files.html.stat().st_size < 8_000_000
    assert "60 records" in (files.markdown or Path()).read_text(encoding="utf-8")
    assert "60 records" in Page(files.html.read_text(encoding="utf-8")).text


@pytest.mark.parametrize(("tasks", "shown"), [(1.0, False), (3.0, True)])
def test_only_a_training_run_with_a_curriculum_has_its_section(tmp_path, tasks, shown):
    folder = train_bandit(tmp_path, updates=6)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for place, line in enumerate(lines):
        line |= {"curriculum/tasks": tasks, "curriculum/episodes": float(place)}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = Page(daf_report(folder).html.read_text(encoding="utf-8"))
    assert ("curriculum" in page.by_id) == shown
    assert "curriculum/episodes" in page.text
