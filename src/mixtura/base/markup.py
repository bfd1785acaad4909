"""HTML whose text is escaped where it enters; only markup built here is inserted unescaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

VOID_ELEMENTS = ("meta", "img", "link", "br")


class Markup(str):
    """Text that is HTML already. Text from a user must go through :func:`escaped` first."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """A value as HTML text, with every character of markup escaped."""
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. An attribute's trailing underscore is dropped (``class_``), others become dashes.

    Examples
    --------
    >>> tag("p", "a < b", class_="note")
    '<p class="note">a &lt; b</p>'
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
    )
    if name in VOID_ELEMENTS:
        return Markup(f"<{name}{named}>")
    return Markup(f"<{name}{named}>{joined(children)}</{name}>")


def joined(children: Iterable[object], between: str = "") -> Markup:
    """Several pieces of HTML in one."""
    return Markup(between.join(escaped(child) for child in children))


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    words: Sequence[int] = (0,),
) -> Markup:
    """A table that scrolls sideways where it is too wide.

    The columns numbered in ``words`` hold text, the others numbers.
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


LONG_TEXT = 12
"""Characters; a longer text in a cell gets a wider column."""


def _cell(value: object, kind: str) -> Markup:
    is_long = kind == "word" and not isinstance(value, Markup) and len(str(value)) > LONG_TEXT
    return tag("td", value, class_=kind + " long" * is_long)


def paragraphs(sentences: Iterable[str]) -> Markup:
    """Each sentence a paragraph."""
    return joined(tag("p", sentence) for sentence in sentences)
