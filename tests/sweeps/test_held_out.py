"""The best trials on held-out seeds: the scale of the comparison, what is played again, whose checkpoint stays."""

import csv
import io
import json

import numpy as np
import pytest

from daf.config import DAFSweepConfig
from daf.episodes.metrics_values import parse
from daf.errors import DataError
from daf.sweeps import SweepResult, SweepTrialResult, daf_sweep_best_config, journal
from daf.sweeps.checkpoint_pruning import prune
from daf.sweeps.export import exported
from daf.sweeps.held_out import _compare
from daf.sweeps.journal import Proposal
from daf.sweeps.objective import Objective, plain, relative
from daf.sweeps.playing import TrialFailed, TrialPlayer

from .sweeping import SMALLEST, config_of, events, run

REWARD = Objective(parse("reward"), "maximize", "mean", 0.25)
FACILITY = "training_facility_1,max_steps=10"
GRID = {"strategy": "grid", "search_space": {"policy.vibe_action_p": [0.1, 0.5, 0.9]}, "num_trials": 3}
STEPS = {"missions": ["memory_mystery_path_easy"], "search_space": {"max_steps": [4, 5, 6]}, "strategy": "grid",
         "objective_metric": "steps", "num_trials": 3, "held_out_episodes": 6}  # fmt: skip


def compared(objective, config, scale, trial, default):
    entry = {"trial": 7, "blocks": trial}
    _compare([entry], {"blocks": default}, objective, scale, config)
    return entry


@pytest.mark.parametrize("reward", [0.1, 0.3, 0.7, 2.3])
@pytest.mark.parametrize("episodes", [3, 6, 20])
def test_equal_episodes_have_no_spread_though_their_mean_is_rounded(reward, episodes):
    scale = relative(REWARD, {"flat": [reward] * episodes, "zero": [0.0] * episodes, "varied": [1.0, 3.0]})
    assert scale.unit == pytest.approx({"flat": reward, "zero": 1.0, "varied": 2**0.5})
    assert scale.flat == ("flat", "zero")


def test_the_verdict_counts_missions_as_the_ranking_does():
    generator = np.random.default_rng(0)
    default = {"A": list(generator.normal(1, 0.1, 20)), "B": list(generator.normal(500, 100, 20))}
    trial = {"A": [there + 0.2 for there in default["A"]], "B": [there - 30 for there in default["B"]]}
    config, scale = config_of(missions=["A", "B"]), relative(REWARD, default)
    entry = compared(REWARD, config, scale, trial, default)
    assert entry["difference"] == pytest.approx(scale.over({m: np.mean(played) for m, played in trial.items()}))
    assert entry["difference"] > 0
    assert "reward in the default's standard deviations" in entry["sentence"]


def test_where_another_aggregate_ranks_the_verdict_says_that_it_is_on_means():
    objective = Objective(parse("reward"), "maximize", "quantile", 0.1)
    default, trial = {"A": [0.0] * 4 + [10.0] * 16}, {"A": [2.0] * 20}
    config = config_of(missions=["A"], aggregate="quantile", quantile=0.1)
    entry = compared(objective, config, plain(["A"]), trial, default)
    assert entry["verdict"] == "worse"
    assert "mean reward" in entry["sentence"]
    assert entry["sentence"].endswith("Trials are ranked by the 0.1-quantile; this compares means.")


def test_the_winner_on_held_out_seeds_keeps_its_checkpoint(tmp_path):
    trials = {}
    for number, reward in enumerate([3.0, 2.0, 1.0]):
        folder = tmp_path / "trials" / f"{number:04d}"
        checkpoint = folder / "checkpoints" / "final"
        checkpoint.mkdir(parents=True)
        trials[number] = SweepTrialResult(
            number, {"learning_rate": number}, reward, values=(reward,), success=True, status="complete",
            run_dir=str(folder), checkpoint=str(checkpoint), policy=str(checkpoint),
        )  # fmt: skip
    config = DAFSweepConfig(
        name="s", missions=["arena"], policy_class_path="token_lstm", search_space={"learning_rate": [1e-3, 1e-2]},
        training={}, checkpoint_best_n=1,
    )  # fmt: skip
    held = {"winner": 1, "trials": [{"trial": 1, "value": 9.0}], "default": None}
    prune(tmp_path, config, trials, keep=1, held_out=held)
    assert daf_sweep_best_config(SweepResult(trials=list(trials.values()), held_out=held)).trial == 1
    kept = [(tmp_path / "trials" / f"{number:04d}" / "checkpoints").is_dir() for number in trials]
    assert kept == [True, True, False]


def test_only_checkpoints_of_the_sweep_itself_are_deleted(tmp_path):
    precious = tmp_path / "precious" / "checkpoints"
    precious.mkdir(parents=True)
    run_dir = tmp_path / "run"
    trials = {}
    for number, reward in enumerate([3.0, 2.0]):
        checkpoint = run_dir / "trials" / f"{number:04d}" / "checkpoints" / "final"
        checkpoint.mkdir(parents=True)
        trials[number] = SweepTrialResult(
            number, {"learning_rate": number}, reward, values=(reward,), success=True, status="complete",
            run_dir=str(precious.parent), checkpoint=str(checkpoint),
        )  # fmt: skip
    config = DAFSweepConfig(
        name="s", missions=["arena"], policy_class_path="token_lstm", search_space={"learning_rate": [1e-3, 1e-2]},
        training={}, checkpoint_best_n=1,
    )  # fmt: skip
    prune(run_dir, config, trials, keep=1)
    assert precious.is_dir()
    assert [(run_dir / "trials" / f"{number:04d}" / "checkpoints").is_dir() for number in trials] == [True, False]


