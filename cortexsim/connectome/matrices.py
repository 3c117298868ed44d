"""Matrices (target, source), as tables or as lists of connections: checked at the boundary, joined by area, read-only.

A list is a scipy.sparse.csr_array in canonical order with an entry, which may be 0, for each connection; the lists of
one connectome have the same entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsim._checks import check_known, check_unique

Array = NDArray[np.float64]
Positions = NDArray[np.int64]

AXES = {"target": 1, "source": 0, "maximum": None, "none": None}
"""What `normalised` can set to 1, and the axis that it sums over."""

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


def refuse(
    name: str,
    values: Array,
    bad: NDArray[np.bool_],
    areas: tuple[str, ...],
    rule: str,
    pairs: tuple[Positions, Positions] | None = None,
) -> None:
    """Raise ValueError naming the first entry that is `bad`, and the rule that it breaks.

    `pairs` are the positions of target and source of each entry of a list.
    """
    if bad.any():
        at = tuple(np.argwhere(bad)[0])
        t, s = at if pairs is None else (pairs[0][at], pairs[1][at])
        others = int(bad.sum()) - 1
        tail = f" {others} more entries are like it." if others else ""
        raise ValueError(f"{name}[{areas[t]} <- {areas[s]}] = {values[at]:g}, but {rule}.{tail}")


def column(name: str, values: ArrayLike, areas: tuple[str, ...], pairs: tuple[Positions, Positions]) -> Array:
    """Return a copy of the numbers of a list of connections, finite and not negative."""
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, but has the type {numbers.dtype}.")
    if numbers.shape != pairs[0].shape:
        raise ValueError(f"{name} must have one number for each of {len(pairs[0])} connections, not {numbers.shape}.")
    numbers = numbers.astype(np.float64) + 0.0
    refuse(name, numbers, ~np.isfinite(numbers), areas, "it must be a finite number", pairs)
    refuse(name, numbers, numbers < 0, areas, "it must not be negative", pairs)
    return numbers


def positions(argument: str, names: ArrayLike, areas: tuple[str, ...]) -> Positions:
    """Return the positions in `areas` of areas that are given by label or by position."""
    given = np.asarray(names)
    if given.ndim != 1:
        raise ValueError(f"Argument `{argument}` must have the one dimension connection, but has {given.shape}.")
    if given.size and given.dtype.kind not in "iu":
        at = {area: i for i, area in enumerate(areas)}
        for area in set(map(str, given.tolist())) - set(areas):
            check_known(area, areas, what="area", where=f"`{argument}`", listed="`areas`")
        return np.array([at[str(area)] for area in given.tolist()], dtype=np.int64)
    out = given.astype(np.int64)
    if ((out < 0) | (out >= len(areas))).any():
        raise ValueError(
            f"Argument `{argument}` must hold positions from 0 to {len(areas) - 1}, but spans {out.min()} ... "
            f"{out.max()}."
        )
    return out


def lists(n_areas: int, target: Positions, source: Positions, columns: dict[str, Array]) -> dict[str, Any]:
    """Return read-only lists from columns in the order of (target, source)."""
    from scipy.sparse import csr_array

    starts = np.searchsorted(target, np.arange(n_areas + 1))
    out: dict[str, Any] = {}
    for name, values in columns.items():
        matrix = csr_array((values, source, starts), shape=(n_areas, n_areas))
        if out:  # one copy of the places serves all
            first = next(iter(out.values()))
            matrix.indices, matrix.indptr = first.indices, first.indptr
        for part in (matrix.data, matrix.indices, matrix.indptr):
            part.flags.writeable = False
        matrix.has_canonical_format = True
        out[name] = matrix
    return out


def endpoints(matrix: Any) -> tuple[Positions, Positions]:
    """Return the positions of target and source, which broadcast against a table or go with the entries of a list."""
    if isinstance(matrix, np.ndarray):
        target, source = np.ogrid[: len(matrix), : len(matrix)]
        return target, source
    n_inputs = np.diff(matrix.indptr)
    return np.repeat(np.arange(len(n_inputs)), n_inputs), matrix.indices.astype(np.int64)


def each(function: Callable[..., Array], *matrices: Any) -> Any:
    """Return `function` of the numbers of matrices that are all tables, or lists of the same connections.

    The function works element by element; a list keeps its entries, whatever their new numbers.
    """
    first = matrices[0]
    if isinstance(first, np.ndarray):
        return function(*matrices)
    from scipy.sparse import csr_array

    values = function(*(m.data for m in matrices))
    return csr_array((values, first.indices, first.indptr), shape=first.shape)


def normalised(matrix: Any, how: str = "target") -> Any:
    """Return a table or list divided by the sum of each row ("target") or column, or by its maximum; see `AXES`."""
    if how == "none":
        return matrix
    if isinstance(matrix, np.ndarray):
        total = matrix.max(keepdims=True) if how == "maximum" else matrix.sum(axis=AXES[how], keepdims=True)
    elif how == "maximum":
        total = matrix.data.max(initial=0.0)
    else:
        group = endpoints(matrix)[0 if how == "target" else 1]
        total = np.bincount(group, weights=matrix.data, minlength=matrix.shape[0])[group]
    return each(lambda m: np.divide(m, total, out=np.zeros_like(m), where=total > 0), matrix)


def looked_up(matrix: Any, target: Positions, source: Positions) -> Array:
    """Return the entries at pairs of positions; NaN where a list has none."""
    if isinstance(matrix, np.ndarray):
        return np.asarray(matrix[target, source])
    n = matrix.shape[0]
    rows, columns = endpoints(matrix)
    keys, wanted = rows * n + columns, target * n + source
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    return np.where(keys[at] == wanted, matrix.data[at], np.nan) if len(keys) else np.full(len(wanted), np.nan)
