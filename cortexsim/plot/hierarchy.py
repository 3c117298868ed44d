"""Delay activity against the hierarchy, with what experiments report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cortexsim.plot.names import place_names
from cortexsim.plot.style import BLUE, GREY, VERMILION, axes_for, check_maps, figure_of, label, styled
from cortexsim.validate import Persistence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RADIUS = 2.6  # of a point, in points of 1/72 inch


def hierarchy(persistence: Persistence, *, ax: Axes | None = None) -> Figure:
    """Draw delay activity above baseline against the position in the hierarchy, one point per area.

    Filled blue circles: experiments report delay activity; filled vermilion squares: they do not; open grey circles:
    not well studied. The dashed line is the threshold of persistence.

    Parameters
    ----------
    persistence
        What `validate.persistence` returned, for a result with the coordinate `hierarchy`.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `persistence` is something else, `hierarchy` is missing, or `ax` does not fit.
    """
    if not isinstance(persistence, Persistence):
        raise TypeError(
            f"Argument `persistence` must be what `validate.persistence` returns, but is {type(persistence).__name__}."
        )
    areas = persistence.areas
    way_out = "add it before you judge: result.assign_coords(hierarchy=('area', [...]))"
    check_maps(areas, ("hierarchy",), "The plot over the hierarchy", way_out)
    studied, reported = areas.well_studied.values, areas.reported.values
    kinds = (
        ("reported in experiments", studied & reported, "o", BLUE, BLUE),
        ("not reported", studied & ~reported, "s", VERMILION, VERMILION),
        ("not well studied", ~studied, "o", "white", GREY),
    )
    with styled():
        (one,) = axes_for(ax, 1, (5.6, 4.2))
        for name, chosen, marker, face, edge in kinds:
            one.scatter(
                areas.hierarchy.values[chosen],
                areas.difference.values[chosen],
                s=(2.0 * _RADIUS) ** 2,
                marker=marker,
                facecolors=face,
                edgecolors=edge,
                linewidths=0.8,
                label=name,
                zorder=3,
            )
        unit = areas.difference.attrs["units"]
        one.axhline(
            persistence.threshold,
            color="0.3",
            linewidth=0.8,
            linestyle=(0, (4, 3)),
            zorder=1,
            label=f"threshold, {persistence.threshold:g} {unit}",
        )
        one.set_xlabel(label(areas.hierarchy))
        one.set_ylabel(label(areas.difference))
        low, high = one.get_ylim()
        one.set_ylim(low - 0.1 * (high - low), high + 0.03 * (high - low))  # room for the names of silent areas
        one.margins(x=0.06)
        one.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderaxespad=0.2)
        names = [str(area) for area in areas.area.values]
        place_names(one, areas.hierarchy.values, areas.difference.values, names, radius=_RADIUS)
        return figure_of(one)
