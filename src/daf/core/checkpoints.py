"""Checkpoints: directories that are written completely or not at all, and read only if they are complete.

    step_000001234567/  weights.safetensors   the network
                        weights.pt            the same as the policy's class saves it, for CoGames
                        policy_spec.json      so that the directory is a policy bundle
                        state.pt              everything else that resuming needs (tensors, numbers, text)
                        state.json            facts for people, and for the check that it fits
                        checksums.json        SHA-256 of every other file

Files are written and synced in a sibling directory, which is then renamed. A directory whose checksums don't match is
refused.

Importing this module imports torch.
"""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from daf.episodes.cache import link_or_copy
from daf.errors import CheckpointError, StorageError
from daf.game.bundles import is_bundle
from daf.game.checkpoint_folders import CHECKSUMS, FACTS, FINAL, FOLDER, SPEC, STATE, facts, reached, steps, verify
from daf.game.policy import Policy
from daf.game.policy_source import own_code
from daf.game.trainable import Trainable
from daf.game.weights import fitting_file
from daf.storage.atomic import announced, explain, remove, sync, temporary_name
from daf.storage.hashing import hash_file

__all__ = [
    "CHECKSUMS",
    "COGAMES_WEIGHTS",
    "FACTS",
    "FINAL",
    "FOLDER",
    "SPEC",
    "STATE",
    "WEIGHTS",
    "facts",
    "latest",
    "load_state",
    "load_weights",
    "publish_final",
    "reached",
    "require_space",
    "save",
    "step_of",
    "steps",
    "verify",
]

logger = logging.getLogger(__name__)

WEIGHTS, COGAMES_WEIGHTS = "weights.safetensors", "weights.pt"
_OVERHEAD = 4 << 20
"""Bytes that a checkpoint may need in addition: recurrent states, the actions of running episodes."""


def save(
    folder: Path, step: int, trainable: Trainable, policy: Policy, state: Mapping[str, Any], facts: Mapping[str, Any]
) -> Path:
    """Write the checkpoint of `step` into `folder`, and return its path. Raises `StorageError`, leaving nothing."""
    target = folder / f"step_{step:012d}"
    temporary = temporary_name(target)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with announced(folder):
            _write(temporary, trainable, policy, state, facts)
            if target.exists():
                remove(target)  # the same step again, after a resume
            temporary.rename(target)
            sync(folder)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        previous = latest(folder)
        kept = "" if previous is None else f" The previous checkpoint, {previous.name}, is intact."
        raise StorageError(explain(_cause(error), f"writing the checkpoint {target}") + kept) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target


