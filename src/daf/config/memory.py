"""Sizes chosen by a user, refused by name if they cannot fit into memory.

`require(needed, …)` compares the size of an allocation with all the memory that this process could ever have, not with
the free memory at the moment, so the answer does not depend on other programs. It is called before anything is
allocated: many operating systems grant any amount and kill the process when it is used.
"""

import resource
from functools import cache
from pathlib import Path

from daf.errors import ConfigError


def require(needed: int, *, what: str, way_out: str, there: int | None = None) -> None:
    """Return if `needed` bytes can be allocated at all.

    what: names the setting and its allocation ("a rollout of num_envs 64 × n_steps 128"). way_out: what to do instead,
    a sentence. there: bytes of another memory, such as a GPU's; None: this process's. Raises `ConfigError`.
    """
    available = total() if there is None else there
    if needed > available:
        raise ConfigError(f"{what} needs {_shown(needed)} of memory, but only {_shown(available)} exist. {way_out}")


def total() -> int:
    """Bytes that this process can have at most: the machine's, or less if a limit or a container restricts it."""
    limits = [_machine()]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    return min(limits)


@cache
def _machine() -> int:
    import psutil

    limits = [int(psutil.virtual_memory().total)]
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue  # not this kind of container
        if text.isdigit() and int(text) > 0:
            limits.append(int(text))
    return min(limits)


def _shown(size: int) -> str:
    for unit, name in ((1 << 40, "TB"), (1 << 30, "GB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size / (1 << 20):,.0f} MB"
