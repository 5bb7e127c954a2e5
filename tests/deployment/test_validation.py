"""`daf validate`: what passes, what fails and why, and that it agrees with the job of `cogames validate-bundle`."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from daf.deployment import DeploymentResult, Validation, daf_validate_deployment, validate
from daf.errors import PolicyError, UsageError
from daf.game.missions import resolve as resolve_mission
from daf.processes.confined import why_network_stays
from tests.conftest import BAD_POLICIES, SMALLEST, DafCall, made_once
from tests.game.test_bundles import CODE, SPEC, contents, folder_of, zipped

MORE_BAD = (
    BAD_POLICIES
    + '''

class Noop(_Policy):
    def act(self, obs):
        return Action(name="noop")


class Moves(_Policy):
    def act(self, obs):
        return Action(name="move_north")


class OddInfos(_Policy):
    def agent_policy(self, agent_id):
        agent = super().agent_policy(agent_id)
        agent._infos = {"seen": {1, 2}}
        return agent

    def act(self, obs):
        return Action(name="move_north")


class Clock(_Policy):
    def act(self, obs):
        ways = ("north", "south", "east", "west")
        return Action(name=f"move_{ways[os.urandom(1)[0] % 4]}")


class Later(_Policy):
    """Plays CoGames' 10 steps, and then does what `late` does."""

    def __init__(self, policy_env_info, device="cpu", late="raise"):
        super().__init__(policy_env_info, device=device)
        self.late, self.steps = late, 0

    def act(self, obs):
        self.steps += 1
        if self.steps > 100:
            if self.late == "raise":
                raise RuntimeError("I gave up later")
            if self.late == "illegal":
                return Action(name="fly_to_the_moon")
            if self.late == "grow":
                self.hoard = [bytes(64 << 20) for _ in range(100)]
            if self.late == "sleep":
                time.sleep(0.02)
            if self.late == "hang":
                time.sleep(600)
            if self.late == "read":
                open(os.path.expanduser("~/weights.pt"))
        return Action(name="move_north")
