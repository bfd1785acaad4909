"""The command line: words and files, no algebra.

Each command is a module of this package with a function ``run``. Exit codes: 0 done, 1 something is
wrong with the data or a file, or a time limit was over before there was a result, 2 the command
line cannot be understood or would overwrite a file, 130 Ctrl-C, 143 SIGTERM. What is asked for goes
to stdout; progress, notes and errors go to stderr. NumPy, scikit-learn and Matplotlib are imported
where they are used: --help is answered at once.
"""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter

from mixtura.cli.calling_off import CalledOff
from mixtura.cli.console import silence_stdout
from mixtura.cli.data import STANDARD_INPUT
from mixtura.cli.endings import DONE, INTERRUPTED, MISUSE, WRONG_DATA, UsageError
from mixtura.cli.result_files import RESULT_FILES

__all__ = ["COMMANDS", "RESULT_FILES", "app", "main"]

COMMANDS = (
    "fit",
    "test",
    "predict",
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


PREDICT = "First comes MODEL, a model.safetensors that 'mixtura fit' wrote, then DATA."
"""The only command that takes two files."""


SELDOM = (100_000, 50, 100)
"""How seldom Python looks for cycles of objects: at its own pace it goes over all that the imports
made, again and again.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; no traceback for anything a user can cause."""
    alone = argv is None  # a process of its own
    tokens = [
        STANDARD_INPUT if token == "-" else token
        for token in (sys.argv[1:] if argv is None else argv)
    ]
    if alone:
        gc.set_threshold(*SELDOM)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal that cannot show a character must not stop a fit
    try:
        code = app(tokens, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has had enough, as in "mixtura fit x.csv | head"
        silence_stdout()
        return DONE
    except CalledOff as end:
        return _complain(str(end), end.code)
    except KeyboardInterrupt:
        return _complain("interrupted before there was a result; nothing was written.", INTERRUPTED)
    except (CycloptsError, UsageError) as error:
        command = "".join(f" {token}" for token in tokens[:1] if token in COMMANDS)
        order = (
            f" {PREDICT}"
            if isinstance(error, MissingArgumentError) and command == " predict"
            else ""
        )
        return _complain(
            f"{error}{order} Run 'mixtura{command} --help' to see what can be asked.", MISUSE
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
        if alone:
            # or half a second is spent at the end on cycles of objects that go with the process
            gc.freeze()
    return code if isinstance(code, int) else DONE


def _complain(message: str, code: int) -> int:
    """One clean paragraph on stderr."""
    print(f"mixtura: {message}", file=sys.stderr)
    return code
