"""Pictures of attractors, of when areas ignite, and of thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from cortexsim._checks import check_count
from cortexsim.plot.names import place_names
from cortexsim.plot.style import BLUE, SEQUENTIAL, axes_for, check_maps, figure_of, label, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RADIUS = 2.6  # of a point, in points of 1/72 inch


def attractor_states(found: xr.Dataset, *, most: int = 20, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw the rates of all areas in each attractor, one row per attractor, and the share of starts that end there.

    Parameters
    ----------
    found
        What `analysis.attractors` returned.
    most
        Rows at most, from the largest basin on.
    ax
        Axes to draw on, one per item and one for the basins; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `found` is something else or holds no attractor, or `ax` does not fit.
    """
    _check(found, {"rate", "basin", "basin_low", "basin_high"}, "analysis.attractors")
    if not found.sizes["attractor"]:
        raise ValueError("There is no attractor to draw: none of the trials settled.")
    shown = found.isel(attractor=slice(check_count("most", most)))
    rows, columns, items = (shown.sizes[dim] for dim in ("attractor", "area", "item"))
    names = [str(area) for area in shown["area"].values]
    with styled():
        size = (1.6 + items * max(1.8, 0.115 * columns) + 1.4, 1.3 + max(1.0, 0.16 * rows))
        axes = axes_for(ax, items + 1, size)
        for one, item in zip(axes, shown["item"].values, strict=False):
            image = one.imshow(
                shown["rate"].sel(item=item),
                cmap=SEQUENTIAL,
                vmin=0.0,
                vmax=float(shown["rate"].max()),
                aspect="auto",
                interpolation="none",
            )
            one.set_xticks(range(columns), names, rotation=90, fontsize=6)
            one.tick_params(length=0.0, pad=2.0)
            one.set_yticks(range(rows), [str(k) for k in shown["attractor"].values])
            one.set_title(str(item))
        axes[0].set_ylabel("Attractor")
        figure_of(axes[0]).colorbar(image, ax=axes[:items], label=label(shown["rate"]), fraction=0.03, pad=0.02)
        _draw_basins(axes[-1], shown)
        if rows < found.sizes["attractor"]:
            axes[-1].set_title(f"{rows} of {found.sizes['attractor']}")
        return figure_of(axes[0])


def _draw_basins(ax: Axes, shown: xr.Dataset) -> None:
    rows = np.arange(shown.sizes["attractor"])
    share = shown["basin"].values
    ax.barh(rows, share, color=BLUE, height=0.7)
    interval = np.maximum([share - shown["basin_low"].values, shown["basin_high"].values - share], 0.0)
    ax.errorbar(share, rows, xerr=interval, fmt="none", ecolor="0.3", elinewidth=0.8)
    ax.set_yticks(rows, [str(k) for k in shown["attractor"].values])
    ax.set_ylim(rows[-1] + 0.5, -0.5)
    ax.set_xlim(0.0, None)
    ax.set_xlabel(label(shown["basin"]))


def ignition_latencies(found: xr.Dataset, *, ax: Axes | None = None) -> Figure:
    """Draw how long after the cue each area ignites, against its place in the hierarchy.

    Parameters
    ----------
    found
        What `analysis.ignition` returned, of one trial: found.isel(trial=[0]).
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes. Areas that do not ignite are left out.

    Raises
    ------
    TypeError, ValueError
        If `found` is something else, has several trials, no area ignites in it, or `ax` does not fit.
    """
    _check(found, {"latency", "rank_correlation"}, "analysis.ignition")
    if found["latency"].size != found.sizes["area"]:
        raise ValueError(f"One trial can be drawn, but there are {found.sizes['trial']}; pick found.isel(trial=[0]).")
    one_trial = found.squeeze("trial") if "trial" in found.dims else found
    along = str(found.attrs["along"])
    check_maps(one_trial, (along,), "The plot of ignition", "keep the coordinates of the result")
    shown = one_trial.isel(area=np.isfinite(one_trial["latency"].values))
    if not shown.sizes["area"]:
        raise ValueError("There is no latency to draw: no area ignites.")
    with styled():
        (one,) = axes_for(ax, 1, (5.0, 3.8))
        one.scatter(shown[along], shown["latency"], s=(2.0 * _RADIUS) ** 2, color=BLUE, linewidths=0, zorder=3)
        one.set_xlabel(label(shown[along]))
        one.set_ylabel(label(shown["latency"]))
        one.margins(0.06)
        if np.isfinite(shown["rank_correlation"]):
            r, p = float(shown["rank_correlation"]), float(shown["p_value"])
            one.set_title(f"rank correlation {r:.2f}, p {p:.2g}", weight="normal")
        names = [str(area) for area in shown["area"].values]
        place_names(one, shown[along].values, shown["latency"].values, names, radius=_RADIUS)
        return figure_of(one)


def thresholds(found: xr.Dataset, *, unit: str = "", ax: Axes | None = None) -> Figure:
    """Draw thresholds over the condition.

    Parameters
    ----------
    found
        What `analysis.threshold` or `analysis.distractor_threshold` returned.
    unit
        Of the amplitude, for the axis.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes. Points are midway between the amplitudes that fail and succeed, bars span them.

    Raises
    ------
    TypeError, ValueError
        If `found` is something else, or `ax` does not fit.
    """
    _check(found, {"threshold", "fails"}, "analysis.threshold")
    (name,) = found["threshold"].dims
    middle = (found["threshold"] + found["fails"]) / 2
    with styled():
        (one,) = axes_for(ax, 1, (4.2, 3.0))
        half = abs(found["threshold"] - found["fails"]) / 2
        one.errorbar(found[name], middle, yerr=half, marker="o", markersize=3.5, color=BLUE, elinewidth=0.8)
        one.set_xlabel(label(found[name]) if "long_name" in found[name].attrs else str(name).capitalize())
        one.set_ylabel(f"Threshold ({unit})" if unit else "Threshold")
        return figure_of(one)


def _check(found: xr.Dataset, needed: set[str], function: str) -> None:
    if not isinstance(found, xr.Dataset) or not needed <= set(found.data_vars):
        raise TypeError(f"Argument `found` must be what `{function}` returns, but is {type(found).__name__}.")
