"""Training a policy from a Python file, and from weights that a wrapped network left."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from daf.core import checkpoints
from daf.episodes.cache import EpisodeCache
from daf.game import policies
from daf.storage.hashing import hash_file
from daf.training import daf_train_policy
from tests.training.test_runs import config
from tests.training.tiny import MISSION, STEPS_PER_UPDATE, weights_of

MY_NETWORK = """
from layers_of_mine import WIDTH
from mettagrid.policy.stateless import StatelessPolicy


class MyPolicy(StatelessPolicy):
    width = WIDTH
"""


def test_a_python_file_trains_and_its_checkpoint_carries_the_file_and_what_it_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lr=0.1,seed=1"
    folder.mkdir()
    (folder / "my_network.py").write_text(MY_NETWORK)
    (folder / "layers_of_mine.py").write_text("WIDTH = 3\n")
    (folder / "unrelated.py").write_text("raise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    one = config(total_timesteps=STEPS_PER_UPDATE)
    result = daf_train_policy(MISSION, "lr=0.1,seed=1/my_network.py:MyPolicy", config=one, run_dir=tmp_path / "run")
    assert result.status == "done"
    assert result.final_checkpoint is not None
    carried = {path.name for path in result.final_checkpoint.glob("*.py")}
    assert carried == {"my_network.py", "layers_of_mine.py"}
    policy = policies.resolve(str(result.final_checkpoint), cache=EpisodeCache(tmp_path / "cache").bundles)
    assert (policy.class_path, policy.network) == ("my_network.MyPolicy", True)
    kept = (tmp_path / "run" / "training_config.yaml").read_text()
    assert f"{folder}/my_network.py:MyPolicy" in kept


def test_weights_with_a_wrapper_s_names_start_and_resume_training(tmp_path: Path) -> None:
    two = config(total_timesteps=2 * STEPS_PER_UPDATE, checkpoint_frequency=STEPS_PER_UPDATE)
    plain = daf_train_policy(MISSION, "stateless", config=two, run_dir=tmp_path / "plain")
    first = checkpoints.steps(plain.run_dir / "checkpoints")[STEPS_PER_UPDATE]
    assert plain.final_checkpoint is not None
    expected = weights_of(plain.final_checkpoint)

    state = {f"_orig_mod.{name}": tensor for name, tensor in load_file(first / "weights.safetensors").items()}
    save_file(state, first / "weights.safetensors")
    facts = json.loads((first / "state.json").read_text())
    facts["parameters"] = {f"_orig_mod.{name}": shape for name, shape in facts["parameters"].items()}
    (first / "state.json").write_text(json.dumps(facts))
    sums = json.loads((first / "checksums.json").read_text())
    for name in ("weights.safetensors", "state.json"):
        sums[name] = hash_file(first / name)
    (first / "checksums.json").write_text(json.dumps(sums))
    resumed = daf_train_policy(MISSION, "stateless", config=two, run_dir=tmp_path / "resumed", branch_from=first)
    assert resumed.final_checkpoint is not None
    assert weights_of(resumed.final_checkpoint).keys() == expected.keys()

    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "w.pt")
    frozen = config(learning_rate=1e-12, initial_weights=tmp_path / "w.pt", total_timesteps=1)
    begun = daf_train_policy(MISSION, "stateless", config=frozen, run_dir=tmp_path / "begun")
    assert begun.final_checkpoint is not None
    after = load_file(begun.final_checkpoint / "weights.safetensors")
    for name, tensor in after.items():
        assert torch.allclose(tensor, state[f"_orig_mod.{name}"], atol=1e-6), name
