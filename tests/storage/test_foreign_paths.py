"""Folders with names that URLs, patterns, protocols and command lines would read more into."""

import contextlib
from pathlib import Path

import pytest

from daf.config.sweep import DAFSweepConfig
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from daf.storage.databases import query
from daf.storage.foreign_paths import argument, plainly, sqlite_url
from daf.sweeps.operation import launch

ODD = "-take:2 a?b%20c#d{e}[f]*'g&h"
MISSION = "training_facility_1,max_steps=20"


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    folder = tmp_path / ODD
    folder.mkdir()
    return folder


def test_an_argument_begins_like_neither_an_option_nor_a_protocol(monkeypatch: pytest.MonkeyPatch, odd: Path) -> None:
    monkeypatch.chdir(odd)
    for name in ("-y.mp4", "take:2.mp4", "./a.mp4"):
        assert argument(name) == str(odd / name.removeprefix("./"))


def test_an_sqlite_url_is_read_back_as_its_path(odd: Path) -> None:
    from sqlalchemy import make_url

    assert make_url(sqlite_url(odd / "a.db")).database == str(odd / "a.db")
    assert "{" not in sqlite_url(odd / "a.db")


def test_what_is_written_plainly_lies_at_its_path_only_where_the_block_ends_well(odd: Path) -> None:
    with plainly(odd / "a") as place:
        place.write_text("done")
        assert not set(str(place)) & set("?*[]{}%#")
    assert (odd / "a").read_text() == "done"
    assert not place.parent.exists()
    with contextlib.suppress(RuntimeError), plainly(odd / "b") as place:
        place.write_text("half")
        raise RuntimeError
    assert not (odd / "b").exists()
    with plainly(odd.parent / "c") as place:
        assert place == odd.parent / "c"


def test_a_run_in_such_a_folder_has_its_tables(odd: Path) -> None:
    found = evaluate(
        ["noop"], MISSION, settings=Settings(episodes=2, executor="serial", report=False), output=OutputManager(odd)
    )
    assert query(found.run_dir / "stats" / "episodes.duckdb", "select count(*) from episodes")[1] == [(2,)]
    assert (found.run_dir / "stats" / "episodes.parquet").stat().st_size > 100


def test_a_sweep_in_such_a_folder_has_its_copy_for_optuna(odd: Path) -> None:
    import optuna

    config = DAFSweepConfig(
        name="odd", missions=[MISSION], policy_class_path="random", episodes_per_trial=1, held_out_best=0,
        search_space={"policy.vibe_action_p": [0.1, 0.2]},
    )  # fmt: skip
    result = launch(config, output=OutputManager(odd), jobs=1, executor="serial")
    assert result.run_dir is not None
    (study,) = optuna.study.get_all_study_summaries(sqlite_url(result.run_dir / "optuna.db"))
    assert (study.study_name, study.n_trials) == ("odd", 2)
    assert [path.name for path in odd.parent.iterdir()] == [ODD]
