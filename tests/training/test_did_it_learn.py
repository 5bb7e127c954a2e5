"""At its end a training run says whether the policy is better than before training and than `random`, or why not."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daf.config import DAFSweepConfig, DAFTrainingConfig
from daf.core.adaptive.commands import training_config
from daf.core.adaptive.config import DAFAdaptiveConfig, differences
from daf.core.adaptive.state import Run
from daf.core.learning_verdict import LearningVerdict, learning_verdict
from daf.core.recorded_training import evaluations_of, read_training_run
from daf.core.training_result import StopTraining
from daf.core.training_run import TrainingRun
from daf.stats.pair_verdict import difference_text
from daf.stats.sentences import p_text
from daf.stats.verdicts import compare_pairs
from daf.sweeps.resuming import fingerprint
from daf.sweeps.targets import setting_of
from daf.training import TrainingResult, daf_train_policy
from tests.training.tiny import MISSION, STEPS_PER_UPDATE, TINY, metrics_of, weights_of


def config(**fields: Any) -> DAFTrainingConfig:
    plain = {"total_timesteps": 2 * STEPS_PER_UPDATE, "eval_episodes": 3, "trackers": [], "log_agents": 0}
    return DAFTrainingConfig(**{**TINY, **plain, **fields})


def evaluations(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of evaluations.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (run_dir / "evaluations.jsonl").read_text().splitlines()]
    for line in lines:
        for record in (line, line.get("random", {})):
            record.pop("seconds", None)
    return lines


def line(step: int, returns: Mapping[str, list[float | None]], seed: int = 100, **fields: Any) -> dict[str, Any]:
    return {"step": step, "update": step, "mean": 0.0, "n": 1, "seed": seed, "returns": returns, **fields}


def verdict_of(*lines: dict[str, Any]) -> LearningVerdict:
    return learning_verdict(evaluations_of(lines))


def started(untrained: Mapping[str, list[float | None]], random: Mapping[str, list[float | None]]) -> dict[str, Any]:
    return line(0, untrained, start="untrained", random=line(0, random))


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A run whose learning rate is too small to change any weight."""
    chosen = config(learning_rate=1e-30, eval_episodes=8)
    return daf_train_policy(MISSION, "stateless", config=chosen, run_dir=tmp_path_factory.mktemp("unchanged") / "run")


def test_the_verdict_is_that_of_the_paired_comparison_of_the_recorded_returns() -> None:
    generator = np.random.default_rng(3)
    untrained, chance = generator.normal(1, 1, (2, 12)), generator.normal(1, 1, (2, 12))
    trained = untrained + generator.normal(1.5, 0.5, (2, 12))

    def named(rows: np.ndarray) -> dict[str, list[float | None]]:
        return {"arena": rows[0].tolist(), "maze": rows[1].tolist()}

    found = verdict_of(started(named(untrained), named(chance)), line(4096, named(trained)))
    scores = np.array([rows.ravel() for rows in (trained, untrained, chance)])
    expected = compare_pairs(
        ["the policy", "untrained", "random"], scores, np.repeat([0, 1], 12), ["arena", "maze"], only=0
    )
    assert list(found.pairs) == expected
    assert [pair.verdict for pair in found.overall] == ["better", "better"]
    assert {pair.family for pair in found.pairs} == {6}  # two over both missions, and two on each
    first = found.overall[0]
    assert found.sentence.startswith("After 4,096 agent steps, the policy is better than untrained by ")
    assert f"by {difference_text(first)}, adjusted {p_text(first.p_adjusted)}, and than" in found.sentence
    assert f", and than random by {difference_text(found.overall[1])}, " in found.sentence
    assert found.sentence.endswith("over 2 missions (reward per agent; 24 paired episodes; 95 % intervals).")
    data = json.loads(json.dumps(found.to_data(), allow_nan=False))
    row = data["comparisons"][0]
    assert (row["against"], row["mission"], row["verdict"], row["episodes"]) == ("untrained", None, "better", 24)
    assert (row["difference"], row["low"], row["high"]) == (first.difference, *first.ci)  # type: ignore[misc]
    assert row["p_adjusted"] == first.p_adjusted


