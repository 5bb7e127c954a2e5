"""`daf package --format coworld`: the project, the file, and the bridge in whole episodes against a local game."""

import asyncio
import importlib.util
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.runner.rollout import resolve_env_for_seed

from daf.deployment import coworld, package
from daf.deployment._coworld_requirements import requirement_lines
from daf.deployment.coworld import file_bytes, package_player
from daf.errors import PackagingError
from daf.game import missions
from daf.game.coworld import __main__ as bridge
from daf.game.coworld import episode
from daf.game.coworld.seat import PlayerError, Seat
from daf.policies.cartographer import CartographerPolicy
from tests.conftest import DafCall, made_once
from tests.deployment.coworld_game import TOKEN, Game, Variant, played_alone, playing

POLICY = """
import threading

from mettagrid.policy.policy import AgentPolicy, MultiAgentPolicy
from mettagrid.simulator import Action

GO = threading.Event()
GO.set()
BUSY = threading.Event()
DONE = threading.Event()


class Agent(AgentPolicy):
    def __init__(self, env, how):
        super().__init__(env)
        self.how, self.count = how, 0

    def step(self, obs):
        self.count += 1
        self._infos = {"count": self.count, "odd": object, "nan": float("nan")}
        if self.how == "late" and self.count == 2:
            BUSY.set()
            GO.wait(60)
            DONE.set()
        if self.how == "raises" and self.count == 2:
            raise SystemExit("I give up")
        if self.how == "nonsense" and self.count == 2:
            return Action(name="fly_to_the_moon")
        return Action(name="move_north")


class Policy(MultiAgentPolicy):
    def __init__(self, env, device="cpu", how="good"):
        super().__init__(env, device=device)
        self.how = how
        if how == "unbuildable":
            raise ValueError("no such moon")

    def agent_policy(self, agent_id):
        return Agent(self._policy_env_info, self.how)
"""


def env_of(text: str) -> Any:
    return resolve_env_for_seed(missions.resolve(text)[0].config, 3)


def folder_of(tmp_path: Path, how: str, name: str = "stub_policy") -> Path:
    folder = tmp_path / "bundle" / "src"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(POLICY)
    spec = {"class_path": f"{name}.Policy", "data_path": None, "init_kwargs": {"how": how}, "setup_script": None}
    (folder.parent / "policy_spec.json").write_text(json.dumps(spec))
    return folder.parent


