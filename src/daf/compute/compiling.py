"""Modules whose functions numba compiles, with the machine code kept between processes.

numba keeps compiled code as pickles, so anyone who can write to that directory can run code as the user who reads it.
It is therefore a directory of this user that nobody else can enter, `$XDG_CACHE_HOME/daf/compiled/` (default
`~/.cache`); any other is refused. Code is kept by the versions of everything that made it and by the module's text, so
an update never runs old code.
"""

import hashlib
import importlib
import importlib.util
import os
import platform
import stat
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from daf.config.extras import is_installed, needs

_KEYED = ("daf", "numba", "llvmlite", "numpy")


def refusal(subject: str) -> str | None:
    """Why nothing can be compiled here, in a sentence about `subject`; `None` where it can."""
    if not is_installed("numba"):
        return needs("fast", subject, "numba")
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return f"{subject} needs compiled code, which NUMBA_DISABLE_JIT turns off. Unset it."
    root = _root()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = root.lstat()
    except OSError as error:
        return (
            f"{subject} keeps compiled code in {root}: {error.strerror or error}. Set XDG_CACHE_HOME to a place for it."
        )
    foreign = hasattr(os, "geteuid") and found.st_uid != os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or foreign or (os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o077):
        return (
            f"{subject} keeps compiled code in {root}, which must be a directory of this user with mode 0700: "
            f"otherwise others could have their code run. Its mode is {stat.S_IMODE(found.st_mode):04o}, its owner "
            f"{found.st_uid}. Remove it, or set XDG_CACHE_HOME to another place."
        )
    return None


def is_kept(module: str) -> bool:
    """Whether the functions of `module` were compiled before."""
    return module in sys.modules or any(_directory(module).rglob("*.nbc"))


def load(module: str) -> ModuleType:
    """Import `module` with the compiled code kept; its functions are compiled if they were not. `refusal` must have
    given `None`.
    """
    if module in sys.modules:
        return sys.modules[module]
    from numba import config as numba_config

    config: Any = numba_config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_directory(module))  # read where a function is declared, so while its module is imported
    try:
        return importlib.import_module(module)
    finally:
        config.CACHE_DIR = before


def _root() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "daf", "compiled")


def _directory(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    parts = [module, platform.python_version(), *(f"{name} {metadata.version(name)}" for name in _KEYED)]
    text = Path(spec.origin).read_bytes()
    return _root() / hashlib.blake2b("\0".join(parts).encode() + b"\0" + text, digest_size=12).hexdigest()
