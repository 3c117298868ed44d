"""Pictures of memory and decisions: the item decoded over time, what a ping reads out, outcomes, and choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from cortexsim import analysis
from cortexsim._checks import check_known, check_same_condition
from cortexsim.analysis.decisions import smoothed
from cortexsim.analysis.memory import item_variables
from cortexsim.analysis.outcomes import MEMORY_OUTCOMES, N_BACK_OUTCOMES, groups
from cortexsim.plot.activity import draw_bars, edges, in_order, stimulus_bars
from cortexsim.plot.style import BLUE, DPI, GREY, VERMILION, axes_for, figure_of, label, styled
from cortexsim.stimulus import Stimulus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ITEMS = (BLUE, VERMILION)
# The rest of Okabe and Ito's colours: what was remembered is blue or green, what was not is red, yellow or grey.
_OUTCOMES = {
    **dict(zip(MEMORY_OUTCOMES, (BLUE, VERMILION, "#F0E442", "#BBBBBB", GREY), strict=True)),
    **dict(zip(N_BACK_OUTCOMES, (BLUE, "#009E73", "#E69F00", VERMILION, "#BBBBBB"), strict=True)),
}


def decoded_item(
    decoded: xr.Dataset, *, stimulus: Stimulus | str | None = None, ax: Sequence[Axes] | None = None
) -> Figure:
    """Draw which item is held over time: by how many areas, and in which, the lowest in the hierarchy at the bottom.

    Above, the number of areas that hold each item (mean over trials). Below, for each area, the share of trials in
    which it holds item 1 less that in which it holds item 2: blue for item 1, red for item 2.

    Parameters
    ----------
    decoded : Dataset (trial, time, area)
        What `analysis.decoded_item` returned; trials of one condition.
    stimulus
        Stimuli to mark, as in `activity`; by default those of the result.
    ax
        Two Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `decoded` is something else, trials differ in a parameter, or `ax` does not fit.
    """
    _check(decoded, ("held_in_area", "n_areas"), "analysis.decoded_item(result)")
    check_same_condition(decoded)
    held = in_order(decoded.held_in_area)
    lean = ((held == 1).mean("trial") - (held == 2).mean("trial")).transpose("area", "time")
    rows, borders = lean.sizes["area"], edges(lean.time.values)
    bars = stimulus_bars(decoded, stimulus)
    with styled():
        from matplotlib.colors import LinearSegmentedColormap

        if ax is None:
            from cortexsim.plot.figure import Figure

            figure = Figure(figsize=(5.6, 2.4 + 0.125 * rows), dpi=DPI, layout="constrained")
            heights = (1.0, max(1.0, 0.115 * rows))
            axes = list(figure.subplots(2, 1, sharex=True, height_ratios=heights))
        else:
            axes = axes_for(ax, 2, (0.0, 0.0))
        above, below = axes
        for k, colour in enumerate(_ITEMS, start=1):
            number = decoded.n_areas.sel(item=k).mean("trial")
            above.step(number.time, number, where="mid", color=colour, label=f"item {k}")
        above.set_ylim(0, rows)
        above.margins(x=0)
        above.set_ylabel("Areas that hold it")
        above.legend(loc="upper right", ncols=2, borderaxespad=0.0)
        mesh = below.pcolormesh(
            borders,
            np.arange(rows + 1) - 0.5,
            lean.values,
            cmap=LinearSegmentedColormap.from_list("items", [VERMILION, "#F4F4F4", BLUE]),
            vmin=-1,
            vmax=1,
            rasterized=True,
        )
        below.set_yticks(np.arange(rows), [str(area) for area in lean.area.values])
        below.tick_params(axis="y", length=0.0, pad=2.0)
        below.set_ylabel("Area, by hierarchy")
        below.set_xlabel(f"Time ({lean.time.attrs.get('units', 'ms')})")
        bar = figure_of(below).colorbar(mesh, ax=below, ticks=[-1, 0, 1], shrink=0.5, aspect=20, pad=0.02)
        bar.ax.set_yticklabels(["item 2", "none", "item 1"])
        bar.set_label("Held in all trials")
        draw_bars(above, bars)
        return figure_of(below)


def ping_readout(readout: xr.Dataset, by: str | None = None, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw what a ping reads out: the mean rate of both items, and in how many areas they respond.

    Parameters
    ----------
    readout : Dataset (trial, item)
        What `analysis.ping_readout` returned.
    by
        Coordinate along trial for the horizontal axis, such as "dopamine"; means over its trials are lines, trials are
        dots. By default both items stand side by side, and trials must be of one condition.
    ax
        Two Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `readout` is something else, there is no such coordinate, or `ax` does not fit.
    """
    _check(readout, ("mean_rate", "n_areas"), "analysis.ping_readout(result)")
    parts = list(groups(readout[["mean_rate", "n_areas"]], by))
    with styled():
        from matplotlib.ticker import MaxNLocator

        axes = axes_for(ax, 2, (5.6, 2.4))
        for name, one in zip(("mean_rate", "n_areas"), axes, strict=True):
            for k, colour in enumerate(_ITEMS, start=1):
                trials = readout[name].sel(item=k)
                if by is None:
                    one.plot(np.full(trials.size, k), trials, ".", color=colour, alpha=0.6)
                    one.plot([k - 0.25, k + 0.25], [trials.mean()] * 2, color=colour)
                    continue
                means = [group[name].sel(item=k).mean() for _, group in parts]
                if trials.size > len(parts):
                    one.plot(readout[by], trials, ".", color=colour, alpha=0.4, markeredgewidth=0)
                one.plot([value.item() for value, _ in parts if value is not None], means, "o-", ms=3.5, color=colour)
                one.lines[-1].set_label(f"item {k}")
            one.set_ylim(bottom=0)
            one.set_ylabel(label(readout[name]))
            one.yaxis.set_major_locator(MaxNLocator(6, integer=True))
            if by is None:
                one.set_xticks([1, 2], ["item 1", "item 2"])
                one.set_xlim(0.4, 2.6)
            else:
                one.set_xlabel(label(readout[by]))
        if by is not None:
            axes[0].legend()
        return figure_of(axes[0])


