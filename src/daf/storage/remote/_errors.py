"""Errors of stores as `StorageError`: what happened in DAF's words, without anything secret.

A store's own text is not repeated in the message. It stays as the cause, with every credential of this process masked:
the values of the environment's secret variables, and whatever looks like a key or a signature.
"""

import os
import re

from daf.errors import StorageError

_MASK = "MASKED"
_SECRET_NAME = re.compile(r"(?i)(secret|token|password|credential|access_key|api_?key|connection_string|sas)")
_SECRET_TEXT = re.compile(
    r"\b(?:AKIA|ASIA|AROA|AIDA|GOOG)[A-Z0-9]{12,}\b"
    r"|(?i:(?:signature|credential|security-token|access_?key(?:_?id)?|secret(?:_access)?(?:_key)?|password|token)"
    r"[\"']?\s*[=:]\s*)[^\s&,;\"'<>]+"
    r"|(?<=://)[^/\s@]+:[^/\s@]+(?=@)"
)
_SHORTEST = 6
"""A shorter value of a secret variable is not searched for: it would mask parts of words."""
_NO_BUCKET = "NoSuchBucket"
_BUSY = ("SlowDown", "ServiceUnavailable", "503", "RequestLimitExceeded", "Throttling", "ThrottlingException")
_KEYS = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired")


class StoreFailure(Exception):
    """An error of another library about a store, as text with credentials masked."""


def translated(error: BaseException, doing: str, place: str) -> StorageError:
    """The `StorageError` for an error that a store raised while `doing` something at the URL `place`."""
    message = f"{_reason(error, place)} The error came while {doing}."
    made = StorageError(message)
    made.__cause__ = StoreFailure(f"{type(error).__module__}.{type(error).__qualname__}: {masked(str(error))}")
    return made


def is_missing_bucket(error: BaseException) -> bool:
    """Whether the store raised `error` because there is no such bucket."""
    return _code(error) == _NO_BUCKET


def masked(text: str) -> str:
    """`text` without credentials."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= _SHORTEST:
            text = text.replace(value, _MASK)
    return _SECRET_TEXT.sub(_MASK, text)


def _reason(error: BaseException, place: str) -> str:
    code, name = _code(error), type(error).__name__
    shown = f" ({code})" if code else ""
    if code == _NO_BUCKET:
        return f"{place}: there is no such bucket. Create it, or correct the URL."
    if code in _KEYS:
        return (
            f"{place}: the store does not accept the credentials{shown}. Check AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE."
        )
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "DefaultCredentialsError"):
        return (
            f"{place}: no credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE "
            "(for Google Cloud: GOOGLE_APPLICATION_CREDENTIALS)."
        )
    if isinstance(error, PermissionError):
        return (
            f"{place}: the store denied access{shown}. The credentials need permission to list, read, write and "
            "delete there, and the bucket must exist."
        )
    if code in _BUSY or (isinstance(error, OSError) and code.startswith("5")):
        return f"{place}: the store is overloaded or out of service{shown}, also after several attempts. Try later."
    if isinstance(error, TimeoutError) or "Timeout" in name:
        return f"{place}: the store did not answer in time, also after several attempts."
    if "Connect" in name or "Connection" in name or isinstance(error, ConnectionError):
        return (
            f"{place}: no connection to the store, also after several attempts. Check the network and the endpoint "
            "(AWS_ENDPOINT_URL)."
        )
    if isinstance(error, FileNotFoundError):
        return f"{place}: nothing is there."
    if isinstance(error, OSError) and error.errno and not code:
        return f"{place}: {masked(os.strerror(error.errno)).lower()}."
    return f"{place}: the store failed with {code or name}."


def _code(error: BaseException) -> str:
    """The store's code of the error ("NoSuchBucket"); empty if it has none."""
    link: BaseException | None = error
    while link is not None:
        response = getattr(link, "response", None)
        if isinstance(response, dict):
            code = str((response.get("Error") or {}).get("Code", ""))
            if re.fullmatch(r"\w{1,60}", code):
                return code
        link = link.__cause__
    return ""
