"""Which item is held: in each area and by the whole cortex, at the end of a trial, over time, and after a ping.

An area holds an item if the mean rate of the population selective for it exceeds its baseline by more than a threshold
(5 Hz), and does so by more than that of the other population. The cortex holds the item that more areas hold than the
other, in `n_min` areas at least. Items are numbered 1 and 2; 0 is none.

The rates of a lesioned area are NaN. It holds no item while it has no rate; a window that is partly NaN is judged by
its other samples. An area that has a rate where it is judged, but none in the whole baseline window, cannot be judged:
that raises.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim._checks import check_count, check_known, check_same_condition
from cortexsim.analysis.windows import (
    Window,
    above_baseline,
    baseline_window,
    check_window,
    delay_window,
    drives_told,
    may_be_task,
    mean_of_known,
    rate_threshold,
    recorded_names,
    recorded_rates,
    samples_in,
    span,
    window_means,
)
from cortexsim.stimulus import Drive

Floats = NDArray[np.float64]
Integers = NDArray[np.int8]

FRONTOPARIETAL = ("8m", "8l", "7A", "46d", "9/46v", "9/46d", "F5", "LIP", "45A", "F2", "F7", "24c")
"""The well-studied areas in which experiments report delay activity (Froudist-Walsh et al. 2021, Fig. 3)."""

AFTER_PING_MS = 200.0

# What circuits call the rates of their two selective populations, and else their gating.
_ITEMS = (("r_E1", "r_E2"), ("r_A", "r_B"), ("r_1", "r_2"), ("S_A", "S_B"), ("S_1", "S_2"))


class Holding(NamedTuple):
    """What is held: plain arrays, which `Items.labelled` makes a Dataset of.

    Attributes
    ----------
    in_area : array (trial, [time,] area)
        Item held by each area: 1, 2, or 0 for none.
    n_areas : array (trial, [time,] item)
        How many areas hold each.
    held : array (trial, [time])
        Item held by the cortex.
    """

    in_area: Integers
    n_areas: Integers
    held: Integers


@dataclass(frozen=True, eq=False)
class Items:
    """The rates of both items and how they are judged; what all read-outs of this kind begin with.

    Attributes
    ----------
    names : tuple of str
        Variables of items 1 and 2.
    rates : tuple of DataArray (trial, time, area)
        Of items 1 and 2.
    rest : tuple of array (trial, area)
        Their means in the baseline window.
    baseline : tuple of float
        That window, in ms.
    threshold : float
        In the unit of the rates.
    n_min : int
        Number of areas from which on the cortex holds an item.
    """

    names: tuple[str, str]
    rates: tuple[xr.DataArray, xr.DataArray]
    rest: tuple[Floats, Floats]
    baseline: Window
    threshold: float
    n_min: int

    def held_in(self, name: str, windows: Window | Sequence[Window]) -> Holding:
        """Return what is held on average over a window (ms), the same for all trials or one for each."""
        return self._holding(*(window_means(rate, name, windows) for rate in self.rates))

    def held_over_time(self, samples: slice) -> Holding:
        """Return what is held at each of the samples."""
        return self._holding(*(rate.values[:, samples] for rate in self.rates))

    def _holding(self, first: Floats, second: Floats) -> Holding:
        """Return what is held at the rates (trial, [time,] area) of items 1 and 2."""
        areas = self.rates[0].area.values
        rest = self.rest if first.ndim == 2 else [r[:, np.newaxis] for r in self.rest]
        one, two = (above_baseline(*pair, areas, self.baseline) for pair in zip((first, second), rest, strict=True))
        held = larger(one, two, self.threshold)
        n_areas = np.stack([(held == 1).sum(-1), (held == 2).sum(-1)], axis=-1)
        return Holding(held, n_areas, larger(n_areas[..., 0], n_areas[..., 1], self.n_min - 1))

    def labelled(self, holding: Holding, samples: slice | None = None) -> xr.Dataset:
        """Return `held_in_area`, `n_areas` and `held` with the coordinates of the rates, at `samples` if over time."""
        like = self.rates[0].isel(time=0, drop=True) if samples is None else self.rates[0].isel(time=samples)
        over = like.dims[:-1]
        tell = "1, 2, or 0 for none"
        return xr.Dataset(
            {
                "held_in_area": (like.dims, holding.in_area, described(f"item held by the area: {tell}")),
                "n_areas": ((*over, "item"), holding.n_areas, described("number of areas that hold the item")),
                "held": (over, holding.held, described(f"item held by the cortex: {tell}")),
            },
            {**like.coords, **item_coordinates(self.names)},
        )

    def criterion(self, **windows: Window) -> dict[str, str | float]:
        """Return the attributes that tell how it was judged; windows in ms."""
        told: dict[str, str | float] = {
            "memory_items": json.dumps(self.names),
            "memory_threshold": self.threshold,
            "memory_n_min": self.n_min,
            "memory_baseline_window_ms": json.dumps(self.baseline),
        }
        return told | {f"memory_{name}_ms": json.dumps(window) for name, window in windows.items()}


def read_items(
    result: xr.Dataset,
    items: tuple[str, str] | None,
    baseline: Window | None,
    threshold: float | None,
    n_min: int,
    during_stimulus: bool,
) -> Items:
    """Return the rates of both items with their baseline; arguments as in `held_item`."""
    names = item_variables(result, items)
    first, second = (recorded_rates(result, name) for name in names)
    baseline = baseline_window(result, baseline, during_stimulus)
    rest = window_means(first, "baseline", baseline), window_means(second, "baseline", baseline)
    level = rate_threshold(first, threshold)
    return Items(names, (first, second), rest, baseline, level, check_count("n_min", n_min))


def item_variables(result: xr.Dataset, items: tuple[str, str] | None = None) -> tuple[str, str]:
    """Return the names of the two variables that are the items.

    Parameters
    ----------
    result
        What `simulate` returned.
    items
        The names; by default the first of (r_E1, r_E2), (r_A, r_B), (r_1, r_2), (S_A, S_B), (S_1, S_2) that the result
        holds.

    Raises
    ------
    TypeError, ValueError
        If `result` is no Dataset, a variable is unknown, or there is no default.
    """
    if not isinstance(result, xr.Dataset):
        raise TypeError(
            f"Argument `result` must be the Dataset that `simulate` returns, but is {type(result).__name__}; "
            "pass the whole result, not one of its variables."
        )
    known = recorded_names(result)
    if items is None:
        items = next((pair for pair in _ITEMS if set(pair) <= set(known)), None)
        if items is None:
            half = next((pair for pair in _ITEMS if set(pair) & set(known)), None)
            out = f"simulate with record={list(half)}" if half else "pass `items=(first, second)`"
            raise ValueError(
                f"The result must hold two selective populations, such as r_E1 and r_E2, but holds {', '.join(known)}; "
                f"{out}."
            )
    if isinstance(items, str) or len(items) != 2 or items[0] == items[1]:
        raise ValueError(f"Argument `items` must be two different variables of the result, but is {items!r}.")
    first, second = (check_known(name, known, what="variable", where="`items`") for name in items)
    return first, second


def item_of(drive: Drive, names: tuple[str, str]) -> int:
    """Return 1 or 2 if a current shows that item: it may be part of the task and goes into its population; else 0.

    The population of `r_E1` is E1, and so that of the inputs E1 and E1_dendrite; that of `r_A` is A, of `r_1` E1.
    """
    if not may_be_task(drive):
        return 0
    population = drive.input.partition("_")[0]
    labels = [name.partition("_")[2] for name in names]
    return next((k for k, label in enumerate(labels, start=1) if population in (label, f"E{label}")), 0)


def larger(one: NDArray[Any], two: NDArray[Any], threshold: float) -> Integers:
    """Return 1 or 2, whichever is the larger and above the threshold; 0 where they are alike, too small or NaN."""
    return np.where((one > two) & (one > threshold), 1, np.where((two > one) & (two > threshold), 2, 0)).astype(np.int8)


def item_coordinates(names: tuple[str, str]) -> dict[str, Any]:
    """Return the coordinates `item`, 1 and 2, and `population`, "E1" and "E2" say."""
    labels = [name.partition("_")[2] for name in names]
    return {"item": ("item", [1, 2], {"long_name": "item"}), "population": ("item", labels)}


def trial_coordinates(rates: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the coordinates along trial, and those without a dimension."""
    return {str(name): c for name, c in rates.coords.items() if set(c.dims) <= {"trial"}}


