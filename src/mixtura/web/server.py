"""``secured(routes, page)`` makes a local web app, ``serve(app)`` runs it on 127.0.0.1."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server

from mixtura.web.access import Access
from mixtura.web.guard import Guard
from mixtura.web.static_files import StaticFileEndpoint, servable_files

STATIC = Path(__file__).parent / "static"
"""Files of the explorer and the lesson: session, style, scatter plot, charts."""

MOST_BYTES = 64 * 1024
"""Bytes of a request's body: it holds settings, never data, which the program reads itself."""

KEY_PLACE = '<meta name="mixtura-key" content="">'
"""The element that receives the key; a page must contain it."""

POLICY = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
"""Content-Security-Policy. Images may also be ``data:`` or ``blob:``, which saved charts and the
figures of code cells need; an image runs no script.
"""


@dataclass(frozen=True)
class LocalApp:
    """An ASGI application behind its guard, with what ``serve`` needs."""

    guarded: ASGIApp
    access: Access
    at_end: Callable[[], object] = bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self.guarded(scope, receive, send)


def secured(
    routes: Sequence[BaseRoute],
    page: Path,
    *,
    static: Mapping[str, Path] | None = None,
    policy: Mapping[str, str] | None = None,
    most: int = MOST_BYTES,
    access: Access | None = None,
    at_end: Callable[[], object] = bool,
) -> LocalApp:
    """An app with one page, which answers requests of this page only.

    Parameters
    ----------
    routes : sequence of starlette routes
        All must be under ``/api/``, where requests and WebSockets need the key. Endpoints written
        with ``def`` run in threads. A ``ValueError`` of an endpoint is answered with status 422 and
        its message.
    page : Path
        The HTML file, served at ``/``. It must contain the line of ``KEY_PLACE``, load scripts and
        styles from ``/static/`` only, and contain none itself.
    static : mapping of str to Path
        Name and folder: ``{"explore": folder}`` serves ``folder/page.js`` at
        ``/static/explore/page.js``. The shared files are always at ``/static/web/``.
    policy : mapping of str to str, optional
        Directives of the Content-Security-Policy that differ from ``POLICY``.
    most : int
        Largest size of a request's body in bytes.
    access : Access, optional
        For tests; new secrets by default.
    at_end : callable
        Called when the server ends, to cancel running computations. By default it does nothing.
    """
    _check_routes(routes)
    access = access or Access()
    files = servable_files({"web": STATIC, **(static or {})})
    app = Starlette(
        routes=[
            Route("/", _Page(page, access), methods=["GET"]),
            Route("/static/{name:path}", StaticFileEndpoint(files).__call__),
            *routes,
        ],
        exception_handlers={ValueError: _error_response},
    )
    return LocalApp(Guard(app, access, {**POLICY, **(policy or {})}, most), access, at_end)


def _check_routes(routes: Sequence[BaseRoute]) -> None:
    """Refuse routes outside ``/api/``, which would need no key."""
    for route in routes:
        path = getattr(route, "path", "")
        if not path.startswith("/api/"):
            raise ValueError(
                f"a route must begin with /api/, but got {path!r}. Move it there, so that its "
                "requests need the key."
            )


class _Page:
    """The endpoint of the page; its first answer has the key and the cookie."""

    def __init__(self, path: Path, access: Access) -> None:
        self.text, self.access = path.read_text(encoding="utf-8"), access
        if self.text.count(KEY_PLACE) != 1:
            raise ValueError(
                f"{path.name}: a page must contain the line {KEY_PLACE} once, for the key that its "
                "scripts need. Add it."
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(Request(scope))(scope, receive, send)

    def answer(self, request: Request) -> Response:
        """The page, with key and cookie where the request had the token."""
        if not request.scope.get("mixtura.opened"):
            return HTMLResponse(self.text)
        page = HTMLResponse(
            self.text.replace(KEY_PLACE, KEY_PLACE.replace('""', f'"{self.access.key}"'))
        )
        page.set_cookie(
            self.access.cookie_name, self.access.cookie, httponly=True, samesite="strict", path="/"
        )
        return page


def _error_response(_: Request, error: Exception) -> Response:
    """The message of an error that the user can correct."""
    return JSONResponse({"error": " ".join(str(error).split())}, 422)


# ---- running -------------------------------------------------------------------------------------


def serve(
    app: LocalApp, *, open_browser: bool = True, port: int = 0, say: Callable[[str], object] = print
) -> None:
    """Serve on 127.0.0.1 until Ctrl-C.

    Parameters
    ----------
    app : LocalApp
        From :func:`secured`.
    open_browser : bool
        Whether to open the link in the user's browser, besides printing it.
    port : int
        0 takes a free one.
    say : callable
        Prints a line.
    """
    with _listening(port) as listener:
        app.access.port = listener.getsockname()[1]
        link = app.access.link
        say(f"Open {link}")
        say("The link works once and only on this computer. Ctrl-C ends the program.")
        if open_browser:
            webbrowser.open(link)
        with suppress(KeyboardInterrupt):  # uvicorn raises it again after Ctrl-C
            _Server(_config(app), app.at_end).run(sockets=[listener])
        say("Ended.")


class _Server(Server):
    """Cancels running computations before it waits for the answers, so that every request gets
    one.
    """

    def __init__(self, config: Config, at_end: Callable[[], object]) -> None:
        super().__init__(config)
        self.at_end = at_end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.at_end()
        super().handle_exit(sig, frame)


def _listening(port: int) -> socket.socket:
    """A socket on the loopback interface, which no other computer can reach."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: ASGIApp) -> Config:
    """Without proxy headers and without a log (addresses contain the token), and with a limit on
    WebSocket frames.
    """
    return Config(
        app,
        http="h11",
        ws="websockets-sansio",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_level="warning",
        ws_max_size=MOST_BYTES,
        timeout_graceful_shutdown=3,
    )
