"""The policy that a server gives to new sessions, and how it notices that another one should take its place."""

from dataclasses import dataclass
from pathlib import Path

from daf.deployment import _manifest
from daf.game import policies
from daf.game.policy import Policy
from daf.game.policy_finding import named_release, path_in


@dataclass(frozen=True, slots=True)
class Served:
    """A loaded policy. release: "NAME@VERSION". sha256: of its bundle, if it is a zip."""

    policy: Policy
    release: str | None
    sha256: str | None


class Source:
    """What a policy string names, now and later."""

    def __init__(self, text: str, *, cache: Path, runs: Path) -> None:
        self.text = text
        self._cache, self._runs = cache, runs

    def mark(self) -> tuple[object, ...]:
        """Differs from an earlier one where the string names another release, or its file was replaced.

        Raises `DAFError`.
        """
        release = named_release(self.text, self._runs)
        if release is not None:
            return release["name"], release["version"], release["sha256"]
        path = path_in(self.text)
        if path is None or not path.is_file():
            return ()
        status = path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def load(self) -> Served:
        """Resolve the string and import its class; a set-up script is run once. Raises `DAFError`."""
        from daf.game import policy_session

        release = named_release(self.text, self._runs)
        policy = policies.resolve(self.text, cache=self._cache, runs=self._runs)
        policy_session.load(policy)
        if release is not None:
            return Served(policy, f"{release['name']}@{release['version']}", release["sha256"])
        path = path_in(self.text)
        zipped = path is not None and path.suffix.lower() == ".zip" and path.is_file()
        return Served(policy, None, _manifest.entry_of(path)["sha256"] if zipped and path is not None else None)
