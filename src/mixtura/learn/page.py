"""The lesson as a page: the sections in ``page.html``, with elements for the scripts to fill."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from markdown_it import MarkdownIt

from mixtura.learn.lesson import Piece, Section, anchor_of, sections

HINT = (
    "Click <b>Run</b> (or press Ctrl+Enter in the code) to run this program. Its output and its "
    "figures will appear here."
)

CELL = """\
<div class="cell" id="{name}">
<div class="cell-head"><span class="cell-name">main.py</span>
<button type="button" class="run primary">Run</button>
<button type="button" class="stop" disabled>Stop</button>
<button type="button" class="reset">Reset</button></div>
<textarea class="code" rows="{rows}" spellcheck="false" autocapitalize="off" autocomplete="off"
 aria-label="The code of main.py; Ctrl+Enter runs it">{code}</textarea>
<div class="output" role="log" aria-live="polite"
 aria-label="Output of main.py"><p class="hint">{hint}</p></div>
</div>
"""

LIVE = '<div class="live" data-live="{name}"><p class="hint">Computing …</p></div>\n'


def page() -> str:
    """The whole page as HTML."""
    frame = files("mixtura.learn").joinpath("page.html").read_text(encoding="utf-8")
    lesson = sections()
    links = "\n".join(
        f'<li><a href="#{anchor_of(section.title)}">{escape(section.title)}</a></li>'
        for section in lesson
    )
    return frame.replace("<!-- contents -->", links).replace(
        "<!-- lesson -->", "\n".join(_section(section) for section in lesson)
    )


def _section(section: Section) -> str:
    pieces = [_piece(piece, f"cell-{section.name}-{i}") for i, piece in enumerate(section.pieces)]
    return f'<section id="{anchor_of(section.title)}">\n{"".join(pieces)}</section>'


def _piece(piece: Piece, name: str) -> str:
    if piece.kind == "live":
        return LIVE.format(name=piece.content)
    if piece.kind == "code":
        rows = piece.content.count("\n") + 2
        return CELL.format(name=name, rows=rows, code=escape(piece.content), hint=HINT)
    return _without_styles(MarkdownIt("commonmark").enable("table").render(piece.content))


def _without_styles(html: str) -> str:
    """Check that there is no style attribute, which the policy of the page forbids."""
    assert "style=" not in html
    return html
