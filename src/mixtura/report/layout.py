"""Parts that sections of a report share: headings, lists, counts."""

from __future__ import annotations

from collections.abc import Sequence

from mixtura.base.markup import Markup, tag

VALUES_SHOWN = 6
"""Columns of the data in a table of rows or of means, where not all fit."""


def section(title: str, *content: object) -> Markup:
    """A section with a heading and an anchor for links."""
    anchor = "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())
    return tag("section", tag("h2", title), *content, id=anchor)


def listed(names: Sequence[str], most: int) -> str:
    """Names separated by commas, of many only the first ones."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(n: int, word: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"
