"""JSON documents: where they come from, and checks of their entries with the place in the message.

The place of an entry is written as in Python: ``means[1][0]``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from mixtura.base.arrays import Array
from mixtura.base.errors import ModelFileError

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""A path, the text of a JSON object, or the object itself."""

LONGEST_SHOWN = 60
"""Characters of a wrong value in a message."""


@dataclass(frozen=True)
class Document:
    """A JSON object and the name of its source."""

    values: Mapping[str, Any]
    source: str

    def refuse(self, problem: str, advice: str = "") -> NoReturn:
        """Raise a ModelFileError about the document."""
        raise ModelFileError(f"{self.source}: {problem}.{' ' * bool(advice)}{advice}")

    def entry(self, key: str) -> Any:
        """An entry that must be there."""
        if key not in self.values:
            self.refuse(f"the entry {key!r} is missing; there are {_listed(self.values)}")
        return self.values[key]

    def numbers(self, key: str, shape: tuple[int, ...]) -> Array:
        """An entry of nested lists of finite numbers in this shape."""
        self._check(self.entry(key), shape, key)
        return np.array(self.entry(key), dtype=np.float64).reshape(shape)

    def _check(self, value: Any, shape: tuple[int, ...], place: str) -> None:
        """Name the first part of nested lists that is not as it must be."""
        if not shape:
            if not is_number(value):
                self.refuse(f"{place} must be a finite number, but is {shown(value)}")
            return
        if not isinstance(value, list | tuple):
            self.refuse(f"{place} must be a list of length {shape[0]}, but is {shown(value)}")
        if len(value) != shape[0]:
            self.refuse(f"{place} must have {shape[0]} entries, but has {len(value)}")
        for i, part in enumerate(value):
            self._check(part, shape[1:], f"{place}[{i}]")


def document_of(source: Source) -> Document:
    """The JSON object of a path or a text, or the given one.

    Raises
    ------
    ModelFileError
        When it is no JSON object.
    TypeError
        For another kind of source.
    OSError
        When the file cannot be read.
    """
    if isinstance(source, Mapping):
        return Document(source, "the document")
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            "source must be a path, the text of a JSON object, or a mapping, but a "
            f"{type(source).__name__} came."
        )
    if isinstance(source, str) and source.lstrip().startswith("{"):
        return _parsed(source, "the JSON text")
    try:
        return _parsed(Path(source).read_text(encoding="utf-8-sig"), str(source))
    except UnicodeDecodeError:
        raise ModelFileError(
            f"{source}: expected JSON, but this file is no text. A model.safetensors is read by "
            "mixtura.load."
        ) from None


def _parsed(text: str, source: str) -> Document:
    """The object of a text; NaN and Infinity, which JSON does not have, are refused."""

    def refuse(word: str) -> NoReturn:
        raise ModelFileError(f"{source}: {word} is no JSON, which has finite numbers only.")

    try:
        values = json.loads(text, parse_constant=refuse)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ModelFileError(
            f"{source}: expected a JSON object, but it is no JSON: {error}."
        ) from None
    if not isinstance(values, dict):
        raise ModelFileError(f"{source}: expected a JSON object, but it is {shown(values)}.")
    return Document(values, source)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number of JSON; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond the doubles
        return False


def shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(map(repr, names)) or "none"
