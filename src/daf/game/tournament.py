"""CoGames' tournament server, through the calls of the installed client.

Every request is one of `cogames.cli.client`, with the path, headers and JSON that it sends; the upload is the presigned
PUT of `cogames.cli.submit`. What a server answers becomes a value of this module or an error of DAF: the tokens and the
presigned address, which is a permission to write, are in no message, traceback or log.

Not guaranteed: an end of answers that never end or trickle in. The timeout counts from one byte to the next.

Importing this module imports CoGames' client.
"""

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import httpx
import pydantic
from cogames.cli import client as upstream

from daf.errors import AuthenticationError, ServerError, UsageError, quoted, unknown
from daf.storage.reading import open_regular

TIMEOUT_SECONDS = 120.0
"""The longest that CoGames' client waits for an answer before the upload."""
LONGEST_NAME = 64
"""CoGames' limit, in characters, of a policy's name."""
MOST_BYTES = 5 * 2**30
"""The most that one PUT of S3 takes."""
_SEASON = re.compile(r"[\w.: -]{1,100}")
_PAUSE_SECONDS = 1.0
_PAUSE_WHEN_BUSY_SECONDS = 5.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Season:
    """A season. compat: the CoGames version, as "0.25", that its episodes are played with; None for any."""

    name: str
    title: str
    status: str
    compat: str | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """A place for one bundle. address: holds a permission to write, so it is not shown."""

    upload_id: str
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Version:
    """An uploaded policy. pools: where it plays, None if it entered no season yet. problem: why it did not enter."""

    version_id: str
    name: str
    version: int
    uploaded_at: str | None = None
    pools: tuple[str, ...] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Where a submission plays, and its matches."""

    name: str
    active: bool
    completed: int
    failed: int
    pending: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One's submission in a season."""

    version_id: str
    name: str | None
    version: int | None
    entered_at: str
    pools: tuple[Pool, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A row of a leaderboard."""

    rank: int
    version_id: str
    name: str | None
    version: int | None
    score: float
    score_stddev: float | None
    matches: int


class TournamentServer:
    """A connection to the server at `address`.

    token: None for what needs no login. login_command: what to run where the server wants one. timeout: seconds.
    """

    def __init__(
        self, address: str, token: str | None, *, login_command: str, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        if not timeout > 0:
            raise UsageError(f"the timeout must be above 0 seconds, got {timeout:g}.")
        self.address = address
        self._translate = _Translation(address, token, login_command, timeout)
        self._client = _Client(address, token, self._translate)
        self._timeout = timeout

    def __enter__(self) -> "TournamentServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def seasons(self) -> list[Season]:
        """All seasons."""
        return [_season(found) for found in self._client.get_seasons()]

    def season(self, name: str | None) -> Season:
        """The season `name`, or the default one. Raises `UsageError` if there is no such season."""
        if name is None:
            found = self.seasons()
            if not found:
                raise UsageError(f"{self.address} has no seasons.")
            return next((season for season in found if season.is_default), found[0])
        try:
            return _season(self._client.get_season(_in_path(name)))
        except ServerError as error:
            if error.status != 404:
                raise
        names = [season.name for season in self.seasons()]
        raise UsageError(f"{self.address}: {unknown('season', name, names)}")

    def presign(self) -> Upload:
        """A place to upload a bundle to."""
        found = self._client.get_presigned_upload_url()
        if urlsplit(found.upload_url).scheme not in ("http", "https"):
            raise ServerError(f"{self.address} sent an address for the upload that does not begin with https://.")
        return Upload(str(found.upload_id), found.upload_url)

    def put(self, upload: Upload, bundle: Path, *, on_bytes: Callable[[int], None]) -> str:
        """Send the file `bundle`; returns the SHA-256 of what was sent.

        on_bytes: called with the number of bytes sent so far.
        """
        host = urlsplit(upload.address).hostname
        with self._translate.errors(f"the upload to {host}", login=False), _without_request_log():
            with open_regular(bundle) as file:
                content = _Counted(file, on_bytes)
                answer = httpx.put(
                    upload.address,
                    content=content,
                    headers={"Content-Type": "application/zip", "Content-Length": str(bundle.stat().st_size)},
                    timeout=self._timeout,
                )
            answer.raise_for_status()
        return content.sha256()

    def complete(self, upload_id: str, name: str, season: str) -> Version:
        """Make the uploaded bundle a version of the policy `name`, and enter it into `season`."""
        found = self._client.complete_policy_upload(upload_id, name, season=season)
        pools = None if found.pools is None else tuple(found.pools)
        return Version(str(found.id), found.name, found.version, None, pools, found.submit_error)

    def enter(self, season: str, version_id: str) -> tuple[str, ...]:
        """Enter an uploaded version into `season`; returns its pools."""
        return tuple(self._client.submit_to_season(_in_path(season), version_id).pools)  # type: ignore[arg-type]

    def versions(self, name: str | None = None, number: int | None = None) -> list[Version]:
        """The user's uploaded policies, the latest 100."""
        return [
            Version(str(row.id), row.name, row.version, row.created_at.isoformat())
            for row in self._client.get_my_policy_versions(name=name, version=number)
        ]

    def seasons_of_versions(self) -> dict[str, list[str]]:
        """The seasons that the user's versions are in, by version id."""
        return self._client.get_my_memberships()

    def entries(self, season: str) -> list[Entry]:
        """The user's submissions in `season`."""
        return [
            Entry(
                str(found.policy.id),
                found.policy.name,
                found.policy.version,
                found.entered_at,
                tuple(
                    Pool(pool.pool_name, pool.active, pool.completed, pool.failed, pool.pending) for pool in found.pools
                ),
            )
            for found in self._client.get_season_policies(_in_path(season), mine=True)
        ]

    def leaderboard(self, season: str) -> list[Place]:
        """The ranking of `season`."""
        return [
            Place(
                row.rank,
                str(row.policy.id),
                row.policy.name,
                row.policy.version,
                row.score,
                row.score_stddev,
                row.matches,
            )
            for row in self._client.get_leaderboard(_in_path(season))
        ]


def installed_compat() -> str:
    """The version of the installed CoGames as seasons name it: "0.25"."""
    return ".".join(installed_version("cogames").split(".")[:2])


def _season(found: Any) -> Season:
    return Season(found.name, found.display_name, found.status.value, found.compat_version, found.is_default)


def _in_path(season: str) -> str:
    """A season's name as a part of a path. Raises `UsageError` for what would lead elsewhere."""
    if not _SEASON.fullmatch(season) or set(season) <= {"."}:
        raise UsageError(f"{quoted(season)} can't be the name of a season.")
    return quote(season, safe="")


class _Client(upstream.TournamentServerClient):
    """The installed client, whose errors are DAF's."""

    def __init__(self, address: str, token: str | None, translate: "_Translation") -> None:
        super().__init__(server_url=address, token=token)
        self._translate = translate

    def _request(
        self,
        method: str,
        path: str,
        response_type: Any = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Any:
        with self._translate.errors(self._translate.address), _without_request_log():
            return super()._request(method, path, response_type, self._translate.timeout, **kwargs)


@dataclass(frozen=True)
class _Translation:
    """What went wrong with a request, in DAF's errors."""

    address: str
    token: str | None = field(repr=False)
    login_command: str
    timeout: float

    @contextlib.contextmanager
    def errors(self, what: str, *, login: bool = True) -> Iterator[None]:
        """Around a request to `what`. login: whether it carries the user's token."""
        try:
            yield
        except httpx.HTTPStatusError as error:
            raise self._refused(error.response, what, login) from None
        except httpx.TimeoutException:
            raise ServerError(f"{what} did not answer within {self.timeout:g} s.", wait=_PAUSE_SECONDS) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = self._shown(str(error)) or type(error).__name__
            raise ServerError(f"{what} does not answer: {reason.rstrip('.')}.", wait=_PAUSE_SECONDS) from None
        except pydantic.ValidationError as error:
            places = sorted({".".join(map(str, each["loc"])) or "the whole" for each in error.errors()})
            raise ServerError(
                f"{what} answered something else than CoGames' server does ({', '.join(places[:3])}). Check the "
                "address."
            ) from None
        except ValueError:
            raise ServerError(f"{what} answered something else than JSON. Check the address.") from None

    def _refused(self, answer: httpx.Response, what: str, login: bool) -> Exception:
        status, detail = answer.status_code, self._detail(answer)
        said = f"HTTP status {status}{f', {detail}' if detail else ''}"
        if login and status == 401:
            state = "does not accept the login: it has expired or was revoked" if self.token else "needs a login"
            return AuthenticationError(f"{what} {state} ({said}). Run `{self.login_command}`.")
        if status == 429:
            return ServerError(f"{what} takes no more requests now ({said}).", status=status, wait=_wait(answer))
        if status >= 500 or status == 408:
            wait = _wait(answer) if "retry-after" in answer.headers else _PAUSE_SECONDS
            return ServerError(f"{what} failed ({said}).", status=status, wait=wait)
        if status == 413:
            return ServerError(
                f"{what} refuses the bundle as too large ({said}). `daf inspect` lists what it holds.", status=status
            )
        return ServerError(f"{what} refused the request ({said}).", status=status)

    def _detail(self, answer: httpx.Response) -> str:
        try:
            detail = answer.json().get("detail")
        except (ValueError, AttributeError):
            return ""
        return quoted(self._shown(detail)) if isinstance(detail, str) else ""

    def _shown(self, text: str) -> str:
        """`text` of a server or a library, without what must not be shown."""
        hidden = text.replace(self.token, "***") if self.token else text
        return re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", hidden)


def _wait(answer: httpx.Response) -> float:
    """The seconds, or the time, of `Retry-After`."""
    said = answer.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said[:9])
    with contextlib.suppress(ValueError, TypeError):
        until = parsedate_to_datetime(said)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())
    return _PAUSE_WHEN_BUSY_SECONDS


class _Counted:
    """A file that httpx sends, and that reports how much of it was sent."""

    def __init__(self, file: BinaryIO, on_bytes: Callable[[int], None]) -> None:
        self._file, self._on_bytes, self._sent = file, on_bytes, 0
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._file.read(2**16):
            self._digest.update(chunk)
            yield chunk
            self._sent += len(chunk)
            self._on_bytes(self._sent)

    def sha256(self) -> str:
        return self._digest.hexdigest()


@contextlib.contextmanager
def _without_request_log() -> Iterator[None]:
    """httpx logs the address of every request, and that of the upload is a permission to write."""
    logger = logging.getLogger("httpx")
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
