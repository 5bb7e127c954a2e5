"""Policy bundles: what a zip may hold, what a specification may name, and what the cache promises."""

import json
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import pytest
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

from daf.errors import PolicyError, StorageError
from daf.game import bundle_archives, policies, policy
from daf.game.missions import resolve as resolve_mission
from daf.game.policy_loading import build
from daf.storage import atomic
from tests.game.test_policy_files import MY_POLICY, moves

SPEC = {"class_path": "bundled_policy.MyPolicy"}
CODE = MY_POLICY.replace("from helper_of_mine import ACTION", "ACTION = 'move_north'")


def contents(spec: object = SPEC, **more: str) -> dict[str, str]:
    return {"policy_spec.json": json.dumps(spec), "bundled_policy.py": CODE, **more}


def zipped(path: Path, files: Mapping[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo("x")
            entry.filename, entry.compress_type = name, zipfile.ZIP_DEFLATED  # as it is, backslashes included
            archive.writestr(entry, text)
    return path


def folder_of(path: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def resolve(path: object, tmp_path: Path) -> policy.Policy:
    return policies.resolve(str(path), cache=tmp_path / "bundles")


@pytest.mark.parametrize(("name", "change"), [
    ("b.zip", lambda name: f"my_bundle/{name}"),
    ("b.zip", lambda name: f"my bundle\\{name}"),
    ("b.ZIP", lambda name: name),
    ("b.Zip", lambda name: f"./{name}"),
])  # fmt: skip
def test_a_zip_is_a_bundle_however_it_was_packed(tmp_path: Path, name: str, change: object) -> None:
    plain = resolve(zipped(tmp_path / "plain.zip", contents(**{"sub/data.txt": "x"})), tmp_path)
    files = {change(file): text for file, text in contents(**{"sub/data.txt": "x"}).items()}  # type: ignore[operator]
    files |= {"__MACOSX/._policy_spec.json": "x", ".DS_Store": "x"}
    policy = resolve(zipped(tmp_path / name, files), tmp_path)
    assert policy.identity == plain.identity
    assert policy.name == "b"
    assert moves(policy) > 0


def bomb(path: Path, size: int) -> Path:
    """A zip whose one entry unpacks to `size` zeros; made in pieces."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("policy_spec.json", json.dumps(SPEC))
        with archive.open("weights.pt", "w") as file:
            for _ in range(size // 2**20):
                file.write(bytes(2**20))
    return path


def test_a_bomb_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.zip", 200 * 2**20)
    started = perf_counter()
    with pytest.raises(PolicyError, match="at most 100 times as many"):
        resolve(path, tmp_path)
    assert perf_counter() - started < 10
    assert not (tmp_path / "bundles").exists()


def test_a_bomb_of_entries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "many.zip", {f"f{number}": "" for number in range(20_001)})
    with pytest.raises(PolicyError, match="20,001 entries"):
        resolve(path, tmp_path)
    monkeypatch.setattr(bundle_archives, "MAX_DIRECTORY_BYTES", 100_000)
    with pytest.raises(PolicyError, match="list of entries"):
        resolve(path, tmp_path)
    assert not (tmp_path / "bundles").exists()


def test_a_size_that_an_entry_hides_is_not_unpacked(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.zip", 80 * 2**20)
    data = path.read_bytes()
    path.write_bytes(data.replace((80 * 2**20).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(PolicyError, match="damaged"):
        resolve(path, tmp_path)
    assert sum(file.stat().st_size for file in (tmp_path / "bundles").rglob("*")) < 10**6


@pytest.mark.parametrize("name", ["../evil.py", "/evil.py", "..\\evil.py", "C:\\evil.py", "a/../../evil.py"])
def test_an_entry_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PolicyError, match="leads out"):
        resolve(zipped(tmp_path / "b.zip", contents(**{name: "boom"})), tmp_path)
    assert not (tmp_path / "bundles").exists()


@pytest.mark.parametrize("key", ["data_path", "setup_script"])
@pytest.mark.parametrize("value", ["/etc/passwd", "../outside.py", "link.py", "linked/outside.py", "a/../../outside.py",
                                   "\0", "~/x.py", "", "x" * 5_000])  # fmt: skip
def test_what_a_specification_names_lies_in_the_bundle(tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "outside.py").write_text("raise SystemExit")
    folder = folder_of(tmp_path / "b", contents(SPEC | {key: value}))
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    (folder / "linked").symlink_to(tmp_path)
    if key == "setup_script" and value == "":
        assert resolve(folder, tmp_path).class_path == SPEC["class_path"]
        return
    with pytest.raises(PolicyError, match=f"its {key} "):
        resolve(folder, tmp_path)


@pytest.mark.parametrize("spec", [
    "", "{", "[]", "3", '{"class_path": 3}', '{"class_path": "nodots"}', '{"class_path": "../x.Y"}',
    '{"class_path": "**.Y"}', '{"class_path": ".."}', '{"class_path": "a.B", "init_kwargs": 3}', "[" * 50_000,
    '{"class_path": "a.B", "init_kwargs": ' + '{"a":' * 5_000, "\xff",
])  # fmt: skip
def test_a_specification_of_another_shape_is_refused_in_a_sentence(tmp_path: Path, spec: str) -> None:
    folder = folder_of(tmp_path / "b", {"bundled_policy.py": CODE})
    (folder / "policy_spec.json").write_bytes(spec.encode("latin-1"))
    with pytest.raises(PolicyError) as raised:
        resolve(folder, tmp_path)
    assert len(str(raised.value)) < 800


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", b"PK\x05\x06" + bytes(18), b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_not_a_zip_is_refused_in_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "b.zip").write_bytes(data)
    with pytest.raises(PolicyError):
        resolve(tmp_path / "b.zip", tmp_path)


def test_a_damaged_zip_is_a_sentence_wherever_the_damage_is(tmp_path: Path) -> None:
    data = zipped(tmp_path / "b.zip", contents()).read_bytes()
    said = []
    for place in range(0, len(data), 7):
        (tmp_path / "b.zip").write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            resolve(tmp_path / "b.zip", tmp_path)
        except (PolicyError, StorageError) as error:
            said.append(str(error))
    assert len(said) > 10
    assert max(map(len, said)) < 800, max(said, key=len)


@pytest.mark.parametrize("damage", ["empty", "missing", "changed", "no list"])
def test_a_damaged_cache_is_noticed_and_unpacked_again(tmp_path: Path, damage: str) -> None:
    path = zipped(tmp_path / "b.zip", contents(**{"w.txt": "weights"}))
    before = resolve(path, tmp_path)
    root = Path(before.import_roots[-1])
    if damage == "empty":
        (root / "w.txt").write_bytes(b"")
    elif damage == "missing":
        (root / "bundled_policy.py").unlink()
    elif damage == "changed":
        (root / "w.txt").write_text("weighty")
    else:
        next((tmp_path / "bundles").glob("*.files.json")).unlink()
    assert resolve(path, tmp_path).identity == before.identity
    assert (root / "w.txt").read_text() == "weights"


def test_everything_is_on_the_disk_before_the_unpacked_bundle_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real(fd))[1]
    )
    resolve(zipped(tmp_path / "b.zip", contents(**{"sub/w.txt": "weights"})), tmp_path)
    mark = atomic.TEMPORARY_MARK
    unpacking = [name.partition(mark)[2].partition("/")[2] for name in synced if mark in name]
    assert {"policy_spec.json", "bundled_policy.py", "sub/w.txt", "sub", ""} <= set(unpacking)
    assert str(tmp_path / "bundles") in synced


KILLED = """
import os, signal, sys
from pathlib import Path
from daf.game import bundle_archives
archive, cache = map(Path, sys.argv[1:])
write = bundle_archives._write
def die(*arguments):
    write(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
bundle_archives._write = die
bundle_archives.unpacked(archive, cache, markers=["policy_spec.json"])
"""


def unpacked_until_killed(archive: Path, cache: Path) -> Path:
    """What a process leaves in the cache that is killed while it unpacks."""
    assert subprocess.run([sys.executable, "-c", KILLED, archive, cache], check=False).returncode == -signal.SIGKILL
    [left] = [path for path in cache.iterdir() if path.is_dir()]
    assert (left / "policy_spec.json").is_file()
    return left


def test_what_a_killed_unpacking_leaves_is_swept_up(tmp_path: Path) -> None:
    path, bundles = zipped(tmp_path / "b.zip", contents()), tmp_path / "cache" / "bundles"
    left = unpacked_until_killed(path, bundles)
    assert atomic.sweep_below(tmp_path / "cache") == [left]
    left = unpacked_until_killed(path, bundles)
    folder = bundle_archives.unpacked(path, bundles, markers=["policy_spec.json"])
    assert [entry for entry in bundles.iterdir() if entry.is_dir()] == [folder]


def test_nothing_sweeps_up_what_a_live_process_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = bundle_archives._write
    other = unpacked_until_killed(zipped(tmp_path / "other.zip", contents(other="x")), tmp_path / "bundles")

    def swept(bundle: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], into: Path) -> None:
        write(bundle, entries, into)
        atomic.temporary_name(other).mkdir()
        assert atomic.sweep_below(tmp_path) == []
        assert (into / "policy_spec.json").is_file()

    monkeypatch.setattr(bundle_archives, "_write", swept)
    path = zipped(tmp_path / "b.zip", contents())
    folder = bundle_archives.unpacked(path, tmp_path / "bundles", markers=["policy_spec.json"])
    assert (folder / "policy_spec.json").is_file()
    assert not other.exists()
    assert len(atomic.sweep_below(tmp_path)) == 1


def test_describing_a_bundle_runs_nothing_of_it(tmp_path: Path) -> None:
    trap = "open('/proc/self/cwd/executed', 'w').close()\n"
    files = contents(SPEC | {"setup_script": "prepare.py"}, **{"prepare.py": trap})
    files["bundled_policy.py"] = trap + CODE
    folder = folder_of(tmp_path / "b", files)
    for path in (folder, zipped(tmp_path / "b.zip", files)):
        found = policies.describe(str(path), cache=tmp_path / "bundles")
        assert (found.class_path, found.network, found.identity) == (SPEC["class_path"], None, None)
        assert found.setup_script is not None
        policies.upstream_spec(str(path), cache=tmp_path / "bundles")
    assert not list(tmp_path.rglob("executed"))
    assert not list(Path.cwd().glob("executed"))


def test_a_set_up_script_runs_once_per_unpacked_bundle_and_may_change_files(tmp_path: Path) -> None:
    prepare = "open('times.txt', 'a').write('x'); open('w.txt', 'w').write('made')\n"
    files = contents(SPEC | {"setup_script": "prepare.py"}, **{"prepare.py": prepare, "w.txt": "raw"})
    path = zipped(tmp_path / "b.zip", files)
    first = resolve(path, tmp_path)
    assert resolve(path, tmp_path).identity == first.identity
    root = Path(first.import_roots[-1])
    assert ((root / "times.txt").read_text(), (root / "w.txt").read_text()) == ("x", "made")
    assert policies.describe(str(path), cache=tmp_path / "bundles").identity == first.identity


def wrapped_names(state: dict[str, object], how: str) -> dict[str, object]:
    """The names that a wrapper of the network gives to its tensors."""
    ways = {
        "compiled": lambda name: f"_orig_mod.{name}",
        "distributed": lambda name: f"module.{name}",
        "both": lambda name: f"module._orig_mod.{name}",
        "a compiled part": lambda name: name.replace(".", "._orig_mod.", 1),
    }
    return {ways[how](name): tensor for name, tensor in state.items()}


@pytest.mark.parametrize("how", ["compiled", "distributed", "both", "a compiled part"])
@pytest.mark.parametrize("name", ["lstm", "stateless", "token_lstm"])
def test_weights_of_a_wrapped_network_play_as_those_of_the_network(tmp_path: Path, name: str, how: str) -> None:
    torch = pytest.importorskip("torch")
    mission = resolve_mission("memory_mystery_path_easy,max_steps=6")[0]
    interface = PolicyEnvInterface.from_mg_cfg(mission.config)
    original = build(policies.resolve(name, cache=tmp_path / "bundles"), interface)
    state = original.network().state_dict()
    torch.save(wrapped_names(state, how), tmp_path / "w.pt")
    loaded = build(policies.resolve(f"class={name},data={tmp_path / 'w.pt'}", cache=tmp_path / "bundles"), interface)
    for key, tensor in loaded.network().state_dict().items():
        assert torch.equal(tensor, state[key]), key


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed-by-weights",)


def test_weights_execute_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    (tmp_path / "w.pt").write_bytes(pickle.dumps(_Evil()))
    for name in ("lstm", "stateless", "token_lstm"):
        with pytest.raises(PolicyError, match="weights"):
            moves(policies.resolve(f"class={name},data=w.pt", cache=tmp_path / "bundles"))
    assert not (tmp_path / "executed-by-weights").exists()