def performance(table: xr.Dataset, *, ax: Axes | None = None) -> Figure:
    """Draw how often trials end in which way, as bars of fractions on top of each other, one per condition.

    Parameters
    ----------
    table : Dataset ([condition,] outcome)
        What `analysis.performance` returned.
    ax
        Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `table` is something else, such as a table of `distractor_resistance`, or has two conditions or more, or `ax`
        does not fit.
    """
    _check(table, ("fraction", "n_all"), "analysis.performance(outcomes)")
    if "outcome" not in table.fraction.dims:
        raise ValueError(
            "Argument `table` must hold a fraction for each outcome, but holds one fraction alone, as that of "
            "`analysis.distractor_resistance`; pass what `analysis.performance(outcomes)` returns."
        )
    conditions = [str(dim) for dim in table.fraction.dims if dim != "outcome"]
    if len(conditions) > 1:
        raise ValueError(f"Argument `table` must have one condition, but has {conditions}; pick values of others.")
    fractions = (table if conditions else table.expand_dims("all")).fraction.transpose(..., "outcome")
    values = table[conditions[0]].values if conditions else np.array(["all trials"])
    numbers = values.dtype.kind in "iuf"
    names = [f"{value:g}" if numbers else str(value) for value in values]
    counts = np.broadcast_to(table.n_all.values, len(names))
    with styled():
        one = axes_for(ax, 1, (2.2 + 0.35 * len(names), 2.6))[0]
        bottom = np.zeros(len(names))
        for kind in fractions.outcome.values.tolist():
            height = np.nan_to_num(fractions.sel(outcome=kind).values)
            one.bar(names, height, 0.8, bottom, color=_OUTCOMES[kind], label=kind, edgecolor="white", linewidth=0.4)
            bottom = bottom + height
        one.set_ylim(0, 1)
        one.set_ylabel("Fraction of trials")
        few, most = counts.min(), counts.max()
        one.set_title(
            f"n = {few}" + (f" to {most}" if most > few else "") + " each" * (len(names) > 1), weight="normal"
        )
        if conditions:
            one.set_xlabel(label(table[conditions[0]]))
            if not numbers:
                one.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
        handles, labels = one.get_legend_handles_labels()
        one.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure_of(one)


