"""What points of a sweep returned, stacked; blocks join into larger ones, in the end into the result."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim.sweeps.axes import Axes
from cortexsim.sweeps.digest import is_library

_POINT = "__point__"


@dataclass(frozen=True)
class Failure:
    """A point that raised: its number, the error's type and message, and the last line of the user's own code."""

    point: int
    error: str
    message: str
    where: str


@dataclass(frozen=True, eq=False)
class Block:
    """What some points of a sweep returned.

    Parameters
    ----------
    points
        Numbers of the points that returned something, rising.
    variables
        Their values, stacked along the first dimension.
    coordinates
        What the points have in common.
    attrs
        Those attributes that are the same for all points.
    failures
        The points that raised, by number.
    """

    points: tuple[int, ...]
    variables: dict[str, xr.Variable]
    coordinates: dict[str, xr.Variable]
    attrs: dict[str, Any]
    failures: tuple[Failure, ...] = ()


def attempt(axes: Axes, number: int, function: Callable[[], Any], provenance: Mapping[Any, Any] | None = None) -> Block:
    """Return what the function gives for a point, as a block; or one that tells of the error, if it raises.

    Attributes of `provenance` join those of what it gives.
    """
    try:
        return _block(axes, number, function(), provenance or {})
    except Exception as error:  # noqa: BLE001  (one point must not end the sweep; the error is kept and told)
        return failed(number, error)


def failed(number: int, error: Exception) -> Block:
    """Return the block of a point that raised."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not is_library(frame.filename)]
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return Block((), {}, {}, {}, (Failure(number, type(error).__name__, str(error), where),))


def join(blocks: Iterable[Block], axes: Axes) -> Block:
    """Return the block of all points; the same for any grouping and order of the blocks.

    Raises
    ------
    ValueError
        If points differ in their variables, dimensions, shapes or coordinates.
    """
    given = list(blocks)
    failures = sorted((f for block in given for f in block.failures), key=lambda f: f.point)
    full = sorted((block for block in given if block.points), key=lambda block: block.points[0])
    if not full:
        return Block((), {}, {}, {}, tuple(failures))
    first = full[0]
    for block in full[1:]:
        _check_alike(first, block, axes)
    points = np.concatenate([block.points for block in full])
    order = np.argsort(points)
    variables = {}
    for name, variable in first.variables.items():
        # NumPy's common type: what one point gave as 0 and another as 0.5 becomes a float for all.
        values = np.concatenate([block.variables[name].values for block in full])[order]
        variables[name] = xr.Variable(variable.dims, values, _common([block.variables[name].attrs for block in full]))
    coordinates = {
        name: xr.Variable(c.dims, c.values, _common([block.coordinates[name].attrs for block in full]))
        for name, c in first.coordinates.items()
    }
    attrs = _common([block.attrs for block in full])
    return Block(tuple(points[order].tolist()), variables, coordinates, attrs, tuple(failures))


def to_dataset(block: Block, axes: Axes, axis_attrs: Mapping[str, Mapping[str, str]]) -> xr.Dataset:
    """Return the points on the grid of the axes, NaN where one failed.

    Raises
    ------
    RuntimeError
        If all points failed, so that nobody knows what they should have returned.
    """
    if not block.points:
        one = block.failures[0]
        raise RuntimeError(
            f"All {axes.size} points failed, the first ({axes.describe(one.point)}) with {told(one)}; "
            "run sweep(..., on_error='raise') or call the function yourself to see where."
        )
    at = np.asarray(block.points)
    variables = {}
    for name, variable in block.variables.items():
        values = _with_gaps(variable.values, at, axes.size)
        shape = (*axes.shape, *variable.shape[1:])
        variables[name] = xr.Variable((*axes.names, *variable.dims[1:]), values.reshape(shape), variable.attrs)
    grid = {name: xr.Variable(name, axes.coordinate(name), dict(axis_attrs.get(name, {}))) for name in axes.names}
    failures = [{"at": axes.point(f.point)} | asdict(f) for f in block.failures]
    return xr.Dataset(variables, {**grid, **block.coordinates}, {**block.attrs, "failed": json.dumps(failures)})


def told(failure: Failure) -> str:
    """Return "ValueError: message (grid.py, line 3)"."""
    return f"{failure.error}: {failure.message}{f' ({failure.where})' if failure.where else ''}"


