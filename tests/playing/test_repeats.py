"""A request that was made before is answered with the run that it left."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daf.compute.interface import ClusterOptions
from daf.crossplay import daf_crossplay
from daf.episodes.plan import Plan
from daf.evaluation import Evaluation, Settings, evaluate, results_data
from daf.evaluation.operation import plan_of
from daf.game.outcome import SeriesRequest
from daf.output_manager import OutputManager, list_runs
from daf.output_manager.labels import Labels
from daf.playing import repeats
from daf.playing.contenders import contenders_of
from daf.playing.planning import missions_of
from daf.scoring_analysis import daf_score
from daf.storage.jsonable import jsonable
from daf.until_decided import compare_until_decided
from tests.conftest import BUNDLES

MISSION = "training_facility_2,max_steps=5,cogs=2"
SETTINGS = Settings(episodes=2, executor="serial", resamples=200)
Evaluate = Callable[..., Evaluation]


@pytest.fixture
def again(tmp_path: Path) -> Evaluate:
    """Evaluates two policies, always the same, in a new session."""

    def run(settings: Settings = SETTINGS, *, labels: dict[str, Any] | None = None, **others: Any) -> Evaluation:
        output = OutputManager(tmp_path / "out", **labels or {})
        return evaluate(["noop", "random"], [MISSION], settings=settings, output=output, **others)

    return run


def test_a_repeated_request_gets_the_earlier_run_and_the_same_result(again: Evaluate, tmp_path: Path) -> None:
    first, second = again(), again()
    assert (first.cached, second.cached) == (False, True)
    assert second.run_dir == first.run_dir
    assert second.run_id == first.run_id
    assert len(list_runs(tmp_path / "out")) == 1
    assert second.analysis.ranking == first.analysis.ranking
    assert second.analysis.pairs == first.analysis.pairs
    assert second.analysis.notes == first.analysis.notes
    assert np.array_equal(second.analysis.scores.scores, first.analysis.scores.scores)
    assert second.settings == first.settings
    assert [record.outcome for record in second.result.records] == [record.outcome for record in first.result.records]
    assert second.result.read == len(second.result.records)
    assert second.seconds < first.seconds + 60


def test_the_result_of_a_repeated_request_has_the_same_json(again: Evaluate) -> None:
    first, second = (json.loads(json.dumps(jsonable(results_data(again())))) for _ in range(2))
    assert (first.pop("cached"), second.pop("cached")) == (False, True)
    assert [episode.pop("cached") for episode in second["episodes"]] == [True] * 4
    assert [episode.pop("cached") for episode in first["episodes"]] == [False] * 4
    for data in (first, second):
        for name in ("seconds", "played", "cached"):
            del data["summary"][name]
    assert second == first


def test_a_repeated_request_writes_nothing_into_the_run(again: Evaluate) -> None:
    run_dir = again().run_dir
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in run_dir.rglob("*")}
    assert again().run_dir == run_dir
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in run_dir.rglob("*")} == before


def test_scores_crossplay_and_sequential_comparisons_are_repeated_too(tmp_path: Path) -> None:
    def once() -> list[Any]:
        def output() -> OutputManager:
            return OutputManager(tmp_path / "out")

        few = replace(SETTINGS, resamples=2_000)
        decided = compare_until_decided(
            ["noop", "random"], [MISSION], max_episodes=8, looks=2, settings=few, output=output()
        )
        return [
            daf_score("random", ["noop"], [MISSION], settings=SETTINGS, output=output()),
            daf_crossplay(["noop", "random"], [MISSION], settings=SETTINGS, output=output()),
            decided.evaluation,
        ]

    first, second = once(), once()
    assert [report.cached for report in (*first, *second)] == [False] * 3 + [True] * 3
    assert [report.run_dir for report in second] == [report.run_dir for report in first]
    assert second[0].analysis == first[0].analysis
    assert second[1].analysis == first[1].analysis
    assert second[1].ratings == first[1].ratings
    assert second[2].analysis.pairs == first[2].analysis.pairs
    assert len(list_runs(tmp_path / "out")) == 3


@pytest.mark.parametrize("labels", [{"name": "mine"}, {"tags": ["new"]}, {"note": "why"}])
def test_a_request_with_a_label_makes_a_new_run(again: Evaluate, labels: dict[str, Any]) -> None:
    assert again().run_dir != again(labels=labels).run_dir


def test_rerun_makes_a_new_run_which_later_requests_get(again: Evaluate) -> None:
    first, second = again(), again(rerun=True)
    assert second.run_dir != first.run_dir
    assert not second.cached
    assert again().run_dir == second.run_dir


def test_a_session_that_has_a_run_directory_makes_a_new_run(again: Evaluate, tmp_path: Path) -> None:
    first = again()
    output = OutputManager(tmp_path / "out")
    output.save_text_results("mine", "reports", "notes.txt")
    second = evaluate(["noop", "random"], [MISSION], settings=SETTINGS, output=output)
    assert second.run_dir == output.run_dir("evaluations") != first.run_dir


def test_an_analysis_that_adds_files_to_its_run_is_not_repeated(again: Evaluate) -> None:
    first, second = again(rerun=None), again(rerun=None)
    assert len({first.run_dir, second.run_dir, again().run_dir}) == 3


def _plan(settings: Settings) -> Plan:
    contenders = contenders_of(["noop", "random"], [], cache=BUNDLES, runs=None)
    return plan_of(missions_of([MISSION], settings), contenders, settings)


OTHER = {
    "episodes": 3, "seed": 1, "jobs": "7", "executor": "local", "cluster": ClusterOptions(address="a:1"),
    "game": "overcogged", "engine": "reference", "device": "cuda", "gpu_allowed": False, "gpu_memory_fraction": 0.5,
    "enforce_timeouts": 1000, "slow_step_ms": 1.0, "episode_timeout": 5.0, "max_failures": 1, "max_steps": 9,
    "use_cache": False, "cache_dir": Path("elsewhere"), "save_replays": "best",
    "series": SeriesRequest(1, (), (), True), "alpha": 0.1, "resamples": 300, "margin": 0.1, "report": False,
    "keep_records": False,
}  # fmt: skip
"""Another value of every setting."""


def test_every_setting_that_a_run_shows_makes_another_request(tmp_path: Path) -> None:
    plan, output = _plan(SETTINGS), OutputManager(tmp_path)

    def key(settings: Settings) -> str:
        return repeats.key_of("evaluations", plan, settings, {}, "title", output)

    assert {item.name for item in fields(Settings)} == OTHER.keys()
    same = {name for name, value in OTHER.items() if key(replace(SETTINGS, **{name: value})) == key(SETTINGS)}
    assert same == set(repeats.HOW_ONLY)


def test_another_operation_title_plan_or_output_directory_makes_another_request(tmp_path: Path) -> None:
    plan, output = _plan(SETTINGS), OutputManager(tmp_path)
    other = replace(plan, episodes=plan.episodes[:-1])
    keys = [
        repeats.key_of("evaluations", plan, SETTINGS, {}, "title", output),
        repeats.key_of("comparisons", plan, SETTINGS, {}, "title", output),
        repeats.key_of("evaluations", other, SETTINGS, {}, "title", output),
        repeats.key_of("evaluations", plan, SETTINGS, {"x": 1}, "title", output),
        repeats.key_of("evaluations", plan, SETTINGS, {}, "another", output),
        repeats.key_of("evaluations", plan, SETTINGS, {}, "title", OutputManager(tmp_path / "b")),
        repeats.key_of("evaluations", plan, SETTINGS, {}, "title", OutputManager(tmp_path, log_to_file=False)),
    ]
    assert len(set(keys)) == len(keys)


def _without_report(run_dir: Path) -> None:
    (run_dir / "report.html").unlink()


def _edited(run_dir: Path) -> None:
    (run_dir / "results.json").write_text((run_dir / "results.json").read_text().replace("noop", "boop"))


def _gone(run_dir: Path) -> None:
    run_dir.rename(run_dir.with_name("elsewhere"))


def _without_a_record(run_dir: Path) -> None:
    next(iter((run_dir / "records").iterdir())).unlink()


def _failed(run_dir: Path) -> None:
    path = run_dir / "execution_log.json"
    path.write_text(path.read_text().replace('"completed"', '"failed"'))


@pytest.mark.parametrize("damage", [_without_report, _edited, _gone, _without_a_record, _failed])
def test_a_run_that_is_not_intact_is_not_named(again: Evaluate, damage: Callable[[Path], None]) -> None:
    first = again()
    damage(first.run_dir)
    second = again()
    assert second.run_dir != first.run_dir
    assert second.report is not None
    assert second.report.is_file()


def test_a_run_whose_episodes_left_the_cache_is_not_named(again: Evaluate, tmp_path: Path) -> None:
    first = again()
    key = first.result.records[0].spec.key
    (tmp_path / "out" / "cache" / "episodes" / key[:2] / f"{key}.json").unlink()
    second = again()
    assert second.run_dir != first.run_dir
    assert second.result.played == 1


def test_a_damaged_record_is_played_again_into_a_new_run(again: Evaluate, tmp_path: Path) -> None:
    first = again()
    key = first.result.records[0].spec.key
    path = tmp_path / "out" / "cache" / "episodes" / key[:2] / f"{key}.json"
    content = path.read_bytes()
    path.unlink()  # the run's is the same file
    path.write_bytes(content[:-20])
    second = again()
    assert second.run_dir != first.run_dir
    assert second.result.records[0].outcome == first.result.records[0].outcome


@pytest.mark.parametrize("what", ["run", "analysis"])
@pytest.mark.parametrize("place", [0, 45, -1])
def test_a_damaged_entry_is_ignored(again: Evaluate, tmp_path: Path, what: str, place: int) -> None:
    first = again()
    (entry,) = (tmp_path / "out" / "cache" / "runs").glob(f"*.{what}")
    content = bytearray(entry.read_bytes())
    content[place] ^= 1
    entry.write_bytes(content)
    second = again()
    assert second.cached == (what == "analysis")
    assert second.analysis.ranking == first.analysis.ranking
    assert second.analysis.pairs == first.analysis.pairs
    assert again().cached


def test_an_entry_under_the_name_of_another_is_ignored(again: Evaluate, tmp_path: Path) -> None:
    first = again()
    second = again(replace(SETTINGS, alpha=0.1))
    entries = sorted((tmp_path / "out" / "cache" / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    older, newer = ([e for e in entries if e.stem == stem] for stem in dict.fromkeys(e.stem for e in entries))
    for one, other in zip(sorted(older), sorted(newer), strict=True):
        other.write_bytes(one.read_bytes())
    third = again(replace(SETTINGS, alpha=0.1))
    assert third.run_dir not in (first.run_dir, second.run_dir)
    assert third.analysis.ranking == second.analysis.ranking


def test_a_new_release_of_daf_makes_a_new_run(again: Evaluate, monkeypatch: pytest.MonkeyPatch) -> None:
    first = again()
    monkeypatch.setattr(repeats, "fingerprint", lambda package: "another")
    assert again().run_dir != first.run_dir


def test_a_failed_run_is_not_named(again: Evaluate, tmp_path: Path) -> None:
    settings = replace(SETTINGS, save_replays="none")
    failing = ["class=chaos-monkey,kw.fail_step=2", "noop"]
    first, second = (
        evaluate(failing, [MISSION], settings=settings, output=OutputManager(tmp_path / "out")) for _ in range(2)
    )
    assert first.status == second.status == "failed"
    assert first.run_dir != second.run_dir


def test_labels_that_are_added_later_do_not_make_a_run_another(again: Evaluate) -> None:
    from daf.output_manager import labels

    first = again()
    labels.added(first.run_dir, Labels(name="baseline", tags=("kept",)))
    assert again().run_dir == first.run_dir
