"""SQL over runs: the tables hold what the runs' own files hold, and a query changes nothing."""

import json
from pathlib import Path

import pandas as pd
import pytest

import daf
from daf.errors import UsageError
from daf.output_manager import OutputManager, find_run
from daf.reporting.catalog import ask, ask_run


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A training run with two metrics and an evaluation, and a run without any results."""
    with OutputManager(tmp_path, track_experiments=False, name="t", tags=["x"]).operation("training") as folder:
        lines = [{"step": 10, "update": 1, "loss/policy": 0.5}, {"step": 20, "update": 2, "loss/policy": 0.25}]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        row = {"step": 20, "update": 2, "mean": 1.5, "low": 1.0, "high": 2.0, "n": 4}
        evaluation = row | {"missions": {"arena": {"mean": 1.5, "low": 1.0, "high": 2.0, "iqm": 1.5, "n": 4}}}
        (folder / "evaluations.jsonl").write_text(json.dumps(evaluation) + "\n")
        (folder / "training.json").write_text(json.dumps({"status": "done", "steps": 20, "updates": 2}))
    with OutputManager(tmp_path, track_experiments=False).operation("artifacts"):
        pass
    return tmp_path


def test_all_runs_are_a_data_frame_with_their_results(base: Path) -> None:
    frame = daf.runs(base)
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 2
    row = frame[frame.kind == "training"].iloc[0]
    assert (row["name"], row["tags"], row["value"], row["low"], row["high"]) == ("t", ["x"], 1.5, 1.0, 2.0)
    assert frame.started.dt.tz is not None


def test_an_output_directory_without_runs_is_an_empty_frame(tmp_path: Path) -> None:
    frame = daf.runs(tmp_path)
    assert len(frame) == 0
    assert "result" in frame.columns


def test_a_query_reads_the_metrics_and_evaluations_of_training_runs(base: Path) -> None:
    frame = daf.runs_sql("select step, value from training_metrics where metric = 'loss/policy' order by step", base)
    assert frame.values.tolist() == [[10, 0.5], [20, 0.25]]
    joined = daf.runs_sql("select r.name, e.mission, e.mean from evaluations e join runs r using (run_id)", base)
    assert joined.values.tolist() == [["t", "arena", 1.5]]


def test_tags_are_a_list_in_sql(base: Path) -> None:
    assert daf.runs_sql("select name from runs where list_contains(tags, 'x')", base).values.tolist() == [["t"]]


def test_every_table_and_view_exists_even_where_no_run_fills_it(base: Path) -> None:
    names = {row[0] for row in ask([], "tables", seconds=30).rows}
    assert {"runs", "episodes", "training_metrics", "evaluations", "trials", "trial_parameters", "returns"} <= names
    assert daf.runs_sql("select * from returns", base).empty


@pytest.mark.parametrize(
    "sql", ["copy runs to 'x.csv'", "create table x (a int)", "set threads = 1", "select 1; drop table runs"]
)
def test_a_query_can_only_read(base: Path, sql: str) -> None:
    with pytest.raises(UsageError, match="a query can only read"):
        daf.runs_sql(sql, base)


def test_a_query_reads_no_other_file(base: Path) -> None:
    other = base / "other.csv"
    other.write_text("a\n1\n")
    with pytest.raises(UsageError):
        daf.runs_sql(f"select * from '{other}'", base)


def test_one_run_answers_for_itself_alone(base: Path) -> None:
    with OutputManager(base, track_experiments=False).operation("training") as folder:
        (folder / "metrics.jsonl").write_text('{"step": 5, "update": 1, "loss/policy": 9.0}\n')
    answer = ask_run(find_run("t", base), "select count(*) from training_metrics", seconds=30)
    assert answer.rows == [(2,)]


def test_a_damaged_sweep_is_left_out_and_named(base: Path) -> None:
    with OutputManager(base, track_experiments=False).operation("sweeps") as folder:
        (folder / "sweep.json").write_text("{")
    from daf.output_manager import list_runs

    answer = ask(list_runs(base), "select count(*) from trials", seconds=30)
    assert answer.rows == [(0,)]
    assert "sweep.json" in answer.damaged[0]
    with pytest.raises(UsageError, match=r"sweep\.json"):
        daf.runs_sql("select * from trials", base)
