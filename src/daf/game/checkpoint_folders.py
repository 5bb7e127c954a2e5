"""Checkpoint folders: which one a run directory stands for, and whether one is intact.

    CHECKPOINTS/  step_000001234567/  policy_spec.json, weights, …, state.json (facts), checksums.json
                  final/              the last one, once training is over

Order is by the agent steps in names and facts, never by modification times, which a copy changes. A checkpoint is
played only if every file that playing needs matches its checksum. Importing this module imports no torch.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from daf.errors import CheckpointError, DamagedFileError, PolicyError, StorageError, UnsafePathError
from daf.storage.containment import inside
from daf.storage.hashing import hash_file
from daf.storage.reading import open_regular, read_json, read_object

FOLDER, FINAL = "checkpoints", "final"
SPEC, STATE, FACTS, CHECKSUMS = "policy_spec.json", "state.pt", "state.json", "checksums.json"
_STEP = re.compile(r"step_(\d{1,18})")
_DEEPEST = 6
"""Folders below a given one in which checkpoints are looked for: a run of a sweep of an experiment has 4."""
_MOST_SEEN = 50_000
_MOST_BYTES = 8 * 2**20
_LARGEST = 8 * 2**30
"""Bytes of a file of a checkpoint: networks of 2 billion weights."""
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class Reached(TypedDict):
    """The progress of training when it wrote a checkpoint."""

    steps: _Count
    updates: _Count


class FactsConfig(TypedDict):
    """The settings of the run that are read by name; the others are compared as they are."""

    total_timesteps: _Count
    optimizer: str


class CheckpointFacts(Reached):
    """The fields of `state.json` that are read; others are kept too."""

    config: FactsConfig
    policy: str
    arguments: dict[str, Any]
    missions: dict[str, str]
    parameters: dict[str, list[int]]
    threads: int
    device: str
    torch: str
    metrics: dict[str, float]


def facts(checkpoint: Path) -> CheckpointFacts:
    """All facts of a checkpoint. Raises `CheckpointError`."""
    return _facts(checkpoint, CheckpointFacts)


def reached(checkpoint: Path) -> Reached:
    """Steps and updates of a checkpoint. Raises `CheckpointError`."""
    return _facts(checkpoint, Reached)


def step_in_name(path: Path) -> int | None:
    """The agent steps in a name such as `step_000001234567`."""
    found = _STEP.fullmatch(path.name)
    return None if found is None else int(found[1])


def steps(folder: Path) -> dict[int, Path]:
    """The checkpoints in `folder` by their steps, in ascending order, damaged ones included."""
    named = {step_in_name(path): path for path in folder.glob("step_*") if path.is_dir()}
    return dict(sorted((step, path) for step, path in named.items() if step is not None))


def verify(checkpoint: Path, *, but: Sequence[str] = ()) -> None:
    """Raise `CheckpointError` if a file of a checkpoint is missing or was changed.

    but: files that are not checked.
    """
    try:
        sums = read_json(checkpoint / CHECKSUMS, dict[str, str], limit=_MOST_BYTES)
        if sums is None:
            raise CheckpointError(f"{checkpoint} is not a complete checkpoint: {CHECKSUMS} is missing.")
        unlisted = sorted(_played(checkpoint) - sums.keys())
        if unlisted:
            raise CheckpointError(
                f"{checkpoint} is not a complete checkpoint: {CHECKSUMS} does not list {unlisted[0]}."
            )
        for name, digest in sums.items():
            if name in but:
                continue
            file = inside(checkpoint, name)
            try:
                with open_regular(file) as opened:
                    size = os.fstat(opened.fileno()).st_size
                if size > _LARGEST:
                    raise CheckpointError(f"{checkpoint / name} has {size:,} bytes; at most {_LARGEST:,} are read.")
            except FileNotFoundError:
                raise CheckpointError(f"{checkpoint} is not a complete checkpoint: {name} is missing.") from None
            if hash_file(file) != digest:
                raise CheckpointError(
                    f"{checkpoint / name} is damaged: its checksum is not the one in {CHECKSUMS}, so these are not the "
                    "weights that were trained. Use another checkpoint of the run, or a copy of this one."
                )
    except (DamagedFileError, UnsafePathError, StorageError) as error:
        raise CheckpointError(f"{checkpoint} is not a complete checkpoint: {error}") from error


def _played(checkpoint: Path) -> set[str]:
    """The files of a checkpoint that playing depends on: specification, weights and code."""
    found = (
        path for path in checkpoint.rglob("*") if path.name == SPEC or path.suffix in (".pt", ".safetensors", ".py")
    )
    return {path.relative_to(checkpoint).as_posix() for path in found}


def require_playable(folder: Path) -> None:
    """Raise `PolicyError` if `folder` is a checkpoint with checksums and a file that playing needs does not match.

    Files that only training needs may be missing, and are not read. A folder without checksums is accepted as it is.
    """
    if os.path.lexists(folder / CHECKSUMS) and ((folder / SPEC).exists() or (folder / FACTS).exists()):
        try:
            verify(folder, but=(STATE, FACTS))
        except CheckpointError as error:
            raise PolicyError(str(error)) from error


def final_checkpoint(run_dir: Path) -> Path:
    """The checkpoint of a run directory: the one with the most agent steps, `final` among equal ones.

    Checkpoints of the run itself come before those of runs inside it. Raises `PolicyError` if there is none, or if
    nothing decides between several.
    """
    found = sorted(path.parent for path in specifications(run_dir))
    own = [path for path in found if path.parent in (run_dir, run_dir / FOLDER)]
    candidates = own or found
    if not candidates:
        raise PolicyError(
            f"{run_dir} contains no policy: neither {SPEC} nor a checkpoint with one. Give a bundle, or the "
            "folder of a training run that saved a checkpoint."
        )
    if len(candidates) == 1:
        return candidates[0]
    if len({path.parent for path in candidates}) > 1 or not all(map(_is_checkpoint, candidates)):
        shown = ", ".join(str(path) for path in candidates[:3])
        raise PolicyError(f"{run_dir} contains {len(candidates)} policies of several runs. Give one: {shown}, …")
    return max(candidates, key=_order)


def specifications(run_dir: Path) -> list[Path]:
    """The policy specifications below `run_dir`; of a huge tree only some of those near it."""
    found: list[Path] = []
    seen = 0
    for name, inner, files in os.walk(run_dir):  # not Path.walk: that one raises where a folder can't be listed
        folder = Path(name)
        seen += 1 + len(files)
        if SPEC in files and (folder / SPEC).is_file():
            found.append(folder / SPEC)
        if seen > _MOST_SEEN:
            break
        if len(folder.parts) - len(run_dir.parts) >= _DEEPEST:
            inner.clear()
    return found


def _is_checkpoint(path: Path) -> bool:
    return path.name == FINAL or step_in_name(path) is not None


def _order(path: Path) -> tuple[int, bool]:
    """By steps; `final` after the checkpoint that it is a copy of, and last if it has no facts."""
    step = step_in_name(path)
    if step is not None:
        return step, False
    if not (path / FACTS).exists():
        return 2**63, True
    try:
        return reached(path)["steps"], True
    except CheckpointError as error:
        raise PolicyError(str(error)) from error


def _facts[T](checkpoint: Path, kind: type[T]) -> T:
    try:
        found = read_object(checkpoint / FACTS, kind, limit=_MOST_BYTES)
    except (DamagedFileError, StorageError) as error:
        raise CheckpointError(f"{checkpoint} is not a checkpoint of a training run: {error}") from error
    if found is None:
        raise CheckpointError(f"{checkpoint} is not a checkpoint of a training run: {FACTS} is missing.")
    return found
