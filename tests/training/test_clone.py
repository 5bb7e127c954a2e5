"""`daf clone` trains a network to do what a policy does, and reports where they agree."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from daf.core._measuring_agreement import _Tally
from daf.core.agreement import Agreement, Share, read_agreement, write_agreement
from daf.core.training_report._agreement import agreement_section, agreement_sentence
from daf.errors import DamagedFileError, UsageError
from daf.game.teaching import UNLABELLED
from daf.output_manager import OutputManager
from daf.training import daf_clone_policy, daf_train_policy
from tests.conftest import DafCall
from tests.training.tiny import MISSION, TINY

FOUND = Agreement(
    "starter", 8, 400, 0.9, 0.05, (Share("noop", 100, 1.0), Share("move_north", 300, 0.8667)),
    (Share("0", 200, 0.95), Share("1", 200, 0.85)), (Share("miner", 400, 0.9),), Share("new views", 50, 0.64),
)  # fmt: skip


def test_an_agreement_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_agreement(tmp_path) is None
    assert agreement_section(tmp_path) == []
    write_agreement(tmp_path, FOUND)
    assert read_agreement(tmp_path) == FOUND
    (section,) = agreement_section(tmp_path)
    assert section.title == "Agreement with starter"
    assert agreement_sentence(FOUND) == (
        "In 400 labelled states of 8 episodes that it leads, the policy agrees with starter in 90.0 %, and in 64.0 % "
        "of the 50 views that an agent had for the first time. Students loop in 5.0 % of the time."
    )
    earlier = FOUND.to_data()
    del earlier["new_views"]
    (tmp_path / "agreement.json").write_text(json.dumps(earlier))
    assert read_agreement(tmp_path) == replace(FOUND, new_views=None)
    (tmp_path / "agreement.json").write_text('{"teacher": 3}')
    with pytest.raises(DamagedFileError):
        read_agreement(tmp_path)


def test_states_are_counted_by_action_agent_and_gear() -> None:
    """Two agents, three steps: the first carries miner's gear in the last two; one state has no label."""
    own, elsewhere, miner, scout = 0x22, 0x23, 7, 8
    observations = torch.full((2, 3, 4, 3), 255, dtype=torch.uint8)
    observations[0, 1:, 2] = torch.tensor([own, miner, 1], dtype=torch.uint8)
    observations[1, :, 0] = torch.tensor([elsewhere, scout, 1], dtype=torch.uint8)  # somebody else's
    observations[1, 0, 1] = torch.tensor([own, miner, 0], dtype=torch.uint8)
    labels = torch.tensor([[0, 1, 1], [0, UNLABELLED, 1]])
    greedy = torch.tensor([[0, 1, 0], [1, 0, 1]])
    tally = _Tally(2, ["noop", "move_north"], {"scout": scout, "miner": miner}, own)
    tally.add(observations, labels, greedy, torch.tensor([[1, 1, 2], [1, 1, 5]]))
    tally.loops((1, 4))
    found = tally.agreement("starter", 2)
    assert (found.states, found.agreement, found.looping) == (5, 3 / 5, 0.25)
    assert found.new_views == Share("new views", 3, 2 / 3)
    assert found.actions == (Share("noop", 2, 1 / 2), Share("move_north", 3, 2 / 3))
    assert found.agents == (Share("0", 3, 2 / 3), Share("1", 2, 1 / 2))
    assert found.roles == (Share("miner", 2, 1 / 2), Share("no gear", 3, 2 / 3))


@pytest.mark.thorough
def test_a_clone_is_trained_compared_and_resumed(daf_call: DafCall, tmp_path: Path) -> None:
    command = [
        *("clone", "facility_solver", "-m", MISSION, "-p", "lstm", "--steps", "1536", "--envs", "6", "--seed", "7"),
        *("--set", "n_steps=16", "--eval-every", "1536", "--eval-episodes", "4", "--agreement-episodes", "3", "--json"),
        *("--workers", "1", "--run-dir", str(tmp_path / "run"), "--output-dir", str(tmp_path), "--tracker", "jsonl"),
    ]
    stopped = json.loads(daf_call(*command, "--stop-at", "384").stdout)
    assert (stopped["status"], stopped["agreement"]) == ("stopped", None)
    cloned = json.loads(daf_call(*command).stdout)
    assert cloned["status"] == "done"
    agreement = cloned["agreement"]
    assert agreement["teacher"] == "facility_solver"
    assert sum(row["states"] for row in agreement["agents"]) == agreement["states"] >= 3 * 4 * 40
    assert {one["against"] for one in cloned["learned"]["comparisons"]} == {"untrained", "random", "facility_solver"}
    page = Path(cloned["report"]).read_text()
    assert "Agreement with facility_solver" in page
    assert "Agreement with the teacher" in page, "the curve"
    before = (tmp_path / "run" / "agreement.json").read_bytes()
    (tmp_path / "run" / "agreement.json").unlink()  # as if it had been stopped just before it was measured
    again = json.loads(
        daf_call("clone", "--resume", str(tmp_path / "run"), "--json", "--agreement-episodes", "3").stdout
    )
    assert again["agreement"] == agreement
    assert (tmp_path / "run" / "agreement.json").read_bytes() == before


@pytest.mark.parametrize(("arguments", "says"), [
    (["-m", MISSION], "name the policy to clone once"),
    (["starter", "--teacher", "starter", "-m", MISSION], "name the policy to clone once"),
    (["starter", "--resume", "latest"], "omit POLICY"),
    (["starter", "-m", MISSION, "--nodes", "2", "--node-rank", "1"], "daf clone runs on machine 0"),
    (["starter"], "no mission"),
    (["starter", "-m", MISSION, "--agreement-episodes", "0"], "agreement_episodes must be 1 or more, got 0"),
    (["starter", "-m", MISSION, "--set", "imitate_steps=10"], "omit imitate_steps"),
])  # fmt: skip
def test_wrong_calls_are_refused_at_once(daf_call: DafCall, tmp_path: Path, arguments: list[str], says: str) -> None:
    called = daf_call("clone", *arguments, "--output-dir", str(tmp_path))
    assert called.returncode == 2
    assert says in called.stderr


def test_a_run_without_a_teacher_is_no_clone(tmp_path: Path) -> None:
    from daf.config import DAFTrainingConfig

    config = DAFTrainingConfig(**{**TINY, "total_timesteps": 384, "eval_frequency": None, "trackers": []})
    run = daf_train_policy(MISSION, "stateless", config=config, run_dir=tmp_path / "run", report=False)
    with pytest.raises(UsageError, match="is not a clone: it was trained without a teacher"):
        daf_clone_policy(resume=run.run_dir, output=OutputManager(tmp_path))