def _with_gaps(values: NDArray[Any], at: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the values at their places among `size`; where there are gaps, numbers become floats with NaN."""
    if len(at) == size:
        return values
    dtype = np.result_type(values.dtype, np.float64) if values.dtype.kind in "biu" else values.dtype
    missing: Any = {"U": "", "M": np.datetime64("NaT"), "m": np.timedelta64("NaT")}.get(dtype.kind, np.nan)
    out = np.full((size, *values.shape[1:]), missing, dtype)
    out[at] = values
    return out


def _block(axes: Axes, number: int, returned: Any, provenance: Mapping[Any, Any]) -> Block:
    dataset = _dataset(returned)
    coordinates = {}
    for key, coordinate in dataset.coords.items():
        name = str(key)
        if name in axes.names and coordinate.ndim == 0 and coordinate.item() == axes.point(number)[name]:
            continue  # the point's own value, which the axis tells
        coordinates[name] = _plain(name, coordinate.variable)
    taken = sorted({*map(str, dataset.data_vars), *map(str, dataset.dims), *coordinates} & set(axes.names))
    if taken:
        raise ValueError(
            f"What a point returns must not use the name of an axis, but has {taken[0]!r}; drop or rename it: "
            f".drop_vars({taken[0]!r})."
        )
    variables = {str(name): _plain(str(name), values.variable) for name, values in dataset.data_vars.items()}
    stacked = {
        name: xr.Variable((_POINT, *v.dims), np.asarray(v.values)[np.newaxis], v.attrs) for name, v in variables.items()
    }
    return Block((number,), stacked, coordinates, _plain_attrs({**provenance, **dataset.attrs}))


def _dataset(returned: Any) -> xr.Dataset:
    """Return a scalar, dict, DataArray or Dataset as a Dataset."""
    if isinstance(returned, xr.Dataset):
        return returned
    if isinstance(returned, xr.DataArray):
        return returned.to_dataset(name=returned.name or "value", promote_attrs=False)
    values = returned if isinstance(returned, Mapping) else {"value": returned}
    for value in values.values():
        if not isinstance(value, xr.DataArray) and (value is None or np.ndim(value) > 0):
            raise TypeError(
                "A point must return a number, a dict of numbers, a DataArray or a Dataset, but returned "
                f"{type(returned).__name__}{'' if values is not returned else f' with {type(value).__name__}'}; "
                "give arrays their dimensions: xarray.DataArray(values, dims=['area'])."
            )
    return xr.Dataset({str(name): value for name, value in values.items()})


def _plain(name: str, variable: xr.Variable) -> xr.Variable:
    """Return the variable in memory, with values that a file holds without pickle."""
    values = np.asarray(variable.values)
    if values.dtype.kind not in "biufcUMm":
        if not all(isinstance(value, str) for value in values.flat):
            raise TypeError(f"A point must return numbers, texts or times, but {name!r} has dtype {values.dtype}.")
        values = values.astype(np.str_)
    return xr.Variable(variable.dims, values, _plain_attrs(variable.attrs))


def _plain_attrs(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return attributes that JSON and netCDF hold: texts and numbers as they are, all else as JSON text."""
    plain: dict[str, Any] = {}
    for name, value in attrs.items():
        item = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        kept = isinstance(item, str | int | float) and not isinstance(item, bool)
        plain[str(name)] = item if kept else json.dumps(item)
    return plain


def _common(attrs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the attributes that are the same in all."""
    first, *others = attrs
    return {k: v for k, v in first.items() if all(k in other and _same(other[k], v) for other in others)}


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and (a == b or (a != a and b != b))


def _check_alike(first: Block, other: Block, axes: Axes) -> None:
    for name, variable in other.variables.items():
        if name not in first.variables:
            _refuse(first, other, axes, f"{name!r} and the other not")
        one = first.variables[name]
        if (one.dims, one.shape[1:]) != (variable.dims, variable.shape[1:]):
            _refuse(first, other, axes, f"{name!r} as {_shape(variable)} and the other as {_shape(one)}")
        if (one.dtype.kind in "biufc") != (variable.dtype.kind in "biufc"):
            _refuse(first, other, axes, f"{name!r} as {variable.dtype} and the other as {one.dtype}")
    for name, variable in other.coordinates.items():
        if name not in first.coordinates:
            _refuse(first, other, axes, f"the coordinate {name!r} and the other not")
        one, nan = first.coordinates[name], variable.dtype.kind in "fc"
        if one.dims != variable.dims or not np.array_equal(one.values, variable.values, equal_nan=nan):
            _refuse(first, other, axes, f"the coordinate {name!r} with other values; drop it, or make it a variable")
    for name in (*first.variables, *first.coordinates):
        if name not in other.variables and name not in other.coordinates:
            _refuse(other, first, axes, f"{name!r} and the other not")


def _refuse(one: Block, other: Block, axes: Axes, difference: str) -> NoReturn:
    raise ValueError(
        "All points must return the same variables, dimensions and coordinates, but of the points "
        f"({axes.describe(other.points[0])}) and ({axes.describe(one.points[0])}) the first returned {difference}."
    )


def _shape(variable: xr.Variable) -> str:
    sizes = ", ".join(f"{dim}: {n}" for dim, n in zip(variable.dims[1:], variable.shape[1:], strict=True))
    return f"({sizes})"
