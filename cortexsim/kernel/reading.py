"""What a circuit's plain function says, read from its code: the functions below it, the names it reads, a digest."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np


def called(function: Callable[..., Any]) -> dict[str, FunctionType]:
    """Return the plain functions that a function calls, by the name it uses."""
    found = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    return {name: f for name, f in found.items() if isinstance(f, FunctionType)}


def all_called(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """Return a function and all plain functions below it, each once."""
    found: list[Callable[..., Any]] = []
    waiting = [function]
    while waiting:
        f = waiting.pop()
        if f not in found:
            found.append(f)
            waiting += called(f).values()
    return found


def names_read(function: Callable[..., Any]) -> frozenset[str]:
    """Return all names that a function and those below it read: a superset of the parameters it uses."""
    return frozenset(name for f in all_called(function) for name in f.__code__.co_names)


def digest(function: Callable[..., Any]) -> str:
    """Return a SHA-256 of what a function and those below it compute: their code, constants and global numbers."""
    out = hashlib.sha256(sys.version.encode())
    for f in all_called(function):
        code = f.__code__
        numbers = {n: v for n in code.co_names if isinstance(v := f.__globals__.get(n), int | float | str | np.number)}
        for part in (code.co_code, code.co_consts, code.co_names, code.co_varnames, sorted(numbers.items())):
            out.update(repr(part).encode())
    return out.hexdigest()
