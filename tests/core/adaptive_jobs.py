"""A small trainer and evaluator for tests of adaptive control, as programs of their own.

    python adaptive_jobs.py train RUN_DIR TARGET SEED RATE BRANCH|-
    python adaptive_jobs.py evaluate CHECKPOINT

Training is a chain of hashes in blocks of ten steps, saved after each, so that what comes out tells whether a block was
lost or repeated. Two trainers at once in one folder leave a file `overlap`. RATE says how it fares: 0 and below fails.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

BLOCK = 10


def train(run_dir: Path, target: int, seed: str, rate: float, branch: str) -> int:
    checkpoint = run_dir / "checkpoints" / "final"
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = (run_dir / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        (run_dir / "overlap").write_text("two trainers")
        return 2
    if rate <= 0:
        print(json.dumps({"status": "failed", "error": {"type": "Diverged", "message": f"rate {rate}"}}))
        return 1
    state = {"steps": 0, "chain": seed}
    if checkpoint.exists():
        state = json.loads((checkpoint / "state.json").read_text())
    elif branch != "-":
        state = json.loads((Path(branch) / "state.json").read_text())
    while state["steps"] < target:
        chain = hashlib.pbkdf2_hmac("sha256", state["chain"].encode(), f"{rate}".encode(), 4000).hex()
        steps = state["steps"] + BLOCK
        state = {"steps": steps, "updates": steps // BLOCK, "chain": chain}
        _save(checkpoint, state)
        with (run_dir / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": state["steps"]}) + "\n")
    result = {
        "status": "stopped", "steps": state["steps"], "updates": state["steps"] // BLOCK, "wall_seconds": 1.0,
        "final_checkpoint": str(checkpoint), "metrics": {},
    }  # fmt: skip
    part = run_dir / "training.json.part"
    part.write_text(json.dumps(result))
    part.replace(run_dir / "training.json")
    return 0


def _save(checkpoint: Path, state: dict[str, object]) -> None:
    part = checkpoint.with_name(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in ("weights.safetensors", "policy_spec.json"):
        (part / name).write_text("{}")
    (part / "state.json").write_text(json.dumps(state))
    old = checkpoint.with_name(".old")
    shutil.rmtree(old, ignore_errors=True)
    if checkpoint.exists():  # not quite atomic, like no real one: a kill in between leaves `.old` to be found
        checkpoint.rename(old)
    part.rename(checkpoint)


def _recover(checkpoint: Path) -> None:
    old = checkpoint.with_name(".old")
    if old.exists() and not checkpoint.exists():
        old.rename(checkpoint)


def evaluate(checkpoint: Path) -> int:
    state = json.loads((checkpoint / "state.json").read_text())
    mean = int(state["chain"][:8], 16) / 2**32
    row = {"policy": "p", "mean": mean, "ci": [mean - 0.1, mean + 0.1], "iqm": mean, "n": 4}
    print(json.dumps({"run_id": "x", "run_dir": "y", "status": "ok", "ranking": [row]}))
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "train":
        _recover(Path(sys.argv[2]) / "checkpoints" / "final")
        code = train(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4], float(sys.argv[5]), sys.argv[6])
    elif sys.argv[1] == "evaluate":
        code = evaluate(Path(sys.argv[2]))
    else:  # hang: without a sign of life
        os.read(os.pipe()[0], 1)
        code = 3
    sys.exit(code)
