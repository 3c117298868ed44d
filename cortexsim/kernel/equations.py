"""A circuit's plain functions, compiled for vectors of lanes, and a digest of what they say."""

# mypy: ignore-errors
import hashlib
import sys
import types as python_types

import numpy as np

from cortexsim.kernel import maths
from cortexsim.kernel.maths import inline


def compiled(function):
    """Return a plain function, with those it calls, compiled for lanes: `np` becomes `cortexsim.kernel.maths`."""
    return inline(_rebound(function, {}))


def _rebound(function, done):
    if function not in done:
        scope = dict(function.__globals__)
        done[function] = python_types.FunctionType(
            function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
        )
        scope.update({name: maths for name in function.__code__.co_names if scope.get(name) is np})
        scope.update({name: inline(_rebound(called, done)) for name, called in _called(function).items()})
    return done[function]


def _called(function):
    """Return the plain functions that a function calls, by the name it uses."""
    found = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    return {name: f for name, f in found.items() if isinstance(f, python_types.FunctionType)}


def _all_called(function):
    """Return a function and all plain functions below it, each once."""
    found, waiting = [], [function]
    while waiting:
        f = waiting.pop()
        if f not in found:
            found.append(f)
            waiting += _called(f).values()
    return found


def names_read(function) -> frozenset[str]:
    """Return all names that a function and those below it read: a superset of the parameters it uses."""
    return frozenset(name for f in _all_called(function) for name in f.__code__.co_names)


def digest(function) -> str:
    """Return a SHA-256 of what a function and those below it compute: their code, constants and global numbers."""
    out = hashlib.sha256(sys.version.encode())
    for f in _all_called(function):
        code = f.__code__
        numbers = {n: v for n in code.co_names if isinstance(v := f.__globals__.get(n), int | float | str | np.number)}
        for part in (code.co_code, code.co_consts, code.co_names, code.co_varnames, sorted(numbers.items())):
            out.update(repr(part).encode())
    return out.hexdigest()
