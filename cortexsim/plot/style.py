"""What all pictures share: the style, the colours, axes and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEQUENTIAL = "viridis"

# Okabe and Ito's colours, told apart with any colour vision (https://jfly.uni-koeln.de/color).
BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"

STYLE: dict[Any, Any] = {  # matplotlib 3.11 types the keys one by one
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
}
SMALL = 6.5
"""Font size (points) of the names of areas within a picture."""

DPI = 150.0


def styled() -> AbstractContextManager[None]:
    """Return a context in which artists get the package's style; matplotlib's global settings stay as they are.

    Every plot draws within it. Axes that you pass as `ax` have their frame and ticks already: make them within it too.

    Returns
    -------
    context manager
        For a ``with`` statement.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import cortexsim as cx
    >>> cortex = cx.load_connectome("macaque40")
    >>> with cx.plot.styled():
    ...     figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    >>> for matrix, ax in ((cortex.fln, left), (cortex.distance, right)):
    ...     _ = cx.plot.matrix(matrix, ax=ax)
    >>> plt.close(figure)
    """
    import matplotlib

    return matplotlib.rc_context(STYLE)


def axes_for(
    ax: Axes | Sequence[Axes] | None, number: int, figsize: tuple[float, float], rows: bool = False
) -> list[Axes]:
    """Return `number` Axes: those given, or new ones side by side (or as rows) on a new Figure of `figsize` inches.

    Raises
    ------
    TypeError, ValueError
        If `ax` is something else, or a different number of Axes.
    """
    from matplotlib.axes import Axes

    from cortexsim.plot.figure import Figure

    if ax is None:
        figure = Figure(figsize=figsize, dpi=DPI, layout="constrained")
        shape = (number, 1) if rows else (1, number)
        return list(figure.subplots(*shape, squeeze=False, sharex=rows, sharey=rows).ravel())
    given = list(ax) if isinstance(ax, Sequence | np.ndarray) else [ax]
    if not all(isinstance(one, Axes) for one in given):
        raise TypeError(f"Argument `ax` must be matplotlib Axes, but is {ax!r}.")
    if len(given) != number:
        raise ValueError(f"Argument `ax` must be {number} Axes, one per panel, but is {len(given)}.")
    return given


def figure_of(ax: Axes) -> Figure:
    """Return the Figure (not the SubFigure) that `ax` stands on."""
    figure = ax.get_figure()
    if figure is None:
        raise ValueError("Argument `ax` must stand on a Figure, but was removed from it.")
    return figure.figure


def label(values: xr.DataArray) -> str:
    """Return "Long name (units)" from the attrs; a dimensionless one goes without unit."""
    name = str(values.attrs.get("long_name", values.name))
    units = str(values.attrs.get("units", ""))
    return name[:1].upper() + name[1:] + (f" ({units})" if units not in ("", "1") else "")


def check_maps(values: xr.Dataset | xr.DataArray, names: Sequence[str], picture: str, otherwise: str) -> None:
    """Raise ValueError, with the way out `otherwise`, unless `values` has the coordinates `names` along `area`."""
    if "area" not in values.dims:
        raise ValueError(f"{picture} needs values along `area`, but got the dims {tuple(values.dims)}.")
    missing = [name for name in names if name not in values.coords or values.coords[name].dims != ("area",)]
    if missing:
        raise ValueError(
            f"{picture} needs the coordinate {missing[0]!r} along `area`; simulate a Model with "
            f"`gradients.macaque40()`, or {otherwise}."
        )
