"""Reading back what each tracker wrote, in one shape: metrics by step, as a run's viewer would have them."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from daf.storage.foreign_paths import sqlite_url

Points = dict[str, list[tuple[int, float]]]


def jsonl(run_dir: Path) -> Points:
    found: Points = {}
    for line in (run_dir / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        step = row.pop("step")
        for name, value in row.items():
            found.setdefault(name, []).append((step, value))
    for line in (run_dir / "evaluations.jsonl").read_text().splitlines():
        row = json.loads(line)
        found.setdefault("evaluation/mean", []).append((row["step"], row["mean"]))
    return found


def tensorboard(run_dir: Path) -> Points:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"tensors": 0, "scalars": 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def wandb(run_dir: Path) -> Points:
    from wandb.proto import wandb_internal_pb2

    found: Points = {}
    for path in sorted(run_dir.glob("wandb/offline-run-*/*.wandb"), key=lambda p: p.stat().st_mtime_ns):
        for data in _leveldb_records(path.read_bytes()):
            record = wandb_internal_pb2.Record.FromString(data)
            if record.WhichOneof("record_type") != "history":
                continue
            row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for name, value in row.items():
                if not name.startswith("_") and not name.endswith("agent_steps"):
                    found.setdefault(name, []).append((row["agent_steps"], value))
    return found


def mlflow(run_dir: Path) -> Points:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=sqlite_url(run_dir / "mlflow.db"))
    (experiment,) = [found for found in client.search_experiments() if found.name == "daf"]
    (run,) = client.search_runs([experiment.experiment_id])
    return {
        name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
        for name in run.data.metrics
    }


def trackio(run_dir: Path) -> Points:
    from trackio.sqlite_storage import SQLiteStorage

    identity = json.loads((run_dir / "tracking" / "trackio.json").read_text())["id"]
    names = [name for name in SQLiteStorage.get_runs("daf") if name.endswith(identity)]
    found: Points = {}
    for row in [row for name in names for row in SQLiteStorage.get_logs("daf", name)]:
        for name, value in row.items():
            if name not in ("step", "timestamp"):
                found.setdefault(name, []).append((row["step"], value))
    return found


READERS = {"jsonl": jsonl, "tensorboard": tensorboard, "wandb": wandb, "mlflow": mlflow, "trackio": trackio}


def _leveldb_records(data: bytes) -> Iterator[bytes]:
    """W&B's file: a header of 7 bytes, then LevelDB's log format in blocks of 32 KiB."""
    position, parts = 7, b""
    while position + 7 <= len(data):
        room = 32768 - position % 32768
        if room < 7:
            position += room
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        if kind == 0:
            return
        part = data[position + 7 : position + 7 + length]
        position += 7 + length
        parts = part if kind in (1, 2) else parts + part
        if kind in (1, 4):
            yield parts
