"""The episodes behind a trial: recorded for the best ones, listed on the page, and played by the command it shows."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from daf.errors import UsageError
from daf.sweeps import SweepResult, SweepTrialResult
from daf.sweeps.trial_episodes import evaluate_command, trial_episodes

from .sweeping import config_of, run, run_dir_in

sys.path.insert(0, str(Path(__file__).parent.parent / "render"))

from reports import Page

BEST = 2
MISSION = "memory_mystery_path_easy"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The output folder of a sweep over a policy's argument and the mission's length, which only evaluates."""
    base = tmp_path_factory.mktemp("watched")
    space = {"policy.vibe_action_p": {"min": 0.0, "max": 1.0}, "max_steps": [8, 12]}
    run(config_of(missions=[MISSION], search_space=space, checkpoint_best_n=BEST), base)
    return base


@pytest.fixture(scope="module")
def swept(base):
    return SweepResult.load(run_dir_in(base))


def config(folder):
    return json.loads((folder / "sweep.json").read_text())["config"]


def test_the_best_episode_of_each_of_the_best_trials_has_a_recording_and_a_player(swept):
    for trial in swept.trials:
        episodes = trial_episodes(trial, swept.run_dir, config(swept.run_dir))
        assert [episode.value for episode in episodes] == trial.mission_results[MISSION]["values"]
        assert [episode.seed for episode in episodes] == [7, 8]
        recorded = [episode for episode in episodes if episode.replay]
        if trial in swept.top_trials(BEST):
            (one,) = recorded
            assert one.value == max(episode.value for episode in episodes)
            assert (swept.run_dir / one.replay).is_file()
            assert (swept.run_dir / one.player).is_file()
        else:
            assert recorded == []


def test_the_command_of_a_trial_plays_its_episodes_from_the_cache(base, swept, daf_call):
    trial = swept.trials[-1]
    words = shlex.split(evaluate_command(trial, config(swept.run_dir)))
    assert words[:2] == ["daf", "evaluate"]
    said = daf_call(*words[1:-2], "--executor", "serial", "--no-report", "--json", "--output-dir", base)
    episodes = json.loads(said.stdout)["episodes"]
    assert [episode["key"] for episode in episodes] == trial.mission_results[MISSION]["keys"]
    assert all(episode["cached"] for episode in episodes)


def test_the_page_links_every_trial_to_its_episodes_and_their_players(swept):
    page = Page((swept.run_dir / "sweep.html").read_text(encoding="utf-8"))
    ids = {values["id"] for _, values in page.elements if values.get("id")}
    anchors = {values["href"][1:] for tag, values in page.elements if tag == "a" and values.get("href", "")[:1] == "#"}
    wanted = {f"trial-{trial.trial_id}" for trial in swept.trials}
    assert wanted <= ids
    assert wanted <= anchors
    players = [values["href"] for tag, values in page.elements if tag == "a" and "/replays/" in values.get("href", "")]
    assert {link.split("/")[2] for link in players if link.endswith(".html")} == {
        f"trial_{trial.trial_id:04d}" for trial in swept.top_trials(BEST)
    }
    assert evaluate_command(swept.trials[0], config(swept.run_dir)) in page.text


def test_recordings_are_refused_or_left_out_as_asked(tmp_path):
    run(config_of(num_trials=1), tmp_path, save_replays="none")
    assert not (run_dir_in(tmp_path) / "replays").exists()
    with pytest.raises(UsageError, match='no choice for --save-replays "some"'):
        run(config_of(num_trials=1), tmp_path, save_replays="some")


def test_a_trial_of_an_older_sweep_has_values_without_recordings_or_a_command(tmp_path):
    entry = {"value": 1.5, "n": 2, "values": [1.0, 2.0]}
    trial = SweepTrialResult(3, {"a": 1}, 1.5, mission_results={"arena": entry}, policy="noop")
    assert [(one.value, one.seed, one.replay) for one in trial_episodes(trial, tmp_path, {})] == [
        (1.0, None, None),
        (2.0, None, None),
    ]
    assert evaluate_command(trial, {}) is None
