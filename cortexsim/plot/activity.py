"""Rates of all areas over time, in hierarchical order, with the stimuli on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim._checks import check_known, check_positive, check_same_condition
from cortexsim.analysis.windows import recorded_names
from cortexsim.plot.style import BLUE, GREY, SEQUENTIAL, SMALL, VERMILION, axes_for, figure_of, label, styled
from cortexsim.stimulus import Change, Course, Drive, Lesion, Part, Perturbation, Stimulus, read_json
from cortexsim.validate.persistence import default_rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEFAULT_AREAS = ("V1", "MT", "LIP", "46d", "9/46d", "24c")
_BAR_PITCH = 8.0  # points from one row of stimulus bars to the next


def activity(
    rates: xr.DataArray | xr.Dataset,
    *,
    variables: Sequence[str] | None = None,
    stimulus: Stimulus | str | None = None,
    vmax: float | None = None,
    ax: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Draw the rates of all areas over time as a heat map: one row per area, the lowest in the hierarchy at the bottom.

    Parameters
    ----------
    rates : DataArray or Dataset (trial, time, area) or (time, area)
        One rate, such as ``result.r_E1``, or a whole result. Trials are averaged. Areas are ordered by the coordinate
        `hierarchy` where there is one, else they stay as they stand. A stretch of time is chosen beforehand: with
        ``result.sel(time=slice(500, None))`` the picture begins when the model has settled.
    variables
        Which rates of a Dataset to draw, one panel each, on a common colour scale. By default r_E1 and r_E2, as far as
        the Dataset holds them; else its first two variables in Hz, or the first of all where none is.
    stimulus
        Stimuli and perturbations to mark above the panels: a Stimulus, or the JSON that a result holds in
        ``attrs["stimulus"]``, of which the parts are drawn that all trials share. By default those of the Dataset; a
        single rate does not hold any.
    vmax
        Value at the top of the colour scale, by default the highest that is drawn. The scale starts at 0, or below if a
        value does.
    ax
        Axes to draw on, one per panel; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes. Save it by ``figure.savefig("activity.png")``.

    Raises
    ------
    TypeError, ValueError
        If `rates` are not labelled rates over time and area, a variable is unknown, trials differ in a
        parameter, or `ax` does not fit.
    """
    panels = [in_order(_mean(panel)) for panel in _panels(rates, variables)]
    bars = stimulus_bars(rates, stimulus)
    lowest, highest = (float(f([f(panel) for panel in panels])) for f in (np.min, np.max))
    top = check_positive("vmax", vmax) if vmax is not None else highest or 1.0
    with styled():
        rows = panels[0].sizes["area"]
        axes = axes_for(ax, len(panels), (1.4 + 4.4 * len(panels), max(2.0, 1.2 + 0.125 * rows)))
        for panel, one in zip(panels, axes, strict=True):
            mesh = one.pcolormesh(
                edges(panel.time.values),
                np.arange(rows + 1) - 0.5,
                panel.transpose("area", "time").values,
                cmap=SEQUENTIAL,
                vmin=min(lowest, 0.0),
                vmax=top,
                rasterized=True,
            )
            one.set_yticks(np.arange(rows), [str(area) for area in panel.area.values])
            one.tick_params(axis="y", length=0.0, pad=2.0)
            one.set_xlabel(_time_label(panel))
            one.set_title(_title(panel), pad=4.0 + _BAR_PITCH * draw_bars(one, bars))
        axes[0].set_ylabel("Area, by hierarchy")
        figure_of(axes[-1]).colorbar(
            mesh,
            ax=axes,
            label=_quantity(panels),
            extend="max" if highest > top else "neither",
            shrink=0.6,
            aspect=30,
            fraction=0.05,
            pad=0.02,
        )
        return figure_of(axes[0])


