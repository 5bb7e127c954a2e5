"""The errors that DAF raises on purpose.

Every message says what was wrong, where, and what to do instead; the command line prints it as `ClassName: message` and
exits with `exit_code`: 2 where the command was used wrongly, 1 where something failed. Errors of other libraries become
one of these at the boundary, with the original as `__cause__`. Anything else that escapes is a bug in DAF.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from os import PathLike, fspath


class DAFError(Exception):
    """Base of all errors that DAF raises on purpose."""

    exit_code = 1


class UsageError(DAFError):
    """The caller asked for something that cannot be: a wrong option, name, value or combination."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file, variable or field is wrong."""


class MissionError(UsageError):
    """No such mission, or it cannot be built with these options."""


class PolicyError(UsageError):
    """No such policy, or it cannot be loaded."""


class MetricError(UsageError):
    """No such metric in these records."""


class MissingExtraError(UsageError):
    """What was asked for needs an optional part of DAF that is not installed."""


class EnvironmentCheckError(DAFError):
    """This machine lacks something that was asked for."""


class Interrupted(DAFError):
    """The user stopped the work (Ctrl-C); what is finished is kept, and the message says how to go on."""

    exit_code = 130


class EpisodeError(DAFError):
    """Episodes failed."""


class ExecutorError(DAFError):
    """The machinery that runs episodes failed, not an episode."""


class TrainingError(DAFError):
    """Training failed. machine: its cause was the machine (a killed process, no memory), so that trying again helps."""

    def __init__(self, message: str, *, machine: bool = False) -> None:
        super().__init__(message)
        self.machine = machine


class DivergenceError(TrainingError):
    """Weights, gradients or losses are no longer numbers."""


class CheckpointError(DAFError):
    """A checkpoint is damaged, or belongs to another network, mission or configuration."""


class StorageError(DAFError):
    """A file or folder could not be read or written."""


class UnsafePathError(StorageError):
    """A path that a file named leads out of the folder that it belongs to."""


class LockedError(UsageError):
    """Another process is working on this."""


class NoLocksError(StorageError):
    """The file system does not support locks."""


class DataError(DAFError):
    """Data that was to be analysed cannot carry the analysis (empty, damaged, of another shape)."""


class DamagedFileError(DataError):
    """A file does not hold what its name promises. path: the file; reason: what is wrong with it."""

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
    """The names in `valid` that look most like `name`, best first; empty where nothing comes close."""
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
        known = f"Known: {', '.join(names[:12])}, … ({len(names)} in all)."
    return " ".join(part for part in (f"no {kind} {quoted(name)}.", known, hint) if part)
