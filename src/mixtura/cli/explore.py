"""mixtura explore: a page on one's own table, in the browser."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.console import Plain
from mixtura.cli.data import read_data
from mixtura.cli.endings import DONE
from mixtura.cli.options import Columns

Port = Annotated[
    int,
    Parameter(
        validator=Number(gte=0, lte=65535),
        help="Port on 127.0.0.1; a free one at random by default.",
    ),
]
NoBrowser = Annotated[bool, Parameter(help="Only show the link.")]


def run(
    data: str, /, *, columns: Columns = None, port: Port = 0, no_browser: NoBrowser = False
) -> int:
    """Open a page on a table: see the clusters, watch EM, choose K, ask why a row belongs where it
    does.

    The page is served on 127.0.0.1 to this computer alone, by a link that works once. No other file
    is read, nothing is fetched from a network, and nothing is written but what you save from the
    page. Ctrl-C ends it.

    Parameters
    ----------
    data
        CSV or Parquet file with a header; - reads standard input.
    """
    from mixtura.web import need_extra

    need_extra("mixtura explore")
    from mixtura.explorer.app import explorer_app
    from mixtura.explorer.opened import Opened
    from mixtura.web.server import serve

    out = Plain()
    read = read_data(data, columns, out)
    opened = Opened(read.X, read.names, read.table.source)
    serve(explorer_app(opened), open_browser=not no_browser, port=port, say=out.say)
    return DONE
