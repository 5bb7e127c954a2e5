"""Releases as policies, `daf releases` and `daf rollback`."""

import json
from pathlib import Path

import pytest

from daf.deployment import daf_rollback_deployment, package
from daf.errors import ReleaseError
from daf.evaluation import Settings, evaluate
from daf.output_manager import OutputManager
from daf.registry import FolderRegistry
from tests.conftest import SMALLEST, DafCall, made_once
from tests.game.test_policy_files import written
from tests.registry.releasing import put_live, release_of


def bundles() -> Path:
    """a.zip and b.zip, of two policies that play differently."""

    def make(folder: Path) -> None:
        for name, action in (("a", "move_north"), ("b", "move_east")):
            package(written(folder / name, action), folder / f"{name}.zip")

    return made_once("released_bundles", make)


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    """walker 1.0.0 is a.zip, 1.1.0 is b.zip and live."""
    found = FolderRegistry(tmp_path / "out" / "releases")
    put_live(found, bundles() / "a.zip", "1.0.0")
    put_live(found, bundles() / "b.zip", "1.1.0")
    return found


def played(policy: str, output: Path) -> list[tuple[str, str]]:
    settings = Settings(executor="serial", episodes=1, report=False)
    result = evaluate([policy], SMALLEST, settings=settings, output=OutputManager(output)).run.result
    return [(result.plan.contenders[0].name, record.result_hash) for record in result.records]


def test_a_release_plays_as_its_bundle(registry: FolderRegistry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for release, bundle in (("1.0.0", "a.zip"), ("1.1.0", "b.zip")):
        ((name, found),) = played(f"release:walker@{release}", out)
        assert name == f"walker@{release}"
        assert [found] == [one for _, one in played(str(bundles() / bundle), out)]
    assert played("release:walker", out)[0][0] == "walker@1.1.0"
    assert played("release:1.0.0,name=old", out)[0][0] == "old"
    daf_rollback_deployment(output_dir=out)
    assert played("release:walker", out)[0][0] == "walker@1.0.0"


def test_a_release_of_another_registry_plays_by_its_place(registry: FolderRegistry, tmp_path: Path) -> None:
    place = tmp_path / "with, comma"
    registry.root.rename(place)
    assert played(f"release:walker@1.0.0,registry={place},kw.speed=2", tmp_path / "empty")[0][0] == "walker@1.0.0"


def test_the_variable_names_the_registry(
    registry: FolderRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAF_REGISTRY", str(registry.root))
    assert played("release:walker", tmp_path / "empty")[0][0] == "walker@1.1.0"


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("walker@1.0.1", 'no release of walker with version "1.0.1". Nearest: 1.0.0'),
        ("wolker", 'no released policy "wolker". Nearest: walker'),
        ("walker@one", '"one" is not a semantic version'),
        ("walker@", "does not name a release"),
    ],
)
def test_an_unknown_release_is_named_with_the_nearest(
    registry: FolderRegistry, tmp_path: Path, daf_call: DafCall, release: str, said: str
) -> None:
    done = daf_call("policies", f"release:{release}", "--output-dir", tmp_path / "out")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    done = daf_call("rollback", release, "--output-dir", tmp_path / "out", "--json")
    assert done.returncode == 2
    assert said in json.loads(done.stdout)["error"]["message"]


def test_releases_are_listed_and_shown(registry: FolderRegistry, tmp_path: Path, daf_call: DafCall) -> None:
    registry.remove("walker", "1.0.0")
    shown = daf_call("releases", "--output-dir", tmp_path / "out")
    assert shown.returncode == 0, shown.stderr
    first, second = (line for line in shown.stdout.splitlines() if "walker" in line)
    assert first.split()[1:3] == ["1.1.0", "live"]
    assert second.split()[1] == "1.0.0"
    assert "deleted" in second
    data = json.loads(daf_call("releases", "list", "--registry", registry.root, "--json").stdout)
    assert [(row["version"], row["live"], row["kept"]) for row in data["releases"]] == [
        ("1.1.0", True, True),
        ("1.0.0", False, False),
    ]
    shown = daf_call("releases", "--registry", registry.root, "show", "1.0.0")
    assert shown.returncode == 0, shown.stderr
    for text in ("not live", "became live (released)", "1.1.0 became live instead", "its bundle was deleted"):
        assert text in shown.stdout
    data = json.loads(daf_call("releases", "show", "--registry", registry.root, "--json").stdout)
    assert data["release"]["version"] == "1.1.0"
    assert data["events"][-1]["previous"] == "1.0.0"


def test_an_empty_registry_says_how_to_fill_it(tmp_path: Path, daf_call: DafCall) -> None:
    shown = daf_call("releases", "--output-dir", tmp_path)
    assert (shown.returncode, "No releases in" in shown.stdout) == (0, True)
    for command in (("rollback",), ("releases", "show"), ("rollback", "walker@1.0.0")):
        done = daf_call(*command, "--output-dir", tmp_path)
        assert (done.returncode, "there are no releases in" in done.stderr) == (2, True), done.stderr


def test_rollback_walks_back_through_what_was_live(registry: FolderRegistry, tmp_path: Path, daf_call: DafCall) -> None:
    put_live(registry, bundles() / "a.zip", "2.0.0")
    out = ("--output-dir", tmp_path / "out")
    first = daf_call("rollback", *out)
    assert first.stdout.strip() == "walker 1.1.0 is live again, instead of 2.0.0."
    data = json.loads(daf_call("rollback", "walker", *out, "--json").stdout)["deployment"]
    assert (data["version"], data["status"]) == ("1.0.0", "rolled back")
    assert data["package_path"] == str(registry.root / "walker" / "versions" / "1.0.0" / "bundle.zip")
    end = daf_call("rollback", *out)
    assert end.returncode == 2
    assert "no release of walker was live before 1.0.0. Name one of 2.0.0, 1.1.0." in end.stderr
    assert daf_call("rollback", "2.0.0", *out).returncode == 0
    assert "is live already" in daf_call("rollback", "2.0.0", *out).stderr


def test_a_release_without_rollback_is_not_left(registry: FolderRegistry, tmp_path: Path) -> None:
    bundle = bundles() / "a.zip"
    registry.add(release_of(bundle, "3.0.0") | {"rollback": False}, bundle)
    registry.switch("walker", registry.policy("walker").next_event("released", "3.0.0"), expected="1.1.0")
    with pytest.raises(ReleaseError, match="enable_rollback: false"):
        daf_rollback_deployment("1.0.0", registry=registry.root)
    assert registry.policy("walker").live == "3.0.0"


def test_a_damaged_bundle_does_not_become_live(registry: FolderRegistry, tmp_path: Path, daf_call: DafCall) -> None:
    (registry.root / "walker" / "versions" / "1.0.0" / "bundle.zip").write_bytes(b"PK")
    done = daf_call("rollback", "--registry", registry.root)
    assert (done.returncode, "bundle.zip is damaged" in done.stderr) == (1, True), done.stderr
    assert registry.policy("walker").live == "1.1.0"
