"""What pages have from elsewhere: the changelog, the help of the commands, the benchmarks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx

from mixtura.cli import app as commands

ROOT = Path(__file__).parents[2]
DRAFT = ("towncrier", "build", "--draft", "--version", "unreleased")


def changes() -> str:
    """Fragments of changes that are not released yet, then CHANGELOG.md."""
    parts = []
    if any((ROOT / "news").glob("*.*.md")):
        draft = subprocess.run(
            [sys.executable, "-m", *DRAFT], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
        parts.append(re.sub(r"\A## .*", "## Not released yet", below_a_title(draft.strip())))
    released = ROOT / "CHANGELOG.md"
    if released.exists():
        text = re.sub(r"\A# Change.*", "", released.read_text().strip())
        parts.append(below_a_title(text))
    return re.sub(r"\]\((?!\w+:)", "](../", "\n\n".join(parts))


def below_a_title(text: str) -> str:
    """Headings one level down where the first level is in use."""
    return re.sub(r"^#", "##", text, flags=re.M) if re.search(r"^# ", text, re.M) else text


def command_help() -> str:
    """What `--help` says of every command, and links for the pages that it names."""
    text = commands.generate_docs()
    text = text[text.index("## mixtura fit") :]
    return re.sub(r"docs/(\w+\.md)", r"[\1](\1)", text)


def benchmarks() -> str:
    """The pages beside this one, which `make bench` writes."""
    return "```{toctree}\n:hidden:\n:glob:\n\n*\n```"


PAGES = {"changelog": changes, "command_line": command_help, "benchmarks/README": benchmarks}


def append(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Add what belongs to a page below its own words."""
    if docname in PAGES:
        source[0] += f"\n{PAGES[docname]()}\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """For Sphinx."""
    app.connect("env-get-outdated", lambda *_: list(PAGES))
    app.connect("source-read", append)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
