"""The registry in a directory: crashes at any point, damage, and directories that can't be used."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daf.errors import DamagedFileError, LockedError, ReleaseError, StorageError, UsageError
from daf.registry import FolderRegistry
from tests.registry.releasing import bundle_of, put_live, release_of

DIES = '''
"""Deploys 2.0.0 over 1.0.0 and deletes 1.0.0, in children that die at their k-th step, for every k.

A step is an operation on files that Python announces or, with "lines", also a line of DAF's code for registries and
storage; then every third k is tried.
"""

import os
import shutil
import sys
from pathlib import Path

os.fsync = lambda descriptor: None  # no test cuts the power
sys.path.insert(0, sys.argv[1])
from daf.registry import FolderRegistry
from tests.registry.releasing import bundle_of, put_live

FILES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree"}
scratch = Path(sys.argv[2])
new = bundle_of(scratch, "two")
steps = -1


def step():
    global steps
    steps -= 1
    if steps == 0:
        os._exit(9)


def traced(frame, event, argument):
    name = frame.f_code.co_filename
    if "/daf/registry/" not in name and "/daf/storage/" not in name:
        return None
    if event == "line":
        step()
    return traced


sys.addaudithook(lambda event, arguments: step() if event in FILES else None)


def child(number):
    global steps
    registry = FolderRegistry(scratch / f"registry_{number}")
    steps = number
    if sys.argv[3] == "lines":
        sys.settrace(traced)
    put_live(registry, new, "2.0.0")
    registry.remove("walker", "1.0.0")
    os._exit(0)


def check(number):
    registry = FolderRegistry(scratch / f"registry_{number}")
    policy = registry.policy("walker")
    live = policy.live_release
    assert live is not None, number
    content = registry.fetch(live, scratch).read_text()
    assert content == {"1.0.0": "one", "2.0.0": "two"}[live["version"]], (number, live["version"], content)
    assert policy.events[0]["version"] == "1.0.0", number
    put_live(registry, new, "2.0.0")
    if registry.policy("walker").find("1.0.0").kept:
        registry.remove("walker", "1.0.0")
    after = registry.policy("walker")
    assert after.live == "2.0.0", number
    numbers = [event["number"] for event in after.events if "number" in event]
    assert numbers == list(range(1, len(numbers) + 1)), (number, numbers)
    lines = (registry.root / "walker" / "journal.jsonl").read_text().splitlines()
    assert len(lines) == len(after.events), (number, lines)
    left = [path for path in registry.root.rglob(".*") if path.name != ".lock"]
    assert not left, (number, left)
    shutil.rmtree(registry.root)
    return live["version"]


put_live(FolderRegistry(scratch / "start"), bundle_of(scratch, "one"), "1.0.0")
number, found = 0, []
while True:
    number += 3 if sys.argv[3] == "lines" else 1
    shutil.copytree(scratch / "start", scratch / f"registry_{number}")
    pid = os.fork()
    if pid == 0:
        child(number)
    died = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert died in (0, 9), (number, died)
    found.append(check(number))
    if died == 0:
        break
print(len(found), found.index("2.0.0"), found[-1], sorted(found) == found)
'''


@pytest.mark.parametrize(("kind", "least"), [("files", 30), pytest.param("lines", 250, marks=pytest.mark.thorough)])
def test_a_crash_at_any_point_leaves_the_old_or_the_new_release_live(tmp_path: Path, kind: str, least: int) -> None:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", DIES, root, str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps, switched, last, once = done.stdout.split()
    assert int(steps) > least, "the child died at too few points to show anything"
    assert least // 4 < int(switched) < int(steps) - least // 10
    assert (last, once) == ("2.0.0", "True")


def test_of_concurrent_deployments_one_wins_and_the_others_are_refused(tmp_path: Path) -> None:
    put_live(FolderRegistry(tmp_path / "registry"), bundle_of(tmp_path, "0"), "1.0.0")
    seen = FolderRegistry(tmp_path / "registry").policy("walker")
    outcomes: list[str] = []
    ready = threading.Barrier(6)

    def deploy(number: int) -> None:
        registry, bundle = FolderRegistry(tmp_path / "registry"), bundle_of(tmp_path, str(number))
        ready.wait()
        registry.add(release_of(bundle, f"1.0.{number}"), bundle)
        try:
            registry.switch("walker", seen.next_event("released", f"1.0.{number}"), expected="1.0.0")
            outcomes.append(f"1.0.{number}")
        except LockedError:
            outcomes.append("refused")

    threads = [threading.Thread(target=deploy, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    policy = FolderRegistry(tmp_path / "registry").policy("walker")
    assert outcomes.count("refused") == 5
    assert policy.live in outcomes
    assert len(policy.events) == 2
    assert len(policy.releases) == 7


@pytest.fixture
def registry(tmp_path: Path) -> FolderRegistry:
    found = FolderRegistry(tmp_path / "registry")
    put_live(found, bundle_of(tmp_path, "one"), "1.0.0")
    put_live(found, bundle_of(tmp_path, "two"), "1.1.0")
    return found


def test_a_damaged_bundle_is_named_and_the_same_bytes_repair_it(registry: FolderRegistry, tmp_path: Path) -> None:
    path = registry.root / "walker" / "versions" / "1.1.0" / "bundle.zip"
    path.write_text("other")
    live = registry.policy("walker").live_release
    assert live is not None
    with pytest.raises(DamagedFileError, match=r"bundle\.zip is damaged: its SHA-256 is .* Deploy the same bundle"):
        registry.fetch(live, tmp_path)
    put_live(registry, bundle_of(tmp_path, "two"), "1.1.0")
    assert registry.fetch(live, tmp_path).read_text() == "two"


def test_a_damaged_pointer_is_named_and_the_journal_replaces_it(registry: FolderRegistry) -> None:
    current = registry.root / "walker" / "current.json"
    current.write_text("{")
    with pytest.raises(DamagedFileError, match=r"current\.json is damaged: .* Delete the file"):
        registry.policy("walker")
    current.unlink()
    assert registry.policy("walker").live == "1.1.0"


def test_a_damaged_journal_is_named_with_its_line(registry: FolderRegistry) -> None:
    journal = registry.root / "walker" / "journal.jsonl"
    journal.write_text("rubbish\n" + journal.read_text())
    with pytest.raises(DamagedFileError, match=r"journal\.jsonl:1 is damaged: .* Move the file away"):
        registry.policy("walker")
    journal.unlink()
    assert registry.policy("walker").live == "1.1.0"


def test_a_live_release_without_files_can_be_left(registry: FolderRegistry, tmp_path: Path) -> None:
    folder = registry.root / "walker" / "versions" / "1.1.0"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    policy = registry.policy("walker")
    with pytest.raises(DamagedFileError, match=r"walker 1\.1\.0 is live and its files are missing"):
        _ = policy.live_release
    registry.switch("walker", policy.next_event("rolled back", "1.0.0"), expected="1.1.0")
    assert registry.policy("walker").live == "1.0.0"


def test_a_directory_of_something_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    bundle = bundle_of(tmp_path / "b", "one")
    with pytest.raises(UsageError, match="is not a registry: it has other files"):
        FolderRegistry(tmp_path / "letters").add(release_of(bundle, "1.0.0"), bundle)
    with pytest.raises(UsageError, match="is not a directory"):
        FolderRegistry(tmp_path / "file").names()


def test_a_registry_of_a_later_format_is_not_touched(registry: FolderRegistry) -> None:
    (registry.root / "registry.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(DamagedFileError, match="its format is 99, this DAF reads 1"):
        registry.policy("walker")


def test_a_directory_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, "one")
    with pytest.raises(StorageError, match=r"/proc/registry can't be written, .* Name another directory"):
        FolderRegistry("/proc/registry").add(release_of(bundle, "1.0.0"), bundle)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a" * 65, "run:1"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    bundle = bundle_of(tmp_path, "one")
    with pytest.raises(ReleaseError, match="can't name a release"):
        FolderRegistry(tmp_path / "registry").add(release_of(bundle, "1.0.0", name), bundle)
