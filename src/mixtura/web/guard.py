"""Refuses every request that is not from the page itself, and sends the security headers.

The checks, in this order: the header Host (against DNS rebinding), the header Origin (against other
pages), the one-time token or the cookie, the key (for ``/api/`` and WebSockets), the size of the
body.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from mixtura.web.access import Access

KEY_HEADER = "x-mixtura-key"
"""The header in which a script of the page sends its key."""

PROTOCOL = "mixtura"
"""A WebSocket cannot send own headers, so it offers two sub-protocols: this name and the key."""

POLICY_VIOLATION = 1008
"""The code with which a WebSocket is refused (RFC 6455, 7.4.1)."""

READING = frozenset({"GET", "HEAD"})
"""Methods that change nothing; browsers send them to a page's own server without Origin."""

WRONG_HOST = (
    "this server accepts only the hosts 127.0.0.1 and localhost with its own port. Open the link "
    "that the terminal shows.\n"
)
WRONG_ORIGIN = (
    "this request is from another page, or does not say from which. Only the page of this server "
    "may send requests.\n"
)
NO_TOKEN_OR_COOKIE = (
    "expected the link with its token, or a browser that opened it before, but got neither. The "
    "link works once: if it was used already, end the program with Ctrl-C and start it again for a "
    "new link.\n"
)
NO_KEY = (
    "expected the key of the page, but it is missing or wrong. Reload the page from the link in "
    "the terminal.\n"
)
TOO_LARGE = "a request may hold {most} bytes at most, but this one holds more. Send less.\n"


class RequestRefused(HTTPException):
    """A request is refused; inside a route, Starlette sends the same message."""


class Guard:
    """ASGI middleware around a whole app.

    Parameters
    ----------
    app : ASGI application
    access : Access
    policy : mapping of str to str
        Content-Security-Policy: directive and its sources.
    most : int
        Bytes that the body of a request may hold.
    """

    def __init__(self, app: ASGIApp, access: Access, policy: dict[str, str], most: int) -> None:
        self.app, self.access, self.policy, self.most = app, access, policy, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why it is refused."""
        if scope["type"] not in ("http", "websocket"):
            return
        answer = _Answer(send, self._headers())
        try:
            self._check(scope)
            await self.app(scope, _limited(receive, self.most), answer)
        except RequestRefused as refusal:
            if not answer.begun:
                await self._refuse(refusal, scope, receive, answer)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        _check_host(headers, self.access)
        _check_origin(
            headers, needed=scope["type"] == "websocket" or scope["method"] not in READING
        )
        if not self._opens(scope) and not _shows_cookie(headers, self.access):
            raise RequestRefused(403, NO_TOKEN_OR_COOKIE)
        if scope["type"] == "websocket":
            _check_key(scope["subprotocols"][1:2], self.access)
        elif scope["path"].startswith("/api/"):
            _check_key(headers.getlist(KEY_HEADER), self.access)
            _check_length(headers, self.most)
        else:
            _check_length(headers, self.most)

    def _opens(self, scope: Scope) -> bool:
        """Whether this is the request with the token; its answer has the cookie and the key."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            return False
        tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        opened = len(tokens) == 1 and self.access.exchange(tokens[0])
        scope["mixtura.opened"] = opened
        return opened

    def _headers(self) -> dict[str, str]:
        """The security headers of every answer."""
        return {
            "content-security-policy": "; ".join(
                f"{name} {sources}" for name, sources in self.policy.items()
            ),
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-store",
        }

    async def _refuse(
        self, refusal: RequestRefused, scope: Scope, receive: Receive, send: Send
    ) -> None:
        answer: Response | WebSocketClose
        if scope["type"] == "websocket":
            answer = WebSocketClose(POLICY_VIOLATION, "refused")
        else:
            answer = PlainTextResponse(
                refusal.detail, refusal.status_code, headers={"connection": "close"}
            )
        await answer(scope, receive, send)


class _Answer:
    """``send`` with additional headers; it records whether the answer has begun."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self.send, self.headers, self.begun = send, headers, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            MutableHeaders(raw=message["headers"]).update(self.headers)
        await self.send(message)


def _limited(receive: Receive, most: int) -> Receive:
    """``receive`` with a limit on the size of the body, whatever length the request announced."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > most:
                raise RequestRefused(413, TOO_LARGE.format(most=most))
        return message

    return counted


def _check_host(headers: Headers, access: Access) -> None:
    hosts = headers.getlist("host")
    if len(hosts) != 1 or hosts[0] not in access.hosts:
        raise RequestRefused(403, WRONG_HOST)


def _check_origin(headers: Headers, *, needed: bool) -> None:
    """Origin must have the host of the request: localhost and 127.0.0.1 are different origins."""
    origins = headers.getlist("origin")
    if (origins or needed) and origins != [f"http://{headers['host']}"]:
        raise RequestRefused(403, WRONG_ORIGIN)


def _shows_cookie(headers: Headers, access: Access) -> bool:
    """Parsed leniently, as the header also has the cookies of other local servers, which may be
    malformed.
    """
    cookies = cookie_parser("; ".join(headers.getlist("cookie")))
    return access.knows_cookie(cookies.get(access.cookie_name, ""))


def _check_key(keys: Iterable[str], access: Access) -> None:
    shown = list(keys)
    if len(shown) != 1 or not access.knows_key(shown[0]):
        raise RequestRefused(403, NO_KEY)


def _check_length(headers: Headers, most: int) -> None:
    """Refuse a body that announces too many bytes, without reading it."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most:
        raise RequestRefused(413, TOO_LARGE.format(most=most))
