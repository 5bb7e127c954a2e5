"""The steps of a submission: upload, complete, enter the season. Each is taken once.

A request that a server can't serve at the moment is repeated after a pause, and what was done stays done. If the answer
to "complete" is lost, the user's versions on the server show whether it took effect, so no version is made twice.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from daf.deployment import _submission_journal as journal
from daf.deployment._submission_journal import Progress
from daf.errors import ServerError, StorageError

if TYPE_CHECKING:
    from daf.game.tournament import TournamentServer

ATTEMPTS = 4
"""Requests in a row that may fail for a passing reason."""
LONGEST_PAUSE = 60.0
"""Seconds. Who is asked to wait longer, should come back later."""
_GONE = (400, 404, 409, 410)
"""Answers to "complete" for an upload that the server no longer has, or has completed already."""

_logger = logging.getLogger(__name__)


class Steps:
    """A submission in progress. folder: of its journal. progress: where it begins.

    on_bytes: called with the bytes of the bundle sent so far. on_pause: called with the reason, and the seconds, before
    a request is repeated.
    """

    def __init__(
        self,
        server: "TournamentServer",
        bundle: Path,
        folder: Path,
        progress: Progress,
        *,
        on_bytes: Callable[[int], None],
        on_pause: Callable[[str, float], None],
    ) -> None:
        self.progress = progress
        self._server, self._bundle, self._folder = server, bundle, folder
        self._on_bytes, self._on_pause = on_bytes, on_pause
        self._failures = 0
        self._restarted = False

    def take(self) -> Progress:
        """Take the missing steps. Raises `ServerError`, `AuthenticationError`, `StorageError`."""
        while self.progress.step != "entered":
            try:
                self._take_one()
            except ServerError as error:
                self._failures += 1
                if error.wait is None or error.wait > LONGEST_PAUSE or self._failures >= ATTEMPTS:
                    raise
                pause = max(error.wait, 0.0)
                _logger.warning("%s Next attempt in %g s.", error, pause)
                self._on_pause(str(error), pause)
                sleep(pause)
            else:
                self._failures = 0
        return self.progress

    def _take_one(self) -> None:
        step = self.progress.step
        if step == "planned":
            self._upload()
        elif step == "uploaded":
            known = [version.version_id for version in self._server.versions(self.progress.plan.name)]
            self._record("completing", known=known)
            self._complete()
        elif step == "completing":
            self._complete_again()
        else:
            self._enter()

    def _upload(self) -> None:
        upload = self._server.presign()
        if self._server.put(upload, self._bundle, on_bytes=self._on_bytes) != self.progress.plan.sha256:
            raise StorageError(f"{self._bundle} changed while it was uploaded. Submit it again.")
        self._record("uploaded", upload_id=upload.upload_id)

    def _complete_again(self) -> None:
        """After a request whose answer was lost: take the version that it made, or repeat it."""
        versions = self._server.versions(self.progress.plan.name)
        made = [version for version in versions if version.version_id not in self.progress.known]
        if len(made) == 1:
            self._record("completed", version_id=made[0].version_id, version=made[0].version)
        else:
            self._complete()

    def _complete(self) -> None:
        plan, upload_id = self.progress.plan, self.progress.upload_id
        assert upload_id is not None
        try:
            version = self._server.complete(upload_id, plan.name, plan.season)
        except ServerError as error:
            if error.status not in _GONE or self._restarted:
                raise
            self._restart(f"the server no longer takes the upload: {error}")
            return
        self._record("completed", version_id=version.version_id, version=version.version)
        if version.problem is not None:
            raise ServerError(
                f"{self._server.address} took {version.name}:v{version.version}, but not into season {plan.season}: "
                f"{version.problem.rstrip('.')}."
            )
        if version.pools is not None:
            self._record("entered", pools=list(version.pools))

    def _enter(self) -> None:
        plan, version_id = self.progress.plan, self.progress.version_id
        assert version_id is not None
        for entry in self._server.entries(plan.season):
            if entry.version_id == version_id:
                self._record("entered", pools=[pool.name for pool in entry.pools])
                return
        try:
            pools = self._server.enter(plan.season, version_id)
        except ServerError as error:
            if error.status not in (403, 404) or self._restarted:
                raise
            self._restart(f"the server no longer has the version: {error}")
            return
        self._record("entered", pools=list(pools))

    def _restart(self, reason: str) -> None:
        self._restarted = True
        _logger.warning("uploading again, because %s", reason)
        self._record("restarted", reason=reason)

    def _record(self, event: str, **fields: Any) -> None:
        journal.record(self._folder, event, **fields)
        self.progress = journal.after(self.progress, {"event": event, **fields})
