"""Answers about one thing, worked out once and shared by all threads, as long as the thing
lives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from threading import Lock, RLock
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

Owner = TypeVar("Owner")
Settings = ParamSpec("Settings")
Answer = TypeVar("Answer")


@dataclass(eq=False)
class _Known:
    """The answers about one owner, and who may work one out."""

    answers: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)


def once_for_each(
    answer: Callable[Concatenate[Owner, Settings], Answer],
) -> Callable[Concatenate[Owner, Settings], Answer]:
    """A function of an owner and hashable settings that is called once for each; its answer must
    not hold the owner.
    """
    known: WeakKeyDictionary[Any, _Known] = WeakKeyDictionary()
    guard = Lock()

    @wraps(answer)
    def remembered(owner: Owner, /, *settings: Settings.args, **named: Settings.kwargs) -> Answer:
        with guard:
            own = known.setdefault(owner, _Known())
        key = (*settings, *sorted(named.items()))
        with own.lock:
            if key not in own.answers:
                own.answers[key] = answer(owner, *settings, **named)
            found: Answer = own.answers[key]
            return found

    return remembered
