"""`daf deploy`: what is released, what is refused, and that a refusal changes nothing."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daf.deployment import Deployment, Gate, ValidationSettings, daf_deploy_policy, deploy, package
from daf.errors import LockedError, PolicyError, ReleaseError, UsageError
from daf.output_manager import OutputManager
from daf.playing.settings import Settings
from daf.registry import FolderRegistry
from tests.conftest import SHARED, DafCall, made_once
from tests.deployment.test_gate import REWARDED
from tests.game.test_policy_files import written
from tests.registry.http_server import Endpoint, running

NO_CHECKS = ValidationSettings("skip")
SETTINGS = Settings(executor="serial", episodes=7, cache_dir=SHARED / "gate_cache")
VALIDATED = "memory_mystery_path_easy,max_steps=12"


def bundles() -> Path:
    """walker.zip walks, idle.zip does nothing, starter.zip is CoGames' policy."""

    def make(folder: Path) -> None:
        package(written(folder / "walker", "move_north", "walker.py"), folder / "walker.zip")
        package(written(folder / "idle", "noop", "idle.py"), folder / "idle.zip")
        package("starter", folder / "starter.zip")

    return made_once("deployed_bundles", make)


@pytest.fixture
def output(tmp_path: Path) -> OutputManager:
    return OutputManager(tmp_path / "out", log_to_file=False)


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    return FolderRegistry(tmp_path / "out" / "releases")


def put(output: OutputManager, bundle: str, version: str | None = None, **changes: object) -> str:
    """Deploy one of `bundles` as walker without checks; returns the status."""
    chosen = Deployment(name="walker", version=version, checks=NO_CHECKS, **changes)  # type: ignore[arg-type]
    return deploy(bundles() / bundle, chosen, settings=SETTINGS, output=output).result.status


def test_a_bundle_becomes_the_live_release(output: OutputManager, registry: FolderRegistry) -> None:
    deployment = Deployment(checks=ValidationSettings("quick", (VALIDATED,)))
    done = deploy(bundles() / "walker.zip", deployment, output=output)
    assert (done.result.policy_name, done.result.version, done.result.status) == ("walker", "1.0.0", "released")
    assert Path(done.result.package_path).read_bytes() == (bundles() / "walker.zip").read_bytes()
    release = registry.policy("walker").live_release
    assert release is not None
    assert release["sha256"] == done.result.deployment_id
    assert release["facts"]["validation"]["passed"] is True
    assert release["facts"]["validation"]["missions"][0]["n"] == 5
    assert release["facts"]["gate"] is None
    assert release["facts"]["versions"]["cogames"]


def test_the_next_version_is_the_next_patch(output: OutputManager, registry: FolderRegistry) -> None:
    assert put(output, "walker.zip", "1.4.0") == "released"
    assert put(output, "idle.zip") == "released"
    assert registry.policy("walker").live == "1.4.1"
    assert put(output, "walker.zip") == "released", "known bytes keep their version"
    assert registry.policy("walker").live == "1.4.0"
    assert put(output, "walker.zip") == "unchanged"
    assert len(registry.policy("walker").events) == 3


def test_a_taken_version_is_refused_before_any_work(output: OutputManager, registry: FolderRegistry) -> None:
    put(output, "walker.zip", "1.0.0")
    chosen = Deployment(name="walker", version="1.0.0", checks=ValidationSettings("thorough", ("no_such_mission",)))
    with pytest.raises(ReleaseError, match=r"walker 1\.0\.0 exists with other bytes"):
        deploy(bundles() / "idle.zip", chosen, output=output)


def test_a_bundle_that_fails_validation_is_refused(output: OutputManager, registry: FolderRegistry) -> None:
    put(output, "walker.zip", "1.0.0")
    deployment = Deployment(name="walker", checks=ValidationSettings("quick", (VALIDATED,)))
    done = deploy(bundles() / "idle.zip", deployment, output=output)
    assert done.refused
    assert "failed the validation" in done.result.message
    assert registry.policy("walker").live == "1.0.0"
    assert len(registry.policy("walker").releases) == 1


def test_a_worse_candidate_does_not_replace_the_live_release(output: OutputManager, registry: FolderRegistry) -> None:
    put(output, "starter.zip", "1.0.0")
    gate = Gate((REWARDED,), 0.1, mixes=("2+2",))
    deployment = Deployment(name="walker", version="1.1.0", checks=NO_CHECKS, gate=gate)
    done = deploy(bundles() / "idle.zip", deployment, settings=SETTINGS, output=output)
    assert done.refused
    assert done.result.message.startswith("walker@1.1.0 is worse than walker@1.0.0 by more than 0.1: on tutorial")
    policy = registry.policy("walker")
    assert (policy.live, len(policy.releases)) == ("1.0.0", 1)