def traces(
    rates: xr.DataArray | xr.Dataset,
    *,
    variables: Sequence[str] | None = None,
    areas: Sequence[str] | None = None,
    stimulus: Stimulus | str | None = None,
    ax: Sequence[Axes] | None = None,
) -> Figure:
    """Draw the rates of some areas over time, one row per area on a common scale.

    Lines are means over trials; with several trials a band shows one standard deviation to either side.

    Parameters
    ----------
    rates, variables, stimulus
        As in `activity`; each variable is a line.
    areas
        Names, from top to bottom. By default V1, MT, LIP, 46d, 9/46d and 24c; where one of them is missing, six areas
        (or all, if fewer) at even steps through the order.
    ax
        Axes to draw on, one per area, of which the first names the quantity; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `rates` are not labelled rates over time and area, an area or a variable is unknown, trials differ in a
        parameter, or `ax` does not fit.
    """
    panels = [in_order(panel) for panel in _panels(rates, variables)]
    bars = stimulus_bars(rates, stimulus)
    known = [str(area) for area in panels[0].area.values]
    if areas is None:
        steps = np.unique(np.linspace(0, len(known) - 1, min(6, len(known))).round().astype(int))
        areas = DEFAULT_AREAS if set(DEFAULT_AREAS) <= set(known) else [known[i] for i in steps]
    if not areas:
        raise ValueError("Argument `areas` must name one area at least, but is empty; `rates.area` lists them.")
    for area in areas:
        check_known(area, known, what="area", where="traces", listed="`rates.area`")
    prefix = "r_" if all(map(_is_rate, panels)) else ""
    with styled():
        axes = axes_for(ax, len(areas), (5.2, 0.6 + 0.8 * len(areas)), rows=True)
        for area, one in zip(areas, axes, strict=True):
            for panel in panels:
                _draw_trace(one, panel.sel(area=area), str(panel.name or "").removeprefix(prefix))
            for bar in (bar for bar in bars if bar.is_current):
                one.axvspan(bar.onset, bar.offset, color="0.92", linewidth=0.0, zorder=0)
            one.margins(x=0.0)
            one.text(0.01, 0.93, area, transform=one.transAxes, ha="left", va="top", weight="bold")
        bottom = min(0.0, *(float(panel.sel(area=list(areas)).min()) for panel in panels))
        top = max(one.get_ylim()[1] for one in axes)
        for one in axes:
            one.set_ylim(bottom, top + 0.1 * (top - bottom))  # room for the name of the area
            one.set_xlabel(_time_label(panels[0]))
            one.label_outer()
        quantity = _quantity(panels).replace("Firing rate", "Rate")
        if ax is None:  # once for all rows, each of which is as high as about 16 letters are wide
            figure_of(axes[0]).supylabel(fill(quantity, 16 * len(areas) + 4), fontsize="medium")
        else:
            axes[0].set_ylabel(quantity)
        if len(panels) > 1:
            axes[0].legend(loc="upper right", ncols=len(panels), borderaxespad=0.0, handlelength=1.2)
        draw_bars(axes[0], bars)
        return figure_of(axes[0])


@dataclass(frozen=True)
class _Bar:
    """What goes on and off together (ms): currents of one name to one input, or a perturbation."""

    onset: float
    offset: float
    text: str
    colour: str
    is_current: bool


def _panels(rates: xr.DataArray | xr.Dataset, variables: Sequence[str] | None) -> list[xr.DataArray]:
    if isinstance(rates, xr.Dataset):
        known = recorded_names(rates)
        variables = default_rates(rates) if variables is None else variables
        panels = [rates[check_known(name, known, what="variable", where="the result")] for name in variables]
        if not panels:
            raise ValueError("Argument `variables` must name one rate at least, but is empty.")
    elif isinstance(rates, xr.DataArray):
        panels = [rates]
    else:
        raise TypeError(
            f"Argument `rates` must be a DataArray or Dataset over time and area, but is {type(rates).__name__}; "
            "pass a result of `simulate` or one of its rates, such as result.r_E1."
        )
    for panel in panels:
        check_same_condition(panel)
        if not {"time", "area"} <= set(panel.dims) <= {"trial", "time", "area"}:
            raise ValueError(f"Argument `rates` must have the dims (trial, time, area), but has {panel.dims}.")
        if 0 in panel.shape or panel.sizes["time"] < 2:
            raise ValueError(f"Argument `rates` must hold two times and one area at least, but is {dict(panel.sizes)}.")
    return panels


def _mean(panel: xr.DataArray) -> xr.DataArray:
    return panel.mean("trial", keep_attrs=True) if "trial" in panel.dims else panel


def in_order(panel: xr.DataArray) -> xr.DataArray:
    """Return the values with areas by hierarchy, where the result tells it."""
    return panel.sortby("hierarchy") if "hierarchy" in panel.coords else panel


