"""`daf serve`: what upstream's client gets from it, what ends an episode and what doesn't, and who may connect."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.runner.policy_server.websocket_transport import PolicyStepError, WebSocketPolicyServerClient
from mettagrid.runner.rollout import single_episode_rollout
from mettagrid.runner.types import PureSingleEpisodeResult
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from daf.deployment import PolicyServer, ServedEpisode, ServeSettings, package, serving_records
from daf.errors import PolicyError, StorageError, UsageError
from daf.game import policies
from daf.game.missions import resolve as resolve_mission
from daf.game.rollout import Game, Play, play
from daf.game.simulation import with_map_seed
from tests.conftest import SMALLEST, DafCall
from tests.game.test_bundles import zipped
from tests.game.test_policy_files import MY_POLICY, written
from tests.registry.releasing import put_live

SEED = 5
Serve = Callable[..., PolicyServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers of a policy on a free port, and stops them."""
    servers: list[PolicyServer] = []

    def started(policy: object, **settings: Any) -> PolicyServer:
        chosen = ServeSettings(**{"port": 0, "reload_seconds": 0, "grace_seconds": 5, **settings})
        run_dir = tmp_path / f"run{len(servers)}"
        server = PolicyServer(str(policy), chosen, run_dir=run_dir, runs=tmp_path / "out", cache=tmp_path / "cache")
        servers.append(server)
        server.start()
        return server

    yield started
    for server in servers:
        server.stop(grace_seconds=0)


def episodes_of(server: PolicyServer) -> list[ServedEpisode]:
    """What it recorded, after it stopped."""
    server.stop()
    return serving_records.read(server.journal)


def environment() -> Any:
    return with_map_seed(resolve_mission(SMALLEST)[0].config, SEED)


def client_of(url: str) -> WebSocketPolicyServerClient:
    """Upstream's client, connected, for every agent."""
    env = environment()
    agents = list(range(env.game.num_agents))
    return WebSocketPolicyServerClient(PolicyEnvInterface.from_mg_cfg(env), url=url, agent_ids=agents)


def played_through(url: str) -> PureSingleEpisodeResult:
    """An episode by upstream's rollout and client."""
    env = environment()
    with client_of(url) as client:
        result, _ = single_episode_rollout(
            [client], [0] * env.game.num_agents, env, seed=SEED, max_action_time_ms=10_000, render_mode="none",
            autostart=False, capture_replay=False,
        )  # fmt: skip
    return result


def assert_as_local(result: PureSingleEpisodeResult, policy: object, cache: Path) -> None:
    mission = resolve_mission(SMALLEST)[0]
    resolved = policies.resolve(str(policy), cache=cache)
    outcome = play(Play(Game(mission.config), (resolved,), (0,) * mission.num_agents, SEED)).outcome
    assert tuple(result.rewards) == outcome.rewards
    assert result.stats["game"] == outcome.game_stats
    assert tuple(result.stats["agent"]) == outcome.agent_stats


def move_policy(path: Path, direction: str) -> Path:
    """A bundle whose agents go one way."""
    files = {
        "policy_spec.json": json.dumps({"class_path": "moving.MyPolicy"}),
        "moving.py": MY_POLICY.replace("from helper_of_mine import ACTION", f"ACTION = 'move_{direction}'"),
    }
    return zipped(path, files)


def direction(client: WebSocketPolicyServerClient) -> str:
    """What agent 0 does now."""
    from mettagrid.simulator import AgentObservation

    return str(client.step_agents([(0, AgentObservation(agent_id=0, tokens=[]))])[0].name)


# what plays


