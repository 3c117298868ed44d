"""A circuit's plain functions, compiled for vectors of lanes."""

# mypy: ignore-errors
import types as python_types

import numpy as np

from cortexsim.kernel import maths
from cortexsim.kernel.maths import inline
from cortexsim.kernel.reading import called


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
        scope.update({name: inline(_rebound(below, done)) for name, below in called(function).items()})
    return done[function]