@pytest.fixture
def held_out_plays(monkeypatch):
    """Held-out seeds as they are played; the first `held_out_plays.fail` attempts fail for the machine's sake."""
    play = TrialPlayer.play

    class Plays(list):
        fail = 0

    plays = Plays()

    def noted(self, policy, missions, first, last, *, seed=None, **options):
        if seed is not None:
            plays.append(missions)
            if len(plays) <= plays.fail:
                raise TrialFailed("the worker processes died (killed)", machine=True)
        return play(self, policy, missions, first, last, seed=seed, **options)

    monkeypatch.setattr(TrialPlayer, "play", noted)
    return plays


def test_what_was_played_on_held_out_seeds_is_not_played_again(tmp_path, held_out_plays):
    first = run(config_of(**STEPS, held_out_best=1), tmp_path)
    assert len(held_out_plays) == 2
    more = run(config_of(**STEPS, held_out_best=2), tmp_path)
    assert held_out_plays[2:] == [("memory_mystery_path_easy,max_steps=5",)]
    assert more.held_out["default"] == first.held_out["default"]
    again, new = more.held_out["trials"]
    (before,) = first.held_out["trials"]
    assert again["blocks"] == before["blocks"]
    assert again["difference"] == before["difference"] == new["difference"] + 1


def test_a_machine_that_fails_once_on_held_out_seeds_is_tried_again(tmp_path, held_out_plays):
    held_out_plays.fail = 1
    result = run(config_of(**STEPS, held_out_best=1, max_retries=1), tmp_path)
    assert result.held_out["default"]["error"] is None
    assert result.held_out["trials"][0]["verdict"]


def test_a_machine_that_fails_on_held_out_seeds_is_reported_and_the_same_command_continues(tmp_path, held_out_plays):
    held_out_plays.fail = 2
    config = config_of(**STEPS, held_out_best=1, max_retries=1)
    failed = run(config, tmp_path)
    assert "verdict" not in failed.held_out["trials"][0]
    (text,) = [note for note in failed.notes if "no result on held-out seeds" in note]
    assert text.startswith("The default configuration has")
    assert text.endswith("the worker processes died (killed)")
    assert failed.notes[-1].endswith("the same command plays the missing ones.")
    again = run(config, tmp_path)
    assert again.held_out["trials"][0]["verdict"]
    assert not [note for note in again.notes if "no result" in note]
    count = len(events(tmp_path))
    assert run(config, tmp_path).held_out == again.held_out
    assert len(events(tmp_path)) == count


def test_values_on_a_scale_are_reported_with_it(tmp_path):
    config = config_of(**GRID, missions=[SMALLEST, FACILITY], held_out_best=1, held_out_episodes=2)
    result = run(config, tmp_path)
    name = "reward in the default's standard deviations"
    assert result.objectives == SweepResult.load(result.run_dir).objectives == (name,)
    assert result.held_out["objective"] == name
    assert name in result.held_out["finding"]
    assert any("0 is as the default" in note for note in result.notes)
    rows = list(csv.DictReader(io.StringIO(exported(result, "csv"))))
    assert [float(row[name]) for row in rows] == [trial.primary_metric for trial in result.trials]
    assert [float(row["reward"]) for row in rows] == [trial.all_metrics["reward"] for trial in result.trials]
    ranges = run(config.replace(normalise={SMALLEST: (0, 1), FACILITY: (0, 20)}, held_out_best=0), tmp_path)
    assert ranges.objectives == ("reward in parts of the given ranges",)
    assert run(config_of(num_trials=1), tmp_path).objectives == ("reward",)


def test_the_held_out_record_is_not_followed_once_another_trial_is_among_the_best(tmp_path):
    result = run(config_of(**STEPS, held_out_best=1), tmp_path)
    assert daf_sweep_best_config(SweepResult.load(result.run_dir)).held_out == 6.0
    better = SweepTrialResult(3, {"max_steps": 99}, 99.0, values=(99.0,), success=True, status="complete")
    journal.proposed(result.run_dir, Proposal(3, {"max_steps": 99}, "random"))
    assert SweepResult.load(result.run_dir).held_out is not None
    journal.finished(result.run_dir, better)
    again = SweepResult.load(result.run_dir)
    assert again.held_out is None
    best = daf_sweep_best_config(again)
    assert (best.trial, best.held_out) == (3, None)


def test_a_sweep_whose_values_were_divided_by_rounding_does_not_continue(tmp_path):
    config = config_of(**GRID | {"num_trials": 1, "strategy": "random"}, missions=[SMALLEST, FACILITY])
    path = run(config, tmp_path).run_dir / journal.FILE
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["result"] |= {"primary_metric": 3e16, "values": [3e16]}
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(DataError, match=r"trial 0 has the value 3e\+16, and on today's scale"):
        run(config.replace(num_trials=2), tmp_path)
