import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daf.config import DAFSweepConfig
from daf.episodes.cache import EpisodeCache
from daf.errors import DataError, LockedError, PolicyError, UnsafePathError, UsageError
from daf.evaluation import Evaluation, Settings, analyse, contenders_of, evaluate, results_data
from daf.evaluation.keeping import rebuild
from daf.game.outcome import SeriesRequest
from daf.output_manager import OutputManager, find_run, list_runs
from daf.playing.settings import settings_data, settings_from
from daf.reporting import daf_report
from daf.storage.jsonable import jsonable
from tests.conftest import BUNDLES, SMALL, SMALLEST


def contenders(policies: list[str], teams: list[str]) -> list[tuple[str, tuple[float, ...]]]:
    found = contenders_of(policies, teams, cache=BUNDLES, runs=None)
    return [(contender.name, contender.counts) for contender in found]


def test_policies_and_teams_are_contenders_under_their_names() -> None:
    assert contenders(["starter", "noop"], ["starter=3,random=1"]) == [
        ("starter", (1,)), ("noop", (1,)), ("starter=3+random=1", (3.0, 1.0)),
    ]  # fmt: skip


def test_a_policy_or_team_that_is_given_twice_plays_once(caplog: pytest.LogCaptureFixture) -> None:
    assert contenders(["noop", "noop", "class=noop"], []) == [("noop", (1,))]
    assert "noop is given more than once: it plays and counts once." in caplog.text
    assert [name for name, _ in contenders([], ["noop=2,random=2", "random=1,noop=1"])] == ["noop=2+random=2"]
    assert "random=1+noop=1 is the same team as noop=2+random=2" in caplog.text


def test_plus_signs_separate_members_that_hold_commas() -> None:
    found = contenders([], ["class=random,kw.vibe_action_p=0.1=3+noop=1"])
    assert found == [("random(vibe_action_p=0.1)=3+noop=1", (3.0, 1.0))]


@pytest.mark.parametrize(("team", "says"), [
    ("starter", "POLICY=AGENTS"), ("starter=0,noop=4", "POLICY=AGENTS"), ("starter=x", "POLICY=AGENTS"),
    ("starter=2,baseline=2", "names one policy twice"), ("=4", "POLICY=AGENTS"),
])  # fmt: skip
def test_a_wrong_team_is_refused(team: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        contenders([], [team])


def test_a_wrong_member_is_refused_by_its_name() -> None:
    with pytest.raises(PolicyError, match="Nearest: starter"):
        contenders([], ["startr=4"])


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    output = OutputManager(tmp_path_factory.mktemp("out"))
    settings = Settings(episodes=4, seed=3, save_replays="best")
    return evaluate(["starter", "random", "noop"], [SMALL, SMALLEST], settings=settings, output=output)


def test_the_best_episode_of_each_mission_is_recorded(evaluation: Evaluation) -> None:
    for mission in (SMALL, SMALLEST):
        best = max(
            (record for record in evaluation.result.records if record.spec.mission == mission),
            key=lambda record: record.reward_per_agent(),
        )
        assert evaluation.replays[best.spec.key].is_file()
    assert len(evaluation.replays) == 2


def test_failed_episodes_are_reported_and_count_nowhere(evaluation: Evaluation) -> None:
    result = evaluation.result
    failed = [replace(r, outcome=None) if index < 3 else r for index, r in enumerate(result.records)]
    analysis = analyse(replace(result, records=tuple(failed)), evaluation.settings)
    assert any("3 of 24 episodes failed (starter: 1, random: 1, noop: 1)" in note for note in analysis.notes)
    assert any(note.startswith("1 block is excluded from every number") for note in analysis.notes)
    assert {row.n for row in analysis.ranking} == {7}


def test_without_any_result_nothing_is_ranked(evaluation: Evaluation) -> None:
    failed = tuple(replace(record, outcome=None) for record in evaluation.result.records)
    analysis = analyse(replace(evaluation.result, records=failed), evaluation.settings)
    assert (analysis.ranking, analysis.pairs, dict(analysis.by_mission)) == ((), (), {})
    assert sum("finished no episode" in note for note in analysis.notes) == 3


def test_the_engine_holds_in_teams_too() -> None:
    from daf.game.missions import resolve
    from daf.playing.planning import plan_teams

    team = contenders_of([], ["lstm=2,noop=2"], cache=BUNDLES, runs=None)
    found = resolve(SMALL)
    for engine, batched in (("auto", True), ("object", False)):
        plan = plan_teams(found, [team], Settings(episodes=1, engine=engine))
        assert [episode.spec.batched for episode in plan.episodes] == [batched]


def test_a_note_reports_that_all_scores_are_zero(evaluation: Evaluation) -> None:
    records = evaluation.result.records
    zero = tuple(replace(r, outcome=replace(r.played, rewards=(0.0,) * len(r.played.rewards))) for r in records)
    analysis = analyse(replace(evaluation.result, records=zero), evaluation.settings)
    assert any("Every episode scored 0" in note for note in analysis.notes)
    assert {pair.verdict for pair in analysis.pairs} == {"identical"}


def test_time_outs_are_reported(evaluation: Evaluation) -> None:
    first = evaluation.result.records[0]
    struck = replace(first, outcome=replace(first.played, timeouts=(1, 0, 0, 0)))
    analysis = analyse(
        replace(evaluation.result, records=(struck, *evaluation.result.records[1:])), evaluation.settings
    )
    assert any("In 1 episode, actions timed out" in note for note in analysis.notes)


def test_results_are_json_without_nan(evaluation: Evaluation) -> None:
    import json

    data = json.loads(json.dumps(jsonable(results_data(evaluation)), allow_nan=False))
    assert [entry["rewards"] for entry in data["episodes"]] == [
        list(r.played.rewards) for r in evaluation.result.records
    ]
    assert data["summary"]["played"] == 24


def test_settings_survive_json() -> None:
    import json

    settings = Settings(
        seed=7, cache_dir=Path("/x"), series=SeriesRequest(5, ("a",), ("b",), True), margin=0.5, alpha=0.1
    )
    assert settings_from(json.loads(json.dumps(jsonable(settings_data(settings))))) == settings


def test_the_level_and_the_margin_reach_the_verdicts(evaluation: Evaluation) -> None:
    strict = analyse(evaluation.result, replace(evaluation.settings, alpha=1e-6))
    assert not {"better", "worse"} & {pair.verdict for pair in strict.pairs}
    lenient = analyse(evaluation.result, replace(evaluation.settings, alpha=0.4, margin=1e6))
    assert "equal" in {pair.verdict for pair in lenient.pairs}
    assert {pair.alpha for pair in strict.pairs} == {1e-6}


@pytest.mark.parametrize("name", ["stats", "results.json", "report.html", "REPORT.md"])
def test_rebuilding_writes_nothing_through_a_link_that_leads_out_of_the_run(tmp_path: Path, name: str) -> None:
    output = OutputManager(tmp_path / "out")
    folder = evaluate(["noop"], [SMALLEST], settings=Settings(episodes=1), output=output).run_dir
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere)
    before = {path: path.read_bytes() for path in (elsewhere, *elsewhere.rglob("*")) if path.is_file()}
    stamps = {path: path.stat().st_mtime_ns for path in before}
    (folder / name).symlink_to(elsewhere)
    run = find_run("latest", tmp_path / "out")
    with pytest.raises(UnsafePathError, match=f'"{name}" leads out of'):
        rebuild(run)
    if name in ("report.html", "REPORT.md"):
        with pytest.raises(UnsafePathError, match=f'"{name}" leads out of'):
            daf_report(folder)
    assert {path: path.read_bytes() for path in (elsewhere, *elsewhere.rglob("*")) if path.is_file()} == before
    assert {path: path.stat().st_mtime_ns for path in before} == stamps


