"""Shared by all tests: small missions, policies that misbehave on purpose, `daf` in this process, one browser."""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from daf.compute.contexts import ForkServer
from daf.compute.executor import make_executor
from daf.compute.interface import Executor
from daf.episodes.cache import EpisodeCache
from daf.episodes.run import PRELOAD, PRELOAD_NETWORKS

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from ray._private.node import Node
    from ray.cluster_utils import Cluster

CHROMIUM = Path("/usr/bin/chromium")
_MADE_SHARED = "DAF_TESTS_FOLDER" not in os.environ
if _MADE_SHARED:
    os.environ["DAF_TESTS_FOLDER"] = tempfile.mkdtemp(prefix="daf-tests-")
SHARED = Path(os.environ["DAF_TESTS_FOLDER"])
"""A folder for all processes of this run of pytest; the process that made it removes it."""
os.environ["TRACKIO_DIR"] = str(SHARED / "trackio")  # read when trackio is imported
BUNDLES = SHARED / "bundles"
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


def pytest_unconfigure() -> None:
    if _MADE_SHARED:
        shutil.rmtree(SHARED, ignore_errors=True)


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` that `make` filled, once for all processes of this run. Tests read it, or copy it to write."""
    folder = SHARED / name
    with (SHARED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            shutil.rmtree(SHARED / f"{name}.part", ignore_errors=True)
            make(SHARED / f"{name}.part")
            (SHARED / f"{name}.part").rename(folder)
    return folder


def thinned(values: Iterable[object], every: int) -> list[object]:
    """`values` as parameters of a test: `make test` takes each `every`th, the second stage of CI the others.

    A tuple is the parameters of one call.
    """
    rows = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*row, marks=[pytest.mark.thorough] if place % every else []) for place, row in enumerate(rows)]


@dataclass(frozen=True)
class Called:
    """A call of `daf` that ended."""

    returncode: int
    stdout: str
    stderr: str


DafCall = Callable[..., Called]


@pytest.fixture
def daf_call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> DafCall:
    """Calls `daf` with arguments in this process, which pays for the imports only once.

    cwd: the current directory of the command. Other keywords are environment variables.
    """

    def call(*arguments: object, cwd: Path | None = None, **environment: str) -> Called:
        from daf.cli import main, show

        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(show.out, "_width", 200)
            for name, value in environment.items():
                patch.setenv(name, value)
            if cwd is not None:
                patch.chdir(cwd)
            patch.setattr(sys, "argv", ["daf", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                main()
        said = capfd.readouterr()
        return Called(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(autouse=True)
def _import_path_kept() -> Iterator[None]:
    """Playing a policy of a project puts its directory first on sys.path, and a project may have a package `tests`."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(scope="session", autouse=True)
def _output_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is called without an output folder, here or in another process, writes to a temporary one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAF_OUTPUT_DIR", str(tmp_path_factory.mktemp("daf_output")))
        patch.setenv("DAF_REMOTE_DIR", str(tmp_path_factory.mktemp("daf_remote")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _without_waiting_for_disks() -> Iterator[None]:
    """`fsync` does nothing in this process: an evaluation calls it 72 times, 0.4 s on a slow disk.

    No test cuts the power. Processes that tests start still call it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_fork_server() -> Iterator[None]:
    """The fork server of this process imports everything that workers need, torch included.

    A process has one, and the pool that starts it decides what workers of all later pools need not import.
    """
    with pytest.MonkeyPatch.context() as patch:
        prepare = ForkServer.set_forkserver_preload
        patch.setattr(ForkServer, "set_forkserver_preload", lambda self, names: prepare(self, [*PRELOAD_NETWORKS]))
        yield


@pytest.fixture
def cache(tmp_path: Path) -> EpisodeCache:
    return EpisodeCache(tmp_path / "cache")


@pytest.fixture(scope="session")
def two_workers() -> "Executor":
    executor = make_executor("local", jobs=2, preload=PRELOAD)
    yield executor  # type: ignore[misc]
    executor.close()


@dataclass
class RayNodes:
    """A Ray cluster on this machine. head: has no CPU, so that nothing plays there; each other node has one."""

    cluster: "Cluster"

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self, **settings: object) -> "Node":
        """Start another node."""
        chosen = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.1"}
        return self.cluster.add_node(**(chosen | settings))

    def kill(self, node: "Node") -> None:
        """Kill a node and what runs there, without a chance to say so."""
        self.cluster.remove_node(node, allow_graceful=False)

    def node_of(self, pid: int) -> "Node":
        """The node on which a process runs."""
        ancestors = {process.pid for process in psutil.Process(pid).parents()}
        for node in self.cluster.list_all_nodes():
            if any(each.process.pid in ancestors for each in node.all_processes["raylet"]):
                return node
        raise AssertionError(f"process {pid} runs on no node of the cluster")

    def forget_killed(self) -> None:
        """Return when the cluster has noticed which nodes are gone."""
        self.cluster.wait_for_nodes(60)


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """Three nodes, started once, to which this process is connected. It costs 10 s: for tests marked `thorough`."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "token").write_text("token-of-the-tests-of-daf" * 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ADDRESS"):
            patch.delenv(name, raising=False)
        from daf.compute._ray_cluster import connect, prepare_environment

        prepare_environment(new_cluster=False)
        import ray
        from ray.cluster_utils import Cluster

        nodes = RayNodes(Cluster())
        try:
            nodes.add(num_cpus=0, include_dashboard=False)
            nodes.add()
            nodes.add()
            connect(nodes.address)
            yield nodes
        finally:
            ray.shutdown()
            nodes.cluster.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium, started once. Until the session ends, playwright's event loop counts as running in this thread."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def bad_policies(monkeypatch: pytest.MonkeyPatch) -> str:
    """The import path of a module of policies that raise, hang, die and worse, which DAF examines once."""
    name = "policies_that_misbehave"
    monkeypatch.syspath_prepend(made_once("bad_policies", lambda folder: write_module(folder, name)))
    return name


def write_module(folder: Path, name: str, text: str = BAD_POLICIES) -> None:
    """A Python module with this text, in a new folder."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(text)
