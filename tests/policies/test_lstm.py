"""`lstm` with a width: at 128 it is CoGames' network, and any other width plays, trains and is searched."""

import json
from pathlib import Path

import pytest
import torch
from mettagrid.policy.lstm import LSTMPolicy as CoGamesLSTM
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.config import DAFSweepConfig
from daf.errors import PolicyError
from daf.game import missions, policies
from daf.game.policy_loading import build
from daf.output_manager import OutputManager
from daf.policies.lstm import LSTMPolicy
from daf.sweeps import daf_launch_sweep
from tests.conftest import BUNDLES

MISSION = "training_facility_1,max_steps=40"


@pytest.fixture(scope="module")
def info() -> PolicyEnvInterface:
    torch.set_num_threads(1)
    return PolicyEnvInterface.from_mg_cfg(missions.resolve(MISSION)[0].config)


def weights_of(policy: CoGamesLSTM) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in policy.network().state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(two) and all(torch.equal(one[name], two[name]) for name in one)


def test_at_width_128_a_seed_gives_the_weights_that_it_gives_cogames(info: PolicyEnvInterface) -> None:
    made = []
    for cls in (CoGamesLSTM, LSTMPolicy):
        torch.manual_seed(5)
        made.append(weights_of(cls(info)))
    assert same(*made)


def test_weights_of_width_128_load_into_cogames_class_and_back(info: PolicyEnvInterface, tmp_path: Path) -> None:
    ours, theirs, again = LSTMPolicy(info), CoGamesLSTM(info), LSTMPolicy(info)
    ours.save_policy_data(str(tmp_path / "ours.pt"))
    theirs.load_policy_data(str(tmp_path / "ours.pt"))
    theirs.save_policy_data(str(tmp_path / "theirs.pt"))
    again.load_policy_data(str(tmp_path / "theirs.pt"))
    assert same(weights_of(ours), weights_of(theirs))
    assert same(weights_of(ours), weights_of(again))
    observations = torch.randint(0, 255, (3, *info.observation_space.shape), dtype=torch.uint8)
    with torch.no_grad():
        logits = [policy.network().forward_eval(observations)[0] for policy in (ours, theirs)]
    assert torch.equal(*logits)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_weights_of_another_width_load_without_naming_it(info: PolicyEnvInterface, tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    narrow = LSTMPolicy(info, hidden_size=24)
    file = tmp_path / f"weights{suffix}"
    save_file(weights_of(narrow), file) if suffix == ".safetensors" else narrow.save_policy_data(str(file))
    loaded = build(policies.resolve(f"class=lstm,data={file}", cache=BUNDLES), info)
    assert isinstance(loaded, LSTMPolicy)
    assert loaded.init_kwargs() == {"hidden_size": 24}
    assert same(weights_of(loaded), weights_of(narrow))


@pytest.mark.parametrize("width", [0, 5000, "wide"])
def test_an_impossible_width_is_refused_with_its_bounds(info: PolicyEnvInterface, width: object) -> None:
    with pytest.raises(PolicyError, match="hidden_size must be an integer from 1 to 4096"):
        build(policies.resolve(f"class=lstm,kw.hidden_size={width}", cache=BUNDLES), info)


def test_weights_of_another_network_are_refused(info: PolicyEnvInterface, tmp_path: Path) -> None:
    torch.save({"other": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(PolicyError, match="no weights of lstm"):
        build(policies.resolve(f"class=lstm,data={tmp_path / 'other.pt'}", cache=BUNDLES), info)


def test_a_sweep_over_hidden_size_trains_an_lstm_of_each_width(tmp_path: Path) -> None:
    settings = {"total_timesteps": 64, "num_envs": 2, "num_workers": 1, "n_steps": 8, "eval_frequency": None}
    config = DAFSweepConfig(
        name="widths", missions=[MISSION], policy_class_path="lstm", strategy="grid",
        search_space={"learning_rate": [0.001], "hidden_size": [16, 48]}, episodes_per_trial=1,
        max_steps_per_episode=20, held_out_best=0, training={**settings, "log_agents": 0, "trackers": []},
    )  # fmt: skip
    result = daf_launch_sweep(config, output_manager=OutputManager(tmp_path), jobs=1, executor="serial")
    assert [trial.status for trial in result.trials] == ["complete", "complete"]
    widths = {}
    for spec in sorted(tmp_path.glob("**/policy_spec.json")):
        state = torch.load(spec.parent / "weights.pt", weights_only=True)
        widths[json.loads(spec.read_text())["init_kwargs"]["hidden_size"]] = state["_rnn.weight_hh_l0"].shape[1]
    assert widths == {16: 16, 48: 48}
