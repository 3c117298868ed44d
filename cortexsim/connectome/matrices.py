"""Labelled (target, source) matrices: checked at the boundary, joined by area, read-only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsim._checks import check_known, check_unique

Array = NDArray[np.float64]

_ATTRS = {
    "fln": {"units": "1", "long_name": "fraction of labelled neurons (FLN)"},
    "sln": {"units": "1", "long_name": "fraction of supragranular labelled neurons (SLN)"},
    "distance": {"units": "mm", "long_name": "wiring distance through the white matter"},
}


def names_of(names: Sequence[str], argument: str) -> tuple[str, ...]:
    """Return the names as a tuple of str; a single str raises TypeError."""
    if isinstance(names, str):
        raise TypeError(f"Argument `{argument}` must be a sequence of str, but is the single str {names!r}.")
    return tuple(map(str, names))


def labelled(name: str, values: Array, areas: tuple[str, ...]) -> xr.DataArray:
    """Return (target, source) values as a read-only DataArray with its unit and long name."""
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    coords = {"target": list(areas), "source": list(areas)}
    return xr.DataArray(values, coords=coords, dims=("target", "source"), name=name, attrs=_ATTRS[name])


def entries(name: str, array: xr.DataArray | ArrayLike, areas: tuple[str, ...]) -> Array:
    """Return a copy of the (target, source) numbers in the order of `areas`, finite and not negative."""
    if isinstance(array, pd.DataFrame):
        raise TypeError(
            f"{name} is a DataFrame, which does not say whether its rows are targets or sources; give "
            f'xr.DataArray(frame, dims=("target", "source")).'
        )
    values = _joined(name, array, areas) if isinstance(array, xr.DataArray) else np.asarray(array)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, but has the type {values.dtype}.")
    if values.shape != (len(areas), len(areas)):
        raise ValueError(f"{name} must be square, {len(areas)} x {len(areas)} areas, but has the shape {values.shape}.")
    values = values.astype(np.float64) + 0.0  # a copy, and no -0.0: equal numbers have equal digests
    refuse(name, values, ~np.isfinite(values), areas, "it must be a finite number")
    refuse(name, values, values < 0, areas, "it must not be negative")
    return values


def _joined(name: str, array: xr.DataArray, areas: tuple[str, ...]) -> NDArray[Any]:
    """Return the numbers of a labelled array in the order of `areas`."""
    if set(array.dims) != {"target", "source"}:
        raise ValueError(f"{name} must have the dimensions target and source, but has {array.dims}.")
    order = []
    for dim in ("target", "source"):
        if dim not in array.coords:
            raise ValueError(f"{name} must have area labels along {dim}, but has none; set the coordinate {dim!r}.")
        where = f"{name} ({dim})"
        labels = check_unique(array[dim].values.tolist(), what="area", where=where)
        for label in labels:
            check_known(label, areas, what="area", where=where, listed="`areas` (by default `fln.target`)")
        position = {label: i for i, label in enumerate(labels)}
        for area in areas:
            if area not in position:
                raise ValueError(f"{name} has no {dim} {area!r}; each area must stand both as target and as source.")
        order.append([position[area] for area in areas])
    return np.asarray(array.transpose("target", "source").values)[np.ix_(*order)]


def refuse(name: str, values: Array, bad: NDArray[np.bool_], areas: tuple[str, ...], rule: str) -> None:
    """Raise ValueError naming the first entry that is `bad`, and the rule that it breaks."""
    if bad.any():
        t, s = np.argwhere(bad)[0]
        others = int(bad.sum()) - 1
        tail = f" {others} more entries are like it." if others else ""
        raise ValueError(f"{name}[{areas[t]} <- {areas[s]}] = {values[t, s]:g}, but {rule}.{tail}")