def test_two_comparisons_on_one_mission_are_a_family_of_two() -> None:
    returns = np.arange(10.0)
    up, mixed = {"arena": (returns + 1 + 0.1 * returns).tolist()}, {"arena": (returns[::-1] + 1.5).tolist()}
    found = verdict_of(started({"arena": returns.tolist()}, mixed), line(64, up))
    assert [pair.family for pair in found.pairs] == [2, 2]
    better, undecided = found.overall
    assert (better.verdict, undecided.verdict) == ("better", "undecided")
    assert better.p_adjusted == pytest.approx(min(1.0, 2 * better.p))
    assert "is better than untrained by" in found.sentence
    assert "shows no significant difference from random (difference" in found.sentence


def test_worse_is_worse_and_is_stated_with_a_positive_amount() -> None:
    returns = [float(n) for n in range(10)]
    found = verdict_of(
        started({"arena": [value + 2 for value in returns]}, {"arena": [value + 3 for value in returns]}),
        line(64, {"arena": returns}),
    )
    assert "is worse than untrained by 2" in found.sentence
    assert "than random by 3" in found.sentence


def test_episodes_that_a_policy_failed_in_are_left_out_of_every_pair() -> None:
    found = verdict_of(
        started({"arena": [0.0, None, *[1.0] * 8]}, {"arena": [0.5] * 10}), line(64, {"arena": [None, *[2.0] * 9]})
    )
    assert found.left_out == 2
    assert [pair.n for pair in found.pairs] == [8, 8]
    assert "2 left out because a policy failed" in found.sentence


def test_a_baseline_without_any_result_is_named_and_the_other_is_compared() -> None:
    found = verdict_of(started({"arena": [0.0] * 10}, {"arena": [None] * 10}), line(64, {"arena": [1.0] * 10}))
    assert [pair.name_b for pair in found.pairs] == ["untrained"]
    assert "no finished episode in common with random" in found.sentence


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "was not evaluated during training"),
        ([started({"arena": [1.0]}, {"arena": [1.0]})], "was not evaluated after its first update"),
        ([line(64, {"arena": [1.0] * 10})], "the initial weights and random were not evaluated"),
        ([{"step": 64, "update": 1, "mean": 1.0, "n": 3, "missions": {}}], "the initial weights and random"),
        (
            [started({"arena": [1.0] * 10}, {"arena": [1.0] * 10}), line(64, {"arena": [2.0] * 10}, seed=7)],
            "no episode was finished by both",
        ),
    ],
)
def test_without_the_evaluations_there_is_no_claim(lines: list[dict[str, Any]], why: str) -> None:
    found = verdict_of(*lines)
    assert found.pairs == ()
    assert found.sentence.startswith("Whether the policy learned is not known: ")
    assert why in found.sentence


def test_weights_that_did_not_change_score_the_same_as_untrained(unchanged: TrainingResult) -> None:
    assert unchanged.status == "done"
    first, last = evaluations(unchanged.run_dir)
    assert (first["step"], first["update"], first["start"]) == (0, 0, "untrained")
    assert last["step"] == 2 * STEPS_PER_UPDATE
    assert first["returns"] == last["returns"]
    assert len(first["returns"][MISSION]) == len(first["random"]["returns"][MISSION]) == 8
    assert first["random"]["returns"] != first["returns"]
    assert "scores exactly the same as untrained" in unchanged.learned["sentence"]
    untrained, chance = unchanged.learned["comparisons"]
    assert (untrained["verdict"], untrained["difference"], untrained["episodes"]) == ("identical", 0.0, 8)
    apart = np.subtract(last["returns"][MISSION], first["random"]["returns"][MISSION])
    assert chance["difference"] == pytest.approx(apart.mean())
    assert chance["wins"] == (apart > 0).sum()