def in_a_thread[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Its result. The browser of other tests has a running loop in this thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def main_of(bundle: Path) -> int:
    """The exit code of the bridge's program, in another thread for the same reason."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(bridge.main, bundle).result()


def play_all(game: Game, bundle: Path, slots: int = 1) -> list[int]:
    """Exit codes of one bridge per slot, all in this process."""

    async def run() -> list[int]:
        seats = [Seat(bundle) for _ in range(slots)]
        return await asyncio.gather(*(bridge.play(game.address(slot), seat) for slot, seat in enumerate(seats)))

    return in_a_thread(run())


@pytest.fixture(autouse=True)
def _without_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a policy may need longer than the 0.1 s of the protocol."""
    assert episode.ANSWER_SECONDS < 0.1
    monkeypatch.setattr(episode, "ANSWER_SECONDS", 30.0)


@pytest.fixture(scope="session")
def project() -> Path:
    """The project of cartographer; tests only read it."""
    made = made_once(
        "coworld-project", lambda folder: [folder.mkdir(), package_player("cartographer", folder / "made")]
    )
    return made / "made"


# whole episodes


@pytest.mark.parametrize("variant", ["mission", "connection"])
def test_the_bridge_plays_the_actions_that_the_policy_plays_in_the_simulator(project: Path, variant: Variant) -> None:
    env = env_of("arena,cogs=1,max_steps=60")
    wanted, rewards = played_alone(env, CartographerPolicy(PolicyEnvInterface.from_mg_cfg(env)))
    odd = ["no json", "[1]", '{"type": "weather"}', '{"kind": "x"}']
    with playing(Game(env, variant, odd=odd)) as game:
        assert play_all(game, project / "policy") == [0]
    assert game.names() == wanted
    assert game.rewards == rewards
    assert len(set(wanted[0])) > 2
    assert [answer["request_id"] for answer in game.answers[0]] == [f"step-{step}" for step in range(60)]
    assert {answer["type"] for answer in game.answers[0]} == {"action"}


def test_players_of_one_episode_are_apart(tmp_path: Path) -> None:
    from cogames.policy.starter_agent import StarterPolicy

    env = env_of("arena,cogs=4,max_steps=25")
    made = package("starter", tmp_path / "starter.zip")
    shutil.unpack_archive(made.path, tmp_path / "starter")
    wanted, _ = played_alone(env, StarterPolicy(PolicyEnvInterface.from_mg_cfg(env)))
    with playing(Game(env)) as game:
        assert play_all(game, tmp_path / "starter", slots=4) == [0] * 4
    assert game.names() == wanted
    assert wanted[0] != wanted[1]


def test_the_container_s_program_plays_an_episode_and_exits_with_0(project: Path) -> None:
    env = env_of("arena,cogs=1,max_steps=20")
    with playing(Game(env)) as game:
        done = subprocess.run(
            [sys.executable, "-m", "coworld_bridge"], cwd=project, env={**os.environ, bridge.ADDRESS: game.address(0)},
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "the episode is over: 20 observations, " in done.stderr
    assert TOKEN not in done.stderr
    assert len(game.answers[0]) == 20


# policies that misbehave


def test_a_late_policy_answers_noop_and_is_heard_again_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(episode, "ANSWER_SECONDS", 1.0)
    bundle = folder_of(tmp_path, "late", "late_policy")
    with playing(Game(env_of("arena,cogs=1,max_steps=10"))) as game:
        seat = Seat(bundle)
        stub = sys.modules["late_policy"]
        stub.GO.clear()
        answered_meanwhile = 0

        def release(step: int) -> None:
            nonlocal answered_meanwhile
            if stub.BUSY.is_set() and not stub.GO.is_set():
                answered_meanwhile += 1
                if answered_meanwhile == 3:
                    stub.GO.set()
                    stub.DONE.wait(60)

        game.before = release
        assert in_a_thread(bridge.play(game.address(0), seat)) == 0
    names = "".join("." if name == "noop" else "m" for name in game.names()[0])
    assert "..." in names
    assert names.endswith("m")
    assert len(names) == 10


@pytest.mark.parametrize(
    ("how", "part"), [("raises", "I give up"), ("nonsense", "'fly_to_the_moon', which the game does not have")]
)
def test_an_error_of_the_policy_is_printed_and_answered_with_noop(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], how: str, part: str
) -> None:
    with playing(Game(env_of("arena,cogs=1,max_steps=4"))) as game:
        assert play_all(game, folder_of(tmp_path, how)) == [0]
    assert game.names()[0].count("noop") >= 1
    assert game.names()[0][1] == "noop"
    said = capfd.readouterr().err
    assert part in said
    assert "1 failed" in said


def test_infos_that_are_not_json_are_made_so(tmp_path: Path) -> None:
    with playing(Game(env_of("arena,cogs=1,max_steps=3"))) as game:
        play_all(game, folder_of(tmp_path, "good"))
    infos = game.answers[0][-1]["policy_infos"]
    assert infos["count"] == 3
    assert "nan" not in infos


def test_a_policy_that_can_t_be_built_ends_the_player_with_its_error(tmp_path: Path) -> None:
    with playing(Game(env_of("arena,cogs=1,max_steps=50"))) as game, pytest.raises(PlayerError, match="no such moon"):
        play_all(game, folder_of(tmp_path, "unbuildable"))


def test_a_policy_that_can_t_be_imported_ends_the_player_before_it_connects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = folder_of(tmp_path, "good")
    (bundle / "policy_spec.json").write_text(json.dumps({"class_path": "no_such_module.Policy"}))
    monkeypatch.setenv(bridge.ADDRESS, "ws://127.0.0.1:9/")
    assert main_of(bundle) == 1
    assert "the policy no_such_module.Policy can't be imported" in capfd.readouterr().err


# the connection


@pytest.mark.parametrize(("ending", "part"), [("close", "without a final message"), ("cut", "was lost")])
def test_an_episode_without_a_final_message_ends_with_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], ending: Any, part: str
) -> None:
    with playing(Game(env_of("arena,cogs=1,max_steps=3"), ending=ending)) as game:
        monkeypatch.setenv(bridge.ADDRESS, game.address(0))
        assert main_of(folder_of(tmp_path, "good")) == (0 if ending == "close" else 1)
    said = capfd.readouterr().err
    assert part in said
    assert TOKEN not in said


