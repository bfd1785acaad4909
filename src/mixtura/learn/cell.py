"""The program inside the sandbox: it runs the reader's code as ``main.py`` and sends its figures.

It is started as a file, so that only the reader's own imports are loaded. Figures are sent through
a pipe, each preceded by its length, so the server never opens a file whose name the code could
choose.
"""

from __future__ import annotations

import io
import linecache
import os
import struct
import sys
import traceback
import types
import warnings

NAME, DPI = "main.py", 100


def run(figures: int) -> int:
    """Run ``main.py`` of the working directory, send its figures to the descriptor ``figures``, and
    return the exit status.
    """
    with open(NAME, encoding="utf-8") as stream:
        code = stream.read()
    main = types.ModuleType("__main__")
    main.__dict__["__file__"] = NAME
    sys.modules["__main__"] = main
    sys.argv = [NAME]
    # plt.show() is allowed: its figure is shown at the end.
    warnings.filterwarnings("ignore", message=".*non-interactive")
    linecache.cache[NAME] = (len(code), None, code.splitlines(keepends=True), NAME)
    status = 0
    try:
        exec(compile(code, NAME, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as leaving:
        status = _status_of(leaving)
    except BaseException as error:
        _show(error)
        status = 1
    _send_figures(figures)
    sys.stdout.flush()
    return status


def _status_of(leaving: SystemExit) -> int:
    """The exit status of ``sys.exit(...)``, as in Python."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


def _show(error: BaseException) -> None:
    """Print the traceback without the frames of this file."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename == __file__:
        frame = frame.tb_next
    sys.stdout.flush()
    traceback.print_exception(type(error), error, frame)


def _send_figures(descriptor: int) -> None:
    """Send every open figure as PNG."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    with os.fdopen(descriptor, "wb") as stream:
        for number in pyplot.get_fignums():
            picture = io.BytesIO()
            try:
                pyplot.figure(number).savefig(picture, format="png", dpi=DPI, bbox_inches="tight")
            except Exception as error:
                _show(error)
                continue
            stream.write(struct.pack("!I", len(picture.getvalue())) + picture.getvalue())


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1])))
