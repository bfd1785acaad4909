"""mixtura learn: the lesson, with interactive pictures and code cells, in the browser."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.console import PlainConsole
from mixtura.cli.exit_codes import DONE


def run(
    *,
    port: Annotated[
        int,
        Parameter(
            validator=Number(gte=0, lte=65535), help="Port on 127.0.0.1; 0 takes a free one."
        ),
    ] = 0,
    browser: Annotated[
        bool,
        Parameter(
            negative="--no-browser", help="Open the page in a browser, or only show its link."
        ),
    ] = True,
) -> int:
    """Open the lesson: soft clustering on live data, with programs to run and change.

    The page is served to this computer only. Its code cells run Python on this computer, isolated
    and with a time limit; see docs/learning.md.
    """
    from mixtura.web import need_extra

    need_extra("mixtura learn")
    from mixtura.learn.app import lesson_app
    from mixtura.web.server import serve

    serve(lesson_app(), open_browser=browser, port=port, say=PlainConsole().say)
    return DONE
