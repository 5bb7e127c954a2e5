"""What every registry guarantees, whatever it is stored in."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daf.errors import LockedError, ReleaseError
from daf.registry import FolderRegistry, HttpRegistry, ObjectRegistry, Registry, find_release, prune
from daf.storage.remote import Url
from tests.registry.http_server import Endpoint, running
from tests.registry.releasing import bundle_of, put_live, release_of
from tests.remote.s3 import BUCKET

Opened = Callable[[], Registry]


@pytest.fixture(params=["folder", "endpoint", "memory", "s3"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the same registry anew, as another process would."""
    if request.param == "folder":
        yield lambda: FolderRegistry(tmp_path / "registry")
        return
    if request.param in ("memory", "s3"):
        if request.param == "s3":
            request.getfixturevalue("s3")
        url = (
            Url("memory", tmp_path.as_posix().strip("/"))
            if request.param == "memory"
            else Url("s3", f"{BUCKET}/releases")
        )
        yield lambda: ObjectRegistry(url)
        return
    (tmp_path / "endpoint").mkdir()
    with running(Endpoint(tmp_path / "endpoint")) as there:
        yield lambda: HttpRegistry(there.url, pause=0.001)


def test_an_empty_registry_has_no_policies(opened: Opened) -> None:
    assert opened().names() == []
    assert opened().policy("walker").releases == ()
    assert opened().policy("walker").live is None


def test_a_release_is_read_back_with_its_bytes(opened: Opened, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "one")
    release = release_of(bundle, "1.0.0", gate={"margin": 0.1})
    assert opened().add(release, bundle)
    assert opened().names() == ["walker"]
    stored = opened().policy("walker").find("1.0.0")
    assert (stored.release, stored.kept) == (release, True)
    (tmp_path / "down").mkdir()
    assert opened().fetch(stored.release, tmp_path / "down").read_text() == "one"


def test_a_release_is_live_only_once_it_is_switched_to(opened: Opened, tmp_path: Path) -> None:
    registry = opened()
    registry.add(release_of(bundle_of(tmp_path, "one"), "1.0.0"), bundle_of(tmp_path, "one"))
    assert registry.policy("walker").live is None
    registry.switch("walker", registry.policy("walker").next_event("released", "1.0.0"), expected=None)
    assert opened().policy("walker").live == "1.0.0"
    assert find_release(opened(), "walker")["version"] == "1.0.0"
    (event,) = opened().policy("walker").events
    assert (event["event"], event["version"], event["number"], event["previous"]) == ("released", "1.0.0", 1, None)
    assert "@" in event["by"]


def test_the_same_bytes_under_a_version_have_no_effect(opened: Opened, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "one")
    first = release_of(bundle, "1.0.0", note="first")
    opened().add(first, bundle)
    assert not opened().add(release_of(bundle, "1.0.0", note="second"), bundle)
    assert opened().policy("walker").find("1.0.0").release == first


def test_other_bytes_under_a_version_are_refused(opened: Opened, tmp_path: Path) -> None:
    put_live(opened(), bundle_of(tmp_path, "one"), "1.0.0")
    other = bundle_of(tmp_path, "two")
    with pytest.raises(ReleaseError, match=r"1\.0\.0 exists with other bytes .* such as 1\.0\.1"):
        opened().add(release_of(other, "1.0.0"), other)
    assert opened().policy("walker").live == "1.0.0"


