"""Players of replays, created on the first request and cached while the file stays the same."""

import threading
from collections import OrderedDict
from pathlib import Path

from daf.dashboard._signatures import Signature, signature

MOST_KEPT = 4


class ReplayPages:
    """A cache of a few players, the latest ones."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[Signature | None, str]] = OrderedDict()
        self._lock = threading.Lock()

    def page(self, path: Path) -> str:
        """The page that plays the replay in `path`. Raises `StorageError`, `ReplayError`."""
        from daf.game.replays import read_replay
        from daf.render.replays.page import replay_html

        now = signature(path)
        with self._lock:
            known = self._kept.get(path)
            if known is not None and known[0] == now:
                return known[1]
            text = replay_html(read_replay(path))
            self._kept[path] = (now, text)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return text
