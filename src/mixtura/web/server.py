"""``secured(routes, page)`` puts a local web app together, ``serve(app)`` runs it on 127.0.0.1."""

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
from mixtura.web.shelf import Files, shelf

STATIC = Path(__file__).parent / "static"
"""What both faces load: the session, the style, the points, the charts."""

MOST_BYTES = 64 * 1024
"""What the body of a request may hold: settings, never data, as the data are read by the program
itself.
"""

KEY_PLACE = '<meta name="mixtura-key" content="">'
"""Where the page is given its key; a page must contain it."""

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
"""Content-Security-Policy. One exception from 'self': pictures may come as ``data:`` or ``blob:``,
which is how a chart is saved and a figure of a code cell is shown; a picture runs nothing."""


@dataclass(frozen=True)
class LocalApp:
    """An app behind its guard, with the access it belongs to: an ASGI application, and what
    ``serve`` needs.
    """

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
    """An app of one page that only this page can ask.

    Parameters
    ----------
    routes : sequence of starlette routes
        All must be under ``/api/``, where a request and a WebSocket need the key. Endpoints written
        with ``def`` run in threads. A ``ValueError`` of an endpoint is answered with 422 and its
        words.
    page : Path
        The HTML file, served at ``/``. It must hold the line of ``KEY_PLACE``, load scripts and
        styles from ``/static/`` only, and hold none itself.
    static : mapping of str to Path
        Name and folder: ``{"explore": folder}`` serves ``folder/page.js`` at
        ``/static/explore/page.js``. The files that are shared are always there at ``/static/web/``.
    policy : mapping of str to str, optional
        Directives of the Content-Security-Policy that differ from ``POLICY``.
    most : int
        Bytes that the body of a request may hold.
    access : Access, optional
        For tests; fresh secrets by default.
    at_end : callable
        Called when the server is to end, to call off what is still being computed. By default there
        is nothing to do.
    """
    _check_routes(routes)
    access = access or Access()
    files = shelf({"web": STATIC, **(static or {})})
    app = Starlette(
        routes=[
            Route("/", _Page(page, access), methods=["GET"]),
            Route("/static/{name:path}", Files(files).__call__),
            *routes,
        ],
        exception_handlers={ValueError: _in_words},
    )
    return LocalApp(Guard(app, access, {**POLICY, **(policy or {})}, most), access, at_end)


def _check_routes(routes: Sequence[BaseRoute]) -> None:
    """A route outside of ``/api/`` would need no key, so there may be none."""
    for route in routes:
        path = getattr(route, "path", "")
        if not path.startswith("/api/"):
            raise ValueError(
                f"a route must begin with /api/, but {path!r} came. Move it there, so that asking "
                "needs the key."
            )


class _Page:
    """The page itself; the first time with the key and the cookie."""

    def __init__(self, path: Path, access: Access) -> None:
        self.text, self.access = path.read_text(encoding="utf-8"), access
        if self.text.count(KEY_PLACE) != 1:
            raise ValueError(
                f"{path.name}: a page must hold the line {KEY_PLACE} once, for the key that its "
                "scripts need. Add it."
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(Request(scope))(scope, receive, send)

    def answer(self, request: Request) -> Response:
        """The page, and what was exchanged for the token."""
        if not request.scope.get("mixtura.opened"):
            return HTMLResponse(self.text)
        page = HTMLResponse(
            self.text.replace(KEY_PLACE, KEY_PLACE.replace('""', f'"{self.access.key}"'))
        )
        page.set_cookie(
            self.access.cookie_name, self.access.cookie, httponly=True, samesite="strict", path="/"
        )
        return page


def _in_words(_: Request, error: Exception) -> Response:
    """What a person can mend, in the words of the error."""
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
        Whether to open the link in the user's browser as well as to show it.
    port : int
        0 takes a free one at random.
    say : callable
        Shows a line to the user.
    """
    with _listening(port) as listener:
        app.access.port = listener.getsockname()[1]
        link = app.access.link
        say(f"Open {link}")
        say("The link works once, and on this computer only. Ctrl-C ends the program.")
        if open_browser:
            webbrowser.open(link)
        with suppress(
            KeyboardInterrupt
        ):  # the way to end it, which uvicorn tells on when it has ended
            _Server(_config(app), app.at_end).run(sockets=[listener])
        say("Ended.")


class _Server(Server):
    """Calls off what is being computed before it waits for the answers, so that each question still
    gets one.
    """

    def __init__(self, config: Config, at_end: Callable[[], object]) -> None:
        super().__init__(config)
        self.at_end = at_end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.at_end()
        super().handle_exit(sig, frame)


def _listening(port: int) -> socket.socket:
    """A socket on the loopback interface: no other computer reaches it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: ASGIApp) -> Config:
    """No headers of a proxy are believed, nothing is logged (addresses hold the token), frames of a
    WebSocket are bounded.
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
