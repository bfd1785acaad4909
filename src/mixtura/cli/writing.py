"""The files of a command: data first, all in one step, then the pictures of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from mixtura.cli.calling_off import Call

Writer = Callable[[Path], object]
"""Writes one file."""


def write_files(
    folder: Path, data: Mapping[str, Writer], pictures: Mapping[str, Writer], call: Call
) -> list[str]:
    """Write all files that nothing prevents, and return their names.

    Data that cannot be written leave everything as it was. Pictures of earlier data go before the
    new ones are drawn. A call to end leaves those out that are not done.
    """
    from mixtura.inputs.writing import replacing

    with ExitStack() as files:
        for name, write in data.items():
            write(files.enter_context(replacing(folder / name)))
    for name in pictures:
        (folder / name).unlink(missing_ok=True)
    call.listener.stop_clock()
    written = list(data)
    try:
        with call.listener.may_be_cut_short():
            for name, draw in pictures.items():
                with replacing(folder / name) as part:
                    draw(part)
                written.append(name)
    except KeyboardInterrupt:
        pass
    return written
