"""The job that `cogames validate-bundle` runs in its container, in this process.

CoGames' own code writes the job (10 steps, every agent is the policy), loads the bundle, serves it, plays against the
server, and judges the result. What differs from the container: the server is a thread, so that the reason of a failure
is known; the policy's set-up script must have been run before.

Called in a separate process only: `daf.game.isolated.call(play_job, …)`.
"""

import logging
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from daf.errors import PolicyError
from daf.game import compat

_FEW_WORDS = 600


@dataclass(frozen=True, slots=True)
class JobRequest:
    """bundle: its folder. config: of the mission, as JSON."""

    bundle: Path
    config: bytes


def play_job(request: JobRequest) -> dict[str, Any]:
    """The steps played, the actions of agent 0 other than noop, time-outs, and the milliseconds of each step.

    Raises `PolicyError` if CoGames rejects the bundle, with the reason.
    """
    compat.without_torch()  # where torch is missing, CoGames' container has it
    import typer
    from cogames.cli.submit import _check_results, _validation_job_spec
    from mettagrid.policy.policy_env_interface import PolicyEnvInterface
    from mettagrid.runner.policy_server.websocket_transport import WebSocketPolicyServer, WebSocketPolicyServerClient
    from mettagrid.runner.rollout import resolve_env_for_seed, single_episode_rollout
    from mettagrid.runner.types import EpisodeSpec

    from daf.game.mission import load_config

    logging.disable(logging.INFO)  # its last line on stderr is the reason where the policy ends this process
    data = load_config(request.config).model_dump(mode="json")
    _mark_set_up(request.bundle)
    spec = EpisodeSpec.model_validate(_validation_job_spec(request.bundle.resolve().as_uri(), data))
    env = resolve_env_for_seed(spec.env, spec.seed)
    service = _service(spec.policy_uris[0])
    server = WebSocketPolicyServer(service, "127.0.0.1", 0)
    threading.Thread(target=server.serve, daemon=True).start()
    times: list[float] = []
    try:
        client = WebSocketPolicyServerClient(
            PolicyEnvInterface.from_mg_cfg(env),
            url=f"ws://127.0.0.1:{server.port}",
            agent_ids=list(range(env.game.num_agents)),
        )
        client.step_agents = _timed(client.step_agents, times)  # type: ignore[method-assign]
        result, _ = single_episode_rollout(
            [client], spec.assignments, env, seed=spec.seed, max_action_time_ms=spec.max_action_time_ms,
            render_mode="none", autostart=False, capture_replay=False,
        )  # fmt: skip
    except Exception as error:
        raise PolicyError(service.reason or _described(error)) from error
    try:
        _check_results(result)
    except typer.Exit:
        raise PolicyError(f"agent 0 did nothing but noop in {result.steps} steps, which CoGames rejects.") from None
    return {"steps": result.steps, "timeouts": sum(result.action_timeouts), "step_ms": times}


def _mark_set_up(bundle: Path) -> None:
    """Leave the mark by which CoGames' loader sees that the set-up script was run."""
    from mettagrid.policy.prepare_policy_spec import _setup_marker_paths
    from mettagrid.policy.submission import (
        POLICY_MANIFEST_FILENAME,
        POLICY_SPEC_FILENAME,
        SubmissionPolicySpec,
        load_policy_manifest,
    )

    text = bundle / POLICY_SPEC_FILENAME
    if text.exists():
        spec = SubmissionPolicySpec.model_validate_json(text.read_text())
    else:
        spec = load_policy_manifest(bundle / POLICY_MANIFEST_FILENAME)
    if spec.setup_script:
        _setup_marker_paths(bundle.resolve(), spec.setup_script)[1].touch()


def _service(policy_uri: str) -> Any:
    """CoGames' policy server, which remembers why it failed."""
    from mettagrid.runner.policy_server.server import LocalPolicyServer

    class Service(LocalPolicyServer):
        reason: str | None = None

        def prepare_policy(self, request: Any) -> Any:
            return self._remembering("it can't be loaded", super().prepare_policy, request)

        def batch_step(self, request: Any) -> Any:
            return self._remembering(f"step {request.step_id}", super().batch_step, request)

        def _remembering(self, when: str, call: Any, request: Any) -> Any:
            try:
                return call(request)
            except BaseException as error:
                self.reason = f"{when}: {_described(error)}"
                # A SystemExit would end the thread without closing the connection, and the client would wait.
                raise RuntimeError(self.reason) from error

    return Service(policy_uri)


def _described(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = str(error).strip()
    short = text if len(text) <= _FEW_WORDS else f"{text[:_FEW_WORDS]} …"
    return f"{type(error).__name__}: {short} ({place.filename}:{place.lineno})"


def _timed(step_agents: Any, times: list[float]) -> Any:
    def timed(observations: Any) -> Any:
        started = perf_counter_ns()
        actions = step_agents(observations)
        times.append((perf_counter_ns() - started) / 1e6)
        return actions

    return timed
