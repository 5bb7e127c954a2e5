"""JSON files of runs, parsed once for each state of the file.

A file that is missing, unreadable or not JSON gives None: a run that is being written is read again after its next
change, and the run's page shows the data that is available.
"""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec

from daf.dashboard._signatures import Signature, signature
from daf.errors import DAFError
from daf.storage.reading import read_bytes

MOST_BYTES = 64 * 2**20
"""Files larger than this are not parsed for a page."""
MOST_KEPT = 32


class JsonFiles:
    """A small cache of parsed files."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[Signature, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path) -> Any:
        """The value in `path`, shared: do not modify it. None if there is none."""
        now = signature(path)
        if now is None or now[1] > MOST_BYTES:
            return None
        with self._lock:
            known = self._kept.get(path)
            if known is not None and known[0] == now:
                self._kept.move_to_end(path)
                return known[1]
        try:
            content = read_bytes(path, limit=MOST_BYTES)
            value = None if content is None else msgspec.json.decode(content)
        except (DAFError, ValueError, RecursionError):
            return None
        with self._lock:
            self._kept[path] = (now, value)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return value

    def read_object(self, path: Path) -> dict[str, Any] | None:
        """The JSON object in `path`; None also if it holds something else."""
        value = self.read(path)
        return value if isinstance(value, dict) else None