def decision(
    result: xr.Dataset,
    *,
    area: str | None = None,
    threshold: float = 15.0,
    smoothing: float = 20.0,
    onset: float | None = None,
    items: tuple[str, str] | None = None,
    ax: Sequence[Axes] | None = None,
) -> Figure:
    """Draw how trials decide in one area: rates over time, and the trajectories of both rates against each other.

    Each trial is a line from the onset of the evidence to its choice, or to the end where there is none: blue where
    alternative 1 is chosen, red for 2, grey for none. Over time, the rate of the alternative that is chosen is drawn,
    for 1 upwards and for 2 downwards.

    Parameters
    ----------
    result : Dataset (trial, time, area)
        What `simulate` returned.
    area
        Its label; may be left out where there is one only.
    threshold, smoothing, onset, items
        As in `analysis.decision`.
    ax
        Two Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        As `analysis.decision`, and if the area is unknown or missing, or `ax` does not fit.
    """
    choices = analysis.decision(result, threshold=threshold, smoothing=smoothing, onset=onset, items=items)
    known = [str(name) for name in choices.area.values]
    if area is None and len(known) > 1:
        raise ValueError(f"Argument `area` must say which of the {len(known)} areas to draw; `result.area` lists them.")
    area = known[0] if area is None else check_known(area, known, what="area", where="`area`", listed="`result.area`")
    chosen = choices.sel(area=area)
    names = item_variables(result, items)
    time = result.time.values.astype(np.float64)
    start = chosen.onset.values
    rates = [
        smoothed(result[name].sel(area=[area]).transpose("trial", "time", "area").values, time[1] - time[0], smoothing)
        for name in names
    ]
    first, second = (rate[..., 0] for rate in rates)
    with styled():
        over_time, plane = axes_for(ax, 2, (6.6, 3.0))
        clear = float(np.clip(40 / chosen.sizes["trial"], 0.2, 0.8))  # many lines must not run into one
        for k in range(chosen.sizes["trial"]):
            choice, took = int(chosen.choice[k]), float(chosen.reaction_time[k])
            until = start[k] + took if choice else np.inf
            inside = np.flatnonzero((time >= start[k]) & (time <= until + (time[1] - time[0])))
            colour = (GREY, *_ITEMS)[choice]
            plane.plot(first[k, inside], second[k, inside], color=colour, alpha=clear, linewidth=0.6)
            drawn = -second[k, inside] if choice == 2 else first[k, inside]
            over_time.plot(time[inside] - start[k], drawn, color=colour, alpha=clear, linewidth=0.6)
        top = 1.15 * threshold
        for axis in (plane.axhline, plane.axvline, over_time.axhline):
            axis(threshold, color="black", linewidth=0.6, linestyle=":")
        over_time.axhline(-threshold, color="black", linewidth=0.6, linestyle=":")
        unit = result[names[0]].attrs.get("units", "Hz")
        one, two = (f"Rate of {name.partition('_')[2]} ({unit})" for name in names)
        plane.set(xlim=(0, top), ylim=(0, top), xlabel=one, ylabel=two, aspect="equal")
        over_time.set(xlabel="Time from the onset of the evidence (ms)", ylim=(-top, top))
        over_time.set_ylabel(f"Rate of the one chosen ({unit})")
        over_time.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
        if len(known) > 1:
            over_time.set_title(area)
        return figure_of(plane)


def psychometric(table: xr.Dataset, *, ax: Sequence[Axes] | None = None) -> Figure:
    """Draw the fraction of choices of alternative 1, with its interval, and the mean reaction times of both choices.

    The bars of reaction times are standard errors.

    Parameters
    ----------
    table : Dataset (evidence)
        What `analysis.psychometric` returned; one area of it, where it has several.
    ax
        Two Axes to draw on; by default a new Figure.

    Returns
    -------
    matplotlib.figure.Figure
        The Figure of the Axes.

    Raises
    ------
    TypeError, ValueError
        If `table` is something else or has several areas, or `ax` does not fit.
    """
    _check(table, ("fraction", "reaction_time"), "analysis.psychometric(decisions)")
    if table.sizes.get("area", 1) > 1:
        raise ValueError("Argument `table` must be of one area, but has several; pick one: table.sel(area=...).")
    table = table.isel(area=0) if "area" in table.dims else table
    by = str(table.fraction.dims[0])
    with styled():
        choice, times = axes_for(ax, 2, (5.6, 2.4))
        evidence, share = table[by].values, table.fraction.values
        beyond = np.clip([share - table.low.values, table.high.values - share], 0, None)
        choice.errorbar(evidence, share, beyond, fmt="o-", ms=3.5, color="black", elinewidth=0.8)
        choice.axhline(0.5, color=GREY, linewidth=0.5, linestyle=":")
        choice.set(ylim=(-0.02, 1.02), ylabel="Fraction of choices of 1", xlabel=label(table[by]))
        for k, colour in enumerate(_ITEMS, start=1):
            one = table.sel(choice=k)
            error = one.reaction_time_sd.values / np.sqrt(np.maximum(one.n.values, 1))
            mean, name = one.reaction_time.values, f"choices of {k}"
            times.errorbar(evidence, mean, error, fmt="o-", ms=3.5, color=colour, elinewidth=0.8, label=name)
        times.set(ylim=(0, None), ylabel=label(table.reaction_time), xlabel=label(table[by]))
        times.legend()
        return figure_of(choice)


def _check(values: xr.Dataset, names: Sequence[str], source: str) -> None:
    if not isinstance(values, xr.Dataset) or not set(names) <= set(values.data_vars):
        raise TypeError(f"The first argument must be what `{source}` returns, but is {type(values).__name__}.")