def test_without_a_game_the_player_gives_up_and_keeps_the_token_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = folder_of(tmp_path, "good")
    monkeypatch.setattr(bridge, "CONNECT_SECONDS", 0.2)
    for address in (f"ws://127.0.0.1:9/player?token={TOKEN}", f"no address {TOKEN}"):
        monkeypatch.setenv(bridge.ADDRESS, address)
        assert main_of(bundle) == 1
    monkeypatch.delenv(bridge.ADDRESS)
    assert main_of(bundle) == 2
    said = capfd.readouterr().err
    assert "can't connect to the game at 127.0.0.1: ConnectionRefusedError" in said
    assert f"{bridge.ADDRESS} is not set" in said
    assert TOKEN not in said


def test_a_game_that_listens_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = threading.Event()
    connect = bridge.websockets.connect

    async def spied(address: str, **options: Any) -> Any:
        try:
            return await connect(address, **options)
        except OSError:
            refused.set()
            raise

    monkeypatch.setattr(bridge.websockets, "connect", spied)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    game = Game(env_of("arena,cogs=1,max_steps=2"), port=port)
    seat, codes = Seat(folder_of(tmp_path, "good")), []
    thread = threading.Thread(target=lambda: codes.append(asyncio.run(bridge.play(game.address(0), seat))))
    thread.start()
    assert refused.wait(60)
    with playing(game):
        thread.join(60)
    assert codes == [0]


def test_keep_alive_is_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    connect = bridge.websockets.connect

    def spied(address: str, **options: Any) -> Any:
        seen.append(options)
        return connect(address, **options)

    monkeypatch.setattr(bridge.websockets, "connect", spied)
    with playing(Game(env_of("arena,cogs=1,max_steps=2"))) as game:
        play_all(game, folder_of(tmp_path, "good"))
    assert seen[0]["ping_timeout"] is None
    assert seen[0]["ping_interval"] is None


# the project


def test_a_project_has_an_image_with_pinned_packages_and_the_bundle(project: Path) -> None:
    assert {path.name for path in project.iterdir()} == {
        "Dockerfile",
        "README.md",
        "coworld_bridge",
        "policy",
        "requirements.txt",
    }
    docker = (project / "Dockerfile").read_text()
    assert docker.startswith("FROM --platform=linux/amd64 python:3.12.12-slim-bookworm\n")
    assert 'CMD ["python", "-m", "coworld_bridge"]' in docker
    lines = (project / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in lines)
    names = {line.partition("==")[0] for line in lines}
    assert {"mettagrid", "websockets", "numpy"} <= names
    assert not names & {"daf", "cogames", "torch"}
    assert json.loads((project / "policy" / "policy_spec.json").read_text())["class_path"].endswith(
        "CartographerPolicy"
    )


def test_the_same_policy_makes_the_same_project(project: Path, tmp_path: Path) -> None:
    made = package_player("cartographer", tmp_path / "again")
    wanted = {path.relative_to(project): path.read_bytes() for path in project.rglob("*") if path.is_file()}
    found = {path.relative_to(made.path): path.read_bytes() for path in made.path.rglob("*") if path.is_file()}
    wanted = {name: content for name, content in wanted.items() if "__pycache__" not in name.parts}
    assert found == wanted


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_torch_is_the_build_for_cpus() -> None:
    lines = requirement_lines(["torch", "no-such-package"])
    assert lines[0] == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert any(line.startswith("torch==2.9.0+cpu") for line in lines)
    assert "no-such-package" in lines
    assert not any(line.startswith(("nvidia", "triton")) for line in lines)