@pytest.mark.parametrize("policy", ["starter", "cartographer", "file"])
def test_an_episode_through_upstreams_client_is_the_local_one(tmp_path: Path, serve: Serve, policy: str) -> None:
    source = written(tmp_path / "code", "move_east") if policy == "file" else policy
    server = serve(source)
    assert_as_local(played_through(server.url), source, tmp_path / "cache")
    (episode,) = episodes_of(server)
    assert (episode["end"], episode["agents"]) == ("closed", environment().game.num_agents)
    assert episode["steps"] == sum(episode["counts"].values()) == 20
    assert 0 < episode["step_ms"]["p50"] <= episode["step_ms"]["p99"] <= episode["step_ms"]["max"] * 1.03
    assert serving_records.step_quantile([episode], 0.5) == pytest.approx(episode["step_ms"]["p50"], rel=1e-3, abs=1e-3)


def test_a_policy_that_changes_its_tokens_plays_as_locally(tmp_path: Path, serve: Serve) -> None:
    code = MY_POLICY.replace("from helper_of_mine import ACTION", "ACTION = 'move_south'").replace(
        "        return Action",
        "        for token in obs.tokens:\n            token.value = 0\n        return Action",
    )
    (tmp_path / "changing.py").write_text(code)
    server = serve(tmp_path / "changing.py")
    for _ in range(2):
        assert_as_local(played_through(server.url), tmp_path / "changing.py", tmp_path / "cache")


def test_sessions_with_the_same_episode_id_do_not_mix(serve: Serve) -> None:
    server = serve("cartographer")
    alone = played_through(server.url)
    with client_of(server.url) as other:
        direction(other)
        again = played_through(server.url)
        direction(other)
    assert again == alone
    assert [episode["end"] for episode in episodes_of(server)] == ["closed"] * 3


