"""A server in a thread, and requests to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse

from uvicorn import Server

from mixtura.web.guard import KEY_HEADER
from mixtura.web.server import LocalApp, _config, _listening


@dataclass
class Running:
    """A running server, and requests to it with any headers."""

    app: LocalApp

    @property
    def port(self) -> int:
        return self.app.access.port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"{self.app.access.cookie_name}={self.app.access.cookie}"}

    @property
    def inside(self) -> dict[str, str]:
        """The headers that the page itself sends."""
        return {**self.cookie, KEY_HEADER: self.app.access.key, "Origin": f"http://{self.host}"}

    def ask(
        self, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST" if body is not None else "GET", path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer, text

    def status(
        self, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> int:
        return self.ask(path, headers, body)[0].status


@contextmanager
def running(app: LocalApp) -> Iterator[Running]:
    """The app on a free port of 127.0.0.1, until the end of the block."""
    with _listening(0) as listener:
        app.access.port = listener.getsockname()[1]
        server = Server(_config(app))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Running(app)
        finally:
            server.should_exit = True
            thread.join()
            app.at_end()