def test_a_candidate_within_the_margin_replaces_it_and_the_numbers_are_kept(
    output: OutputManager, registry: FolderRegistry
) -> None:
    put(output, "idle.zip", "1.0.0")
    gate = Gate((REWARDED,), 0.7, mixes=("2+2",))
    deployment = Deployment(name="walker", version="1.1.0", checks=NO_CHECKS, gate=gate)
    done = deploy(bundles() / "starter.zip", deployment, settings=SETTINGS, output=output)
    assert done.result.status == "released", done.result.message
    release = registry.policy("walker").live_release
    assert release is not None
    facts = release["facts"]["gate"]
    assert (facts["passed"], facts["margin"], facts["reference"]) == (True, 0.7, "walker@1.0.0")
    assert [row["label"] for row in facts["rows"]] == ["alone", "2+2"]
    assert facts["pool"][0]["name"].startswith("starter")
    assert len(facts["pool"][0]["identity"]) == 40


def test_the_first_release_has_nothing_to_be_compared_with(output: OutputManager) -> None:
    deployment = Deployment(name="walker", checks=NO_CHECKS, gate=Gate((REWARDED,), 0.1))
    done = deploy(bundles() / "idle.zip", deployment, settings=SETTINGS, output=output)
    assert (done.result.status, done.gate) == ("released", None)
    assert "nothing to compare it with" in done.result.message


def test_a_release_that_became_live_during_the_gate_refuses_the_candidate(
    output: OutputManager, registry: FolderRegistry, tmp_path: Path
) -> None:
    put(output, "idle.zip", "1.0.0")

    class Interferes(OutputManager):
        def log_operation_complete(self, *arguments: object, **named: object) -> None:
            super().log_operation_complete(*arguments, **named)  # type: ignore[arg-type]
            put(output, "walker.zip", "1.0.5")

    gate = Gate((REWARDED,), 0.7, mixes=("2+2",))
    deployment = Deployment(name="walker", version="1.1.0", checks=NO_CHECKS, gate=gate)
    with pytest.raises(LockedError, match=r"1\.0\.5 of walker is live, not 1\.0\.0: .* Run the command again"):
        deploy(
            bundles() / "starter.zip", deployment, settings=SETTINGS,
            output=Interferes(tmp_path / "out", log_to_file=False),
        )  # fmt: skip
    assert registry.policy("walker").live == "1.0.5"


def test_old_bundles_are_deleted_and_their_releases_stay_listed(
    output: OutputManager, registry: FolderRegistry
) -> None:
    put(output, "walker.zip", "1.0.0")
    put(output, "idle.zip", "1.1.0")
    put(output, "starter.zip", "1.2.0", keep_previous_versions=1)
    kept = {stored.release["version"]: stored.kept for stored in registry.policy("walker").releases}
    assert kept == {"1.0.0": False, "1.1.0": True, "1.2.0": True}


def test_a_bundle_of_another_cogames_version_is_refused(output: OutputManager, tmp_path: Path) -> None:
    other = tmp_path / "old.zip"
    with zipfile.ZipFile(bundles() / "walker.zip") as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "daf_manifest.json":
                manifest = json.loads(data)
                manifest["versions"]["cogames"] = "0.25.6"
                data = json.dumps(manifest).encode()
            target.writestr(name, data)
    with pytest.raises(ReleaseError, match=r"was packed with cogames 0\.25\.6, and 0\.25\.7 is installed here"):
        deploy(other, Deployment(checks=NO_CHECKS), output=output)


def test_what_is_no_bundle_is_packed_first(output: OutputManager, tmp_path: Path) -> None:
    done = daf_deploy_policy(
        written(tmp_path / "code", "move_south", "runner.py"),
        "2.0.0",
        deployment=Deployment(checks=NO_CHECKS),
        output=output,
    )
    assert (done.policy_name, done.version, done.status) == ("runner", "2.0.0", "released")
    with pytest.raises(PolicyError, match="no_such_policy"):
        daf_deploy_policy("no_such_policy", output=output)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "a b"}, "can't name a release"),
        ({"version": "1"}, "not a semantic"),
        ({"keep_previous_versions": -1}, "0 or more"),
    ],
)
def test_wrong_settings_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Deployment(**changes)  # type: ignore[arg-type]


