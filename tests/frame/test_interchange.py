"""Runs in the formats of other tools: marl-eval's JSON, CSV and Parquet files."""

import csv
import json
from pathlib import Path

import duckdb
import pytest

import daf
from daf.errors import DataError, UsageError
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager, find_run
from daf.output_manager.labels import Labels, edit
from daf.reporting import daf_export_marl_eval
from daf.reporting.table_export import export_tables
from tests.conftest import DafCall, made_once

MISSION = "training_facility_1,max_steps=10"


def training_run(base: Path, seed: int, rate: float = 0.001) -> Path:
    """A training run with two evaluations and a checkpoint, whose policy stands still."""
    config = {"policy": "still", "mission": MISSION, "game": "cogs_vs_clips", "seed": seed, "learning_rate": rate}
    with OutputManager(base, track_experiments=False).operation("training", config=config) as folder:
        lines = [{"step": step, "update": step // 10, "loss/policy": 1 / step} for step in (10, 20)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        rows = [
            {"step": step, "update": 1, "mean": 1.0, "n": 2, "missions": {}, "returns": {MISSION: returns}}
            for step, returns in ((10, [0.5, None]), (20, [1.0 + seed, 2.0]))
        ]
        (folder / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        result = {"status": "done", "steps": 20, "updates": 2, "policy": "still", "seed": seed}
        (folder / "training.json").write_text(json.dumps(result))
        code = "from mettagrid.policy.noop import NoopPolicy\n\n\nclass Still(NoopPolicy):\n"
        code += "    def load_policy_data(self, policy_data_path):\n        pass\n"
        final = folder / "checkpoints" / "final"
        final.mkdir(parents=True)
        (final / "still.py").write_text(code)
        (final / "weights.pt").write_bytes(b"nothing")
        spec = {"class_path": "still.Still", "data_path": "weights.pt", "init_kwargs": {}}
        (final / "policy_spec.json").write_text(json.dumps(spec))
    return folder


def make(base: Path) -> None:
    """Two seeds of an algorithm, and an evaluation of the first one's checkpoint with a scripted policy."""
    one = training_run(base, 1)
    training_run(base, 2)
    settings = Settings(episodes=3, executor="serial", report=False)
    output = OutputManager(base, track_experiments=False)
    evaluate([str(one / "checkpoints" / "final"), "random"], [MISSION], settings=settings, output=output)
    plan = output.run_dir("evaluations") / "plan.json"
    plan.write_text(plan.read_text().replace(str(base), str(base).removesuffix(".part")))  # the folder gets this name


@pytest.fixture
def base() -> Path:
    return made_once("interchange", make)


def runs_of(base: Path, operation: str) -> list[Path]:
    return sorted(path for path in (base / operation).iterdir() if path.name[0].isdigit())


def test_marl_eval_gets_steps_from_training_and_absolute_metrics_from_evaluations(base: Path, tmp_path: Path) -> None:
    first, _ = runs_of(base, "training")
    (evaluation,) = runs_of(base, "evaluations")
    file = daf_export_marl_eval([first, evaluation], tmp_path / "marl.json")
    assert json.loads((tmp_path / "marl.json").read_text()) == file.data
    algorithms = file.data["cogs_vs_clips"][MISSION]
    assert list(algorithms) == ["still", "random"]
    still = algorithms["still"]["seed_1"]
    assert still["step_1"] == {"step_count": 10, "return": [0.5]}
    assert still["step_2"] == {"step_count": 20, "return": [2.0, 2.0]}
    played = json.loads((evaluation / "results.json").read_text())["episodes"]
    random = [sum(row["rewards"]) / 4 for row in played if row["policies"] == ["random"]]
    assert still["absolute_metrics"] == {"return": [0.0, 0.0, 0.0]}
    assert algorithms["random"]["seed_42"]["absolute_metrics"] == {"return": random}
    assert algorithms["random"]["seed_42"]["step_1"] == {"step_count": 0, "return": random}
    assert file.notes == (
        f"still on {MISSION}: the absolute metrics have 3 episodes; the protocol asks for 20.",
        "1 failed episode left out.",
    )


def test_without_an_evaluation_of_its_checkpoint_a_training_run_has_no_absolute_metrics(base: Path) -> None:
    _, second = runs_of(base, "training")
    with pytest.raises(DataError, match=rf"daf evaluate -p run:{second.name} -m {MISSION} -e 20"):
        daf_export_marl_eval([second])


def test_runs_of_one_algorithm_with_different_settings_are_refused_until_named(tmp_path: Path) -> None:
    runs = [training_run(tmp_path, 1, rate) for rate in (0.1, 0.2)]
    with pytest.raises(UsageError, match=r"both still, with different settings \(learning_rate\).*daf runs rename"):
        daf_export_marl_eval(runs)
    edit(runs[1], lambda labels: Labels("fast", labels.tags, labels.note))
    with pytest.raises(DataError, match="absolute metrics"):  # the next thing that is missing
        daf_export_marl_eval(runs)


def test_the_command_prints_the_file_or_writes_it(base: Path, daf_call: DafCall, tmp_path: Path) -> None:
    (evaluation,) = runs_of(base, "evaluations")
    called = daf_call("report", evaluation, "--format", "marl-eval")
    assert "random" in json.loads(called.stdout)["cogs_vs_clips"][MISSION]
    assert daf_call("report", evaluation, "--format", "marl-evil").returncode == 2
    assert daf_call("report", evaluation, "--format", "marl-eval", "--pdf").returncode == 2
    plain = tmp_path / "a.json"
    assert daf_call("report", evaluation, "--format", "marl-eval", "--to", plain).returncode == 0
    assert json.loads(plain.read_text()) == json.loads(called.stdout)


def test_the_tables_of_a_run_are_exported_as_csv_and_parquet(base: Path, daf_call: DafCall, tmp_path: Path) -> None:
    (evaluation,) = runs_of(base, "evaluations")
    called = daf_call("runs", "export", evaluation, "--format", "csv", "--to", tmp_path / "csv", "--json")
    tables = json.loads(called.stdout)["tables"]
    assert {"runs", "episodes", "agent_metrics"} <= set(tables)
    with Path(tables["episodes"]).open(newline="") as file:
        rows = list(csv.DictReader(file))
    played = json.loads((evaluation / "results.json").read_text())["episodes"]
    assert [row["mission"] for row in rows] == [row["mission"] for row in played]
    assert [float(row["reward_total"]) for row in rows] == pytest.approx([sum(row["rewards"]) for row in played])
    written = export_tables(find_run(evaluation), tmp_path / "parquet", "parquet")
    assert {path.stem for path in written} == set(tables)
    with duckdb.connect() as connection:
        for path in written:
            (count,) = connection.execute(f"select count(*) from '{path}'").fetchone() or (0,)
            with Path(tables[path.stem]).open(newline="") as file:
                assert count == len(list(csv.reader(file))) - 1


def test_tables_are_not_mixed_with_other_files(base: Path, tmp_path: Path) -> None:
    (evaluation,) = runs_of(base, "evaluations")
    (tmp_path / "mine.csv").write_text("a,b\n")
    with pytest.raises(UsageError, match="not an empty directory"):
        export_tables(find_run(evaluation), tmp_path, "csv")
    with pytest.raises(UsageError, match="format of tables"):
        export_tables(find_run(evaluation), tmp_path / "x", "xlsx")  # type: ignore[arg-type]


def test_sql_answers_with_times(base: Path) -> None:
    frame = daf.runs_sql("select run_id, started from runs", base)
    assert len(frame) == 3
    assert all(str(value).startswith("20") for value in frame.started)
