"""A map of the cortex: one disc per area at its centroid, from the side and from the midline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim._checks import check_known
from cortexsim.gradients import macaque40
from cortexsim.plot.names import place_names
from cortexsim.plot.style import SEQUENTIAL, axes_for, check_maps, figure_of, label, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VIEWS = ("lateral", "medial")
MEDIAL_MM = 6.0
"""Areas whose centroid lies within this distance of the midline stand in the medial view, all others in the lateral."""

_RADIUS = 4.2  # of a disc, points
_RIM_MM = 5.0  # of the ground beyond the outermost centroids
_GAP_MM = 26.0  # narrower gaps between centroids are filled with ground


def cortex_map(
    values: xr.DataArray,
    *,
    views: Sequence[str] = VIEWS,
    vmin: float | None = None,
    vmax: float | None = None,
    cmap: str = SEQUENTIAL,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw one value per area on the left hemisphere, as discs at the areas' centroids.

    Each area stands in one view: the medial one if its centroid lies within 6 mm of the midline, else the lateral one.
    The front is on the left in the lateral view and on the right in the medial one, as they are seen. The grey ground
    is what lies around and between the centroids of all areas: it helps to find one's way and is not the surface. Where
    `values` holds some areas of `gradients.macaque40()`, the ground is that of all 40.

    Parameters
    ----------
    values : DataArray (area)
        For instance ``persistence(result).areas.delay``, with the coordinates `x` (right), `y` (front) and `z` (up) in
        mm along `area`. A gradient takes them along by ``gradients.macaque40().set_coords(["x", "y", "z"]).d1``.
        `long_name` and `units` label the colours.
    views
        Any of "lateral" and "medial", one panel each.
    vmin, vmax
        Ends of the colour scale; by default the extremes of `values`, and 0 where they are positive.
    cmap
        Name of a matplotlib colour map.
    ax
        Axes to draw on, one per view; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `values` is not a DataArray over `area` with centroids in the left hemisphere, a view is unknown, or `ax`
        does not fit.
    """
    if not isinstance(values, xr.DataArray):
        raise TypeError(
            f"Argument `values` must be a DataArray over `area`, but is {type(values).__name__}; "
            "pass one variable, such as persistence(result).areas.delay or maps.set_coords(['x', 'y', 'z']).d1."
        )
    way_out = "make it a coordinate before you pick a map: maps.set_coords(['x', 'y', 'z']).d1"
    check_maps(values, ("x", "y", "z"), "The map of the cortex", way_out)
    if values.dims != ("area",):
        raise ValueError(f"The map of the cortex needs one value per area, but got the dims {values.dims}.")
    if (values.x > 0).any():
        raise ValueError(
            f"The map of the cortex shows the left hemisphere (x <= 0), but x reaches {float(values.x.max())} mm."
        )
    if not views:
        raise ValueError(f"Argument `views` must name one view at least, but is empty; known: {', '.join(VIEWS)}.")
    for view in views:
        check_known(view, VIEWS, what="view", where="cortex_map")
    low = min(0.0, float(values.min())) if vmin is None else vmin
    high = float(values.max()) if vmax is None else vmax
    medial = abs(values.x) <= MEDIAL_MM
    ground = _ground_centroids(values)
    with styled():
        axes = axes_for(ax, len(views), (0.9 + 3.9 * len(views), 2.9))
        for view, one in zip(views, axes, strict=True):
            _draw_ground(one, *ground, view)
            shown = values[medial if view == "medial" else ~medial]
            discs = one.scatter(
                shown.y,
                shown.z,
                c=shown.values,
                s=(2.0 * _RADIUS) ** 2,
                cmap=cmap,
                vmin=low,
                vmax=high,
                edgecolors="0.15",
                linewidths=0.5,
                zorder=3,
            )
        figure_of(axes[0]).colorbar(discs, ax=axes, label=label(values), shrink=0.8, aspect=20, fraction=0.04, pad=0.02)
        for view, one in zip(views, axes, strict=True):
            shown = values[medial if view == "medial" else ~medial]
            place_names(one, shown.y.values, shown.z.values, [str(area) for area in shown.area.values], radius=_RADIUS)
        return figure_of(axes[0])


def _ground_centroids(values: xr.DataArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return y and z of all areas of the macaque map if `values` has some of them at its centroids, else its own."""
    maps = macaque40()
    if set(values.area.values) <= set(maps.area.values):
        there = maps.sel(area=values.area.values)
        if all(np.allclose(values[axis], there[axis]) for axis in ("x", "y", "z")):
            return maps.y.values, maps.z.values
    return values.y.values, values.z.values


def _draw_ground(ax: Axes, y: NDArray[np.float64], z: NDArray[np.float64], view: str) -> None:
    """Draw the morphological closing of the centroids (all points within half a gap, then shrunk to the rim)."""
    from scipy.ndimage import distance_transform_edt

    reach = _GAP_MM / 2.0
    across = np.arange(y.min() - reach - 1.0, y.max() + reach + 1.5, 0.5)
    up = np.arange(z.min() - reach - 1.0, z.max() + reach + 1.5, 0.5)
    to_centroid = np.hypot(across[None, :, None] - y, up[:, None, None] - z).min(axis=-1)
    inward = 0.5 * distance_transform_edt(to_centroid < reach) - (reach - _RIM_MM)
    ax.contourf(across, up, inward, levels=[0.0, np.inf], colors=["0.94"], zorder=0)
    ax.contour(across, up, inward, levels=[0.0], colors=["0.75"], linewidths=0.8, zorder=1)
    (left, right), (bottom, top) = ((v.min() - _RIM_MM - 2.0, v.max() + _RIM_MM + 2.0) for v in (y, z))
    ax.set_aspect("equal")
    ax.set_ylim(bottom, top)
    if view == "lateral":
        ax.set_xlim(right, left)
        ax.set_xlabel("anterior  ←  y (mm)  →  posterior")
    else:
        ax.set_xlim(left, right)
        ax.set_xlabel("posterior  ←  y (mm)  →  anterior")
    ax.set_ylabel("ventral  ←  z (mm)  →  dorsal")
    ax.set_title(f"{view.capitalize()} view")