@pytest.mark.parametrize("field", ["key", "config_hash"])
def test_a_plan_names_no_files_outside_its_run(tmp_path: Path, field: str) -> None:
    folder = evaluate(["noop"], [SMALLEST], settings=Settings(episodes=1), output=OutputManager(tmp_path)).run_dir
    plan = json.loads((folder / "plan.json").read_text())
    plan["episodes" if field == "key" else "missions"][0][field] = "../../../evil"
    (folder / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(DataError, match=r"plan\.json is damaged"):
        rebuild(find_run("latest", tmp_path))


def test_the_cache_is_not_cleared_while_an_evaluation_uses_it(tmp_path: Path) -> None:
    refused = []

    def clear(*_: object) -> None:
        with pytest.raises(LockedError, match="is in use by another command; nothing was cleared"):
            EpisodeCache(tmp_path / "cache").clear()
        refused.append(True)

    evaluate(["noop"], [SMALLEST], settings=Settings(episodes=1), output=OutputManager(tmp_path))
    settings = Settings(episodes=2, seed=7, save_replays="best")
    output = OutputManager(tmp_path)
    found = evaluate(["noop"], [SMALLEST], settings=settings, output=output, on_plan=clear, on_record=clear)
    assert (found.status, len(refused)) == ("ok", 3)
    EpisodeCache(tmp_path / "cache").clear()
    assert EpisodeCache(tmp_path / "cache").size() == (0, 0)
    assert rebuild(find_run("latest", tmp_path))


TYPO = "class=starter,kw.no_such_argument=1"
"""Its name resolves; that its class doesn't take the argument shows when it is built."""


def operations_that_play() -> dict[str, Callable[[OutputManager], object]]:
    from daf import ablation, benchmark_suites, crossplay, scoring_analysis, sweeps, until_decided

    one = Settings(episodes=2, executor="serial")
    searched = DAFSweepConfig(
        name="s", policy_class_path=TYPO, search_space={"max_steps": [5, 6]}, missions=["training_facility_1"]
    )
    return {
        "evaluate": lambda output: evaluate([TYPO], SMALLEST, settings=one, output=output),
        "compare": lambda output: evaluate(["noop", TYPO], SMALLEST, settings=one, output=output),
        "team": lambda output: evaluate([], SMALL, teams=[f"noop=1+{TYPO}=3"], settings=one, output=output),
        "until decided": lambda output: until_decided.compare_until_decided(
            ["noop", TYPO], SMALLEST, settings=one, output=output
        ),
        "score": lambda output: scoring_analysis.daf_score(TYPO, ["noop"], SMALLEST, settings=one, output=output),
        "crossplay": lambda output: crossplay.daf_crossplay(["noop", TYPO], SMALL, settings=one, output=output),
        "benchmark": lambda output: benchmark_suites.daf_benchmark_suite(
            [TYPO], "diagnostic", settings=one, output_manager=output
        ),
        "ablation": lambda output: ablation.daf_policy_ablation(
            TYPO, SMALLEST, ["mask:tag"], settings=one, output_manager=output
        ),
        "variants": lambda output: sweeps.daf_variant_sweep(
            TYPO, "training_facility_1,max_steps=20", ["sparse"], settings=one, output_manager=output
        ),
        "sweep": lambda output: sweeps.daf_launch_sweep(searched, output_manager=output, executor="serial"),
    }


@pytest.mark.parametrize("name", operations_that_play())
def test_a_typo_in_an_argument_of_a_policy_is_refused_before_a_run_is_begun(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="no_such_argument"):
        operations_that_play()[name](OutputManager(tmp_path))
    assert list_runs(tmp_path) == []
    assert not (tmp_path / "experiments.jsonl").exists()