def edges(time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the n + 1 borders halfway between n samples."""
    middle = (time[1:] + time[:-1]) / 2
    return np.concatenate([[2 * time[0] - middle[0]], middle, [2 * time[-1] - middle[-1]]])


def _title(panel: xr.DataArray) -> str:
    name = str(panel.attrs.get("long_name", panel.name or ""))
    return name[:1].upper() + name[1:]


def _quantity(panels: Sequence[xr.DataArray]) -> str:
    """Return "Firing rate (units)" for rates, the label of its own for another variable, several by their names."""
    rate = {"long_name": "firing rate"}
    quantities = {label(panel.assign_attrs(rate) if _is_rate(panel) else panel) for panel in panels}
    if len(quantities) == 1:
        return quantities.pop()
    units = {panel.name: str(panel.attrs.get("units", "")) for panel in panels}
    return ", ".join(f"{name}{'' if unit in ('', '1') else f' ({unit})'}" for name, unit in units.items())


def _is_rate(panel: xr.DataArray) -> bool:
    return str(panel.name).startswith("r_") and panel.attrs.get("units") != "1"  # that is a share of cells


def _time_label(panel: xr.DataArray) -> str:
    return f"Time ({panel.time.attrs.get('units', 'ms')})"


def stimulus_bars(rates: xr.DataArray | xr.Dataset, stimulus: Stimulus | str | None) -> list[_Bar]:
    """Return what to mark, by its onset: the parts of `stimulus`, or of the result where it is None.

    Of stimuli that differ from trial to trial these are the parts that all trials share. A selection of trials may
    share more, but does not tell which of the trials described it holds.
    """
    if stimulus is None:
        stimulus = rates.attrs.get("stimulus", "[]")
    told = (stimulus.parts,) if isinstance(stimulus, Stimulus) else read_json(stimulus)
    shared = set(told[0]).intersection(*told[1:])
    first, last = float(rates.time[0]), float(rates.time[-1])
    bars: list[_Bar] = []
    together: dict[tuple[float, float, str, str], dict[str, None]] = {}
    for part in (part for part in told[0] if part in shared):
        onset, offset = max(part.window[0], first), min(part.window[1], last)
        if onset >= offset:
            continue
        if isinstance(part, Drive):
            together.setdefault((onset, offset, part.input, part.name), {})[part.area] = None
        else:
            bars.append(_Bar(onset, offset, _perturbation_text(part), "black", False))
    for (onset, offset, to, name), areas in together.items():
        colour = BLUE if to.startswith("E1") else VERMILION if to.startswith("E2") else GREY
        text = name or f"{_counted(list(areas), 'areas')} {to.replace('_', ' ')}"
        bars.append(_Bar(onset, offset, text, colour, True))
    return sorted(bars, key=lambda bar: (bar.onset, bar.offset))


def _perturbation_text(part: Part) -> str:
    """Return "lesion of LIP", "dopamine = 0.5 in 3 areas" and the like, or its name where it has one."""
    if isinstance(part, Perturbation) and part.name:
        return part.name
    if isinstance(part, Lesion):
        pairs = [f"{source} to {target}" for target, source in part.connections]
        cut = [_counted(each, kind) for each, kind in ((part.areas, "areas"), (pairs, "connections")) if each]
        return f"lesion of {' and '.join(cut)}"
    if isinstance(part, Change):
        what = f"{part.parameter} = {part.value:g}" if part.factor is None else f"{part.parameter} x {part.factor:g}"
    elif isinstance(part, Course):
        what = f"{part.parameter} follows a course"
    else:
        raise TypeError(f"No picture tells of a {type(part).__name__}; pass `stimulus=` without it.")
    return what if part.areas is None else f"{what} in {_counted(part.areas, 'areas')}"


def _counted(names: Sequence[str], kind: str) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} {kind}"


def draw_bars(ax: Axes, bars: Sequence[_Bar]) -> int:
    """Draw the bars with their names above `ax`; return the number of rows that they take."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    start, stop = ax.get_xlim()
    letter = 0.65 * SMALL * (stop - start) / (72.0 * ax.bbox.width / figure_of(ax).dpi)  # a letter's width in ms, about
    gap = 0.01 * (stop - start)
    ground = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    free_from: list[float] = []
    for bar in bars:
        begin, end, width = bar.onset, bar.offset, letter * len(bar.text) + gap
        if bar.offset + width <= stop:
            x, side, end = bar.offset + gap, "left", bar.offset + width
        elif bar.onset - width >= start:
            x, side, begin = bar.onset - gap, "right", bar.onset - width
        else:  # no room beside it: on the bar itself
            x, side = (bar.onset + bar.offset) / 2.0, "center"
        row = next((i for i, free in enumerate(free_from) if begin >= free), len(free_from))
        free_from[row : row + 1] = [end + 2.0 * letter]
        lift = ScaledTranslation(0.0, (4.0 + _BAR_PITCH * row) / 72.0, figure_of(ax).dpi_scale_trans)
        above = blended_transform_factory(ax.transData, ax.transAxes) + lift
        ax.plot(
            [bar.onset, bar.offset],
            [1.0, 1.0],
            color=bar.colour,
            linewidth=3.0,
            solid_capstyle="butt",
            transform=above,
            clip_on=False,
            scalex=False,
            scaley=False,
        )
        ax.text(
            x,
            1.0,
            bar.text,
            color=bar.colour,
            fontsize=SMALL,
            ha=side,
            va="center_baseline",
            transform=above,
            bbox=ground if side == "center" else None,
        )
    return len(free_from)


def _draw_trace(ax: Axes, trace: xr.DataArray, name: str) -> None:
    colour = VERMILION if name == "E2" else BLUE if name == "E1" else None
    mean = _mean(trace)
    (line,) = ax.plot(mean.time.values, mean.values, color=colour, label=name)
    if trace.sizes.get("trial", 1) > 1:
        spread = trace.std("trial").values
        ax.fill_between(
            mean.time.values,
            mean.values - spread,
            mean.values + spread,
            color=line.get_color(),
            alpha=0.25,
            linewidth=0.0,
        )