def test_the_server_survives_clients_that_vanish_and_policies_that_fail(
    tmp_path: Path, serve: Serve, bad_policies: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(f"{bad_policies}.Raises")
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\n")
    vanished = client_of(server.url)
    vanished._ws.socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises(PolicyStepError):
        played_through(server.url)
    with (
        closing(client_of(server.url)) as client,
        pytest.raises(ConnectionClosed, match=r"1011.*RuntimeError: I give up"),
    ):
        direction(client)
    ends = [(episode["end"], episode["error"]) for episode in episodes_of(server)]
    assert sorted(ends, key=str) == [("failed", "RuntimeError: I give up")] * 2 + [("lost", None)]
    assert serving_records.error_rate(serving_records.read(server.journal)) == pytest.approx(2 / 3)
    assert "I give up" in caplog.text


@pytest.mark.parametrize(("name", "reason"), [
    ("Exits", "SystemExit: 3"),
    ("Nonsense", "agent 0 chose .*fly_to_the_moon"),
    ("Unbuildable", "no such moon"),
])  # fmt: skip
def test_what_the_policy_did_wrong_is_the_reason_of_the_close(
    serve: Serve, bad_policies: str, name: str, reason: str
) -> None:
    server = serve(f"{bad_policies}.{name}")
    with pytest.raises(ConnectionClosed, match=reason), client_of(server.url) as client:
        direction(client)
    assert [episode["end"] for episode in episodes_of(server)] == ["failed"]


# limits


@pytest.mark.parametrize(("message", "code"), [
    ("{", 1008),
    ('{"unknown_field": 1}', 1008),
    ("{}", 1008),
    (b"\x00", 1008),
    ("x" * (1 << 21), 1009),
])  # fmt: skip
def test_what_breaks_the_protocol_is_refused_with_the_reason(serve: Serve, message: str | bytes, code: int) -> None:
    server = serve("starter", max_message_mib=1)
    with connect(server.url) as websocket:
        websocket.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code
    assert closed.value.rcvd.reason
    assert [episode["end"] for episode in episodes_of(server)] == ["refused"]


def test_batches_of_another_episode_and_of_unknown_agents_are_refused(serve: Serve) -> None:
    from mettagrid.protobuf.sim.policy_v1 import policy_pb2

    server = serve("starter")
    for message, reason in [
        (policy_pb2.BatchStepRequest(episode_id="other").SerializeToString(), "is for episode 'other'"),
        (b"\xff\xff", "not a BatchStepRequest"),
        ("text", "must be binary"),
        (policy_pb2.BatchStepRequest(
            episode_id="ws-episode", agent_observations=[policy_pb2.AgentObservations(agent_id=99)]
        ).SerializeToString(), "agent 99, which was not prepared"),
    ]:  # fmt: skip
        with closing(client_of(server.url)) as client:
            client._ws.send(message)
            with pytest.raises(ConnectionClosed, match=reason):
                client._ws.recv(timeout=10)


def test_a_full_server_asks_to_try_again_and_silent_clients_make_room(serve: Serve) -> None:
    server = serve("starter", max_sessions=1, idle_seconds=0.3)
    with closing(client_of(server.url)) as silent:
        with pytest.raises(ConnectionClosed, match="has 1 sessions: try again later"):
            client_of(server.url)
        with pytest.raises(ConnectionClosed, match=r"silent for 0\.3 s"):
            silent._ws.recv(timeout=10)
    assert [episode["end"] for episode in episodes_of(server)] == ["stopped"]
    assert 'refused_total{reason="full"} 1' in server.metrics.text({})


@pytest.mark.parametrize(("settings", "reason"), [
    ({"max_sessions": 0}, "--max-sessions must be at least 1"),
    ({"idle_seconds": 0}, "--idle must be above 0"),
    ({"port": 70_000}, "--port must be from 0"),
    ({"host": "0.0.0.0"}, "clients must have a token"),
])  # fmt: skip
def test_settings_out_of_bounds_are_refused(serve: Serve, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        serve("starter", **settings)


# access


def fetched(url: str, path: str, token: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url.replace("ws://", "http://") + path)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_only_clients_with_the_token_play_and_it_is_written_nowhere(
    tmp_path: Path, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = "a-token-of-more-than-16"
    server = serve("starter", token=token)
    assert token in server.url
    with caplog.filtering(lambda record: not record.name.startswith(("mettagrid", "websockets.client"))):
        played_through(server.url)  # upstream's client logs the URL, ours must not
    for url in (server.address, server.url.replace(token, "another-token-instead")):
        with pytest.raises(InvalidStatus) as refused:
            client_of(url)
        assert refused.value.response.status_code == 401
    assert fetched(server.address, "/health") == (200, '{"status": "ok"}')
    assert fetched(server.address, "/metrics")[0] == 401
    status, text = fetched(server.address, "/metrics", token)
    assert status == 200
    assert 'daf_serve_refused_total{reason="token"} 3' in text
    assert [episode["end"] for episode in episodes_of(server)] == ["closed"]
    assert token not in server.journal.read_text()
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("daf")]
    assert not [line for line in logged if token in line]


def test_a_page_in_a_browser_cannot_connect(serve: Serve) -> None:
    server = serve("starter")
    with pytest.raises(InvalidStatus) as refused, connect(server.url, origin="http://evil.example"):  # type: ignore[arg-type]
        pass
    assert refused.value.response.status_code == 403


def test_health_and_metrics_answer_while_episodes_run(serve: Serve) -> None:
    server = serve("starter")
    with client_of(server.url) as client:
        direction(client)
        assert fetched(server.url, "/health") == (200, '{"status": "ok"}')
        text = fetched(server.url, "/metrics")[1]
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["daf_serve_sessions"] == "1"
    assert values["daf_serve_step_seconds_count"] == values['daf_serve_step_seconds_bucket{le="+Inf"}'] == "1"
    assert float(values["daf_serve_resident_memory_bytes"]) > 2**20
    assert 'daf_serve_policy_info{policy="starter",release="",sha256=""}' in values
    assert fetched(server.url, "/elsewhere")[0] == 404


# other versions


def test_new_sessions_get_a_replaced_bundle_and_running_ones_keep_theirs(tmp_path: Path, serve: Serve) -> None:
    path = move_policy(tmp_path / "b.zip", "north")
    server = serve(path)
    first = server.served.sha256
    with client_of(server.url) as old:
        assert direction(old) == "move_north"
        move_policy(tmp_path / "new.zip", "south").replace(path)
        assert server.reload()
        with client_of(server.url) as new:
            assert (direction(old), direction(new)) == ("move_north", "move_south")
        (tmp_path / "broken.zip").write_bytes(b"PK broken")
        (tmp_path / "broken.zip").replace(path)
        assert not server.reload()
        with client_of(server.url) as still:
            assert direction(still) == "move_south"
    hashes = Counter(episode["sha256"] for episode in episodes_of(server))
    assert sorted(hashes.values()) == [1, 2]
    assert hashes[first] == 1


def test_a_new_live_release_is_noticed(tmp_path: Path, serve: Serve) -> None:
    from daf.registry import FolderRegistry

    registry = FolderRegistry(tmp_path / "registry")
    put_live(registry, move_policy(tmp_path / "north.zip", "north"), "1.0.0")
    server = serve(f"release:walker,registry={tmp_path / 'registry'}", reload_seconds=0.05)
    assert server.served.release == "walker@1.0.0"
    put_live(registry, move_policy(tmp_path / "south.zip", "south"), "1.1.0")
    waited = time.monotonic() + 30
    while server.served.release != "walker@1.1.0" and time.monotonic() < waited:
        time.sleep(0.02)
    with client_of(server.url) as client:
        assert direction(client) == "move_south"
    assert [episode["release"] for episode in episodes_of(server)] == ["walker@1.1.0"]


# the command


def test_a_port_in_use_and_an_unknown_policy_end_the_command(tmp_path: Path, daf_call: DafCall) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        called = daf_call("serve", "starter", "--port", taken.getsockname()[1], "--output-dir", tmp_path)
    assert called.returncode == 1
    assert "is in use. Choose another with --port, or 0 for any." in called.stderr
    called = daf_call("serve", "no_such_policy", "--port", "0", "--output-dir", tmp_path)
    assert called.returncode == 2
    (tmp_path / "token.txt").write_text("short\n")
    called = daf_call("serve", "starter", "--token-file", tmp_path / "token.txt", "--json")
    assert called.returncode == 2
    assert "must have at least 16 characters" in json.loads(called.stdout)["error"]["message"]
    assert "short" not in called.stdout + called.stderr


def test_signals_stop_the_command_when_running_episodes_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "daf", "serve", "starter", "--port", "0", "--json", "--output-dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert facts["status"] == "running"
        with client_of(facts["url"]) as running:
            direction(running)
            os.kill(process.pid, signal.SIGTERM)
            waited = time.monotonic() + 30
            while fetched(facts["url"], "/health")[0] != 503 and time.monotonic() < waited:
                time.sleep(0.02)
            with pytest.raises(InvalidStatus):
                client_of(facts["url"])
            direction(running)  # its episode goes on
            os.kill(process.pid, signal.SIGINT)  # a second signal ends it
            with pytest.raises(ConnectionClosed, match=r"1001.*the server stops"):
                running._ws.recv(timeout=20)
        assert process.wait(timeout=30) == 0
    (episode,) = serving_records.read(Path(facts["run_dir"]))
    assert (episode["end"], episode["steps"]) == ("stopped", 2)
    log = json.loads((Path(facts["run_dir"]) / "execution_log.json").read_text())
    assert log["status"] == "completed"


def test_errors_of_policies_and_ports_have_their_classes(tmp_path: Path, serve: Serve) -> None:
    with pytest.raises(PolicyError):
        serve(tmp_path / "none.zip")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StorageError):
        serve("starter", port=taken.getsockname()[1])


def test_a_packed_bundle_serves_as_its_source(tmp_path: Path, serve: Serve) -> None:
    source = written(tmp_path / "code", "move_west")
    made = package(str(source), tmp_path / "b.zip")
    server = serve(made.path)
    assert server.served.sha256 == made.sha256
    assert_as_local(played_through(server.url), source, tmp_path / "cache")