'''
)
PLAYED = {"episodes": 1, "missions": SMALLEST}


def bundle(folder: Path, name: str, **kwargs: object) -> Path:
    """A bundle of one of the policies above."""
    spec = {"class_path": f"bad_policies.{name}", "init_kwargs": kwargs}
    return zipped(folder / f"{name}.zip", {"policy_spec.json": json.dumps(spec), "bad_policies.py": MORE_BAD})


def failed(found: Validation) -> dict[str, str]:
    return {check.name: check.message for check in found.checks if check.status == "failed"}


def statuses(found: Validation) -> dict[str, str]:
    return {check.name: check.status for check in found.checks}


def good(folder: Path) -> None:
    """A validation whose JSON several tests read."""
    folder.mkdir()
    found = validate(bundle(folder, "Moves"), SMALLEST, 0.5, success="steps >= 20", on_stage=print)
    (folder / "validation.json").write_text(json.dumps(found.to_data()))


@pytest.fixture
def passed() -> Validation:
    return Validation.from_data(json.loads((made_once("validated", good) / "validation.json").read_text()))


def test_a_good_bundle_passes_every_check(passed: Validation) -> None:
    assert passed.passed, passed.sentence()
    assert statuses(passed) == {
        "bundle": "passed", "set-up": "skipped", "cogames": "passed", "episodes": "passed", "actions": "passed",
        "determinism": "passed", "latency": "passed", "memory": "passed", "returns": "passed",
    }  # fmt: skip
    assert "8 checks" in passed.sentence()
    assert passed.step_times is not None
    assert passed.step_times.n == 100
    assert 0 < passed.step_times.p50 <= passed.step_times.p99 <= passed.step_times.max
    assert passed.limits.network == why_network_stays()


def test_the_threshold_is_compared_with_the_lower_bound(passed: Validation) -> None:
    (row,) = passed.missions
    assert (row.n, row.successes) == (5, 5)
    assert row.success_low == pytest.approx(0.05 ** (1 / 5))  # Clopper and Pearson, one-sided, all succeeded


def test_the_episodes_are_those_of_evaluate(passed: Validation, tmp_path: Path) -> None:
    from daf.evaluation import Settings, evaluate
    from daf.output_manager import OutputManager

    played = evaluate(
        [str(made_once("validated", good) / "Moves.zip")], SMALLEST,
        settings=Settings(episodes=5, executor="serial", report=False), output=OutputManager(tmp_path / "out"),
    ).run.result.records  # fmt: skip
    (row,) = passed.missions
    assert row.keys == tuple(record.spec.key for record in played)
    assert row.mean == pytest.approx(sum(record.reward_per_agent() for record in played) / 5)


def test_a_policy_that_only_does_noop_is_rejected_as_by_cogames(tmp_path: Path, daf_call: DafCall) -> None:
    called = daf_call("validate", bundle(tmp_path, "Noop"), "-m", SMALLEST, "-e", "1", "--json")
    assert called.returncode == 1
    data = json.loads(called.stdout)
    assert data["status"] == "failed"
    assert data["validation"]["passed"] is False
    reasons = {check["name"]: check["message"] for check in data["validation"]["checks"] if check["status"] == "failed"}
    assert reasons == {"cogames": f"on {SMALLEST}, agent 0 did nothing but noop in 10 steps, which CoGames rejects."}


def test_the_result_of_a_deployment_names_the_failed_check(tmp_path: Path) -> None:
    files = contents(SPEC) | {"daf_manifest.json": "{}"}
    result = daf_validate_deployment(zipped(tmp_path / "b.zip", files))
    assert isinstance(result, DeploymentResult)
    assert set(asdict(result)) == {
        "policy_name", "version", "status", "message", "package_path", "deployment_id",
    }  # fmt: skip
    assert result.status == "rejected"
    assert "bundle: " in result.message
    assert "daf_manifest.json" in result.message


@pytest.mark.parametrize(("code", "reason"), [
    ("import time; time.sleep(60)", r"prepare\.py ran longer than 1 s"),
    ("raise OSError('no such wheel')", r"failed with exit code 1: OSError: no such wheel"),
    ("import os; assert 'MY_TOKEN' in os.environ, 'no token'", r"AssertionError: no token"),
])  # fmt: skip
def test_a_set_up_script_that_fails_or_hangs_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    monkeypatch.setenv("MY_TOKEN", "secret")
    spec = {**SPEC, "setup_script": "prepare.py"}
    path = zipped(tmp_path / "b.zip", contents(spec) | {"prepare.py": code})
    found = validate(path, SMALLEST, seconds=1)
    assert statuses(found)["cogames"] == "skipped"
    with pytest.raises(AssertionError, match=reason):
        assert found.passed, failed(found)["set-up"]


def test_wrong_arguments_are_refused_before_anything_runs(tmp_path: Path) -> None:
    path = zipped(tmp_path / "b.zip", contents())
    for options, reason in [
        ({"mode": "fast"}, 'no mode of validation "fast"'),
        ({"threshold": 1.5}, "--threshold is a success rate and must be between 0 and 1, got 1.5"),
        ({"episodes": 0}, "--episodes must be at least 1"),
        ({"memory_mib": 10}, "--memory must be at least 256 MiB"),
        ({"seconds": 0}, "--time-limit must be at least 1 s"),
        ({"step_limit_ms": 0}, "--step-limit must be above 0"),
        ({"skip": ["cogames"]}, 'no check that can be skipped "cogames"'),
        ({"success": "reward"}, "is not a condition"),
        ({"missions": "arenna"}, "arena"),
    ]:
        with pytest.raises(UsageError, match=reason):
            validate(path, **options)  # type: ignore[arg-type]
    with pytest.raises(PolicyError, match="there is no bundle"):
        validate(tmp_path / "none.zip")


@pytest.mark.thorough
def test_a_set_up_script_runs_once_for_both_loaders_and_leaves_a_folder_as_it_was(tmp_path: Path) -> None:
    code = CODE.replace("ACTION = 'move_north'", "from prepared import ACTION")
    prepare = "open('prepared.py', 'x').write('ACTION = \\'move_north\\'')"  # a second run would fail
    files = contents({**SPEC, "setup_script": "prepare.py"}) | {"bundled_policy.py": code, "prepare.py": prepare}
    folder = folder_of(tmp_path / "b", files)
    found = validate(folder, SMALLEST, episodes=1)
    assert found.passed, found.sentence()
    assert statuses(found)["set-up"] == "passed"
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


@pytest.mark.thorough
@pytest.mark.parametrize(("late", "check", "reason"), [
    ("raise", "episodes", r"0 of 1 episode finished; on .* \(seed 42\): RuntimeError: I gave up later \(bad_pol"),
    ("illegal", "actions", 'agent 0 chose the action "fly_to_the_moon"'),
    ("grow", "memory", "needs more than the limit of 1000 MiB"),
    ("read", "episodes", "FileNotFoundError"),
])  # fmt: skip
def test_a_policy_that_fails_after_the_first_steps_is_rejected(
    tmp_path: Path, late: str, check: str, reason: str
) -> None:
    mission = "memory_mystery_path_easy,max_steps=120"
    found = validate(bundle(tmp_path, "Later", late=late), mission, episodes=1, memory_mib=1000)
    assert statuses(found)["cogames"] == "passed", found.sentence()
    with pytest.raises(AssertionError, match=reason):
        assert found.passed, failed(found)[check]


@pytest.mark.thorough
def test_slow_steps_and_random_ones_are_reported(tmp_path: Path) -> None:
    mission = "memory_mystery_path_easy,max_steps=120"
    slow = validate(bundle(tmp_path, "Later", late="sleep"), mission, episodes=1, step_limit_ms=20)
    assert set(failed(slow)) == {"latency"}
    assert slow.step_times is not None
    assert slow.step_times.over >= 1
    skipped = validate(bundle(tmp_path, "Clock"), SMALLEST, episodes=2, skip=["determinism"])
    assert skipped.passed, skipped.sentence()
    assert set(failed(validate(bundle(tmp_path, "Clock"), SMALLEST, episodes=2))) == {"determinism"}


@pytest.mark.slow
def test_a_policy_that_hangs_in_the_episodes_is_ended(tmp_path: Path) -> None:
    mission = "memory_mystery_path_easy,max_steps=120"
    hanging = validate(bundle(tmp_path, "Later", late="hang"), mission, episodes=1, seconds=40)
    assert "did not finish within 40 s" in failed(hanging)["episodes"]


UPSTREAM = """
import json, os, sys
from pathlib import Path

os.environ["EPISODE_RUNNER_USE_ISOLATED_VENVS"] = "0"
from cogames.cli.submit import _check_results, _validation_job_spec
from mettagrid.runner.episode_runner import run_episode_isolated
from mettagrid.runner.types import EpisodeSpec

job = _validation_job_spec(Path(sys.argv[1]).as_uri(), json.loads(Path(sys.argv[2]).read_text()))
_check_results(run_episode_isolated(EpisodeSpec.model_validate(job), Path(sys.argv[3])))
"""


def cogames_accepts(path: Path, tmp_path: Path, seconds: float) -> bool:
    """Whether the job of `cogames validate-bundle`, run by mettagrid's runner, succeeds in time."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(resolve_mission(SMALLEST)[0].config.model_dump(mode="json")))
    command = [sys.executable, "-c", UPSTREAM, str(path), str(config), str(tmp_path / "results.json")]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return False
        return process.returncode == 0


@pytest.mark.parametrize("name", [
    *(pytest.param(name, marks=pytest.mark.thorough) for name in ("Moves", "Raises", "Missing", "OddInfos")),
    *(pytest.param(name, marks=pytest.mark.slow) for name in (
        "Noop", "Nonsense", "Dies", "Exits", "Unbuildable", "Hangs", "no policy class", "bad weights", "set-up fails",
        "starter",
    )),
])  # fmt: skip
def test_it_agrees_with_cogames(tmp_path: Path, name: str) -> None:
    seconds = 12 if name == "Hangs" else 60
    if name == "no policy class":
        path = zipped(tmp_path / "b.zip", contents({"class_path": "bundled_policy.Agent"}))
    elif name == "bad weights":
        path = zipped(tmp_path / "b.zip", contents({**SPEC, "data_path": "none.pt"}))
    elif name == "set-up fails":
        path = zipped(tmp_path / "b.zip", contents({**SPEC, "setup_script": "p.py"}) | {"p.py": "raise SystemExit(1)"})
    elif name == "starter":
        path = zipped(tmp_path / "b.zip", {"policy_spec.json": json.dumps({"class_path": "starter"})})
    else:
        path = bundle(tmp_path, name)
    found = validate(path, SMALLEST, episodes=1, seconds=seconds)
    accepted = cogames_accepts(path, tmp_path, seconds)
    assert (statuses(found)["cogames"] == "passed") is accepted, found.sentence()
    assert found.passed is accepted, found.sentence()
    assert accepted is (name in ("Moves", "starter"))
