"""Checkpoints are chosen by their steps, and played only as they were written."""

import json
import os
import shutil
from pathlib import Path

import pytest

from daf.errors import CheckpointError, PolicyError
from daf.game import checkpoint_folders, policies, policy
from daf.output_manager import OutputManager
from daf.storage.hashing import hash_file


def checkpoint(folder: Path, steps: int, name: str | None = None) -> Path:
    """A whole checkpoint of a policy without a network."""
    path = folder / "checkpoints" / (name or f"step_{steps:012d}")
    path.mkdir(parents=True)
    (path / "weights.pt").write_bytes(b"weights of %d" % steps)
    (path / "state.pt").write_bytes(b"optimizer")
    (path / "state.json").write_text(json.dumps({"steps": steps, "updates": 1}))
    spec = {"class_path": "daf_test_policy.Mine", "data_path": "weights.pt", "init_kwargs": {}}
    (path / "policy_spec.json").write_text(json.dumps(spec))
    (path / "daf_test_policy.py").write_text(
        "from mettagrid.policy.policy import MultiAgentPolicy\nclass Mine(MultiAgentPolicy): pass\n"
    )
    sums = {file.name: hash_file(file) for file in sorted(path.iterdir())}
    (path / "checksums.json").write_text(json.dumps(sums))
    return path


def resolve(policy: object, tmp_path: Path) -> policy.Policy:
    return policies.resolve(str(policy), cache=tmp_path / "cache", runs=tmp_path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with OutputManager(tmp_path, track_experiments=False).operation("training") as folder:
        pass
    return folder


def test_a_run_plays_the_checkpoint_with_the_most_steps_whatever_the_files_times(run: Path, tmp_path: Path) -> None:
    made = {steps: checkpoint(run, steps) for steps in (90, 1000, 200)}
    for age, path in enumerate([made[1000], made[200], made[90]]):  # the newest file has the fewest steps
        for file in path.iterdir():
            os.utime(file, (1e9 + age, 1e9 + age))
    for name in (run, run / "checkpoints", f"run:{run.name}"):
        assert resolve(name, tmp_path).data_path == str(made[1000] / "weights.pt")


def test_the_final_checkpoint_counts_with_its_steps(run: Path, tmp_path: Path) -> None:
    final = checkpoint(run, 500, "final")
    checkpoint(run, 500)
    assert checkpoint_folders.final_checkpoint(run) == final
    later = checkpoint(run, 600)
    assert checkpoint_folders.final_checkpoint(run) == later


def test_a_folder_of_several_runs_does_not_choose_by_itself(tmp_path: Path) -> None:
    for trial in ("0000", "0001"):
        checkpoint(tmp_path / "sweep" / "trials" / trial, 100, "final")
    with pytest.raises(PolicyError, match=r"of several runs. Give one: .*0000/checkpoints/final"):
        resolve(tmp_path / "sweep", tmp_path)
    own = checkpoint(tmp_path / "sweep", 50, "final")
    assert checkpoint_folders.final_checkpoint(tmp_path / "sweep") == own


@pytest.mark.parametrize("file", ["weights.pt", "policy_spec.json", "daf_test_policy.py"])
def test_a_checkpoint_with_a_flipped_byte_is_not_played_however_it_is_named(
    run: Path, tmp_path: Path, file: str
) -> None:
    whole, damaged = checkpoint(run, 100), checkpoint(run, 200)
    content = bytearray((damaged / file).read_bytes())
    content[3] ^= 1
    (damaged / file).write_bytes(content)
    archive = shutil.make_archive(str(tmp_path / "bundle"), "zip", damaged)
    data = f"class=lstm,data={damaged / 'weights.pt'}"
    for name in (damaged, run, f"run:{run.name}", "run:latest", archive, data):
        with pytest.raises(PolicyError, match=f"{file} is damaged: its checksum"):
            resolve(name, tmp_path)
    assert resolve(whole, tmp_path).data_path == str(whole / "weights.pt")


def test_playing_needs_neither_the_optimizer_nor_checksums(run: Path, tmp_path: Path) -> None:
    path = checkpoint(run, 100)
    (path / "state.pt").write_bytes(b"damaged")
    resolve(path, tmp_path)
    (path / "state.pt").unlink()
    resolve(path, tmp_path)
    with pytest.raises(CheckpointError, match=r"state\.pt is missing"):
        checkpoint_folders.verify(path)
    (path / "checksums.json").unlink()
    resolve(path, tmp_path)


@pytest.mark.parametrize(
    "sums", ["", "[]", "{", '{"weights.pt": 5}', '{"../../x": "0"}', '{"/etc/passwd": "0"}', '{"missing.py": "0"}']
)
def test_damaged_checksums_are_reported(run: Path, tmp_path: Path, sums: str) -> None:
    path = checkpoint(run, 100)
    (path / "checksums.json").write_text(sums)
    with pytest.raises(PolicyError, match=r"is not a complete checkpoint"):
        resolve(path, tmp_path)


@pytest.mark.parametrize("facts", ["", "[]", "{}", '{"steps": -1}', '{"steps": "9"}', '{"steps": 1e99, "updates": 1}'])
def test_damaged_facts_are_reported(run: Path, facts: str) -> None:
    path = checkpoint(run, 100)
    (path / "state.json").write_text(facts)
    for read in (checkpoint_folders.facts, checkpoint_folders.reached):
        with pytest.raises(CheckpointError, match=r"state\.json is damaged"):
            read(path)


def test_pipes_in_a_checkpoint_are_not_waited_for(run: Path, tmp_path: Path) -> None:
    path = checkpoint(run, 100)
    for name in ("weights.pt", "state.json"):
        (path / name).unlink()
        os.mkfifo(path / name)
    with pytest.raises(PolicyError, match=r"weights\.pt is damaged: not a regular file"):
        resolve(path, tmp_path)
    with pytest.raises(CheckpointError, match=r"not a regular file"):
        checkpoint_folders.reached(path)
