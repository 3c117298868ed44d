"""Trained networks: their activity in a plane of components, with its fixed points, and the eigenvalues there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim._checks import check_known
from cortexsim.plot.style import BLUE, GREY, SEQUENTIAL, VERMILION, axes_for, figure_of, label, styled
from cortexsim.rnn.analysis import project

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AROUND = (
    BLUE,
    "#009E73",
    "#E69F00",
    "#CC79A7",
    BLUE,
)  # round the circle in Okabe and Ito's colours, none of them pale
_KINDS = (("stable fixed point", BLUE, "o"), ("unstable fixed point", VERMILION, "X"), ("slow point", GREY, "D"))


def state_space(
    rates: xr.DataArray,
    components: xr.Dataset,
    *,
    points: xr.Dataset | None = None,
    colour: str | None = None,
    plane: tuple[int, int] = (1, 2),
    ax: Axes | None = None,
) -> Figure:
    """Draw the activity of each trial as a path in the plane of two components, with fixed and slow points.

    Parameters
    ----------
    rates : DataArray (trial, time, unit)
        Of one network. A dot marks the start of each path.
    components
        What `rnn.analysis.principal_components` returned, of these rates or of others.
    points
        What `rnn.analysis.fixed_points` returned.
    colour
        Coordinate along `trial` that colours the paths: numbers, on a cyclic scale where their unit is rad. By default
        all are grey.
    plane
        The two components, of which the first runs across.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `rates` have other dims or units than the components, a component or coordinate is unknown, or `ax` does not
        fit.
    """
    from matplotlib.cm import ScalarMappable

    if set(rates.dims) != {"trial", "time", "unit"}:
        raise ValueError(f"Argument `rates` must have the dims (trial, time, unit), but has {rates.dims}.")
    for number in plane:
        check_known(str(number), [str(k) for k in components.component.values], what="component", where="state_space")
    if len(set(plane)) != 2:
        raise ValueError(f"Argument `plane` must be two different components, but is {plane}.")
    paths = _in_plane(rates, components, plane).transpose("trial", "time", "component").values
    with styled():
        (one,) = axes_for(ax, 1, (4.6, 3.8))
        colours: list[Any] = ["0.6"] * len(paths)
        if colour is not None:
            scale = ScalarMappable(*_scale(rates, colour))
            colours = list(scale.to_rgba(rates[colour].values))
            figure_of(one).colorbar(scale, ax=one, label=label(rates[colour]), shrink=0.7, aspect=25)
        for path, shade in zip(paths, colours, strict=True):
            one.plot(*path.T, color=shade, linewidth=0.7)
            one.plot(*path[0], ".", color=shade, markersize=3.0)
        if points is not None:
            shown = _in_plane(points.rate, components, plane).values
            for which, (name, shade, marker) in zip(_kinds(points), _KINDS, strict=True):
                if which.any():
                    one.scatter(
                        shown[which, 0],
                        shown[which, 1],
                        s=28.0,
                        c=shade,
                        marker=marker,
                        label=name,
                        zorder=3,
                        edgecolors="white",
                    )
            _legend(one)
        for axis, number in ((one.xaxis, plane[0]), (one.yaxis, plane[1])):
            share = float(components.explained.sel(component=number))
            axis.set_label_text(f"Component {number} ({100 * share:.0f} % of the variance)")
        one.set_aspect("equal", adjustable="datalim")
        return figure_of(one)


def linearisation(points: xr.Dataset, *, ax: Axes | None = None) -> Figure:
    """Draw the eigenvalues at fixed and slow points in the complex plane; what lies right of the line grows.

    Parameters
    ----------
    points
        What `rnn.analysis.fixed_points` returned.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `ax` does not fit.
    """
    with styled():
        (one,) = axes_for(ax, 1, (3.8, 3.4))
        one.axvline(0.0, color="0.8", zorder=0)
        for which, (name, shade, marker) in zip(_kinds(points), _KINDS, strict=True):
            if which.any():
                values = 1e3 * points.eigenvalues.values[which].ravel()
                one.scatter(values.real, values.imag, s=14.0, c=shade, marker=marker, label=name, edgecolors="none")
        one.set_xlabel("Growth rate (1/s)")
        one.set_ylabel("Angular frequency (rad/s)")
        _legend(one)
        return figure_of(one)


def psychometric_curves(table: xr.Dataset, *, ax: Axes | None = None) -> Figure:
    """Draw how often each network chooses one way over the evidence, with intervals.

    Parameters
    ----------
    table
        What `rnn.analysis.psychometric_curve` returned.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `ax` does not fit.
    """
    with styled():
        (one,) = axes_for(ax, 1, (3.6, 3.0))
        one.axhline(0.5, color="0.85", zorder=0)
        x = table.evidence.values
        opacity = 1.0 if table.sizes["network"] == 1 else 0.4
        for k in range(table.sizes["network"]):
            row = table.isel(network=k)
            one.plot(x, row.fraction.values, ".-", color=BLUE, alpha=opacity)
            one.fill_between(x, row.low.values, row.high.values, color=BLUE, alpha=0.25 * opacity, linewidth=0.0)
        one.set_xlabel(label(table.evidence))
        one.set_ylabel("Fraction of choices")
        one.set_ylim(-0.02, 1.02)
        return figure_of(one)


def _in_plane(states: xr.DataArray, components: xr.Dataset, plane: tuple[int, int]) -> xr.DataArray:
    return project(states, components).sel(component=list(plane))


def _kinds(points: xr.Dataset) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which points are stable, unstable, and only slow."""
    fixed, stable = points.fixed.values, points.stable.values
    return fixed & stable, fixed & ~stable, ~fixed


def _legend(ax: Axes) -> None:
    """Tell the kinds of points apart above `ax`, where nothing is drawn."""
    ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.2, handletextpad=0.2)


def _scale(rates: xr.DataArray, name: str) -> tuple[Any, Any]:
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    known = [str(k) for k, c in rates.coords.items() if c.dims == ("trial",) and c.dtype.kind in "biuf"]
    check_known(name, known, what="coordinate along trial", where="state_space")
    values = rates[name]
    if values.attrs.get("units") == "rad":
        return Normalize(0.0, 2 * np.pi), LinearSegmentedColormap.from_list("around", _AROUND)
    return Normalize(float(values.min()), float(values.max())), SEQUENTIAL
