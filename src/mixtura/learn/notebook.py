"""The lesson as a notebook: the same sections, without the live parts;
``python -m mixtura.learn.notebook FILE`` writes it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from mixtura.learn.lesson import Section, sections

DATA = ("data.csv", "old_faithful.csv")
"""The file name of the data on the page, and that in the folder of the notebook."""

OPENING = """\
# Soft clustering with Gaussian mixtures

The lesson of `mixtura learn` as a notebook, on Old Faithful: the durations of a geyser's eruptions
and the waiting times to the next eruption, in minutes. `mixtura learn` opens the same text as a
page, with moving pictures."""


def notebook() -> dict[str, Any]:
    """The notebook in the format 4.5, without outputs."""
    cells = [
        _cell("opening", "markdown", OPENING),
        *(cell for section in sections() for cell in _cells(section)),
    ]
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def text() -> str:
    """The text of the notebook's file."""
    return json.dumps(notebook(), indent=1, ensure_ascii=False) + "\n"


def _cells(section: Section) -> list[dict[str, Any]]:
    kinds = {"text": "markdown", "code": "code"}
    return [
        _cell(f"{section.name}-{i}", kinds[piece.kind], piece.content.replace(*DATA))
        for i, piece in enumerate(section.pieces)
        if piece.kind in kinds
    ]


def _cell(name: str, kind: str, source: str) -> dict[str, Any]:
    cell = {
        "cell_type": kind,
        "id": name,
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }
    return {**cell, "execution_count": None, "outputs": []} if kind == "code" else cell


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
