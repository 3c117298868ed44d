"""One picture of a working-memory trial: activity, map, hierarchy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import xarray as xr

from cortexsim import validate
from cortexsim.plot.activity import activity, traces
from cortexsim.plot.cortex_map import cortex_map
from cortexsim.plot.hierarchy import hierarchy
from cortexsim.plot.style import DPI, styled
from cortexsim.validate import Persistence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

_WIDTH, _HEIGHT = 10.0, 10.5  # inches


def summary(result: xr.Dataset, persistence: Persistence | None = None) -> Figure:
    """Draw a trial at a glance: all areas over time, some as traces, delay activity by hierarchy and on the cortex.

    Parameters
    ----------
    result
        What `simulate` returned, with the maps of `gradients.macaque40()` or `macaque30()`. It draws the
        variables that `activity` does. To leave out the first 500 ms, in which the model settles, pass
        ``result.sel(time=slice(500, None))``.
    persistence
        What `validate.persistence(result)` returned, where it was called with other than its defaults.

    Returns
    -------
    matplotlib.figure.Figure
        10 by 10.5 inches. Save it by ``figure.savefig("summary.png")``.

    Raises
    ------
    TypeError, ValueError
        As `validate.persistence` and the other plots do.
    """
    from cortexsim.plot.figure import Figure

    judged = validate.persistence(result) if persistence is None else persistence
    with styled():
        figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=DPI)
        above = _row(figure, 5.15, 9.4).subgridspec(1, 2, width_ratios=(1.35, 1), wspace=0.23)
        middle = _row(figure, 3.6, 4.5).subgridspec(1, min(6, judged.areas.sizes["area"]), wspace=0.1)
        below = _row(figure, 0.5, 2.9).subgridspec(1, 2, wspace=0.15)
        heat, scatter = figure.add_subplot(above[0]), figure.add_subplot(above[1])
        small = list(middle.subplots(squeeze=False, sharex=True, sharey=True).flat)
        sides = list(below.subplots(squeeze=False).flat)
        activity(result[judged.variable], stimulus=result.attrs["stimulus"], ax=heat)
        traces(result, ax=small)
        _move_legend(small[0], small[-1])
        brightest = max(float(judged.areas.delay.max()), judged.threshold)  # a silent cortex must look silent
        cortex_map(judged.areas.delay, vmax=brightest, ax=sides)
        hierarchy(judged, ax=scatter)
        headline, finding = _headline(result, judged)
        figure.text(0.02, 1.0 - 0.25 / _HEIGHT, headline, fontsize=13, weight="bold", va="center")
        figure.text(0.02, 1.0 - 0.5 / _HEIGHT, finding, fontsize=9.5, va="center")
    return figure


def _move_legend(first: Axes, last: Axes) -> None:
    """Draw the legend above the last panel, since the stimuli stand above the first, which is narrow."""
    if (legend := first.get_legend()) is not None:
        lines, names = first.get_legend_handles_labels()
        legend.remove()
        above: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
        last.legend(lines, names, ncols=len(names), handlelength=1.2, **above)


def _row(figure: Figure, bottom: float, top: float) -> SubplotSpec:
    """Return the row of the figure between two heights in inches."""
    return figure.add_gridspec(1, 1, left=0.075, right=0.985, bottom=bottom / _HEIGHT, top=top / _HEIGHT)[0]


def _headline(result: xr.Dataset, judged: Persistence) -> tuple[str, str]:
    agreeing, studied = int(judged.areas.agreement.sum()), int(judged.confusion.sum())
    parameters = json.loads(result.attrs.get("parameters", "{}"))
    dopamine = result["dopamine"].values.flat[0] if "dopamine" in result.coords else parameters.get("dopamine")
    return (
        f"{result.attrs.get('circuit', 'Trial')}{'' if dopamine is None else f', dopamine {dopamine:g}'}",
        f"{len(judged.persistent_areas)} of {judged.areas.sizes['area']} areas hold the memory through the delay; "
        f"{agreeing} of {studied} well-studied areas agree with experiments",
    )
