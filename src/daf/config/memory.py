"""Sizes that a user chooses, refused by name where their memory cannot be there.

`require(needed, …)` compares what an allocation will take with all the memory that this process could ever have, not
with what is free at the moment, so that the answer does not depend on what else runs. It is called before anything is
allocated: many operating systems grant any amount and end the process when it is used.
"""

import resource
from functools import cache
from pathlib import Path

from daf.errors import ConfigError


def require(needed: int, *, what: str, way_out: str, there: int | None = None) -> None:
    """Return if `needed` bytes can be allocated at all.

    what: names the setting and what it makes ("a rollout of num_envs 64 × n_steps 128"). way_out: what to do instead,
    a sentence. there: bytes of another memory, such as a GPU's; None: this process's. Raises `ConfigError`.
    """
    available = total() if there is None else there
    if needed > available:
        raise ConfigError(f"{what} takes {_shown(needed)} of memory, and there is {_shown(available)}. {way_out}")


def total() -> int:
    """Bytes that this process can have at most: the machine's, or less where a limit or a container says so."""
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
            continue  # no such kind of container here
        if text.isdigit() and int(text) > 0:
            limits.append(int(text))
    return min(limits)


def _shown(size: int) -> str:
    for unit, name in ((1 << 40, "TB"), (1 << 30, "GB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size / (1 << 20):,.0f} MB"
