"""Weights of policies: loaded only as tensors, whatever wrapped the network that they were saved from.

`torch.compile` puts `_orig_mod.` into the names of tensors, distributed training `module.` before them. A network that
has no such names gets the same tensors under its own names.

Importing this module imports torch only where a function needs it.
"""

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from mettagrid.policy.policy import MultiAgentPolicy

COMPILED, DISTRIBUTED = "_orig_mod.", "module."
_LONGEST_INDEX = 64 * 2**20
_FORCE, _FORBID = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def load_into(policy: "MultiAgentPolicy", path: str, *, known: bool) -> None:
    """Let `policy` load the weights at `path` by its own method, under the names that its network has.

    known: its class is one of CoGames' or DAF's, so that it loads only tensors; another class is the user's code and
    decides itself. Exceptions of its method pass through.
    """
    network = policy.network()
    with _tensors_only(known):
        if network is None:
            policy.load_policy_data(path)
            return
        with fitting_file(Path(path), network) as file:
            policy.load_policy_data(str(file))


@contextlib.contextmanager
def fitting_file(path: Path, network: "torch.nn.Module") -> Iterator[Path]:
    """`path`, or a temporary copy of it that has the names of `network` where they differ by a wrapper only."""
    renamed = _renamed_file(path, network)
    if renamed is None:
        yield path
        return
    import torch

    with tempfile.TemporaryDirectory(prefix="daf-weights-") as folder:
        copy = Path(folder, path.name)
        if copy.suffix == ".safetensors":
            from safetensors.torch import save_file

            save_file(renamed, str(copy))
        else:
            torch.save(renamed, copy)
        yield copy


def fitting(given: Mapping[str, Any], expected: Iterable[str]) -> dict[str, Any]:
    """`given` under the names that a network expects, if they differ only by a wrapper; else unchanged.

    expected: the names of the network's own tensors.
    """
    own = list(expected)
    by_plain = dict(zip(_plain(own), own, strict=True))
    renamed = {by_plain.get(plain, plain): given[name] for plain, name in zip(_plain(given), given, strict=True)}
    return dict(given) if set(given) == set(own) or len(renamed) < len(given) else renamed


def _plain(names: Iterable[str]) -> list[str]:
    """The names without the parts that wrappers add; `module.` is a wrapper's only if all start with it."""
    plain = [name.replace(COMPILED, "") for name in names]
    distributed = all(name.startswith(DISTRIBUTED) for name in plain)
    return [name.removeprefix(DISTRIBUTED) for name in plain] if distributed else plain


def _renamed_file(path: Path, network: "torch.nn.Module") -> "dict[str, torch.Tensor] | None":
    """The tensors of a file that has other names than `network`; None where the file can be loaded as it is."""
    wrapped = [name for name in network.state_dict() if COMPILED in name]
    if not wrapped and not _mentions_wrapper(path):
        return None
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        given: Any = load_file(str(path))
    else:
        given = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        return None
    renamed = fitting(given, network.state_dict())
    return None if list(renamed) == list(given) else renamed


def _mentions_wrapper(path: Path) -> bool:
    """Whether a wrapper's name is in the file's list of names; the tensors are not read."""
    try:
        if path.suffix == ".safetensors":
            with path.open("rb") as file:
                index = file.read(min(int.from_bytes(file.read(8), "little"), _LONGEST_INDEX))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
                index = b""
                if name is not None:
                    with archive.open(name) as file:
                        index = file.read(_LONGEST_INDEX)
        else:
            return True  # torch's older format has no list of names in front
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        return False  # the policy's own loading reports the problem with the file
    return COMPILED.encode() in index or DISTRIBUTED.encode() in index


@contextlib.contextmanager
def _tensors_only(known: bool) -> Iterator[None]:
    """Make `torch.load` refuse pickled objects: for known classes always, else unless the class asks for them."""
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _FORBID)}
    if known:
        os.environ[_FORCE] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
