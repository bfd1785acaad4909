"""Writing the files of a command: first all data files in one step, then the pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from mixtura.cli.interruption import Interruption

Writer = Callable[[Path], object]
"""Writes one file."""


def write_files(
    folder: Path,
    data: Mapping[str, Writer],
    pictures: Mapping[str, Writer],
    interruption: Interruption,
) -> list[str]:
    """Write the data files, then the pictures, and return the names of those written.

    If a data file cannot be written, all files stay as they were. Pictures of earlier data are
    removed before the new ones are drawn. A signal leaves out the pictures that are not done.
    """
    from mixtura.inputs.writing import replacing

    with ExitStack() as files:
        for name, write in data.items():
            write(files.enter_context(replacing(folder / name)))
    for name in pictures:
        (folder / name).unlink(missing_ok=True)
    interruption.handler.stop_timer()
    written = list(data)
    try:
        with interruption.handler.interruptible():
            for name, draw in pictures.items():
                with replacing(folder / name) as part:
                    draw(part)
                written.append(name)
    except KeyboardInterrupt:
        pass
    return written
