"""One table holds every hyperparameter, its other names and its bounds."""

import pytest

from daf.config import DAFTrainingConfig
from daf.config.hyperparameters import HYPERPARAMETERS, canonical, find, resolve
from daf.errors import ConfigError, UsageError


def test_the_table_says_what_the_configuration_accepts() -> None:
    config = DAFTrainingConfig()
    for name, hyperparameter in HYPERPARAMETERS.items():
        assert getattr(config, name) == hyperparameter.default
        for bound, is_open, beyond in (
            (hyperparameter.low, hyperparameter.open_low, -1),
            (hyperparameter.high, hyperparameter.open_high, 1),
        ):
            if bound is None or hyperparameter.kind not in ("int", "float"):
                continue
            kind = int if hyperparameter.kind == "int" else float
            with pytest.raises(ConfigError):
                DAFTrainingConfig(**{name: kind(bound) if is_open else kind(bound + beyond)})
        for choice in hyperparameter.choices:
            assert getattr(DAFTrainingConfig(**{name: choice}), name) == choice


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("lr", "learning_rate"),
        ("clip_coef", "clip_range"),
        ("update_epochs", "n_epochs"),
        ("minibatch_size", "batch_size"),
        ("vf_clip_coef", "clip_range_vf"),
        ("steps", "total_timesteps"),
    ],
)
def test_other_names_mean_the_same(alias: str, name: str) -> None:
    assert resolve(alias).name == name
    value = 64 if HYPERPARAMETERS[name].kind == "int" else 0.5
    assert getattr(DAFTrainingConfig(**{alias: value}), name) == value
    assert canonical({alias: value}) == {name: value}


def test_pufferls_anneal_lr_is_its_cosine() -> None:
    assert DAFTrainingConfig(anneal_lr=True).lr_schedule == "cosine"
    assert canonical({"anneal_lr": False}) == {"lr_schedule": "constant"}


def test_two_names_of_one_hyperparameter_are_refused() -> None:
    with pytest.raises(ConfigError, match="lr and learning_rate are two names"):
        DAFTrainingConfig(lr=0.1, learning_rate=0.2)


def test_an_unknown_hyperparameter_is_reported_with_the_nearest() -> None:
    assert find("hidden_size") is None
    with pytest.raises(UsageError, match="learning_rate"):
        canonical({"learnin_rate": 0.1})


def test_sizes_that_do_not_fit_are_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="nearest: 64 or 128"):
        DAFTrainingConfig(batch_size=100, n_steps=64)
    with pytest.raises(ConfigError, match="bptt_horizon 24 does not divide n_steps 64"):
        DAFTrainingConfig(bptt_horizon=24, n_steps=64)
