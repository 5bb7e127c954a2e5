"""`daf deploy --config`: every field of `DAFDeploymentConfig` has an effect, and flags win over the file."""

import json
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from daf.config import DAFDeploymentConfig
from daf.deployment import ValidationSettings, daf_deploy_policy, deploy, deployment_from
from daf.deployment.deployment_settings import Deployment
from daf.errors import AuthenticationError, ConfigError, EnvironmentCheckError, ServerError, UsageError
from daf.game import account
from daf.output_manager import OutputManager
from daf.registry import FolderRegistry
from tests.conftest import DafCall
from tests.deployment.test_deploy import VALIDATED, bundles
from tests.deployment.tournament_server import Tournament
from tests.game.test_policy_files import written
from tests.registry.http_server import Endpoint, running

BASE: dict[str, object] = {"policy_name": "walker", "policy_class_path": "starter"}
ENDPOINT = "https://registry.example.org/api"
OTHER: dict[str, dict[str, object]] = {
    "policy_name": {"policy_name": "runner"},
    "policy_class_path": {"policy_class_path": "my_policy.py"},
    "weights_path": {"weights_path": "best.pt"},
    "deployment_endpoint": {"deployment_endpoint": ENDPOINT},
    "authentication_server": {"authentication_server": "https://login.example.org", "deployment_endpoint": ENDPOINT},
    "season": {"season": "beta"},
    "validation_mode": {"validation_mode": "docker"},
    "setup_script": {"setup_script": "prepare.py"},
    "validation_missions": {"validation_missions": ["arena"]},
    "validation_success_threshold": {"validation_success_threshold": 0.25},
    "version": {"version": "2.0.0"},
    "enable_rollback": {"enable_rollback": False},
    "keep_previous_versions": {"keep_previous_versions": 0},
    "gate_missions": {"gate_missions": ["arena", "machina_1"], "gate_margin": 0.1},
    "gate_margin": {"gate_missions": ["arena"], "gate_margin": 0.2},
    "gate_pool": {"gate_missions": ["arena"], "gate_margin": 0.1, "gate_pool": ["random"]},
}
"""For each field, settings whose value of it differs from that in `WITHOUT` or the default."""
WITHOUT: dict[str, dict[str, object]] = {
    "authentication_server": {"deployment_endpoint": ENDPOINT},
    "gate_missions": {"gate_missions": ["arena"], "gate_margin": 0.1},
    "gate_margin": {"gate_missions": ["arena"], "gate_margin": 0.1},
    "gate_pool": {"gate_missions": ["arena"], "gate_margin": 0.1},
}


def config(**changes: object) -> DAFDeploymentConfig:
    return DAFDeploymentConfig(**BASE | changes)


@pytest.mark.parametrize("field", sorted(DAFDeploymentConfig.model_fields))
def test_every_field_changes_the_deployment(field: str) -> None:
    assert field in OTHER, f"{field} has no effect that a test knows of"
    assert deployment_from(config(**OTHER[field])) != deployment_from(config(**WITHOUT.get(field, {})))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"authentication_server": "https://x.org"}, "authentication_server is for deployment_endpoint or season"),
        ({"gate_missions": ["arena"]}, "gate_missions need gate_margin"),
        ({"gate_margin": 0.1}, "belong to gate_missions"),
        ({"gate_missions": ["arena"], "gate_margin": -0.1}, "gate_margin"),
    ],
)
def test_fields_that_have_no_effect_together_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**changes)


def test_the_file_decides_and_flags_win(tmp_path: Path, daf_call: DafCall) -> None:
    (tmp_path / "best.txt").write_text("weights")
    (tmp_path / "prepare.py").write_text("")
    config(
        policy_class_path=str(written(tmp_path / "code", "move_north")),
        weights_path=tmp_path / "best.txt",
        setup_script=tmp_path / "prepare.py",
        validation_mode="skip",
        version="3.1.0",
        enable_rollback=False,
    ).to_yaml(tmp_path / "deploy.yaml")
    call = ("deploy", "--config", tmp_path / "deploy.yaml", "--output-dir", tmp_path / "out", "--json")
    done = daf_call(*call)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["deployment"]["version"] == "3.1.0"
    registry = FolderRegistry(tmp_path / "out" / "releases")
    release = registry.policy("walker").live_release
    assert release is not None
    assert release["rollback"] is False
    with zipfile.ZipFile(registry.fetch(release, tmp_path)) as bundle:
        spec = json.loads(bundle.read("policy_spec.json"))
    assert (spec["data_path"], spec["setup_script"]) == ("weights/best.txt", "prepare.py")
    flags = (bundles() / "walker.zip", "--version", "3.2.0", "--as", "runner")
    (tmp_path / "plain.yaml").write_text("kind: deployment\npolicy_name: walker\npolicy_class_path: starter\n")
    changed = daf_call("deploy", *flags, "--mode", "skip", "--config", tmp_path / "plain.yaml", *call[3:])
    assert changed.returncode == 0, changed.stderr
    found = json.loads(changed.stdout)["deployment"]
    assert (found["policy_name"], found["version"]) == ("runner", "3.2.0")


def test_a_configuration_deploys_from_python(tmp_path: Path) -> None:
    output = OutputManager(tmp_path / "out", log_to_file=False)
    described = config(policy_class_path=str(bundles() / "walker.zip"), validation_mode="skip", version="1.2.0")
    done = daf_deploy_policy(described, output=output)
    assert (done.policy_name, done.version, done.status) == ("walker", "1.2.0", "released")
    with pytest.raises(UsageError, match="describes the whole deployment"):
        daf_deploy_policy(described, deployment=Deployment(), output=output)


