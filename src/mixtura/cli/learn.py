"""mixtura learn: the lesson, with live pictures and code cells, in the browser."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.console import Plain
from mixtura.cli.endings import DONE


def run(
    *,
    port: Annotated[
        int,
        Parameter(
            validator=Number(gte=0, lt=65536), help="Where to listen; by default a free one."
        ),
    ] = 0,
    browser: Annotated[
        bool,
        Parameter(negative="--no-browser", help="Whether to open the page, or only show its link."),
    ] = True,
) -> int:
    """Open the lesson: soft clustering on live data, with programs to run and change.

    The page is served to this computer only. Its code cells run Python here, shut in and timed; see
    docs/learning.md.
    """
    from mixtura.web import need_extra

    need_extra("mixtura learn")
    from mixtura.learn.app import lesson_app
    from mixtura.web.server import serve

    serve(lesson_app(), open_browser=browser, port=port, say=Plain().say)
    return DONE
