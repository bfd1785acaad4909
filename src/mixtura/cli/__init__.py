"""The command line: options, output and files, no numerical code.

Each command is a module of this package with a function ``run``. Exit codes: 0 done; 1 the data or
a file is wrong, or a time limit passed before there was a result; 2 the command line is wrong or
would overwrite a file; 130 Ctrl-C; 143 SIGTERM. Results go to stdout; progress, notes and errors go
to stderr. NumPy, scikit-learn and Matplotlib are imported where they are used, so that --help is
fast.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter

from mixtura.cli.console import silence_stdout
from mixtura.cli.exit_codes import DONE, INTERRUPTED, MISUSE, WRONG_DATA, UsageError
from mixtura.cli.interruption import InterruptedWithoutResult
from mixtura.cli.result_files import RESULT_FILES
from mixtura.cli.standard_input import STANDARD_INPUT_NAME

__all__ = ["COMMANDS", "RESULT_FILES", "app", "main"]

COMMANDS = (
    "fit",
    "test",
    "predict",
    "regress",
    "condition",
    "outliers",
    "sample",
    "export",
    "compare",
    "plot",
    "report",
    "explore",
    "learn",
)
"""A new command is a module with a function ``run``, and its name here."""

app = App(
    name="mixtura",
    help="Soft clustering with Gaussian mixtures: from a table to clusters, with a probability for "
    "every row.",
    version=lambda: version("mixtura"),
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)

for _place, _name in enumerate(COMMANDS):
    app.command(import_module(f"mixtura.cli.{_name}").run, name=_name, sort_key=_place)


PREDICT_ORDER = "Give MODEL first, a model.safetensors that 'mixtura fit' wrote, then DATA."
"""Added to errors of the only command that takes two files."""


GC_THRESHOLDS = (100_000, 50, 100)
"""Thresholds of Python's garbage collector, which at its defaults goes over all imported objects
several times.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; user errors give no traceback."""
    owns_process = argv is None
    tokens = [
        STANDARD_INPUT_NAME if token == "-" else token
        for token in (sys.argv[1:] if argv is None else argv)
    ]
    if owns_process:
        gc.set_threshold(*GC_THRESHOLDS)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the terminal cannot show must not end a fit.
            stream.reconfigure(errors="replace")
    try:
        code = app(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the pipe ended, as in "mixtura fit x.csv | head"
        silence_stdout()
        return DONE
    except InterruptedWithoutResult as end:
        return _complain(str(end), end.code)
    except KeyboardInterrupt:
        return _complain("interrupted before there was a result; nothing was written.", INTERRUPTED)
    except (CycloptsError, UsageError) as error:
        command = "".join(f" {token}" for token in tokens[:1] if token in COMMANDS)
        order = (
            f" {PREDICT_ORDER}"
            if isinstance(error, MissingArgumentError) and command == " predict"
            else ""
        )
        return _complain(
            f"{error}{order} Run 'mixtura{command} --help' to see the options.", MISUSE
        )
    except OSError as error:
        words = (
            f"{error.filename}: {error.strerror}. Check the path."
            if error.filename is not None
            else str(error)
        )
        return _complain(words, MISUSE if isinstance(error, FileExistsError) else WRONG_DATA)
    except (ValueError, ImportError, MemoryError) as error:
        return _complain(" ".join(str(error).split()) or type(error).__name__, WRONG_DATA)
    finally:
        if owns_process:
            # Without this, the collector takes half a second when the process ends.
            gc.freeze()
    return code if isinstance(code, int) else DONE


def _complain(message: str, code: int) -> int:
    """Print one line on stderr and return the exit code."""
    print(f"mixtura: {message}", file=sys.stderr)
    return code
