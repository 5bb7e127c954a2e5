"""Metric names that a service accepts: allowed characters, bounded length, and still distinct.

A metric of an evaluation is named after its mission, and a mission may be a file anywhere. A name that a service
rejects would cost the run its tracker.
"""

import re
from hashlib import sha256

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DIGITS = 8


class Names:
    """The names of one run's metrics in a service; equal names give equal ones, different names different ones.

    replaced: matches the characters that become "_"; by default those that are not text. longest: maximum length.
    paths: the service treats "/" as in paths, so names must not contain "//", or "." or ".." as a part.
    """

    def __init__(self, *, replaced: re.Pattern[str] = _UNPRINTABLE, longest: int | None = None, paths: bool = False):
        self._replaced, self._longest, self._paths = replaced, longest, paths
        self._given: dict[str, str] = {}
        self._taken: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The service's name for `name`."""
        if name not in self._given:
            wanted = self._fitting(name)
            if self._taken.setdefault(wanted, name) != name:
                wanted = self._marked(wanted, name)
                self._taken[wanted] = name
            self._given[name] = wanted
        return self._given[name]

    def _fitting(self, name: str) -> str:
        found = self._replaced.sub("_", name)
        if self._paths:
            parts = ["_" * len(part) if part in (".", "..") else part for part in found.split("/") if part]
            found = "/".join(parts)
        found = found or "_"
        return found if self._longest is None or len(found) <= self._longest else self._marked(found, name)

    def _marked(self, text: str, name: str) -> str:
        """`text`, shortened in the middle if it is too long, with a hash of the full name."""
        digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
        if self._longest is None or len(text) + _DIGITS + 1 <= self._longest:
            return f"{text}-{digest}"
        room = self._longest - _DIGITS - 2
        return f"{text[: room // 2].rstrip('/')}-{digest}-{text[len(text) - room // 2 :].lstrip('/')}"
