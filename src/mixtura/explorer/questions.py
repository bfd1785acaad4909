"""What the page may ask: bodies of JSON, every value checked before it is used."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from starlette.requests import Request


class Question:
    """The body of one request."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @classmethod
    async def of(cls, request: Request) -> Question:
        """Read a body; anything but a JSON object is refused."""
        try:
            values = json.loads(await request.body())
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise ValueError(
                "a question must be a JSON object, but something else came. Reload the page."
            )
        return cls(values)

    def whole(self, name: str, least: int, most: int) -> int:
        """A whole number between two others."""
        value = self.values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(
                f"{name} must be a whole number from {least} to {most}, but {_shown(value)} came. "
                "Choose one in between."
            )
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """A number between two others."""
        value = self.values.get(name)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not least <= value <= most
        ):
            raise ValueError(
                f"{name} must be a number from {least} to {most}, but {_shown(value)} came. Choose "
                "one in between."
            )
        return float(value)

    def choice(self, name: str, known: Collection[str]) -> str:
        """One of some names."""
        value = self.values.get(name)
        if not isinstance(value, str) or value not in known:
            raise ValueError(
                f"{name} must be one of {', '.join(filter(None, known))}, but {_shown(value)} "
                "came. Choose one of these."
            )
        return value


def _shown(value: object) -> str:
    """A value in a message, whatever its length."""
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
