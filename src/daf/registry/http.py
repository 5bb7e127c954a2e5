"""A registry behind an HTTP endpoint; docs/shipping.md describes the requests and answers.

Every request can be repeated without further effect, so cut connections, 429 and 5xx are retried, and a deployment that
was interrupted continues with the same command. Answers are read up to a limit, and a bundle only if its bytes have the
SHA-256 of the release. Redirects are not followed.

The token is sent in the Authorization header only: it is in no URL, message, log or traceback. It is not sent over
plain HTTP, except to this machine.
"""

import functools
import hashlib
import ipaddress
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, urlsplit

from daf.errors import (
    AuthenticationError,
    DamagedFileError,
    LockedError,
    ReleaseError,
    ServerError,
    UsageError,
    quoted,
)
from daf.registry.interface import (
    Event,
    PolicyReleases,
    Registry,
    Release,
    Stored,
    live_changed,
    newest_first,
    no_bundle,
    other_bytes,
    require_name,
)
from daf.registry.versions import parse
from daf.storage import atomic
from daf.storage.reading import decode_json, decode_object

if TYPE_CHECKING:
    import httpx

TOKEN_VARIABLE = "DAF_REGISTRY_TOKEN"
_LONGEST_ANSWER = 16 * 2**20
_LONGEST_ERROR = 300
_ATTEMPTS = 5
_LONGEST_WAIT = 60.0
_CONNECT_SECONDS, _SECONDS = 10.0, 60.0
_TRANSIENT = (429, 500, 502, 503, 504)


class _StoredAnswer(TypedDict):
    release: Release
    kept: bool


class _PolicyAnswer(TypedDict):
    live: str | None
    releases: list[_StoredAnswer]
    events: list[Event]


