"""Where networks run: the requested device, checked before anything is played."""

import functools
import re

from daf.config.base import device_name
from daf.errors import UsageError

KINDS = ("auto", "cpu", "cuda", "cuda:N", "mps")


def resolve_device(device: object, *, gpu_allowed: bool = True) -> str:
    """The device that `device` means, or an error if it is not available: "cpu", "cuda:0", "mps".

    device: one of `KINDS`, or a `torch.device`; "auto" is a GPU if there is one and it is allowed. Imports torch for
    anything but "cpu". Raises `UsageError`.
    """
    name = check_device_name(device)
    if name == "cpu":
        return name
    head, _, number = name.partition(":")
    if not gpu_allowed:
        if head == "auto":
            return "cpu"
        raise UsageError(f"--device {name} is a GPU, and the configuration says enable_gpu: false.")
    import torch

    devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    metal = torch.backends.mps.is_available()
    if head == "auto":
        return "cuda:0" if devices else "mps" if metal else "cpu"
    if head == "mps":
        if not metal:
            raise UsageError("--device mps is not available: torch finds no Apple GPU. Leave it out, or use cpu.")
        return name
    wanted = int(number or 0)
    if wanted >= devices:
        found = f"{devices} CUDA devices" if devices else "no CUDA device"
        raise UsageError(f"--device {name} is not available: torch finds {found}. Leave it out, or use cpu.")
    return f"cuda:{wanted}"


def check_device_name(device: object) -> str:
    """The name of a device, given by name or as a `torch.device`. Raises `UsageError` if no machine has it."""
    name = str(device_name(device))
    if re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,3})?", name) is None:
        raise UsageError(f'no device "{name}". Known: {", ".join(KINDS)}.')
    return name


def device_memory(device: str) -> int | None:
    """Memory of a CUDA device in bytes; None for the others, which use the machine's memory."""
    if not device.startswith("cuda"):
        return None
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)


@functools.cache
def limit_gpu_memory(device: str, fraction: float) -> None:
    """Let this process take at most `fraction` of the memory of `device`; once, before it is used."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.set_per_process_memory_fraction(fraction, torch.device(device))
