"""Pictures of a fit: how the loss fell, its profile along a parameter, and what the data determine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from cortexsim.fitting import Fit
from cortexsim.plot.style import BLUE, GREY, VERMILION, axes_for, figure_of, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_VIEW = 5.0  # height of a profile, in rises of the limit above the optimum


def fit_history(found: Fit, *, ax: Axes | None = None) -> Figure:
    """Draw the loss of each evaluation, and the least so far; on a logarithmic scale if they span two decades.

    Parameters
    ----------
    found
        What `fit` returned.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes. Points at which the function had no value are left out.

    Raises
    ------
    TypeError, ValueError
        If `found` is something else, or `ax` does not fit.
    """
    if not isinstance(found, Fit):
        raise TypeError(f"Argument `found` must be what `fit` returns, but is {type(found).__name__}.")
    loss = found.history["loss"].values
    number = np.arange(1, loss.size + 1)
    with styled():
        (one,) = axes_for(ax, 1, (4.6, 3.0))
        one.plot(number, np.where(np.isfinite(loss), loss, np.nan), ".", color=GREY, markersize=2.5, label="each")
        least = np.minimum.accumulate(loss)
        one.step(number, np.where(np.isfinite(least), least, np.nan), where="post", color=BLUE, label="least so far")
        if loss.min() > 0 and loss[np.isfinite(loss)].max() > 100 * loss.min():
            one.set_yscale("log")
        one.set(xlabel="Evaluation", ylabel="Loss")
        one.set_title(found.method.replace("_", " "), weight="normal")
        one.legend()
        return figure_of(one)


def fit_profile(found: xr.Dataset, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw the least loss along one parameter, and what the other parameters are there.

    Parameters
    ----------
    found
        What `fit.profile` returned.
    ax
        Axes to draw on, one for the loss and one for each other parameter; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes. The red point is the optimum; values under the dashed line are compatible with the data.
        Losses far above that line are out of view, marked by triangles at the upper rim.

    Raises
    ------
    TypeError, ValueError
        If `found` is something else, or `ax` does not fit.
    """
    _check(found, {"loss", "limit", "parameters"}, "fit.profile")
    name = str(found.attrs["profiled"])
    others = [str(other) for other in found["parameter"].values]
    with styled():
        axes = axes_for(ax, 1 + len(others), (3.3 * (1 + len(others)), 2.9))
        loss = found["loss"].where(np.isfinite(found["loss"]))
        best, least = found.attrs["best"], found.attrs["best_loss"]
        axes[0].plot(found[name], loss, "o-", color=BLUE, markersize=3.0)
        axes[0].plot(best, least, "o", color=VERMILION, zorder=3)
        if np.isfinite(found["limit"]):
            limit, meaning = float(found["limit"]), str(found["limit"].attrs["long_name"])
            axes[0].axhline(limit, color="0.3", linestyle=(0, (4, 3)), linewidth=0.8, label=meaning)
            axes[0].legend()
            _look_at(axes[0], found[name].values, loss.values, min(least, float(loss.min())), limit)
        axes[0].set_ylabel("Least loss")
        for one, other in zip(axes[1:], others, strict=True):
            one.plot(found[name], found["parameters"].sel(parameter=other), "o-", color=GREY, markersize=3.0)
            one.set_ylabel(other)
        for one in axes:
            one.set_xlabel(name)
        return figure_of(axes[0])


def fit_sensitivity(found: xr.Dataset, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw the singular values of the Jacobian, the direction of each, and the correlation of the parameters.

    Parameters
    ----------
    found
        What `fit.sensitivity` returned.
    ax
        Three Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes. Combinations of parameters with a small singular value are what the data leave open.

    Raises
    ------
    TypeError, ValueError
        If `found` is something else, or `ax` does not fit.
    """
    _check(found, {"singular_value", "direction", "correlation"}, "fit.sensitivity")
    size, names = found["singular_value"].values, [str(name) for name in found["parameter"].values]
    modes = np.arange(1, size.size + 1)
    with styled():
        side = max(2.0, 0.35 * len(names) + 1.2)
        left, middle, right = axes_for(ax, 3, (2.4 + 2 * (side + 0.9), side))
        left.bar(modes, size, color=BLUE, width=0.6)
        left.set(xlabel="Mode", ylabel="Singular value", xticks=modes)
        if size.min() > 0 and size.max() > 10 * size.min():
            left.set(yscale="log", ylim=(size.min() / 3, 2 * size.max()))
        for one, values, rows, title in (
            (middle, found["direction"].values, [f"mode {k}" for k in modes], "Directions"),
            (right, found["correlation"].values, names, "Correlation"),
        ):
            image = one.imshow(values, cmap="RdBu_r", vmin=-1.0, vmax=1.0, aspect="equal", interpolation="none")
            one.set_xticks(range(len(names)), names, rotation=90)
            one.set_yticks(range(len(rows)), rows)
            one.tick_params(length=0.0, pad=2.0)
            one.spines[["top", "right"]].set_visible(True)
            one.set_title(title, weight="normal")
        figure_of(right).colorbar(image, ax=[middle, right], shrink=0.7, fraction=0.05, pad=0.02)
        return figure_of(left)


def _look_at(ax: Axes, x: np.ndarray, loss: np.ndarray, least: float, limit: float) -> None:
    """Cut the axis at a few times the rise of the limit above the least loss, where it would vanish beside the rest."""
    top = least + _VIEW * (limit - least)
    beyond = loss > top
    if limit > least and beyond.any():
        ax.set_ylim(least - 0.05 * (top - least), top)
        rim = ax.get_xaxis_transform()
        ax.plot(x[beyond], np.ones(beyond.sum()), "^", color=BLUE, markersize=4.0, transform=rim, clip_on=False)


def _check(found: xr.Dataset, needed: set[str], function: str) -> None:
    if not isinstance(found, xr.Dataset) or not needed <= set(found.data_vars):
        raise TypeError(f"Argument `found` must be what `{function}` returns, but is {type(found).__name__}.")
