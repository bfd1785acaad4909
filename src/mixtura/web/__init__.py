"""The local web server of ``mixtura explore`` and ``mixtura learn``, with its access control.

- :mod:`mixtura.web.access`: the secrets of one server: a link that works once, a cookie, a key.
- :mod:`mixtura.web.guard`: refuses every request that is not from the page itself, before any route
  sees it.
- :mod:`mixtura.web.static_files`: the files that may be served, listed when the server starts.
- :mod:`mixtura.web.server`: ``secured(routes, ...)`` makes an app, ``serve(app)`` runs it on
  127.0.0.1.
"""

from __future__ import annotations

from importlib.util import find_spec

from mixtura.base.errors import MissingExtraError

REQUIRED_PACKAGES = ("starlette", "uvicorn", "websockets")
"""The packages of the extra ``explore``."""


def need_extra(command: str) -> None:
    """Raise MissingExtraError where a package of the extra is missing, before it is imported."""
    missing = [name for name in REQUIRED_PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{command} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed. Run: pip install 'mixtura[explore]'"
        )
