"""Pictures of networks in the cortex: what their units do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from cortexsim.plot.style import SEQUENTIAL, axes_for, figure_of, label, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def unit_rates(rates: xr.DataArray, *, vmax: float | None = None, ax: Axes | Sequence[Axes] | None = None) -> Figure:
    """Draw the rates of the units of embedded networks over time, a row for each unit and a panel for each area.

    Parameters
    ----------
    rates : DataArray (time, unit)
        `r_unit` of a result of a hybrid: one trial, or the mean over trials. Units keep their order: excitatory ones
        of each population of the circuit in turn; a white line parts them from the inhibitory ones.
    vmax
        Upper end of the colours, the same in all panels; by default the largest rate. The lower one is 0, or the
        smallest rate if that is below.
    ax
        Axes to draw on, one for each area; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `rates` is not over time and unit, or `ax` does not fit.
    """
    if not isinstance(rates, xr.DataArray) or set(rates.dims) != {"time", "unit"} or "unit_area" not in rates.coords:
        got = f"the dims {rates.dims}" if isinstance(rates, xr.DataArray) else type(rates).__name__
        raise TypeError(
            f"Argument `rates` must be `r_unit` of a hybrid over time and unit, but has {got}; take one trial, or the "
            f"mean over trials."
        )
    areas = list(dict.fromkeys(rates.unit_area.values.tolist()))
    low, high = min(0.0, float(rates.min())), float(rates.max()) if vmax is None else vmax
    with styled():
        panels = axes_for(ax, len(areas), (3.6 * len(areas), 2.6))
        for one, area in zip(panels, areas, strict=True):
            own = rates[{"unit": np.flatnonzero(rates.unit_area.values == area)}].transpose("unit", "time")
            n = own.sizes["unit"]
            cells = one.pcolormesh(
                own.time, np.arange(n), own, cmap=SEQUENTIAL, vmin=low, vmax=high, shading="nearest", rasterized=True
            )
            for border in np.flatnonzero(own.unit_kind.values[1:] != own.unit_kind.values[:-1]):
                one.axhline(border + 0.5, color="white", linewidth=0.8)
            one.set(title=area, xlabel=label(own.time), ylabel="Unit", ylim=(n - 0.5, -0.5))
        figure_of(panels[0]).colorbar(cells, ax=panels, label=label(rates))
        return figure_of(panels[0])
