"""The directive `command`: a command line and what it prints, which the doctests hold it to."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(command: str) -> None:
    """Print what a command prints; its files go to a folder that is thrown away."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The same output on every terminal.
    environment = os.environ | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}
    with TemporaryDirectory() as folder:
        Path(folder, "examples").symlink_to(EXAMPLES)
        for line in command.split("\n"):
            done = subprocess.run(
                shlex.split(line), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
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
        code = f"from console import run\nrun({chr(10).join(commands)!r})"
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
