"""A cache of function values per object, shared by all threads, as long as the object lives."""

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
class _Cache:
    """The known values for one owner, and the lock that a thread holds to compute another."""

    answers: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)


def once_for_each(
    answer: Callable[Concatenate[Owner, Settings], Answer],
) -> Callable[Concatenate[Owner, Settings], Answer]:
    """A decorator for a function of an owner and hashable settings: each value is computed once.

    The value must not refer to the owner, or neither would ever be freed.
    """
    known: WeakKeyDictionary[Any, _Cache] = WeakKeyDictionary()
    guard = Lock()

    @wraps(answer)
    def remembered(owner: Owner, /, *settings: Settings.args, **named: Settings.kwargs) -> Answer:
        with guard:
            own = known.setdefault(owner, _Cache())
        key = (*settings, *sorted(named.items()))
        with own.lock:
            if key not in own.answers:
                own.answers[key] = answer(owner, *settings, **named)
            found: Answer = own.answers[key]
            return found

    return remembered
