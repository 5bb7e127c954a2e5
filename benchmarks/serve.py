"""How fast `daf serve` answers, compared with mettagrid's own policy server, and whether its memory stays flat.

    python benchmarks/serve.py [--quick]

Each server runs in a separate process and serves the same policy. The messages of one episode on arena (8 agents,
recorded once with upstream's client) are sent to one and then to the other, so that both do the same work at the same
time; a server of mettagrid ends with its first connection and is started again for each round. A step is timed from
sending a batch to receiving the actions. Sessions are clients in separate processes, all at once. Memory is the
server's resident memory after sessions of one step each.
"""

import argparse
import json
import logging
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np
from websockets.sync.client import connect

MISSION = "arena,max_steps=500"
POLICIES = ("starter", "cartographer")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the policy server.")
    parser.add_argument("--quick", action="store_true", help="one round, 300 sessions")
    quick = parser.parse_args().quick
    logging.disable(logging.INFO)
    os.environ["EPISODE_RUNNER_USE_ISOLATED_VENVS"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        messages = Path(folder, "messages.json")
        subprocess.run([sys.executable, "-c", RECORD, MISSION, str(messages)], check=True)
        recorded = json.loads(messages.read_text())
        prepare, batches = recorded["prepare"], [bytes.fromhex(batch) for batch in recorded["batches"]]
        for policy in POLICIES:
            compare(policy, prepare, batches, rounds=1 if quick else 5, folder=folder)
        several(prepare, batches, (1, 4) if quick else (1, 2, 4, 8, 16), folder)
        memory(prepare, batches[0], 300 if quick else 10_000, folder)


RECORD = """
import json, sys
from pathlib import Path
from daf.game import compat, policies
from daf.game.missions import resolve
from daf.game.policy_session import PolicySession
from daf.game.simulation import with_map_seed
from mettagrid.policy.policy_env_interface import PolicyEnvInterface
from mettagrid.runner.policy_server import websocket_transport
from mettagrid.runner.rollout import single_episode_rollout

compat.install()


class Recorder:
    def __init__(self):
        self.sent, self.session = [], None

    def send(self, message):
        self.sent.append(message)
        if self.session is None:
            self.session = PolicySession(policies.resolve("starter", cache=Path(sys.argv[2]).parent), message)
            self.answer = "{}"
        else:
            self.answer = self.session.step(message)

    def recv(self, timeout=None):
        return self.answer

    def close(self):
        pass


recorder = Recorder()
websocket_transport.ws_connect = lambda *_, **__: recorder
env = with_map_seed(resolve(sys.argv[1])[0].config, 1)
agents = env.game.num_agents
interface = PolicyEnvInterface.from_mg_cfg(env)
client = websocket_transport.WebSocketPolicyServerClient(interface, url="", agent_ids=list(range(agents)))
single_episode_rollout([client], [0] * agents, env, seed=1, max_action_time_ms=10_000, render_mode="none",
                       autostart=False, capture_replay=False)
prepare, *batches = recorder.sent
Path(sys.argv[2]).write_text(json.dumps({"prepare": prepare, "batches": [batch.hex() for batch in batches]}))
"""


@contextmanager
def served(policy: str, folder: str) -> Iterator[str]:
    """The URL of `daf serve`."""
    command = [sys.executable, "-m", "daf", "serve", policy, "--port", "0", "--json", "--quiet", "--output-dir", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


@contextmanager
def served_upstream(policy: str) -> Iterator[str]:
    """The URL of mettagrid's server; `cartographer` by its class path."""
    from mettagrid.runner.policy_server.manager import launch_local_policy_server

    from daf.game.known_policies import KNOWN

    handle = launch_local_policy_server(f"metta://policy/{KNOWN[policy].class_path}")
    try:
        yield handle.base_url
    finally:
        handle.shutdown()


def play(url: str, prepare: str, batches: list[bytes]) -> tuple[float, list[float]]:
    """Milliseconds of the first message, and of each step."""
    with connect(url) as websocket:
        started = perf_counter()
        websocket.send(prepare)
        websocket.recv()
        prepared = (perf_counter() - started) * 1e3
        times = []
        for batch in batches:
            started = perf_counter()
            websocket.send(batch)
            websocket.recv()
            times.append((perf_counter() - started) * 1e3)
    return prepared, times


def compare(policy: str, prepare: str, batches: list[bytes], *, rounds: int, folder: str) -> None:
    """Print p50 and p99 of both servers; every batch goes to one, then to the other."""
    ours: list[float] = []
    theirs: list[float] = []
    ratios = []
    with served(policy, folder) as url:
        play(url, prepare, batches[:50])
        for _ in range(rounds):
            with served_upstream(policy) as upstream, connect(upstream) as their_socket, connect(url) as our_socket:
                for socket in (their_socket, our_socket):
                    socket.send(prepare)
                    socket.recv()
                theirs_now, ours_now = [], []
                for batch in batches:
                    for socket, times in ((their_socket, theirs_now), (our_socket, ours_now)):
                        started = perf_counter()
                        socket.send(batch)
                        socket.recv()
                        times.append((perf_counter() - started) * 1e3)
            ratios.append(float(np.median(theirs_now) / np.median(ours_now)))
            ours += ours_now
            theirs += theirs_now
    low, high = min(ratios), max(ratios)
    for name, times in (("mettagrid", theirs), ("daf serve", ours)):
        p50, p99 = np.quantile(times, [0.5, 0.99])
        print(f"{policy:13} {name:10} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  ({len(times):,} steps)")
    p99 = float(np.quantile(theirs, 0.99) / np.quantile(ours, 0.99))
    print(f"{policy:13} mettagrid / daf serve: p50 {np.median(ratios):.1f} ({low:.1f} to {high:.1f}), p99 {p99:.1f}")


def _client(
    url: str, prepare: str, batches: list[bytes], go: "multiprocessing.synchronize.Barrier"
) -> tuple[float, float, list[float]]:
    """When it started and ended, and the milliseconds of each step."""
    go.wait()
    started = perf_counter()
    times = play(url, prepare, batches)[1]
    return started, perf_counter(), times


def several(prepare: str, batches: list[bytes], counts: tuple[int, ...], folder: str) -> None:
    """Print steps per second and latency with many sessions at once."""
    with served("starter", folder) as url:
        for count in counts:
            with multiprocessing.Manager() as manager, multiprocessing.Pool(count) as pool:
                go = manager.Barrier(count)
                jobs = [pool.apply_async(_client, (url, prepare, batches, go)) for _ in range(count)]
                done = [job.get(timeout=600) for job in jobs]
            times = [each for _, _, times in done for each in times]
            seconds = max(ended for _, ended, _ in done) - min(started for started, _, _ in done)
            p50, p99 = np.quantile(times, [0.5, 0.99])
            print(f"{count:2} sessions: {len(times) / seconds:6,.0f} steps/s  p50 {p50:6.2f} ms  p99 {p99:7.2f} ms")


def memory(prepare: str, batch: bytes, sessions: int, folder: str) -> None:
    """Print the server's memory while sessions of one step come and go."""
    with served("starter", folder) as url:
        marks = []
        for number in range(1, sessions + 1):
            play(url, prepare, [batch])
            if number % max(1, sessions // 10) == 0:
                with urllib.request.urlopen(url.replace("ws://", "http://") + "/metrics") as answer:
                    text = answer.read().decode()
                found = re.search(r"^daf_serve_resident_memory_bytes (\d+)", text, re.MULTILINE)
                assert found is not None
                marks.append(int(found[1]) / 2**20)
                print(f"after {number:6,} sessions: {marks[-1]:.1f} MiB", flush=True)
        print(f"from session {sessions // 10:,} to {sessions:,}: {marks[-1] - marks[0]:+.1f} MiB")


if __name__ == "__main__":
    main()
