"""The end of a log file, and what follows: pages of complete lines by byte offset."""

import os
from pathlib import Path
from typing import Any

PAGE_BYTES = 128 * 1024


def page_before(path: Path, end: int | None = None) -> dict[str, Any]:
    """The last complete lines before byte `end` (default: the end of the file): {"lines", "start", "end"} in bytes.

    `start` is 0 if nothing comes before; a line longer than a page is cut.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        stop = size if end is None else max(0, min(end, size))
        begin = max(0, stop - PAGE_BYTES)
        file.seek(begin)
        block = file.read(stop - begin)
    whole = block.rfind(b"\n") + 1 if end is None else len(block)
    first = 0 if begin == 0 else block.find(b"\n") + 1
    return _page(block[first:whole], begin + first)


def page_after(path: Path, start: int) -> dict[str, Any]:
    """Up to a page of complete lines from byte `start` on; "restart" if the file is now shorter than that."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < start:
            return page_before(path) | {"restart": True}
        file.seek(start)
        block = file.read(PAGE_BYTES)
    whole = block.rfind(b"\n") + 1
    if not whole and len(block) == PAGE_BYTES:
        whole = len(block)
    return _page(block[:whole], start) | {"restart": False}


def _page(block: bytes, start: int) -> dict[str, Any]:
    lines = block.decode("utf-8", "replace").removesuffix("\n").split("\n") if block else []
    return {"lines": lines, "start": start, "end": start + len(block)}
