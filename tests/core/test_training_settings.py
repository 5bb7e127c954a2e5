"""Settings from text mean what the table of hyperparameters says."""

from pathlib import Path
from typing import Any

import pytest

from daf.config import DAFTrainingConfig
from daf.core.training_settings import count, parse_settings, with_settings
from daf.errors import ConfigError, UsageError
from tests.conftest import BUNDLES, made_once, write_module

POLICY = """
from mettagrid.policy.lstm import LSTMPolicy


class Sized(LSTMPolicy):
    def __init__(self, policy_env_info, hidden_size: int = 64, pooling: str = "mean", device: str = "cpu"):
        super().__init__(policy_env_info, device=device)


class Open(LSTMPolicy):
    def __init__(self, policy_env_info, **options):
        super().__init__(policy_env_info)
"""


@pytest.fixture
def policies(monkeypatch: pytest.MonkeyPatch) -> str:
    name = "sized_policies"
    monkeypatch.syspath_prepend(made_once(name, lambda folder: write_module(folder, name, POLICY)))
    return name


def parsed(*texts: str, policy: str = "lstm", folder: Path = BUNDLES) -> dict[str, Any]:
    return parse_settings(texts, policy=policy, cache=folder, runs=None)


def test_names_and_aliases_are_one_hyperparameter_and_values_have_its_kind() -> None:
    fields = parsed(
        "lr=3e-4", "steps=2e6", "clip_coef=0.1", "target_kl=none", "optimizer=sgd", "norm_adv=false", "envs=auto"
    )
    assert fields == {
        "learning_rate": 3e-4,
        "total_timesteps": 2_000_000,
        "clip_range": 0.1,
        "target_kl": None,
        "optimizer": "sgd",
        "normalize_advantage": False,
        "num_envs": "auto",
    }
    config = with_settings(DAFTrainingConfig(), fields)
    assert (config.learning_rate, config.total_timesteps, config.optimizer) == (3e-4, 2_000_000, "sgd")


def test_arguments_of_the_policys_class_go_to_the_network_and_add_to_what_a_file_gave(policies: str) -> None:
    fields = parsed("hidden_size=128", "network.pooling=max", policy=f"{policies}.Sized")
    assert fields == {"network": {"hidden_size": 128, "pooling": "max"}}
    config = with_settings(DAFTrainingConfig(network={"hidden_size": 32, "other": 1}), fields)
    assert config.network == {"hidden_size": 128, "other": 1, "pooling": "max"}


def test_a_class_that_takes_any_argument_takes_it_by_its_full_name_only(policies: str) -> None:
    assert parsed("network.depth=3", policy=f"{policies}.Open") == {"network": {"depth": 3}}
    with pytest.raises(UsageError, match='no hyperparameter "depth"'):
        parsed("depth=3", policy=f"{policies}.Open")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("learnin_rate=0.1",), "Nearest: learning_rate"),
        (("hidden_sise=3",), "Nearest: hidden_size"),
        (("network.hidden_sise=3",), "Nearest: hidden_size"),
        (("lr=0.1", "learning_rate=0.2"), "learning_rate is set twice"),
        (("gamma",), "must be NAME=VALUE"),
        (("=3",), "must be NAME=VALUE"),
    ],
)
def test_wrong_settings_are_refused_with_the_way_out(texts: tuple[str, ...], expected: str, policies: str) -> None:
    with pytest.raises(UsageError, match=expected):
        parsed(*texts, policy=f"{policies}.Sized")


def test_bounds_are_checked_with_value_and_bound() -> None:
    with pytest.raises(ConfigError, match=r"gamma: 3 is above the maximum 1"):
        with_settings(DAFTrainingConfig(), parsed("gamma=3"))


def test_counts_are_whole_numbers_however_they_are_written() -> None:
    assert [count("--steps", text) for text in ("2e6", "2_000_000", "2000000")] == [2_000_000] * 3
    for wrong in ("2.5", "0", "-1", "many", "true", "1e400"):
        with pytest.raises(UsageError, match="--steps"):
            count("--steps", wrong)
