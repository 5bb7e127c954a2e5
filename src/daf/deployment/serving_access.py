"""Who may use a policy server: its address, its token, and the check of each request.

On loopback no token is needed unless one is given. On any other address one is required; it travels as the user
information of the URL (`ws://daf:TOKEN@host:port`), which clients send as an Authorization header.
"""

import base64
import binascii
import errno
import ipaddress
import os
import secrets
import socket
from pathlib import Path

from daf.errors import StorageError, UsageError
from daf.storage import reading

TOKEN_VARIABLE = "DAF_SERVE_TOKEN"
USER = "daf"
_SHORTEST_TOKEN = 16
_LONGEST_TOKEN = 1024
_URL_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def token_of(file: Path | None, host: str) -> str | None:
    """The token of `file`, else of `DAF_SERVE_TOKEN`, else a new one where the host needs it. Raises `UsageError`."""
    where, token = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE)
    if file is not None:
        where, token = str(file), reading.read_text(file, limit=_LONGEST_TOKEN)
        if token is None:
            raise UsageError(f"--token-file {file}: no such file.")
    if token is None:
        return None if is_loopback(host) else secrets.token_urlsafe(32)
    token = token.strip()
    if len(token) < _SHORTEST_TOKEN or not _URL_SAFE.issuperset(token):
        raise UsageError(
            f"the token in {where} must have at least {_SHORTEST_TOKEN} characters, and only letters, digits and -._~, "
            "because it is part of a URL."
        )
    return token


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]")).is_loopback
    except ValueError:
        return False


def allows(header: str | None, token: str) -> bool:
    """Whether an Authorization header carries the token, as a password or as a bearer."""
    kind, _, value = (header or "").partition(" ")
    if kind.lower() == "basic":
        try:
            value = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif kind.lower() != "bearer":
        return False
    return secrets.compare_digest(value.strip().encode(), token.encode())


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `UsageError` for a bad port, `StorageError` if it can't be had."""
    if not 0 <= port <= 65535:
        raise UsageError(f"--port must be from 0 (any free port) to 65535, got {port}.")
    try:
        return socket.create_server((host.strip("[]"), port), family=_family(host), backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StorageError(f"port {port} on {host} is in use. Choose another with --port, or 0 for any.") from error
        reason = error.strerror or str(error)
        raise StorageError(
            f"cannot listen on {host}, port {port}: {reason}. Choose another --host or --port."
        ) from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def address_of(host: str, port: int) -> str:
    """host:port as others write it; the machine's name where the server listens on every address."""
    if host in ("0.0.0.0", "::", "[::]"):
        host = socket.gethostname()
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"