# the command


@pytest.fixture
def here(tmp_path: Path) -> tuple[object, ...]:
    """Options that every call of the command has here."""
    return (
        "--as",
        "walker",
        "--output-dir",
        tmp_path / "out",
        "--executor",
        "serial",
        "--cache-dir",
        SHARED / "gate_cache",
    )


def test_the_command_releases_refuses_and_rolls_back(
    here: tuple[object, ...], tmp_path: Path, daf_call: DafCall
) -> None:
    first = daf_call("deploy", bundles() / "starter.zip", "--mode", "skip", *here)
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-1] == "walker 1.0.0 is live."
    gate = ("--gate-mission", REWARDED, "--mix", "2+2", "-e", "7", "--margin", "0.1")
    refused = daf_call("deploy", bundles() / "idle.zip", "--mode", "skip", *gate, *here)
    assert refused.returncode == 1
    assert "Refused: walker@1.0.1 is worse than walker@1.0.0 by more than 0.1" in refused.stdout
    assert "not shown" in refused.stdout
    data = json.loads(daf_call("deploy", bundles() / "idle.zip", "--mode", "skip", *gate, *here, "--json").stdout)
    assert (data["status"], data["deployment"]["status"]) == ("failed", "refused")
    assert data["gate"]["rows"][0]["verdict"] == "worse"
    assert Path(data["run_dir"], "report.html").is_file()
    assert len(data["episodes"]) == 28
    listed = json.loads(daf_call("runs", "list", "--output-dir", tmp_path / "out", "--json").stdout)["runs"]
    assert {(run["kind"], run["result"]["text"]) for run in listed} == {("gate", "refused")}
    assert daf_call("report", data["run_id"], "--output-dir", tmp_path / "out").returncode == 0
    assert "is worse than" in Path(data["run_dir"], "report.html").read_text()
    unchecked = daf_call("deploy", bundles() / "idle.zip", "--mode", "skip", *here)
    assert "walker 1.0.1 is live, instead of 1.0.0." in unchecked.stdout
    assert daf_call("rollback", "--output-dir", tmp_path / "out").returncode == 0
    shown = daf_call("releases", "--output-dir", tmp_path / "out").stdout
    assert [line.split()[1:3] for line in shown.splitlines() if "walker" in line][1] == ["1.0.0", "live"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--margin", "0.1"), "--margin belongs to a gate. Add --gate-mission"),
        (("--gate-mission", REWARDED), "a gate needs --margin"),
        (("--gate-mission", REWARDED, "--margin", "0.1", "-e", "3"), "use -e 5 or more"),
        (("--mode", "fast"), 'no choice for --mode "fast"'),
        (("--version", "v1.0.0"), "Write 1.0.0"),
        (("--registry", "ftp://x"), "ftp:// is not a place that DAF can write to"),
    ],
)
def test_wrong_use_is_refused_with_the_way_out(
    here: tuple[object, ...], tmp_path: Path, daf_call: DafCall, arguments: tuple[str, ...], said: str
) -> None:
    if "-e" in arguments:
        daf_call("deploy", bundles() / "starter.zip", "--mode", "skip", *here)
    done = daf_call("deploy", bundles() / "idle.zip", "--mode", "skip", *arguments, *here)
    assert done.returncode in (1, 2)
    assert said in done.stderr, done.stderr


def test_a_deployment_to_an_endpoint_is_the_same(
    here: tuple[object, ...], tmp_path: Path, daf_call: DafCall, endpoint: Endpoint
) -> None:
    place = ("--registry", endpoint.url)
    assert daf_call("deploy", bundles() / "walker.zip", "--mode", "skip", *place, *here).returncode == 0
    assert daf_call("deploy", bundles() / "idle.zip", "--mode", "skip", *place, *here).returncode == 0
    done = daf_call("evaluate", "-p", "release:walker", "-m", VALIDATED, "-e", "1", "--executor", "serial",
                    "--output-dir", tmp_path / "out", DAF_REGISTRY=endpoint.url)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "walker@1.0.1" in done.stdout
    assert daf_call("rollback", *place).returncode == 0
    assert endpoint.registry.policy("walker").live == "1.0.0"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    (tmp_path / "endpoint").mkdir()
    with running(Endpoint(tmp_path / "endpoint")) as there:
        yield there
