"""A run's files are checked before training resumes from them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from daf.core.adaptive import record
from daf.core.jobs.interface import JobError, JobSpec
from daf.core.jobs.local import LocalJobs
from daf.core.tracking._sent_steps import SentSteps
from daf.core.training_file import own_checkpoint, read_ended, read_training
from daf.errors import DamagedFileError, StorageError, UnsafePathError
from daf.storage import journal


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"id": "a/../b", "metrics": 1, "evaluations": 1}', '{"id": 5}', '{"id": "a"}']
)
def test_a_trackers_damaged_memory_is_named_with_the_way_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "tracking").mkdir()
    (tmp_path / "tracking" / "wandb.json").write_text(content)
    with pytest.raises(StorageError, match=r"wandb\.json is damaged: .*delete the file"):
        SentSteps(tmp_path, "wandb", 100)


CREATED = {"event": "created", "format": "daf-adaptive-1", "experiment_id": "x", "config": {}, "time": 1.0}
PLANNED = {"event": "planned", "run": "r0000", "settings": {}, "target": 100, "why": "", "parent": None}


@pytest.mark.parametrize("event", [
    PLANNED | {"run": "../../etc"}, PLANNED | {"target": "many"}, PLANNED | {"target": -1},
    PLANNED | {"parent": ["r0001"]}, PLANNED | {"settings": {"a": [1]}}, PLANNED | {"settings": None},
])  # fmt: skip
def test_an_event_of_another_shape_is_named_with_its_line(tmp_path: Path, event: dict[str, Any]) -> None:
    for folder, second in (("good", PLANNED), ("bad", event)):
        for line in (CREATED, second):
            journal.append(tmp_path / folder / record.JOURNAL, line)
    assert record.read(tmp_path / "good") is not None
    with pytest.raises(DamagedFileError, match=r"experiment\.jsonl:2 is damaged: "):
        record.read(tmp_path / "bad")


def test_a_job_of_which_a_file_is_damaged_is_not_signalled(tmp_path: Path) -> None:
    for content in ("[]", '{"pid": "1"}', '{"pid": -1}', '{"pid": 0}'):
        (tmp_path / "process.json").write_text(content)
        with pytest.raises(JobError, match=r"process\.json is damaged"):
            LocalJobs().interrupt(JobSpec("job", (), tmp_path, ()))


ENDED = {"status": "done", "steps": 9, "updates": 1, "wall_seconds": 1.0, "metrics": {}, "final_checkpoint": "c/final"}


@pytest.mark.parametrize("wrong", [
    {"steps": -1}, {"steps": "9"}, {"metrics": []}, {"final_checkpoint": 3}, {"wall_seconds": None}, {"status": 1},
])  # fmt: skip
def test_a_training_result_of_another_shape_is_named(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "training.json").write_text(json.dumps(ENDED))
    assert read_ended(tmp_path) == ENDED
    (tmp_path / "training.json").write_text(json.dumps(ENDED | wrong))
    for read in (read_ended, read_training):
        with pytest.raises(DamagedFileError, match=next(iter(wrong))):
            read(tmp_path)
    (tmp_path / "training.json").unlink()
    os.mkfifo(tmp_path / "training.json")
    with pytest.raises(DamagedFileError, match=r"not a regular file"):
        read_training(tmp_path)


@pytest.mark.parametrize("name", ["../other/checkpoints/final", "/etc", ".."])
def test_a_result_names_no_checkpoint_outside_its_run(tmp_path: Path, name: str) -> None:
    assert own_checkpoint(tmp_path, "checkpoints/final") == tmp_path.resolve() / "checkpoints" / "final"
    with pytest.raises(UnsafePathError, match=r"leads out of"):
        own_checkpoint(tmp_path, name)
