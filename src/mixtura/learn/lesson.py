"""The text of the lesson: seven Markdown files for the page and the notebook, split into text, live
parts and code cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, TypeAlias

PieceKind: TypeAlias = Literal["text", "live", "code"]

_PIECES = re.compile(
    r"^<!-- live: (?P<live>\w+) -->$|^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Piece:
    """A part of a section: Markdown, the name of a live part, or Python."""

    kind: PieceKind
    content: str


@dataclass(frozen=True)
class Section:
    """A section of the lesson, from one file.

    Attributes
    ----------
    name : str
        ``em`` of ``3-em.md``.
    title : str
    pieces : tuple of Piece
    """

    name: str
    title: str
    pieces: tuple[Piece, ...]


def sections() -> list[Section]:
    """The sections of the lesson in order."""
    folder = files("mixtura.learn").joinpath("lesson")
    found = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".md")), key=lambda file: file.name
    )
    return [_section(file.name, file.read_text(encoding="utf-8")) for file in found]


def _section(file_name: str, text: str) -> Section:
    title = text.partition("\n")[0].removeprefix("## ")
    return Section(file_name.partition("-")[2].removesuffix(".md"), title, tuple(_pieces(text)))


def _pieces(text: str) -> Iterator[Piece]:
    """The parts of a text in order, without blank ones."""
    end = 0
    for found in _PIECES.finditer(text):
        if before := text[end : found.start()].strip():
            yield Piece("text", before)
        yield (
            Piece("live", found["live"])
            if found["live"]
            else Piece("code", found["code"].rstrip("\n"))
        )
        end = found.end()
    if rest := text[end:].strip():
        yield Piece("text", rest)


def anchor_of(title: str) -> str:
    """The anchor of a title: ``How many clusters?`` becomes ``how-many-clusters``."""
    return "-".join(re.findall(r"\w+", title.lower()))
