"""Sizes whose memory cannot be there are refused by name, with the amount, before anything is allocated."""

from pathlib import Path

import pytest

from daf.config import memory
from daf.config.training import DAFTrainingConfig
from daf.core.curriculum_manager import create_simple_curriculum
from daf.core.rollout_sizes import rollout_sizes
from daf.episodes.plan import Contender, plan_episodes
from daf.errors import ConfigError, UsageError
from daf.game import missions, policies
from daf.stats.bootstrap import interval
from daf.sweeps import daf_random_search


def test_the_message_has_the_setting_both_amounts_and_the_way_out() -> None:
    with pytest.raises(ConfigError, match=r"^8 boxes needs 2\.0 TB of memory, but only 1\.5 GB exist\. Take fewer\.$"):
        memory.require(2 << 40, what="8 boxes", way_out="Take fewer.", there=3 << 29)
    memory.require(memory.total(), what="everything", way_out="")


def test_a_rollout_of_two_terabytes_is_refused() -> None:
    config = DAFTrainingConfig(n_steps=65536, num_envs=65536)
    with pytest.raises(ConfigError, match=r"num_envs 65,536 × 4 agents × n_steps 65,536 needs [\d,.]+ TB of memory"):
        rollout_sizes(config, agents=4, tokens=200, cores=2)


def test_a_rollout_larger_than_the_gpu_is_refused() -> None:
    config = DAFTrainingConfig(n_steps=1024, num_envs=64)
    with pytest.raises(ConfigError, match=r"needs 158 MB of memory, but only 100 MB exist"):
        rollout_sizes(config, agents=4, tokens=200, cores=2, device_memory=100 << 20)
    assert rollout_sizes(config, agents=4, tokens=200, cores=2, device_memory=200 << 20).rows == 256


def test_a_batch_size_is_found_for_thirty_million_sequences() -> None:
    found = rollout_sizes(DAFTrainingConfig(n_steps=4096, num_envs=1024, bptt_horizon=1), agents=8, tokens=1, cores=2)
    assert found.sequences == 4096 * 1024 * 8
    assert found.batch == found.sequences // 4


def test_a_billion_episodes_are_refused(tmp_path: Path) -> None:
    (mission,) = missions.resolve("training_facility_1,max_steps=5")
    contender = Contender("noop", (policies.resolve("noop", cache=tmp_path),))
    with pytest.raises(ConfigError, match=r"--episodes 1,000,000,000 of 1 mission\(s\) .* needs 1\.9 TB"):
        plan_episodes([mission], [contender], episodes=10**9, seed=0)


def test_samples_resamples_and_sequences_beyond_the_memory_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_samples 10,000,000,000,000 of a space of 1 names needs"):
        daf_random_search({"a": [1, 2]}, 10**13)
    with pytest.raises(UsageError, match="resamples must be at most 10,000,000, got 1,000,000,000,000"):
        interval([1.0, 2.0, 3.0], resamples=10**12)
    with pytest.raises(ConfigError, match="sequence_length 100,000,000,000,000 needs"):
        create_simple_curriculum(["training_facility_1"]).generate_task_sequence(10**14)
