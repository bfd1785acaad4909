"""Questions of the page: JSON bodies, with every value checked before it is used."""

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
        """Read a body, which must be a JSON object."""
        try:
            values = json.loads(await request.body())
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise ValueError(
                "a question must be a JSON object, but got something else. Reload the page."
            )
        return cls(values)

    def whole(self, name: str, least: int, most: int) -> int:
        """A whole number within limits."""
        value = self.values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(
                f"{name} must be a whole number from {least} to {most}, but got {_shown(value)}."
            )
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """A number within limits."""
        value = self.values.get(name)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not least <= value <= most
        ):
            raise ValueError(
                f"{name} must be a number from {least} to {most}, but got {_shown(value)}."
            )
        return float(value)

    def choice(self, name: str, known: Collection[str]) -> str:
        """One of some names."""
        value = self.values.get(name)
        if not isinstance(value, str) or value not in known:
            raise ValueError(
                f"{name} must be one of {', '.join(filter(None, known))}, but got {_shown(value)}."
            )
        return value


def _shown(value: object) -> str:
    """A value for a message, cut if it is long."""
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
