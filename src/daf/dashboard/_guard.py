"""Access control: only this machine's user gets answers, from the dashboard's own pages.

Every request must name this server in its Host header (a page elsewhere cannot reach it by pointing its own name at
127.0.0.1), carry the token (in the URL once, in a cookie from then on, compared in constant time), and come from the
dashboard itself (`Sec-Fetch-Site`, if the browser sends it). Only GET and HEAD are supported. No response allows
another origin.

Every response restricts the browser to what this server sends. The contents of a run's files were written by others, so
they are shown in a sandbox with an opaque origin: their scripts cannot request anything from this server.
"""

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = "/"
OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOREIGN_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def cookie_name(port: int) -> str:
    """The name of the cookie; each dashboard needs a separate one, because all ports of a host share cookies."""
    return f"daf_dashboard_{port}"


class Guard:
    """ASGI middleware: the checks of every request and the headers of every response."""

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._cookie = cookie_name(port)
        self._hosts = {f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        first = scope["type"] == "http" and scope["path"] == PAGE and self._token_in_address(scope)
        refusal = self._refusal(scope, headers, first)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer.setdefault(name, value)
                answer.setdefault("content-security-policy", OWN_POLICY)
                if first and refusal is None:
                    answer.append("set-cookie", f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, sent)
        else:
            await self._app(scope, receive, sent)

    def _refusal(self, scope: Scope, headers: Headers, first: bool) -> ASGIApp | None:
        if scope["type"] != "http":
            return PlainTextResponse("Forbidden.", 403)
        if headers.get("host", "") not in self._hosts:
            return PlainTextResponse("Unknown host: use the address that `daf dashboard` printed.", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("The dashboard is read-only: GET and HEAD.", 405, {"allow": "GET, HEAD"})
        if not first and not self._has_cookie(headers):
            return PlainTextResponse(
                "The token is missing or wrong. Open the address that `daf dashboard` printed; it ends in ?token=….",
                401,
            )
        if scope["path"] != PAGE and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return PlainTextResponse("Cross-site requests are not allowed.", 403)
        return None

    def _token_in_address(self, scope: Scope) -> bool:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        return self._is_token(given)

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return cookie is not None and self._is_token(cookie.value)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode("utf-8", "replace"), self._token.encode())