def described(long_name: str, units: str = "1") -> dict[str, str]:
    """Return the attributes of a variable."""
    return {"units": units, "long_name": long_name}


def held_item(
    result: xr.Dataset,
    window: Window | None = None,
    *,
    baseline: Window | None = None,
    items: tuple[str, str] | None = None,
    threshold: float | None = None,
    n_min: int = 1,
    during_stimulus: bool = False,
) -> xr.Dataset:
    """Return which item is held in a window, per trial, in each area and by the whole cortex.

    An area holds item k if mean(r_k in the window) - mean(r_k in the baseline) exceeds `threshold` and that of the
    other item. The cortex holds the item that more areas hold than the other, in `n_min` areas at least. Means leave
    out the times at which an area is lesioned; one that is so throughout the window holds nothing.

    Parameters
    ----------
    result : Dataset (trial, time, area)
        What `simulate` returned. Trials may differ in parameters and stimuli.
    window : (float, float)
        (start, stop) in ms, half-open, such as ``schedule.window("delay")``; by default the last 500 ms of the run.
    baseline : (float, float)
        The same; by default the 500 ms before the first stimulus of any trial.
    items : (str, str)
        Variables that are items 1 and 2; by default r_E1 and r_E2, r_A and r_B, r_1 and r_2, or the gating of these,
        whichever the result holds.
    threshold : float
        In the unit of these variables. By default 5 Hz; a variable in another unit has no default.
    n_min : int
        See above.
    during_stimulus : bool
        Whether the windows may overlap a current, as with a lasting inactivation.

    Returns
    -------
    Dataset
        `held_in_area` (trial, area) and `held` (trial): 1, 2, or 0 for none; `n_areas` (trial, item), the number of
        areas that hold each. Coordinates and attrs of the result are kept; the criterion joins the attrs.

    Raises
    ------
    TypeError, ValueError
        If the result has no items, a window is empty, leaves the run or overlaps a stimulus, an area that has a rate
        has none in the baseline window, or an argument does not hold what it must.

    References
    ----------
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024 (the criterion of 5 Hz).

    See Also
    --------
    decoded_item : over time. cortexsim.validate.persistence : one item, compared with experiments.
    """
    read = read_items(result, items, baseline, threshold, n_min, during_stimulus)
    window = delay_window(result, window, during_stimulus, argument="window")
    held = read.labelled(read.held_in("window", window))
    return held.assign_attrs(result.attrs | read.criterion(window=window))


