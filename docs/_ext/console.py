"""The directive `command`: a command line and what it prints, which the doctests hold it to.

The examples of a page run in a folder of their own, which is thrown away.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]


def enter() -> None:
    """Go to a new folder in which `examples` is that of the repository."""
    os.chdir(mkdtemp())
    Path("examples").symlink_to(ROOT / "examples")


def leave() -> None:
    """Throw the folder away."""
    folder = Path.cwd()
    os.chdir(ROOT)
    shutil.rmtree(folder)


def run(*commands: str) -> None:
    """Print what commands print, the same on every terminal."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}
    for command in commands:
        done = subprocess.run(
            shlex.split(command), env=environment, stdout=subprocess.PIPE, text=True
        )
        print(done.stdout, end="")


class Command(SphinxDirective):
    """Lines that begin with `$` are commands, run one after the other; the rest is their output."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """What is seen, and a hidden test with the same content."""
        lines = list(self.content)
        commands = [line[2:] for line in lines if line.startswith("$ ")]
        seen = "\n".join(lines)
        code = f"from console import run\nrun(*{commands!r})"
        output = "\n".join(line for line in lines if not line.startswith("$ "))
        shown = nodes.literal_block(seen, seen, language="console")
        test = nodes.comment(code, code, testnodetype="testcode", groups=["default"])
        wanted = nodes.comment(output, output, testnodetype="testoutput", groups=["default"])
        wanted["options"] = {}
        for node in (shown, test, wanted):
            self.set_source_info(node)
        return [shown, test, wanted]


def setup(app: Sphinx) -> dict[str, bool]:
    """For Sphinx."""
    app.add_directive("command", Command)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
