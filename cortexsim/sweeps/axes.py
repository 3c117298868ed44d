"""The axes of a sweep: names, values, and the points of their grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Axes:
    """The axes of a sweep; its points are their grid, numbered with the last axis running fastest.

    Parameters
    ----------
    names
        One per axis.
    values
        The values of each axis: all numbers, all texts or all booleans.
    """

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each axis."""
        return tuple(map(len, self.values))

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    def point(self, number: int) -> dict[str, Any]:
        """Return the values of a point, by axis."""
        at = np.unravel_index(number, self.shape)
        return {name: values[int(k)] for name, values, k in zip(self.names, self.values, at, strict=True)}

    def describe(self, number: int) -> str:
        """Return "dopamine=1.5, amplitude=100" for a point."""
        return ", ".join(f"{name}={value!r}" for name, value in self.point(number).items())

    def coordinate(self, name: str) -> NDArray[Any]:
        """Return the values of an axis as an array."""
        return np.asarray(self.values[self.names.index(name)])


def check_axes(axes: Mapping[str, Any]) -> Axes:
    """Return the axes if each has a name and at least one value, each value once and all of one kind.

    Raises
    ------
    TypeError
        If `axes` is no mapping of names to sequences, or a value is neither number, text nor boolean.
    ValueError
        If an axis is empty, holds NaN or a value twice, or mixes kinds.
    """
    if not isinstance(axes, Mapping) or not all(isinstance(name, str) for name in axes):
        raise TypeError(f"Argument `axes` must map names to values, as {{'dopamine': [0.5, 1.5]}}, but is {axes!r}.")
    if not axes:
        raise ValueError("Argument `axes` must have at least one axis, but is empty.")
    return Axes(tuple(axes), tuple(_values(name, given) for name, given in axes.items()))


def _values(name: str, given: Any) -> tuple[Any, ...]:
    values = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(values, range):
        values = list(values)
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise TypeError(f"Axis {name!r} must be a sequence of values, but is {given!r}; write [{given!r}].")
    if not values:
        raise ValueError(f"Axis {name!r} must have at least one value, but is empty.")
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    for value in values:
        if not isinstance(value, bool | int | float | str):
            raise TypeError(
                f"Axis {name!r} must hold numbers, texts or booleans, but has {value!r} ({type(value).__name__}); "
                "take a text for each value, and let the function look up what it stands for."
            )
        if value != value:
            raise ValueError(f"Axis {name!r} must not hold NaN.")
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        values = [float(value) for value in values]
    elif len(kinds) > 1:
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ValueError(f"Axis {name!r} must hold values of one kind, but holds {found}.")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"Each value of axis {name!r} must stand once, but {twice!r} stands twice or more.")
    return tuple(values)
