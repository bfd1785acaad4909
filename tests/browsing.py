"""A headless Chromium for tests of pages: a request to another origin or an error in the console
fails the test.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from serving import Running

TIMEOUT = 120_000
"""Milliseconds that a page may take to respond: long, because processors may be busy and speed is
not tested here.
"""


def chromium() -> str:
    """The path of Chromium. Without it a test is skipped, but in CI it fails."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        reason = (
            "Chromium is not installed (on Debian: apt-get install chromium), so no page can "
            "be tested"
        )
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return path


@contextmanager
def browser() -> Iterator[Any]:
    """A browser, closed at the end."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = chromium()
    with playwright.sync_playwright() as p:
        chrome = p.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield chrome
        finally:
            chrome.close()


@contextmanager
def page_of(chrome: Any, server: Running, **settings: Any) -> Iterator[Any]:
    """The page behind the one-time link."""
    context = chrome.new_context(**{"viewport": {"width": 1400, "height": 900}, **settings})
    try:
        with tab_of(context, server) as page:
            page.goto(server.app.access.link)
            yield page
    finally:
        context.close()


@contextmanager
def tab_of(context: Any, server: Running) -> Iterator[Any]:
    """A tab whose requests and console are checked; a context that used the link can open more."""
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    errors: list[str] = []
    home = f"http://{server.host}/"
    page.on("console", lambda message: errors.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda request: (
            request.url.startswith((home, "blob:", "data:")) or errors.append(request.url)
        ),
    )
    page.on(
        "websocket",
        lambda socket: (
            socket.url.startswith(home.replace("http", "ws")) or errors.append(socket.url)
        ),
    )
    try:
        yield page
        assert errors == []
    finally:
        page.close()
