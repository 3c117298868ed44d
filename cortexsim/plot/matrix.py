"""A matrix of connections: one row per target, one column per source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr

from cortexsim._checks import check_known
from cortexsim.plot.style import SEQUENTIAL, axes_for, figure_of, label, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCALES = ("linear", "log")
_MOST_NAMES = 100  # along an axis


def matrix(
    values: xr.DataArray,
    *,
    scale: Literal["linear", "log"] | None = None,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str = SEQUENTIAL,
    ax: Axes | None = None,
) -> Figure:
    """Draw a labelled matrix, the first row on top; what is NaN, or zero on a log scale, stays blank.

    Parameters
    ----------
    values : DataArray (target, source)
        For instance ``cortex.fln``, or ``cortex.sln.where(cortex.fln > 0)``, which leaves out what is not connected.
        The first dimension runs down, the second across; both name the axes, and their coordinates the rows and
        columns (beyond 100, every second name or fewer). `long_name` and `units` label the colours.
    scale
        Of the colours. By default "log" for a matrix named "fln", whose values span six decades, else "linear".
    vmin, vmax
        Ends of the colour scale; by default the extremes of what is drawn.
    cmap
        Name of a matplotlib colour map.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `values` is not a DataArray with two labelled dimensions, a value is infinite, or negative on a log scale, no
        value is left to draw, `scale` is unknown, `vmin` is above `vmax`, or `ax` does not fit.
    """
    from matplotlib.colors import LogNorm, Normalize

    _check(values)
    if scale is None:
        scale = "log" if values.name == "fln" else "linear"
    check_known(scale, SCALES, what="scale", where="matrix")
    if scale == "log" and (values < 0).any():
        raise ValueError(f"On a log scale no value may be negative, but the least is {values.min().item():g}.")
    shown = values.where(values > 0) if scale == "log" else values
    if not shown.notnull().any():
        raise ValueError("The matrix must hold a value to draw, but all are NaN, or zero on a log scale.")
    low = shown.min().item() if vmin is None else vmin
    high = shown.max().item() if vmax is None else vmax
    if not low <= high or (scale == "log" and low <= 0):
        bounds = "0 < vmin <= vmax" if scale == "log" else "vmin <= vmax"
        raise ValueError(f"The colour scale must have {bounds}, but goes from {low:g} to {high:g}.")
    with styled():
        rows, columns = shown.shape
        width, height = (max(0.125 * min(number, _MOST_NAMES), 1.5) for number in (columns, rows))
        (one,) = axes_for(ax, 1, (2.0 + width, 1.0 + height))
        image = one.imshow(
            shown.values,
            cmap=cmap,
            norm=(LogNorm if scale == "log" else Normalize)(low, high),
            aspect="equal",
            interpolation="none",
        )
        for axis, dim in ((one.yaxis, shown.dims[0]), (one.xaxis, shown.dims[1])):
            every = -(-shown.sizes[dim] // _MOST_NAMES)
            names = [str(name) for name in shown[dim].values[::every]]
            axis.set_ticks(range(0, shown.sizes[dim], every), names)
            axis.set_tick_params(length=0.0, pad=2.0)
            axis.set_label_text(str(dim).capitalize())
        one.tick_params(axis="x", labelrotation=90.0)
        one.spines[["top", "right"]].set_visible(True)  # where rows are blank, the frame shows how far they go
        figure_of(one).colorbar(image, ax=one, label=label(values), shrink=0.6, aspect=25, fraction=0.05, pad=0.02)
        return figure_of(one)


def _check(values: xr.DataArray) -> None:
    if not isinstance(values, xr.DataArray):
        raise TypeError(
            f"Argument `values` must be a DataArray (target, source), but is {type(values).__name__}; "
            "pass one matrix, such as cortex.fln."
        )
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"A matrix must have two dims, such as (target, source), but has {dict(values.sizes)}.")
    for dim in values.dims:
        if dim not in values.coords:
            raise ValueError(
                f"The rows and columns of a matrix must have names, but the dim {dim!r} has none; "
                f"add them: values.assign_coords({dim}=[...])."
            )
    if np.isinf(values).any():
        raise ValueError("The values of a matrix must be finite, or NaN where there is nothing, but some are infinite.")
