"""The optional parts of DAF's package, and the one sentence for a missing part.

`require("train", "daf train")` raises before anything is imported, so a base installation never gets an ImportError. A
package counts as installed if it can be found; it is not imported.
"""

import importlib.util

from daf.errors import MissingExtraError

PACKAGES: dict[str, tuple[str, ...]] = {
    "train": ("torch", "pufferlib", "safetensors"),
    "track": ("wandb", "mlflow", "trackio"),
    "video": ("imageio_ffmpeg",),
    "ray": ("ray",),
    "remote": ("fsspec", "s3fs"),
    "gcs": ("gcsfs",),
    "test": ("pytest", "coverage"),
    "fast": ("numba",),
}
"""By extra, the modules that its code imports."""


def is_installed(*modules: str) -> bool:
    """Whether every one of the top-level `modules` can be imported."""
    return all(importlib.util.find_spec(name) is not None for name in modules)


def needs(extra: str, subject: str, *modules: str) -> str:
    """The sentence: `subject` needs the first of `modules` (default: the extra's) that is missing."""
    absent = [name for name in (modules or PACKAGES[extra]) if not is_installed(name)]
    package = absent[0] if absent else f"the extra {extra}"
    return f'{subject} needs {package}, which is not installed. Install it with: pip install "daf[{extra}]"'


def require(extra: str, subject: str, *modules: str) -> None:
    """Raise `MissingExtraError` unless all of `modules` (default: all that the extra's code imports) are installed."""
    if not is_installed(*(modules or PACKAGES[extra])):
        raise MissingExtraError(needs(extra, subject, *modules))


def extra_of(module: str | None) -> str | None:
    """The extra that installs `module`; None if it belongs to none."""
    root = (module or "").partition(".")[0]
    return next((extra for extra, packages in PACKAGES.items() if root in packages), None)
