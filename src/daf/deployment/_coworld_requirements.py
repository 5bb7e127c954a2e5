"""The packages in the image of a Coworld player, each pinned to the version that is installed here.

The image is linux/amd64 with CPython 3.12, whatever this machine is: markers are evaluated for it, and a package that
is needed there but not installed here is listed without a version. torch comes as the build for CPUs, without the
gigabytes of CUDA.
"""

import importlib.metadata
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError

from packaging.requirements import Requirement
from packaging.version import Version

PYTHON = "3.12"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
_BRIDGE = ("mettagrid", "websockets")
_OF_CUDA = re.compile(r"nvidia-.*|triton|cuda-.*")
_IMAGE = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_full_version": "3.12.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}


def requirement_lines(distributions: Iterable[str]) -> list[str]:
    """The lines of the requirements file for the bridge and a policy that needs these packages."""
    found: dict[str, str] = {}
    waiting = [Requirement(name) for name in (*_BRIDGE, *distributions)]
    while waiting:
        wanted = waiting.pop()
        name = _normal(wanted.name)
        if _OF_CUDA.fullmatch(name) or (name in found and not wanted.extras):
            continue
        try:
            version = importlib.metadata.version(name)
            needed = importlib.metadata.requires(name) or []
        except PackageNotFoundError:  # needed on linux/amd64, and not on this machine
            found.setdefault(name, str(wanted).partition(";")[0].strip())
            continue
        found[name] = f"torch=={Version(version).base_version}+cpu" if name == "torch" else f"{name}=={version}"
        for text in needed:
            requirement = Requirement(text)
            extras = wanted.extras or {""}
            if requirement.marker is None or any(requirement.marker.evaluate({**_IMAGE, "extra": e}) for e in extras):
                waiting.append(requirement)
    index = [f"--extra-index-url {TORCH_INDEX}"] if "torch" in found else []
    return [*index, *(found[name] for name in sorted(found))]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
