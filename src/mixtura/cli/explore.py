"""mixtura explore: an interactive page about a table, in the browser."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.console import PlainConsole
from mixtura.cli.data import read_data
from mixtura.cli.exit_codes import DONE
from mixtura.cli.reading_options import ALL_COLUMNS, ReadingOptions

Port = Annotated[
    int,
    Parameter(
        validator=Number(gte=0, lte=65535),
        help="Port on 127.0.0.1; 0 takes a free one.",
    ),
]
NoBrowser = Annotated[bool, Parameter(help="Only show the link.")]


def run(
    data: str,
    /,
    *,
    reading: ReadingOptions = ALL_COLUMNS,
    port: Port = 0,
    no_browser: NoBrowser = False,
) -> int:
    """Open a page about a table: see the clusters, watch EM, choose K, see why a row belongs to its
    cluster.

    The page is served on 127.0.0.1, to this computer only, by a link that works once. No other file
    is read, nothing is loaded from a network, and nothing is written except what you save from the
    page. Ctrl-C ends the program.

    Parameters
    ----------
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    """
    from mixtura.web import need_extra

    need_extra("mixtura explore")
    from mixtura.explorer.app import explorer_app
    from mixtura.explorer.table import OpenedTable
    from mixtura.web.server import serve

    out = PlainConsole()
    read = read_data(data, reading, out, PlainConsole(stderr=True))
    opened = OpenedTable(read.X, read.names, read.table.source, reading.reading)
    serve(explorer_app(opened), open_browser=not no_browser, port=port, say=out.say)
    return DONE