def memory_areas(
    result: xr.Dataset,
    window: Window | None = None,
    *,
    baseline: Window | None = None,
    items: tuple[str, str] | None = None,
    threshold: float | None = None,
    during_stimulus: bool = False,
) -> xr.DataArray:
    """Return the share of trials in which each area holds each item.

    Parameters
    ----------
    result, window, baseline, items, threshold, during_stimulus
        As in `held_item`, but trials must be of one condition.

    Returns
    -------
    DataArray (item, area)
        0 ... 1. The areas that hold item 1 in most trials: ``shares.area[shares.sel(item=1) > 0.5]``.

    Raises
    ------
    TypeError, ValueError
        As `held_item`, and if trials differ in a parameter.
    """
    held = held_item(
        result, window, baseline=baseline, items=items, threshold=threshold, during_stimulus=during_stimulus
    )
    check_same_condition(held, otherwise="held_item(result).held_in_area, which tells each trial apart")
    shares: xr.DataArray = (held.held_in_area == held["item"]).mean("trial").transpose("item", "area")
    shares.attrs = {"units": "1", "long_name": "share of trials in which the area holds the item"}
    return shares.rename("share")


def decoded_item(
    result: xr.Dataset,
    *,
    baseline: Window | None = None,
    items: tuple[str, str] | None = None,
    threshold: float | None = None,
    n_min: int = 1,
    during_stimulus: bool = False,
) -> xr.Dataset:
    """Return which item is held at each time, by the criterion of `held_item` applied to every sample.

    Parameters
    ----------
    result, baseline, items, threshold, n_min, during_stimulus
        As in `held_item`.

    Returns
    -------
    Dataset
        `held_in_area` (trial, time, area), `n_areas` (trial, time, item), `held` (trial, time), and `difference`
        (trial, time), the rate of item 1 less that of item 2, mean over the areas that have one [unit of the rates].

    Raises
    ------
    TypeError, ValueError
        As `held_item`.
    """
    read = read_items(result, items, baseline, threshold, n_min, during_stimulus)
    first, second = read.rates
    unit = first.attrs.get("units", "Hz")
    difference = (first.drop_vars(first.coords) - second.drop_vars(second.coords)).mean("area", dtype=np.float64)
    difference.attrs = described("rate of item 1 less that of item 2, mean over areas", unit)
    whole = slice(None)
    decoded = read.labelled(read.held_over_time(whole), whole).assign(difference=difference)
    return decoded.assign_attrs(result.attrs | read.criterion())


