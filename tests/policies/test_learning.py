"""What the small missions are for: training shows. Two CPU minutes each, so these run with `make test-slow`."""

from pathlib import Path

import pytest

from daf import daf_compare_policies
from daf.config.training import DAFTrainingConfig
from daf.output_manager import OutputManager
from daf.training import daf_train_policy

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mission", ["training_facility_1", "training_facility_2", "assembler_2"])
def test_token_lstm_beats_random_on_unseen_episodes(mission: str, tmp_path: Path) -> None:
    config = DAFTrainingConfig(
        total_timesteps=700_000, eval_frequency=None, log_agents=0, trackers=[], checkpoint_frequency=700_000
    )
    trained = daf_train_policy(mission, "token_lstm", config=config, seed=0, run_dir=tmp_path / "run")
    assert trained.status == "done", trained.error
    report = daf_compare_policies(
        [f"{trained.final_checkpoint},name=trained", "random"],
        [mission],
        episodes_per_mission=100,
        seed=700_000_000,
        output_manager=OutputManager(tmp_path / "out"),
    )
    found = report.pairwise_comparisons["trained", "random"]
    assert found.difference > 0, found.sentence
    assert found.p_value < 0.01, found.sentence
