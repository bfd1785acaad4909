"""HTML that is safe by the way it is built: text is escaped where it enters, and only what was
built here is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

EMPTY = ("meta", "img", "link", "br")


class Markup(str):
    """Text that is HTML already. Nothing a user wrote may be made one without :func:`escaped`."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """A value as text of a page, with every character that could be read as markup made
    harmless.
    """
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. A trailing underscore of an attribute is dropped (``class_``), other underscores
    are dashes.

    Examples
    --------
    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    if name in EMPTY:
        return Markup(f"<{name}{named}>")
    return Markup(f"<{name}{named}>{joined(children)}</{name}>")


def joined(children: Iterable[object], between: str = "") -> Markup:
    """Several pieces one after the other."""
    return Markup(between.join(escaped(child) for child in children))


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    words: Sequence[int] = (0,),
) -> Markup:
    """A table that scrolls sideways where it is too wide; the columns numbered in ``words`` hold
    text, the others numbers.
    """
    kinds = ["word" if j in words else "number" for j in range(len(heads))]
    head = tag(
        "tr",
        *(
            tag("th", name, scope="col", class_=kind)
            for name, kind in zip(heads, kinds, strict=True)
        ),
    )
    body = [
        tag("tr", *(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in rows
    ]
    whole = tag("table", tag("thead", head), tag("tbody", *body), aria_label=caption)
    # The caption stays outside: inside, it would scroll away with a wide table.
    return joined(
        [
            tag("p", caption, class_="caption"),
            tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption),
        ]
    )


LONG = 12
"""A text in a table that is longer than this gets room to be read."""


def _cell(value: object, kind: str) -> Markup:
    is_long = kind == "word" and not isinstance(value, Markup) and len(str(value)) > LONG
    return tag("td", value, class_=kind + " long" * is_long)


def paragraphs(sentences: Iterable[str]) -> Markup:
    """Each sentence a paragraph."""
    return joined(tag("p", sentence) for sentence in sentences)