class HttpRegistry(Registry):
    """The registry at `url`. token: sent as a bearer token. pause: seconds before the first repetition."""

    def __init__(self, url: str, *, token: str | None = None, pause: float = 0.25) -> None:
        self.place = _address(url)
        self._token = token
        self._pause = pause
        if self._token is not None:
            _check_token(self._token, self.place)

    def names(self) -> list[str]:
        answer = self._json("GET", "policies")
        if answer is None:
            return []
        return sorted(self._decoded(answer, dict[str, list[str]]).get("policies", []))

    def policy(self, name: str) -> PolicyReleases:
        answer = self._json("GET", f"policies/{_part(require_name(name))}")
        if answer is None:
            return PolicyReleases(self.place, name, None, (), ())
        found: _PolicyAnswer = self._decoded(answer, _PolicyAnswer)
        for one in found["releases"]:
            parse(one["release"]["version"])
        stored = [Stored(one["release"], one["kept"]) for one in found["releases"]]
        return PolicyReleases(self.place, name, found["live"], newest_first(stored), tuple(found["events"]))

    def add(self, release: Release, bundle: Path) -> bool:
        name, version = require_name(release["name"]), release["version"]
        policy = self.policy(name)
        for stored in policy.releases:
            if stored.release["version"] == version:
                if stored.release["sha256"] != release["sha256"]:
                    raise other_bytes(release, stored.release, policy.versions())
                if stored.kept:
                    return False
        with self._sent("PUT", f"bundles/{release['sha256']}", file=bundle):
            pass
        with self._sent("PUT", self._path(name, version), data=release, accept=(409,)) as answer:
            if answer.status_code == 409:
                policy = self.policy(name)
                raise other_bytes(release, policy.find(version).release, policy.versions())
            return answer.status_code == 201

    def switch(self, name: str, event: Event, *, expected: str | None) -> None:
        path = f"policies/{_part(require_name(name))}/live"
        with self._sent("PUT", path, data={"event": event, "expected": expected}, accept=(404, 412)) as answer:
            if answer.status_code == 404:
                raise no_bundle(name, event["version"])
            if answer.status_code == 412:
                raise LockedError(live_changed(name, self.policy(name).live, expected))

    def remove(self, name: str, version: str) -> None:
        with self._sent("DELETE", f"{self._path(name, version)}/bundle", accept=(404, 409)) as answer:
            if answer.status_code == 409:
                raise ReleaseError(f"{name} {version} is live; its bundle is not deleted.")

    def where(self, release: Release) -> str:
        return f"{self.place}/{self._path(release['name'], release['version'])}/bundle"

    def fetch(self, release: Release, folder: Path) -> Path:
        name, version = release["name"], release["version"]
        target = folder / f"{name}-{version}-{release['sha256'][:16]}.zip"
        with self._sent("GET", f"{self._path(name, version)}/bundle", accept=(404,)) as answer:
            if answer.status_code == 404:
                raise no_bundle(name, version)
            with atomic.writing(target) as temporary:
                digest, size = hashlib.sha256(), 0
                with temporary.open("xb") as file, self._errors():
                    for piece in answer.iter_bytes(1 << 20):
                        size += len(piece)
                        if size > release["bytes"]:
                            break
                        digest.update(piece)
                        file.write(piece)
                if size != release["bytes"] or digest.hexdigest() != release["sha256"]:
                    raise DamagedFileError(
                        self.where(release),
                        f"its bytes don't have the SHA-256 {release['sha256'][:12]}… of the release. Roll back to "
                        "another release, and have the endpoint's storage checked",
                    )
        return target

    def _path(self, name: str, version: str) -> str:
        return f"policies/{_part(require_name(name))}/releases/{_part(str(parse(version)))}"

    def _json(self, method: str, path: str) -> bytes | None:
        """The answer's body; None for 404."""
        with self._sent(method, path, accept=(404,)) as answer:
            if answer.status_code == 404:
                return None
            body = bytearray()
            with self._errors():
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > _LONGEST_ANSWER:
                        raise ServerError(f"{self.place} answered with more than {_LONGEST_ANSWER:,} bytes.")
            return bytes(body)

    def _decoded(self, answer: bytes, kind: Any) -> Any:
        try:
            if isinstance(kind, type):
                return decode_object(answer, kind, where=self.place)
            return decode_json(answer, kind, where=self.place)
        except DamagedFileError as error:
            raise ServerError(
                f"{self.place} does not answer as a registry of DAF does: {error.reason}. Check the URL."
            ) from error

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        file: Path | None = None,
        accept: tuple[int, ...] = (),
    ) -> "Iterator[httpx.Response]":
        """The answer, whose body is not read yet. accept: errors that the caller handles."""
        import httpx

        with self._errors():
            for attempt in range(1, _ATTEMPTS + 1):
                last = attempt == _ATTEMPTS
                try:
                    answer = self._once(method, path, data, file)
                except httpx.TransportError:
                    if last:
                        raise
                    time.sleep(self._wait(attempt, None))
                    continue
                if answer.status_code in _TRANSIENT and not last:
                    answer.close()
                    time.sleep(self._wait(attempt, answer.headers.get("Retry-After")))
                    continue
                break
            try:
                if not answer.is_success and answer.status_code not in accept:
                    raise self._refusal(answer)
                yield answer
            finally:
                answer.close()

    def _once(self, method: str, path: str, data: Any, file: Path | None) -> "httpx.Response":
        client, url = self._client, f"{self.place}/{path}"
        if file is None:
            content = None if data is None else json.dumps(data).encode()
            headers = {"Content-Type": "application/json"} if data is not None else {}
            return client.send(client.build_request(method, url, content=content, headers=headers), stream=True)
        with file.open("rb") as opened:
            request = client.build_request(method, url, content=opened, headers={"Content-Type": "application/zip"})
            return client.send(request, stream=True)

    @functools.cached_property
    def _client(self) -> "httpx.Client":
        import httpx

        headers = {"User-Agent": "daf"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        timeout = httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
        return httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def _wait(self, attempt: int, asked: str | None) -> float:
        if asked is not None and asked.strip().isdigit():
            return min(float(asked), _LONGEST_WAIT)
        wait: float = min(self._pause * 2 ** (attempt - 1), _LONGEST_WAIT)
        return wait * random.uniform(0.75, 1.25)

    def _refusal(self, answer: "httpx.Response") -> Exception:
        status = answer.status_code
        if status in (401, 403):
            if self._token is None:
                return AuthenticationError(f"{self.place} needs a token. Set {TOKEN_VARIABLE} to it.")
            return AuthenticationError(
                f"{self.place} does not accept the token (HTTP status {status}). Set {TOKEN_VARIABLE} to another one."
            )
        if answer.is_redirect:
            where = answer.headers.get("Location", "")
            return ServerError(
                f"{self.place} redirects to {quoted(where)}. Use that URL if you trust it.", status=status
            )
        return ServerError(f"{self.place} answered with HTTP status {status}{_reason(answer)}.", status=status)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Errors of the connection as `ServerError`. Their text names no header, so no token."""
        import httpx

        try:
            yield
        except httpx.HTTPError as error:
            raise ServerError(
                f"{self.place} can't be reached: {str(error) or type(error).__name__}. Check the URL (--registry, "
                "DAF_REGISTRY) and the network; the same command continues."
            ) from None


def _address(url: str) -> str:
    """The URL without a slash at its end. A token in it is refused: runs record their commands."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        valid = False
    if not valid:
        raise UsageError("the registry's URL must begin with http:// or https:// and name a host.")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"the registry's URL must not hold a user, a password or a token, since runs record their commands. Set "
            f"{TOKEN_VARIABLE} instead."
        )
    if parts.query or parts.fragment:
        raise UsageError(f'the registry\'s URL must not hold "?" or "#": {parts.scheme}://{parts.hostname}…')
    return url.rstrip("/")


def _check_token(token: str, place: str) -> None:
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise UsageError(f"the token for {place} must be printable characters without spaces.")
    parts = urlsplit(place)
    if parts.scheme == "http" and not _is_this_machine(parts.hostname or ""):
        raise UsageError(f"{place} is not encrypted, so the token is not sent to it. Use https://.")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _part(text: str) -> str:
    return quote(text, safe="")


def _reason(answer: "httpx.Response") -> str:
    """The endpoint's own sentence, from {"error": …}."""
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > 65536:
            return ""
    try:
        found = json.loads(body).get("error")
    except (ValueError, AttributeError):
        return ""
    return f": {found[:_LONGEST_ERROR].rstrip('.')}" if isinstance(found, str) else ""