@pytest.mark.thorough
def test_a_network_needs_torch_and_more_memory(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    made = package_player("lstm", tmp_path / "lstm")
    assert "torch==2.9.0+cpu" in (made.path / "requirements.txt").read_text().splitlines()
    assert any("--memory 1Gi" in warning for warning in made.warnings)
    assert "--memory 1Gi" in (made.path / "README.md").read_text()


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(PackagingError, match="exists, so it is not replaced"):
        package_player("noop", tmp_path / "mine")
    (tmp_path / "mine.zip").write_text("mine")
    with pytest.raises(PackagingError, match="is not a zip file, so it is not replaced"):
        package_player("noop", tmp_path / "mine.zip")


# the file


def test_a_file_is_the_directory_as_coworld_packs_it(tmp_path: Path) -> None:
    made = package_player("cartographer", tmp_path / "made.zip")
    # A new project: players that ran in the shared one left bytecode in it.
    assert made.path.read_bytes() == file_bytes(package_player("cartographer", tmp_path / "project").path / "policy")
    with zipfile.ZipFile(made.path) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(
        (entry.filename for entry in entries), key=lambda name: Path(name).parts
    )
    assert {(entry.date_time, entry.external_attr, entry.compress_type) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o644 << 16, zipfile.ZIP_DEFLATED)
    }
    assert "is the game's" in made.sentence()


def test_a_file_above_coworld_s_limit_is_refused_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coworld, "MOST_FILE_BYTES", 100)
    with pytest.raises(PackagingError, match=r"too many for a file upload: Coworld takes at most 100\. .* -o DIR"):
        package_player("noop", tmp_path / "made.zip")
    assert not (tmp_path / "made.zip").exists()


@pytest.mark.slow
def test_a_file_has_the_bytes_of_coworld_s_own_tool(project: Path, tmp_path: Path) -> None:
    """Needs the network: coworld can't be installed next to DAF."""
    uv = next((found for name in ("uv", ".tools/bin/uv") if (found := shutil.which(name))), None)
    if uv is None:
        pytest.skip("uv is not installed")
    folder = tmp_path / "policy"
    shutil.copytree(project / "policy", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "a").mkdir()
    (folder / "a" / "z.txt").write_text("z" * 1000)
    (folder / "a-b.txt").write_text("sorted by parts, not by text")
    code = (
        "import sys, pathlib; from coworld.player_files import player_file_bytes; "
        "sys.stdout.buffer.write(player_file_bytes(pathlib.Path(sys.argv[1])))"
    )
    command = [uv, "tool", "run", "--python", sys.executable, "--from", "coworld==0.1.64", "python", "-c", code]
    theirs = subprocess.run([*command, str(folder)], capture_output=True, check=True, timeout=280).stdout
    assert theirs == file_bytes(folder)
    assert zipfile.is_zipfile(io.BytesIO(theirs))


# the command


def test_the_command_writes_a_project_whose_set_up_script_runs_when_the_image_is_built(
    tmp_path: Path, daf_call: DafCall
) -> None:
    (tmp_path / "prepare.py").write_text("print('ready')\n")
    target = tmp_path / "player"
    target.mkdir()
    done = daf_call("package", "--format", "coworld", "-p", "noop", "--set-up", tmp_path / "prepare.py", "-o", target)
    assert done.returncode == 0, done.stderr
    assert f"docker build --platform linux/amd64 -t noop {target}" in done.stdout
    docker = (target / "Dockerfile").read_text()
    assert 'WORKDIR /player/policy\nRUN ["python", "prepare.py"]\nWORKDIR /player\n' in docker


def test_the_command_writes_a_file(tmp_path: Path, daf_call: DafCall) -> None:
    done = daf_call("package", "--format", "coworld", "-p", "noop", "-o", tmp_path / "player.zip", "--json")
    answer = json.loads(done.stdout)
    assert (answer["status"], answer["player"]["kind"]) == ("ok", "file")


def test_an_unknown_format_is_a_usage_error(daf_call: DafCall) -> None:
    done = daf_call("package", "--format", "docker", "-p", "noop")
    assert done.returncode == 2
    assert "bundle, coworld" in done.stderr