def test_a_file_of_another_kind_is_refused(tmp_path: Path, daf_call: DafCall) -> None:
    (tmp_path / "other.yaml").write_text("kind: tournament\nsubmission_name: x\n")
    done = daf_call("deploy", "--config", tmp_path / "other.yaml", "--output-dir", tmp_path)
    assert (done.returncode, "this command takes kind: deployment" in done.stderr) == (2, True), done.stderr
    done = daf_call("deploy", "--output-dir", tmp_path)
    assert (done.returncode, "no bundle is given" in done.stderr) == (2, True), done.stderr


def test_the_saved_login_opens_the_endpoint(home: Path, tmp_path: Path) -> None:
    (tmp_path / "endpoint").mkdir()
    login = "https://login.example.org"
    with running(Endpoint(tmp_path / "endpoint", token="canary-5c1d")) as endpoint:
        deployment = Deployment(
            registry=endpoint.url, login_server=login, checks=ValidationSettings("skip"), name="walker"
        )
        output = OutputManager(tmp_path / "out", log_to_file=False)
        with pytest.raises(AuthenticationError, match=f"not logged in at {login}"):
            deploy(bundles() / "walker.zip", deployment, output=output)
        account.save_token(login, "canary-5c1d")
        assert deploy(bundles() / "walker.zip", deployment, output=output).result.status == "released"
        assert endpoint.registry.policy("walker").live == "1.0.0"


def test_a_release_is_submitted_to_the_season(logged_in: Tournament, tmp_path: Path) -> None:
    deployment = Deployment(name="walker", checks=ValidationSettings("skip"), season="beta", login_server=logged_in.url)
    output = OutputManager(tmp_path / "out", log_to_file=False)
    done = deploy(bundles() / "walker.zip", deployment, output=output).result
    assert done.status == "released"
    assert f"submitted walker:v1 to season beta of {logged_in.url}" in done.message
    (upload,) = logged_in.uploads.values()
    assert upload == (bundles() / "walker.zip").read_bytes()
    again = deploy(bundles() / "walker.zip", deployment, output=output).result
    assert again.status == "unchanged"
    assert len(logged_in.uploads) == 1
    with pytest.raises(ServerError, match=r"walker 1\.0\.1 is live, .* It was not submitted to season gamma"):
        deploy(bundles() / "starter.zip", replace(deployment, season="gamma"), output=output)
    assert FolderRegistry(tmp_path / "out" / "releases").policy("walker").live == "1.0.1"


RESULT = {
    "rewards": [0.0], "action_timeouts": [0], "steps": 10,
    "stats": {"game": {}, "agent": [{"action.move.success": 3.0}]},
}  # fmt: skip
DOCKER = """#!/bin/sh
echo "$@" >> {folder}/calls
case "$1" in
  info) exit {info} ;;
  run)
    for argument in "$@"; do
      case "$argument" in *:/workspace/io:rw) cp {folder}/result.json "${{argument%%:*}}/results.json" ;; esac
    done
    exit {run} ;;
esac
"""


def docker(folder: Path, monkeypatch: pytest.MonkeyPatch, *, info: int = 0, run: int = 0, moved: float = 3.0) -> Path:
    """A `docker` on PATH that records its calls, and whose container writes a result."""
    folder.mkdir()
    result = RESULT | {"stats": {"game": {}, "agent": [{"action.move.success": moved}]}}
    (folder / "result.json").write_text(json.dumps(result))
    program = folder / "docker"
    program.write_text(DOCKER.format(folder=folder, info=info, run=run))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "calls"


def with_docker(tmp_path: Path) -> str:
    deployment = Deployment(name="walker", checks=ValidationSettings("docker", (VALIDATED,)))
    done = deploy(
        bundles() / "walker.zip", deployment, output=OutputManager(tmp_path / "out", log_to_file=False)
    ).result
    return f"{done.status}: {done.message}"


def test_mode_docker_runs_the_job_of_cogames_in_its_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = docker(tmp_path / "bin", monkeypatch)
    assert with_docker(tmp_path).startswith("released")
    info, pull, run = calls.read_text().splitlines()
    assert info == "info"
    assert pull.startswith("pull")
    assert "walker.zip:ro" in run
    release = FolderRegistry(tmp_path / "out" / "releases").policy("walker").live_release
    assert release is not None
    assert release["facts"]["validation"]["mode"] == "docker"


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"moved": 0.0}, "did nothing but noop"),
        pytest.param({"run": 3}, "failed (exit 3)", marks=pytest.mark.thorough),
    ],
)
def test_a_bundle_that_the_container_rejects_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: dict[str, int], said: str
) -> None:
    docker(tmp_path / "bin", monkeypatch, **faults)
    message = with_docker(tmp_path)
    assert message.startswith("refused: the bundle failed the validation.")
    assert said in message


def test_without_docker_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentCheckError, match=r"Docker is not installed.*Validation mode local"):
        with_docker(tmp_path)
    docker(tmp_path / "bin", monkeypatch, info=1)
    with pytest.raises(EnvironmentCheckError, match="daemon can't be reached: exit code 1"):
        with_docker(tmp_path)