def test_the_verdict_is_in_the_run_directory_and_in_its_report(unchanged: TrainingResult) -> None:
    run = unchanged.run_dir
    stored = json.loads((run / "training.json").read_text())
    assert stored["learned"] == unchanged.learned
    assert unchanged.report == run / "report.html"
    written = unchanged.report.read_text()
    assert "scores exactly the same as untrained" in written
    assert "Did it learn?" in written
    assert "scores exactly the same as untrained" in (run / "REPORT.md").read_text()
    assert not [path for path in (run / "checkpoints").iterdir() if path.name.endswith("step_000000000000")]
    assert (run / read_training_run(run).evaluations[0].replays[0]).is_file()


def test_the_same_random_episodes_come_from_the_cache_in_the_next_run(
    unchanged: TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAF_CACHE_DIR", str(tmp_path / "cache"))
    daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "one")
    before = _records(tmp_path / "cache")
    again = daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "two")
    after = _records(tmp_path / "cache")
    assert evaluations(tmp_path / "one") == evaluations(tmp_path / "two")
    assert again.status == "done"
    assert before == after  # no episode was new


def _records(cache: Path) -> set[Path]:
    return {path for path in cache.rglob("*") if path.is_file() and not {"bundles", "replays"} & set(path.parts)}


def test_baselines_change_no_weight_and_no_metric(tmp_path: Path) -> None:
    plain = daf_train_policy(MISSION, "stateless", config=config(eval_baselines=False), run_dir=tmp_path / "plain")
    tested = daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "tested")
    assert plain.final_checkpoint is not None
    assert tested.final_checkpoint is not None
    assert weights_of(plain.final_checkpoint) == weights_of(tested.final_checkpoint)
    assert metrics_of(plain.run_dir) == metrics_of(tested.run_dir)
    assert evaluations(plain.run_dir) == evaluations(tested.run_dir)[1:]
    assert "the initial weights and random were not evaluated" in plain.learned["sentence"]
    assert plain.learned["comparisons"] == []


def test_a_run_that_is_never_evaluated_plays_no_episode_and_claims_nothing(tmp_path: Path) -> None:
    result = daf_train_policy(MISSION, "stateless", config=config(eval_frequency=None), run_dir=tmp_path / "run")
    assert evaluations(result.run_dir) == []
    assert result.learned["sentence"] == (
        "Whether the policy learned is not known: the policy was not evaluated during training."
    )
    assert result.evaluation is None


def test_a_resumed_run_does_not_evaluate_its_start_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = daf_train_policy(MISSION, "stateless", config=config(), run_dir=tmp_path / "whole")

    def stop(progress: Any) -> None:
        if progress.updates == 1:
            raise StopTraining

    run = tmp_path / "run"
    parts = daf_train_policy(MISSION, "stateless", config=config(), run_dir=run, on_update=stop)
    assert parts.status == "stopped"
    assert "was not evaluated after its first update" in parts.learned["sentence"]
    monkeypatch.setattr(TrainingRun, "start", property(lambda _: pytest.fail("the start was evaluated again")))
    parts = daf_train_policy(MISSION, "stateless", config=config(), run_dir=run)
    assert evaluations(run) == evaluations(whole.run_dir)
    assert parts.learned == whole.learned
    assert whole.final_checkpoint is not None
    assert weights_of(run / "checkpoints" / "final") == weights_of(whole.final_checkpoint)
    assert daf_train_policy(resume=run).learned == whole.learned  # nothing left to do


