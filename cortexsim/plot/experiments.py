"""Pictures of experiments: phase diagrams, dose and response with intervals, ablations, lesion atlases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from cortexsim.analysis.lesions import EFFECTS
from cortexsim.plot.cortex_map import MEDIAL_MM, VIEWS, cortex_map
from cortexsim.plot.style import BLUE, GREY, SEQUENTIAL, VERMILION, axes_for, check_maps, figure_of, label, styled
from cortexsim.validate.intervals import mean_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's other colours
_GREEN, _ORANGE, _SKY, _PURPLE = "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
_CLASSES = ("0.90", BLUE, VERMILION, _GREEN, _ORANGE, _PURPLE)
_LINES = (BLUE, VERMILION, _GREEN, _ORANGE, _PURPLE, _SKY)
_OF_EFFECT = dict(zip(EFFECTS, (VERMILION, _ORANGE, "0.6"), strict=True))


def phase_diagram(values: xr.DataArray, *, names: Mapping[int, str] | None = None, ax: Axes | None = None) -> Figure:
    """Draw one value for each point of a grid of two parameters, as a coloured cell.

    Parameters
    ----------
    values : DataArray (y, x)
        Such as a variable of a `sweep` over two axes, which become the vertical and the horizontal one. The
        coordinates must be numbers that rise. NaN stays white.
    names : mapping of int to str
        For classes, such as the item that is held: what each whole number means, {0: "none", 1: "target"}. Classes get
        a colour each (at most six) and a legend, in the place of a colour bar.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `values` is not over two numeric coordinates, holds a class without a name, or `ax` does not fit.
    """
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Patch

    if not isinstance(values, xr.DataArray):
        raise TypeError(f"Argument `values` must be a DataArray over two axes, but is {type(values).__name__}.")
    if values.ndim != 2:
        raise ValueError(f"A phase diagram needs two axes, but got the dims {values.dims}; take a mean or pick one.")
    y, x = (_rising(values, str(dim)) for dim in values.dims)
    data = np.ma.masked_invalid(values.to_numpy().astype(np.float64))
    with styled():
        (one,) = axes_for(ax, 1, (4.4, 3.2))
        if names is None:
            cells = one.pcolormesh(x, y, data, cmap=SEQUENTIAL, shading="nearest", rasterized=True)
            figure_of(one).colorbar(cells, ax=one, label=label(values))
        else:
            known = sorted(names)
            strange = set(data.compressed()) - set(known)
            if strange or len(known) > len(_CLASSES):
                raise ValueError(
                    f"Argument `names` must name each class, at most {len(_CLASSES)} of them, but names {known} and "
                    f"`values` holds {sorted(set(data.compressed()))}."
                )
            # Classes by their rank, so that their numbers need not follow on each other.
            ranks = np.ma.array(np.searchsorted(known, data.filled(known[0])), mask=data.mask)
            colours = _CLASSES[: len(known)]
            norm = BoundaryNorm(np.arange(len(known) + 1) - 0.5, len(known))
            one.pcolormesh(x, y, ranks, cmap=ListedColormap(colours), norm=norm, shading="nearest", rasterized=True)
            patches = [Patch(color=c, label=names[k]) for c, k in zip(colours, known, strict=True)]
            one.legend(
                handles=patches, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(known), borderaxespad=0.2
            )
        one.set_ylabel(_axis(values, str(values.dims[0])))
        one.set_xlabel(_axis(values, str(values.dims[1])))
        return figure_of(one)


def dose_response(
    values: xr.DataArray, by: str = "dopamine", *, name: str = "", color: str = BLUE, ax: Axes | None = None
) -> Figure:
    """Draw what trials give by the value of a parameter: each trial as a dot, their mean, and its 95 % interval.

    Parameters
    ----------
    values : DataArray (trial)
        Such as ``persistence_by_trial(result).n_persistent``, with the coordinate `by` along `trial`.
    by
        The parameter.
    name
        For the legend; none by default.
    color
        Of line, band and dots.
    ax
        Axes to draw on, or to add a curve to; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes. A value of the parameter with one trial has no interval.

    Raises
    ------
    TypeError, ValueError
        If `values` is not one number per trial with such a coordinate, or `ax` does not fit.
    """
    if not isinstance(values, xr.DataArray) or values.dims != ("trial",):
        got = f"the dims {values.dims}" if isinstance(values, xr.DataArray) else type(values).__name__
        raise TypeError(f"Argument `values` must be a DataArray over `trial`, but has {got}.")
    if by not in values.coords:
        raise ValueError(f"Argument `values` must have the coordinate {by!r} along `trial`, but has not.")
    doses = values[by].to_numpy().astype(np.float64)
    data = values.to_numpy().astype(np.float64)
    levels = np.unique(doses)
    groups = [data[doses == level] for level in levels]
    means = np.array([group.mean() for group in groups])
    ends = np.array([mean_interval(g) if g.size > 1 else (np.nan, np.nan) for g in groups])
    with styled():
        (one,) = axes_for(ax, 1, (4.2, 3.0))
        one.plot(doses, data, ".", color=color, alpha=0.25, markersize=3.0, markeredgewidth=0.0)
        one.plot(levels, means, color=color, label=name or None)
        one.fill_between(levels, ends[:, 0], ends[:, 1], color=color, alpha=0.25, linewidth=0.0)
        return _finished(one, _axis(values, by), label(values), bool(name))


def fractions(table: xr.Dataset, *, name: str = "", color: str = BLUE, ax: Axes | None = None) -> Figure:
    """Draw the share of trials by the value of a parameter, with its confidence interval.

    Parameters
    ----------
    table : Dataset
        What `analysis.performance` or `analysis.distractor_resistance` returns with `by=`: `fraction`, `low` and `high`
        over one numeric dimension.
    name, color, ax
        As in `dose_response`.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `table` is something else, or `ax` does not fit.
    """
    if not isinstance(table, xr.Dataset) or not {"fraction", "low", "high"} <= set(table.data_vars):
        raise TypeError("Argument `table` must be a Dataset with `fraction`, `low` and `high`, but is not.")
    if table.fraction.ndim != 1:
        raise ValueError(f"Fractions must be over one parameter, but have the dims {table.fraction.dims}; pick one.")
    (dim,) = map(str, table.fraction.dims)
    x = _rising(table.fraction, dim)
    share = table.fraction.to_numpy()
    with styled():
        (one,) = axes_for(ax, 1, (4.2, 3.0))
        # An end that rounding puts beyond the share itself is no negative bar.
        bars = np.maximum([share - table.low.to_numpy(), table.high.to_numpy() - share], 0.0)
        one.errorbar(x, share, yerr=bars, marker="o", markersize=3.0, color=color, elinewidth=0.7, label=name or None)
        one.set_ylim(-0.04, 1.04)
        return _finished(one, _axis(table.fraction, dim), label(table.fraction), bool(name))


def ablations(values: xr.DataArray, *, ax: Axes | None = None) -> Figure:
    """Draw one curve for each thing left out, and the one where nothing is in grey.

    Parameters
    ----------
    values : DataArray (left out, x)
        Such as the number of areas over (without, dopamine): the first dimension has the names of the curves ("" or
        "nothing" for the intact model), the second numbers that rise.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `values` is something else, has more than seven curves, or `ax` does not fit.
    """
    if not isinstance(values, xr.DataArray) or values.ndim != 2:
        raise TypeError("Argument `values` must be a DataArray (left out, parameter), but is not.")
    curves, dim = map(str, values.dims)
    names = [str(name) for name in values[curves].to_numpy()]
    changed = [name for name in names if name not in ("", "nothing")]
    if len(changed) > len(_LINES):
        raise ValueError(f"Ablations must be {len(_LINES)} at most, but are {len(changed)}; draw them in two pictures.")
    x = _rising(values, dim)
    with styled():
        (one,) = axes_for(ax, 1, (4.2, 3.0))
        for k, name in enumerate(names):
            intact = name not in changed
            style = (
                {"color": GREY, "linewidth": 2.4, "alpha": 0.7} if intact else {"color": _LINES[changed.index(name)]}
            )
            one.plot(x, values[k], label="intact" if intact else f"without {name}", **style)
        return _finished(one, _axis(values, dim), label(values), legend=True)


def lesion_atlas(atlas: xr.Dataset, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw on the cortex what becomes of a memory when one area or another is lesioned.

    The fill of an area tells how many of the others hold the memory without it; its rim, whether the lesion abolishes,
    weakens or spares the memory.

    Parameters
    ----------
    atlas
        What `analysis.lesion_atlas` returned, of areas with centroids (`x`, `y`, `z`).
    ax
        Two Axes, for the lateral and the medial view; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `atlas` is something else, lacks the centroids, or `ax` does not fit.
    """
    from matplotlib.lines import Line2D

    if not isinstance(atlas, xr.Dataset) or not {"effect", "n_persistent"} <= set(atlas.data_vars):
        raise TypeError("Argument `atlas` must be what `analysis.lesion_atlas` returns, but is not.")
    check_maps(atlas.n_persistent, ("x", "y", "z"), "The lesion atlas", "make the atlas of a model with centroids")
    rim: dict[str, Any] = {"marker": "o", "linestyle": "", "markerfacecolor": "none", "markeredgewidth": 1.8}
    counts = {effect: int((atlas.effect == effect).sum()) for effect in EFFECTS}
    with styled():
        axes = axes_for(ax, len(VIEWS), (9.4, 3.4))
        # The names of areas are placed last, so what moves the axes must be there before.
        handles = [Line2D([], [], markeredgecolor=_OF_EFFECT[effect], **rim) for effect in EFFECTS]
        names = [f"{effect} ({n})" for effect, n in counts.items()]
        legend: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98), "ncols": len(EFFECTS)}
        axes[0].legend(handles, names, borderpad=0.0, handletextpad=0.0, columnspacing=0.8, **legend)
        medial = abs(atlas.x) <= MEDIAL_MM
        for view, one in zip(VIEWS, axes, strict=True):
            shown = atlas.isel(area=np.flatnonzero(medial if view == "medial" else ~medial))
            rims = [_OF_EFFECT[str(effect)] for effect in shown.effect.values]
            one.scatter(shown.y, shown.z, s=100.0, facecolors="none", edgecolors=rims, linewidths=1.8, zorder=4)
        return cortex_map(atlas.n_persistent, vmin=0.0, ax=axes)


def _rising(values: xr.DataArray, dim: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the coordinate of a dimension if it holds numbers that rise."""
    if dim not in values.coords or values[dim].dtype.kind not in "iuf":
        raise ValueError(f"Dimension {dim!r} must have numbers as its coordinate, but has not.")
    x = values[dim].to_numpy().astype(np.float64)
    if (np.diff(x) <= 0).any():
        raise ValueError(f"The coordinate {dim!r} must rise, but does not; sort it: values.sortby({dim!r}).")
    return x


def _axis(values: xr.DataArray, name: str) -> str:
    """Return the label of a coordinate: its long name and unit, or its name."""
    coordinate = values[name]
    return label(coordinate) if "long_name" in coordinate.attrs else name[:1].upper() + name[1:].replace("_", " ")


def _finished(ax: Axes, x: str, y: str, legend: bool) -> Figure:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if legend:
        ax.legend()
    return figure_of(ax)
