"""The local web server beneath ``mixtura explore`` and ``mixtura learn``: who may ask, what may be
asked for, what a page may do.

- :mod:`mixtura.web.access`: the secrets of one server: a link that works once, a cookie, a key.
- :mod:`mixtura.web.guard`: refuses whatever is not asked by the page itself, before any route sees
  it.
- :mod:`mixtura.web.shelf`: the files that may be served, listed when the server starts.
- :mod:`mixtura.web.server`: ``secured(routes, ...)`` puts an app together, ``serve(app)`` runs it
  on 127.0.0.1.
"""

from __future__ import annotations

from importlib.util import find_spec

from mixtura.base.errors import MissingExtraError

NEEDED = ("starlette", "uvicorn", "websockets")
"""What the extra ``explore`` installs."""


def need_extra(command: str) -> None:
    """Say what to install, before anything is imported that is not there.

    Raises
    ------
    MissingExtraError
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{command} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "not installed. "
            "Run: pip install 'mixtura[explore]'"
        )