def held_since(
    result: xr.Dataset,
    window: Window | None = None,
    *,
    baseline: Window | None = None,
    items: tuple[str, str] | None = None,
    threshold: float | None = None,
    n_min: int = 1,
    during_stimulus: bool = False,
) -> xr.Dataset:
    """Return since when each area, and the cortex, has held what it holds at the end of a window.

    That is the first sample from which on the same item is held at every sample until the end.

    Parameters
    ----------
    result, baseline, items, threshold, n_min, during_stimulus
        As in `held_item`.
    window : (float, float)
        (start, stop) in ms; by default from the first stimulus of any trial to the end of the run.

    Returns
    -------
    Dataset
        `held_in_area`, `n_areas` and `held` as in `held_item`, at the last sample; `since_in_area` (trial, area) and
        `since` (trial) in ms, NaN where nothing is held then.

    Raises
    ------
    TypeError, ValueError
        As `held_item`.
    """
    read = read_items(result, items, baseline, threshold, n_min, during_stimulus)
    if window is None:
        onsets = [drive.onset for drives in drives_told(result) for drive in drives]
        start, stop = span(result.time)
        window = (max(start, min(onsets, default=start)), stop)
    samples = samples_in(result.time, "window", check_window("window", window))
    times = result.time.values[samples]
    course = read.held_over_time(samples)
    since = []
    for held in (course.in_area, course.held):
        kept = np.flip(np.logical_and.accumulate(np.flip(held == held[:, -1:], axis=1), axis=1), axis=1)
        since.append(np.where(held[:, -1] > 0, times[kept.argmax(axis=1)], np.nan))
    end = read.labelled(Holding(course.in_area[:, -1], course.n_areas[:, -1], course.held[:, -1]))
    return end.assign(
        since_in_area=(("trial", "area"), since[0], described("time since which the area holds the item", "ms")),
        since=("trial", since[1], described("time since which the cortex holds the item", "ms")),
    ).assign_attrs(result.attrs | read.criterion(window=window))


def ping_readout(
    result: xr.Dataset,
    window: Window | None = None,
    *,
    areas: Sequence[str] = FRONTOPARIETAL,
    items: tuple[str, str] | None = None,
    threshold: float | None = None,
    n_min: int = 1,
) -> xr.Dataset:
    """Return what a neutral ping brings back: mean and peak rates of both items while it acts and shortly after.

    The ping reads out the item to which more areas respond than to the other, in `n_min` areas at least. An area
    responds if its peak rate in the window exceeds `threshold` (no baseline is taken off).

    Parameters
    ----------
    result : Dataset (trial, time, area)
        What `simulate` returned.
    window : (float, float)
        (start, stop) in ms; by default from the onset of the current named "ping" to 200 ms after its end.
    areas : sequence of str
        Areas to read from, by default the 12 frontoparietal ones of the paper.
    items, threshold, n_min
        As in `held_item`.

    Returns
    -------
    Dataset
        `mean_rate` (trial, item), over window and areas, and `peak_rate` (trial, area, item) [unit of the rates];
        `n_areas` (trial, item), the number of areas that respond; `held` (trial), the item read out, 1, 2 or 0.

    Raises
    ------
    TypeError, ValueError
        As `held_item`; if the result tells of no ping, or of different times of it, or lacks one of the areas.

    References
    ----------
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024 (Fig. 4).
    """
    names = item_variables(result, items)
    known = [str(area) for area in result.area.values]
    for area in areas:
        check_known(area, known, what="area", where="`areas`", listed="`result.area`")
    window = _ping_window(result) if window is None else check_window("window", window)
    columns = [known.index(area) for area in areas]
    rates = [recorded_rates(result, name) for name in names]
    level, n_min = rate_threshold(rates[0], threshold), check_count("n_min", n_min)
    samples = samples_in(result.time, "window", window)
    inside = [rate.values[:, samples, columns] for rate in rates]
    mean_rate = np.stack([mean_of_known(values, axis=(1, 2)) for values in inside], axis=-1)
    peak_rate = np.stack([np.fmax.reduce(values, axis=1) for values in inside], axis=-1)
    n_areas = (peak_rate > level).sum(axis=1)
    unit = rates[0].attrs.get("units", "Hz")
    return xr.Dataset(
        {
            "mean_rate": (("trial", "item"), mean_rate, described("mean rate at the ping", unit)),
            "peak_rate": (("trial", "area", "item"), peak_rate, described("peak rate at the ping", unit)),
            "n_areas": (("trial", "item"), n_areas, described("areas that respond")),
            "held": (
                "trial",
                larger(n_areas[:, 0], n_areas[:, 1], n_min - 1),
                described("item that the ping reads out: 1, 2, or 0 for none"),
            ),
        },
        {**trial_coordinates(rates[0]), "area": list(areas), **item_coordinates(names)},
        result.attrs | {"ping_window_ms": json.dumps(window), "ping_threshold": level},
    )


def _ping_window(result: xr.Dataset) -> Window:
    pings = [[d.window for d in drives if d.name == "ping"] for drives in drives_told(result)]
    windows = {(min(start for start, _ in p), max(stop for _, stop in p)) if p else None for p in pings}
    window = windows.pop()
    if window is None or windows:
        raise ValueError(
            "Each trial must have a current named 'ping', at the same time in all, but has not; simulate "
            "`protocols.delayed_ping(...)`, or pass `window=(start, stop)` in ms."
        )
    return window[0], window[1] + AFTER_PING_MS
