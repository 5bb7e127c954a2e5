"""The names that a pickle imports when it is loaded, read from its instructions; nothing is loaded.

A name outside torch, numpy and plain containers means that loading the file runs that code.
"""

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path

_LONGEST = 64 * 2**20
_HARMLESS = ("torch.", "numpy.", "_codecs.", "collections.OrderedDict", "collections.defaultdict", "builtins.set")
_UNSAFE = ("torch.load", "torch.hub.", "torch.package.", "numpy.load", "numpy.fromfile")
_TEXT = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")


def imported_names(path: Path) -> list[str] | None:
    """Names beyond tensors and containers, sorted. None for a file that is not a pickle or can't be read as one."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found: set[str] = set()
                inner = [entry for entry in archive.infolist() if entry.filename.endswith(".pkl")]
                for entry in inner:
                    with archive.open(entry) as file:
                        found.update(_names(file.read(_LONGEST)))
                return sorted(found) if inner else None
        with path.open("rb") as file:
            return sorted(set(_names(file.read(_LONGEST))))
    except (ValueError, IndexError, EOFError, OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile):
        return None


def _names(data: bytes) -> Iterator[str]:
    texts: list[str] = []
    for operation, argument, _ in pickletools.genops(data):
        if operation.name in _TEXT:
            texts.append(str(argument))
        name = None
        if operation.name in ("GLOBAL", "INST"):
            name = str(argument).replace(" ", ".")
        elif operation.name == "STACK_GLOBAL":
            name = ".".join(texts[-2:]) if len(texts) >= 2 else "a computed name"
        if name is not None and (not name.startswith(_HARMLESS) or name.startswith(_UNSAFE)):
            yield name
