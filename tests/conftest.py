"""What tests share: small missions that play in milliseconds, and policies that misbehave on purpose."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daf.compute.executor import make_executor
from daf.compute.interface import Executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.run import PRELOAD

BUNDLES = Path(tempfile.gettempdir(), "daf-test-bundles")
"""Where resolving keeps what it found out about classes, by their content."""
SMALL = "tutorial.miner,max_steps=40"
SMALLEST = "memory_mystery_path_easy,max_steps=20"

BAD_POLICIES = """
import os
import time

from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.types import Action


class _Agent(AgentPolicy):
    def __init__(self, info, act):
        super().__init__(info)
        self._act = act

    def step(self, obs):
        return self._act(obs)


class _Policy(MultiAgentPolicy):
    def __init__(self, policy_env_info, device="cpu"):
        super().__init__(policy_env_info, device=device)

    def agent_policy(self, agent_id):
        return _Agent(self._policy_env_info, self.act)


class Raises(_Policy):
    def act(self, obs):
        raise RuntimeError("I give up")


class Nonsense(_Policy):
    def act(self, obs):
        return Action(name="fly_to_the_moon")


class Hangs(_Policy):
    def act(self, obs):
        time.sleep(600)


class Dies(_Policy):
    def act(self, obs):
        os._exit(7)


class Exits(_Policy):
    def act(self, obs):
        raise SystemExit(3)


class Slow(_Policy):
    def act(self, obs):
        time.sleep(0.003)
        return Action(name="noop")


class Unbuildable(_Policy):
    def __init__(self, policy_env_info, device="cpu"):
        raise ValueError("no such moon")


class DiesWhenBuilt(_Policy):
    def __init__(self, policy_env_info, device="cpu"):
        os._exit(9)


class Prints(_Policy):
    def act(self, obs):
        print("chatter")
        return Action(name="noop")
"""


@pytest.fixture(scope="session", autouse=True)
def _output_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is called without an output folder, here or in another process, writes to a temporary one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAF_OUTPUT_DIR", str(tmp_path_factory.mktemp("daf_output")))
        yield


@pytest.fixture
def cache(tmp_path: Path) -> EpisodeCache:
    return EpisodeCache(tmp_path / "cache")


@pytest.fixture(scope="session")
def two_workers() -> "Executor":
    executor = make_executor("local", jobs=2, preload=PRELOAD)
    yield executor  # type: ignore[misc]
    executor.close()


@pytest.fixture
def bad_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The import path of a module of policies that raise, hang, die and worse; unique to the test."""
    name = f"bad_policies_{abs(hash(tmp_path))}"
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / f"{name}.py").write_text(BAD_POLICIES)
    monkeypatch.syspath_prepend(str(folder))
    return name