def test_releases_are_listed_by_version(opened: Opened, tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0", "1.10.0-rc.1"):
        put_live(opened(), bundle_of(tmp_path, version), version)
    policy = opened().policy("walker")
    assert [stored.release["version"] for stored in policy.releases] == ["1.10.0", "1.10.0-rc.1", "1.9.0"]
    assert [event["version"] for event in policy.events] == ["1.9.0", "1.10.0", "1.10.0-rc.1"]
    assert (policy.live, policy.before_live()) == ("1.10.0-rc.1", "1.10.0")


def test_a_switch_is_refused_where_another_release_became_live(opened: Opened, tmp_path: Path) -> None:
    registry = opened()
    put_live(registry, bundle_of(tmp_path, "one"), "1.0.0")
    for version in ("2.0.0", "3.0.0"):
        registry.add(release_of(bundle_of(tmp_path, version), version), bundle_of(tmp_path, version))
    seen = registry.policy("walker")
    opened().switch("walker", seen.next_event("released", "2.0.0"), expected="1.0.0")
    with pytest.raises(LockedError, match=r"2\.0\.0 of walker is live, not 1\.0\.0"):
        registry.switch("walker", seen.next_event("released", "3.0.0"), expected="1.0.0")
    assert opened().policy("walker").live == "2.0.0"


def test_a_repeated_switch_has_no_further_effect(opened: Opened, tmp_path: Path) -> None:
    registry = opened()
    registry.add(release_of(bundle_of(tmp_path, "one"), "1.0.0"), bundle_of(tmp_path, "one"))
    event = registry.policy("walker").next_event("released", "1.0.0")
    for _ in range(2):
        registry.switch("walker", event, expected=None)
    assert len(opened().policy("walker").events) == 1


def test_a_deleted_bundle_leaves_its_version_taken_and_can_be_stored_again(opened: Opened, tmp_path: Path) -> None:
    old, new = bundle_of(tmp_path, "one"), bundle_of(tmp_path, "two")
    put_live(opened(), old, "1.0.0")
    put_live(opened(), new, "2.0.0")
    opened().remove("walker", "1.0.0")
    policy = opened().policy("walker")
    assert [(stored.release["version"], stored.kept) for stored in policy.releases] == [
        ("2.0.0", True),
        ("1.0.0", False),
    ]
    assert policy.events[-1]["event"] == "removed"
    with pytest.raises(ReleaseError, match="is not in the registry"):
        opened().fetch(policy.find("1.0.0").release, tmp_path)
    with pytest.raises(ReleaseError, match="is not in the registry"):
        opened().switch("walker", policy.next_event("rolled back", "1.0.0"), expected="2.0.0")
    with pytest.raises(ReleaseError, match="exists with other bytes"):
        opened().add(release_of(new, "1.0.0"), new)
    assert not opened().add(release_of(old, "1.0.0"), old)
    assert opened().policy("walker").find("1.0.0").kept
    opened().switch("walker", opened().policy("walker").next_event("rolled back", "1.0.0"), expected="2.0.0")
    assert opened().policy("walker").live == "1.0.0"


def test_the_live_bundle_is_not_deleted(opened: Opened, tmp_path: Path) -> None:
    put_live(opened(), bundle_of(tmp_path, "one"), "1.0.0")
    with pytest.raises(ReleaseError, match="is live"):
        opened().remove("walker", "1.0.0")


def test_policies_are_apart(opened: Opened, tmp_path: Path) -> None:
    put_live(opened(), bundle_of(tmp_path, "one"), "1.0.0")
    put_live(opened(), bundle_of(tmp_path, "two"), "1.0.0", name="runner")
    assert opened().names() == ["runner", "walker"]
    assert find_release(opened(), "runner@1.0.0")["sha256"] != find_release(opened(), "walker@1.0.0")["sha256"]
    with pytest.raises(ReleaseError, match="several policies: runner, walker"):
        find_release(opened(), "1.0.0")
    with pytest.raises(ReleaseError, match=r'no released policy "wlker"\. Nearest: walker'):
        find_release(opened(), "wlker")
    with pytest.raises(ReleaseError, match=r'with version "1\.0\.1"\. Nearest: 1\.0\.0'):
        find_release(opened(), "walker@1.0.1")


def test_the_releases_that_were_live_last_keep_their_bundles(opened: Opened, tmp_path: Path) -> None:
    for version in ("1.0.0", "2.0.0", "3.0.0", "4.0.0"):
        put_live(opened(), bundle_of(tmp_path, version), version)
    waiting = bundle_of(tmp_path, "waiting")
    opened().add(release_of(waiting, "5.0.0"), waiting)
    opened().switch("walker", opened().policy("walker").next_event("rolled back", "1.0.0"), expected="4.0.0")
    assert prune(opened(), "walker", None) == ()
    assert set(prune(opened(), "walker", 1)) == {"2.0.0", "3.0.0"}
    assert prune(opened(), "walker", 1) == ()
    kept = {stored.release["version"] for stored in opened().policy("walker").releases if stored.kept}
    assert kept == {"1.0.0", "4.0.0", "5.0.0"}
    assert prune(opened(), "walker", 0) == ("4.0.0",)


def test_of_two_writers_one_makes_its_release_live(opened: Opened, tmp_path: Path) -> None:
    put_live(opened(), bundle_of(tmp_path, "one"), "1.0.0")
    for version in ("2.0.0", "3.0.0"):
        opened().add(release_of(bundle_of(tmp_path, version), version), bundle_of(tmp_path, version))
    seen = opened().policy("walker")

    def outcome(version: str) -> str:
        try:
            opened().switch("walker", seen.next_event("released", version), expected="1.0.0")
        except LockedError:
            return "refused"
        return version

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(outcome, ("2.0.0", "3.0.0")))
    assert sorted(outcomes) in (["2.0.0", "refused"], ["3.0.0", "refused"])
    assert opened().policy("walker").live in outcomes