def _cause(error: OSError | RuntimeError) -> OSError:
    """The system's error. torch and safetensors raise exceptions of other types, and often without the reason."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError):
            return found
        found = found.__cause__ or found.__context__
    text = str(error).strip().rstrip(".")
    return OSError(getattr(error, "errno", None) or 0, f"the disk may be full or failing: PyTorch reports {text}")


def _write(
    folder: Path, trainable: Trainable, policy: Policy, state: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Write the files of a checkpoint; they are on disk when this returns."""
    from safetensors.torch import save_model

    folder.mkdir()
    save_model(trainable.network, str(folder / WEIGHTS))
    trainable.policy.save_policy_data(str(folder / COGAMES_WEIGHTS))
    with (folder / STATE).open("wb") as file:  # given a path, torch hides the system's error
        torch.save(dict(state), file)
    (folder / FACTS).write_text(json.dumps(dict(facts), indent=2, allow_nan=False) + "\n")
    spec = {"class_path": policy.class_path, "data_path": COGAMES_WEIGHTS, "init_kwargs": policy.kwargs}
    (folder / SPEC).write_text(json.dumps(spec, indent=2) + "\n")
    _copy_code(policy, folder)
    sums = {
        path.relative_to(folder).as_posix(): hash_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    (folder / CHECKSUMS).write_text(json.dumps(sums, indent=2) + "\n")
    for path in (*folder.rglob("*"), folder):
        sync(path)


def require_space(folder: Path, network: torch.nn.Module) -> None:
    """Raise `StorageError` if there is no space below `folder` for two checkpoints, before training starts.

    A checkpoint holds the weights twice and, with Adam, two numbers per weight.
    """
    weights = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    needed = 2 * (4 * weights + _OVERHEAD)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise StorageError(
            f"no space for checkpoints in {folder}: two need {needed / 1e6:.1f} MB, and {free / 1e6:.1f} MB is free. "
            "Free some space, or choose another directory with --output-dir or DAF_OUTPUT_DIR."
        )


def publish_final(checkpoint: Path) -> Path:
    """Publish `checkpoint` as `final` in its parent directory, and return that path. Raises `StorageError`."""
    folder = checkpoint.parent
    target = folder / FINAL
    temporary = temporary_name(target)
    try:
        with announced(folder):
            shutil.copytree(checkpoint, temporary, copy_function=_linked)
            for path in (*(path for path in temporary.rglob("*") if path.is_dir()), temporary):
                sync(path)
            if target.exists():
                remove(target)
            temporary.rename(target)
            sync(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise StorageError(explain(error, f"writing {target}")) from error
    return target


def step_of(checkpoint: Path) -> int:
    """The agent steps recorded in the checkpoint's facts. Raises `CheckpointError`."""
    return reached(checkpoint)["steps"]


def latest(folder: Path) -> Path | None:
    """The last intact checkpoint; a damaged one is skipped with a warning. None if there is none."""
    for path in reversed(steps(folder).values()):
        try:
            verify(path)
        except CheckpointError as error:
            logger.warning("%s It is skipped.", error)
            continue
        return path
    return None


def load_state(checkpoint: Path) -> dict[str, Any]:
    """The state for `Learner.restore`. Raises `CheckpointError`."""
    try:
        state: dict[str, Any] = torch.load(checkpoint / STATE, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{checkpoint / STATE} can't be read: {type(error).__name__}: {error}") from error
    return state


def load_weights(source: Path, trainable: Trainable) -> None:
    """Load a checkpoint's weights, or a .safetensors or .pt file. Raises `CheckpointError` with the differences.

    Files listed in a checkpoint's checksums are verified first, also if the path is the file itself.
    """
    folder = source if source.is_dir() else source.parent
    if (folder / CHECKSUMS).exists():
        verify(folder, but=(STATE,))
    path = source / WEIGHTS if source.is_dir() else source
    if not path.is_file():
        raise CheckpointError(f"there are no weights at {path}. Pass a checkpoint, or a .safetensors or .pt file.")
    try:
        with fitting_file(path, trainable.network) as file:
            _load_file(file, path, trainable)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{path} does not fit the network of {trainable.name}: {type(error).__name__}: {str(error)[:600]}"
        ) from error
    trainable.network.to(trainable.device)


def _load_file(file: Path, path: Path, trainable: Trainable) -> None:
    """Load `file`, which holds the weights of `path` under the network's parameter names."""
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file, load_model

        given = load_file(str(file))
        _check_made_alike(path, given, trainable)
        missing, unexpected = load_model(trainable.network, str(file), strict=False)
        if missing or unexpected:
            mine = trainable.network.state_dict()
            raise CheckpointError(
                f"{path} contains another network: {_listed('it lacks', missing)}{_listed('it has', unexpected)}"
                f"{len(given)} tensors in the file, {len(mine)} in the network."
            )
        return
    # Not with the policy's own load method, which may replace the network that is being trained.
    state = torch.load(file, map_location="cpu", weights_only=True)
    _check_made_alike(path, state, trainable)
    trainable.network.load_state_dict(state)


def _check_made_alike(path: Path, given: Mapping[str, torch.Tensor], trainable: Trainable) -> None:
    """Reject weights of a network built with other arguments, as its constant buffers show."""
    for name, mine in trainable.network.named_buffers():
        theirs = given.get(name)
        if theirs is not None and not mine.is_floating_point() and not torch.equal(mine.cpu(), theirs):
            raise CheckpointError(
                f"{path} contains a network of {trainable.name} that was built with other arguments ({name} differs). "
                "Pass the same arguments (network: in the configuration, or --set)."
            )


def _listed(what: str, names: Any) -> str:
    shown = sorted(names)
    return f"{what} {', '.join(shown[:3])}{' …' if len(shown) > 3 else ''}; " if shown else ""


def _copy_code(policy: Policy, into: Path) -> None:
    """Copy the policy's modules, so that the checkpoint plays from any location, with the code it was saved with."""
    roots = [Path(root) for root in policy.import_roots]
    if any(is_bundle(root) for root in roots):
        files = {path.relative_to(root): path for root in roots for path in root.rglob("*.py")}
    else:
        files = own_code(policy.class_path, policy.import_roots)
    for inside, path in sorted(files.items()):
        (into / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, into / inside)


def _linked(source: str, target: str) -> None:
    link_or_copy(Path(source), Path(target))
