"""The name of standard input on the command line."""

from __future__ import annotations

STANDARD_INPUT_NAME = "<standard input>"
"""Stands for "-", which the parser of the command line would read as an option."""


def as_typed(word: str) -> str:
    """A word as the user typed it: ``-`` instead of its stand-in."""
    return "-" if word == STANDARD_INPUT_NAME else word
