"""Semantic versions (semver.org 2.0.0), in the order of precedence, without build metadata.

Build metadata ("1.0.0+abc") is refused: two such versions would be equal in precedence, and the SHA-256 of a bundle
already says which build it is.
"""

import re
from dataclasses import dataclass
from functools import total_ordering

from daf.errors import ReleaseError, quoted

_VERSION = re.compile(
    r"(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})"
    r"(?:-((?:0|[1-9]\d{0,17}|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d{0,17}|\d*[A-Za-z-][0-9A-Za-z-]*))*))?"
)
_LONGEST = 100


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A version. pre: the identifiers of a pre-release ("1.0.0-rc.1" has "rc" and "1")."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()

    def __str__(self) -> str:
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{'.'.join(self.pre)}" if self.pre else core

    def __lt__(self, other: "Version") -> bool:
        return self._order() < other._order()

    def next_patch(self) -> "Version":
        """The version after this one: "1.2.4" after "1.2.3", "1.2.3" after "1.2.3-rc.1"."""
        return Version(self.major, self.minor, self.patch + (0 if self.pre else 1))

    def _order(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        parts = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in self.pre)
        return self.major, self.minor, self.patch, not self.pre, parts


FIRST = Version(1, 0, 0)


def is_version(text: str) -> bool:
    """Whether `text` is a semantic version without build metadata."""
    return len(text) <= _LONGEST and _VERSION.fullmatch(text) is not None


def parse(text: str) -> Version:
    """The version that `text` writes. Raises `ReleaseError`."""
    found = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        why = ""
        if "+" in text:
            why = " Leave out the build metadata from + on: the SHA-256 of the bundle identifies the build."
        elif text[:1] in ("v", "V"):
            why = f" Write {text[1:]}."
        raise ReleaseError(
            f"{quoted(text)} is not a semantic version: MAJOR.MINOR.PATCH without leading zeros, such as 1.4.0 or "
            f"2.0.0-rc.1.{why}"
        )
    major, minor, patch, pre = found.groups()
    return Version(int(major), int(minor), int(patch), tuple(pre.split(".")) if pre else ())
