"""The errors that DAF raises on purpose.

Every message names the problem, its place and the way out. The command line prints it as `ClassName: message` and exits
with `exit_code`: 2 where the command was used wrongly, 1 where something failed. Errors of other libraries become one
of these at the boundary, with the original as `__cause__`. Any other exception is a bug in DAF.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from os import PathLike, fspath


class DAFError(Exception):
    """Base of all errors that DAF raises on purpose."""

    exit_code = 1


class UsageError(DAFError):
    """The caller gave a wrong option, name, value or combination."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file, variable or field is wrong."""


class MissionError(UsageError):
    """No such mission, or it cannot be built with these options."""


class PolicyError(UsageError):
    """No such policy, or it cannot be loaded."""


class PackagingError(UsageError):
    """A policy cannot be packed into a bundle as asked."""


class ReleaseError(UsageError):
    """No such release, a version that is taken, or a release that can't be used as asked."""


class MetricError(UsageError):
    """No such metric in these records."""


class MissingExtraError(UsageError):
    """The operation needs an optional dependency of DAF that is not installed."""


class EnvironmentCheckError(DAFError):
    """This machine lacks a requirement of the operation."""


class Interrupted(DAFError):
    """The user stopped the work (Ctrl-C). Finished work is kept, and the message says how to resume."""

    exit_code = 130


class AuthenticationError(DAFError):
    """A server needs a login, and there is none, or it does not accept it."""


class ServerError(DAFError):
    """A server does not answer, or answers with an error.

    status: HTTP status of its answer; None without one. wait: seconds after which the request may succeed; None if
    repeating it won't help.
    """

    def __init__(self, message: str, *, status: int | None = None, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait


class EpisodeError(DAFError):
    """Episodes failed."""


class ExecutorError(DAFError):
    """The processes that run episodes failed, not an episode."""


class TrainingError(DAFError):
    """Training failed. machine: the machine is the cause (killed process, no memory), so that a retry can help."""

    def __init__(self, message: str, *, machine: bool = False) -> None:
        super().__init__(message)
        self.machine = machine


class DivergenceError(TrainingError):
    """Weights, gradients or losses are not finite any more."""


class CheckpointError(DAFError):
    """A checkpoint is damaged, or belongs to another network, mission or configuration."""


class StorageError(DAFError):
    """A file or directory could not be read or written."""


class UnsafePathError(StorageError):
    """A path in a file leads out of the directory that it belongs to."""


class LockedError(UsageError):
    """Another process is working on this."""


class NoLocksError(StorageError):
    """The file system does not support locks."""


class DataError(DAFError):
    """The data does not support the analysis: it is empty, damaged or of another shape."""


class DamagedFileError(DataError):
    """The content of a file is not what its name promises. path: the file; reason: the damage."""

    def __init__(self, path: str | PathLike[str], reason: str) -> None:
        super().__init__(f"{fspath(path)} is damaged: {reason}.")
        self.path = fspath(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["DamagedFileError"], tuple[str, str]]:
        return type(self), (self.path, self.reason)


LONGEST_QUOTE = 160
"""Characters of a user's text that a message repeats."""


def quoted(text: str) -> str:
    """`text` as messages show it: in quotes, shortened in its middle, characters that can't be printed escaped."""
    if len(text) > LONGEST_QUOTE:
        half = LONGEST_QUOTE // 2
        text = f"{text[:half]} … {text[-half:]}"
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text) + '"'


def nearest(name: str, valid: Iterable[str], *, most: int = 3) -> list[str]:
    """The names in `valid` that look most like `name`, best first; empty if none is similar."""
    candidates = sorted(set(valid))
    by_folded = {candidate.lower(): candidate for candidate in candidates}
    found = get_close_matches(name.lower(), list(by_folded), n=most, cutoff=0.6)
    return [by_folded[match] for match in found]


def unknown(kind: str, name: str, valid: Iterable[str], *, hint: str = "") -> str:
    """The sentence for an unknown `name` of some `kind` ("mission", "field", …), with the nearest valid names."""
    names = sorted(set(valid))
    close = nearest(name[:LONGEST_QUOTE], names)
    if close:
        known = f"Nearest: {', '.join(close)}."
    elif len(names) <= 12:
        known = f"Known: {', '.join(names)}." if names else "There are none."
    else:
        known = f"Known: {', '.join(names[:12])}, … ({len(names)} in total)."
    return " ".join(part for part in (f"no {kind} {quoted(name)}.", known, hint) if part)