def test_ctrl_c_during_the_first_evaluation_leaves_a_run_that_starts_again(tmp_path: Path) -> None:
    run = tmp_path / "run"

    def interrupt(record: Mapping[str, Any]) -> None:
        assert record["step"] == 0
        os.kill(os.getpid(), signal.SIGINT)

    first = daf_train_policy(MISSION, "stateless", config=config(), run_dir=run, on_evaluation=interrupt)
    assert (first.status, first.updates, first.final_checkpoint) == ("interrupted", 0, None)
    assert first.learned["comparisons"] == []
    again = daf_train_policy(MISSION, "stateless", config=config(), run_dir=run)
    assert again.status == "done"
    assert [row["step"] for row in evaluations(run)] == [0, 2 * STEPS_PER_UPDATE]
    assert [row["against"] for row in again.learned["comparisons"]] == ["untrained", "random"]


def test_a_run_of_an_earlier_version_is_resumed_without_baselines(tmp_path: Path) -> None:
    run = tmp_path / "run"
    daf_train_policy(MISSION, "stateless", config=config(eval_baselines=False), run_dir=run)
    stored = json.loads((run / "training.json").read_text())
    del stored["learned"]
    (run / "training.json").write_text(json.dumps(stored))
    settings = (run / "training_config.yaml").read_text().splitlines(keepends=True)
    (run / "training_config.yaml").write_text("".join(text for text in settings if "eval_baselines" not in text))
    old = [{name: value for name, value in row.items() if name != "returns"} for row in evaluations(run)]
    (run / "evaluations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in old))
    assert daf_train_policy(resume=run).learned["comparisons"] == []
    longer = daf_train_policy(resume=run, total_timesteps=3 * STEPS_PER_UPDATE)
    assert [row["step"] for row in evaluations(run)] == [2 * STEPS_PER_UPDATE, 3 * STEPS_PER_UPDATE]
    assert "the initial weights and random were not evaluated" in longer.learned["sentence"]


def test_the_start_of_a_branch_is_compared_as_the_initial_weights(unchanged: TrainingResult, tmp_path: Path) -> None:
    assert unchanged.final_checkpoint is not None
    longer = config(total_timesteps=3 * STEPS_PER_UPDATE, eval_episodes=8, learning_rate=1e-30)
    branch = daf_train_policy(
        MISSION, "stateless", config=longer, run_dir=tmp_path / "branch", branch_from=unchanged.final_checkpoint
    )
    steps = [(row["step"], row.get("start")) for row in evaluations(branch.run_dir)]
    assert steps == [(2 * STEPS_PER_UPDATE, "the initial weights"), (3 * STEPS_PER_UPDATE, None)]
    assert "scores exactly the same as the initial weights" in branch.learned["sentence"]
    loaded = daf_train_policy(
        MISSION, "stateless", config=config(initial_weights=unchanged.final_checkpoint), run_dir=tmp_path / "loaded"
    )
    assert evaluations(loaded.run_dir)[0]["start"] == "the initial weights"


def test_trials_and_experiments_evaluate_no_baselines_unless_they_are_asked_to() -> None:
    fields: dict[str, Any] = {
        "name": "one", "missions": [MISSION], "policy_class_path": "stateless", "strategy": "random",
        "search_space": {"gamma": [0.9, 0.99]},
    }  # fmt: skip
    plain, asked = (
        DAFSweepConfig(**fields, training=training)
        for training in ({"total_timesteps": 64}, {"total_timesteps": 64, "eval_baselines": True})
    )
    prints = set()
    for chosen, wanted in ((plain, False), (asked, True)):
        setting = setting_of(chosen, {}, {})
        assert setting.training is not None
        assert setting.training.eval_baselines is wanted
        prints.add(fingerprint(SimpleNamespace(config=chosen, identity=())))  # type: ignore[arg-type]
    assert len(prints) == 1  # sweeps that were started before the setting existed are resumed
    experiment = DAFAdaptiveConfig(
        experiment_id="one", runs=[{}], training={"mission": MISSION, "policy": "stateless", "eval_frequency": 64}
    )
    assert training_config(experiment, Run("r0000", {}, 80, "")).eval_baselines is False
    earlier = experiment.to_data()
    del earlier["training"]["eval_baselines"]
    assert differences(earlier, experiment.to_data()) == []
