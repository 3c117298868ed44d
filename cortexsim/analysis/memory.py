"""Which item is held: in each area and by the whole cortex, at the end of a trial, over time, and after a ping.

An area holds an item if the mean rate of the population selective for it exceeds its baseline by more than a threshold
(5 Hz), and does so by more than that of the other population. The cortex holds the item that more areas hold than the
other, in `n_min` areas at least. Items are numbered 1 and 2; 0 is none. Lesioned areas, whose rates are NaN, hold none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from cortexsim._checks import check_count, check_known, check_same_condition
from cortexsim.analysis.windows import (
    Window,
    baseline_window,
    check_window,
    delay_window,
    drives_told,
    mean_in,
    rate_threshold,
    recorded_names,
    recorded_rates,
    samples_in,
    span,
)
from cortexsim.stimulus import Drive

FRONTOPARIETAL = ("8m", "8l", "7A", "46d", "9/46v", "9/46d", "F5", "LIP", "45A", "F2", "F7", "24c")
"""The well-studied areas in which experiments report delay activity (Froudist-Walsh et al. 2021, Fig. 3)."""

AFTER_PING_MS = 200.0

# What circuits call the rates of their two selective populations, and else their gating.
_ITEMS = (("r_E1", "r_E2"), ("r_A", "r_B"), ("r_1", "r_2"), ("S_A", "S_B"), ("S_1", "S_2"))


@dataclass(frozen=True, eq=False)
class Items:
    """The rates of both items and how they are judged; what all read-outs of this kind begin with.

    Attributes
    ----------
    names : tuple of str
        Variables of items 1 and 2.
    rates : tuple of DataArray (trial, time, area)
        Of items 1 and 2.
    rest : tuple of DataArray (trial, area)
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
    rest: tuple[xr.DataArray, xr.DataArray]
    baseline: Window
    threshold: float
    n_min: int

    def held_in(self, name: str, windows: Window | Sequence[Window]) -> xr.Dataset:
        """Return what is held on average over a window (ms), the same for all trials or one for each."""
        above = [mean_in(rate, name, windows) - rest for rate, rest in zip(self.rates, self.rest, strict=True)]
        return self._holding(above)

    def held_over_time(self, window: Window | None = None) -> xr.Dataset:
        """Return what is held at each sample, or at each in a window (ms)."""
        time = self.rates[0].time
        inside = slice(None) if window is None else samples_in(time, "window", window)
        above = [rate.isel(time=inside) - rest for rate, rest in zip(self.rates, self.rest, strict=True)]
        return self._holding(above)

    def _holding(self, above: Sequence[xr.DataArray]) -> xr.Dataset:
        """Return what is held where the rates exceed their baseline by `above` (trial, ..., area)."""
        one, two = (elevation.values for elevation in above)
        held = np.where((one > two) & (one > self.threshold), 1, 2 * ((two > one) & (two > self.threshold)))
        in_area = above[0].copy(data=held.astype(np.int8)).rename("held_in_area")
        in_area.attrs = {"units": "1", "long_name": "item held by the area: 1, 2, or 0 for none"}
        return in_most_areas([in_area == 1, in_area == 2], self.names, self.n_min).assign(held_in_area=in_area)

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
    rest = mean_in(first, "baseline", baseline), mean_in(second, "baseline", baseline)
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
            raise ValueError(
                f"The result must hold two selective populations, such as r_E1 and r_E2, but holds {', '.join(known)}; "
                "pass `items=(first, second)`."
            )
    if isinstance(items, str) or len(items) != 2 or items[0] == items[1]:
        raise ValueError(f"Argument `items` must be two different variables of the result, but is {items!r}.")
    first, second = (check_known(name, known, what="variable", where="`items`") for name in items)
    return first, second


def item_of(drive: Drive, names: tuple[str, str]) -> int:
    """Return 1 or 2 if a current goes into the population of that item, else 0.

    The population of `r_E1` is E1, and so that of the inputs E1 and E1_dendrite; that of `r_A` is A, of `r_1` E1.
    """
    population = drive.input.partition("_")[0]
    labels = [name.partition("_")[2] for name in names]
    return next((k for k, label in enumerate(labels, start=1) if population in (label, f"E{label}")), 0)


def in_most_areas(
    areas: Sequence[xr.DataArray], names: tuple[str, str], n_min: int, what: str = "held by the cortex"
) -> xr.Dataset:
    """Return how many areas have each item, and the item that more areas have than the other, in `n_min` at least.

    Parameters
    ----------
    areas : two DataArray (..., area)
        Which areas have item 1, and which item 2; bool.
    names, n_min
        As in `Items`.
    what
        "held by the cortex" or the like, for the long name.

    Returns
    -------
    Dataset
        `n_areas` (..., item) and `held` (...): 1, 2, or 0.
    """
    counts = [area.sum("area") for area in areas]
    one, two = (count.values for count in counts)
    held = np.where((one > two) & (one >= n_min), 1, 2 * ((two > one) & (two >= n_min)))
    winner = counts[0].copy(data=held.astype(np.int8))
    winner.attrs = {"units": "1", "long_name": f"item {what}: 1, 2, or 0 for none"}
    n_areas = by_item(counts, names).assign_attrs(units="1", long_name="number of areas by item")
    return xr.Dataset({"n_areas": n_areas, "held": winner})


def by_item(values: Sequence[xr.DataArray], names: tuple[str, str]) -> xr.DataArray:
    """Return both along the last dimension `item`, 1 and 2, with the coordinate `population`, "E1" and "E2" say."""
    both = xr.concat(list(values), "item", coords="minimal", compat="override").transpose(..., "item")
    labels = [name.partition("_")[2] for name in names]
    index: dict[str, Any] = {"item": ("item", [1, 2], {"long_name": "item"}), "population": ("item", labels)}
    return both.drop_attrs(deep=False).assign_coords(index)


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
    other item. The cortex holds the item that more areas hold than the other, in `n_min` areas at least.

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
        If the result has no items, a window is empty, leaves the run or overlaps a stimulus, or an argument does not
        hold what it must.

    References
    ----------
    Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024 (the criterion of 5 Hz).

    See Also
    --------
    decoded_item : over time. cortexsim.validate.persistence : one item, compared with experiments.
    """
    read = read_items(result, items, baseline, threshold, n_min, during_stimulus)
    window = delay_window(result, window, during_stimulus)
    return read.held_in("delay", window).assign_attrs(result.attrs | read.criterion(window=window))


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
    difference = (first - second).mean("area", dtype=np.float64)
    difference.attrs = {
        "units": first.attrs.get("units", "Hz"),
        "long_name": "rate of item 1 less that of item 2, mean over areas",
    }
    decoded = read.held_over_time().assign(difference=difference)
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
        `held_in_area` (trial, area) and `held` (trial), what is held at the last sample; `since_in_area` (trial, area)
        and `since` (trial) in ms, NaN where nothing is held then.

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
    window = check_window("window", window)
    decoded = read.held_over_time(window)
    found = {}
    for name, since, whose in (("held_in_area", "since_in_area", "by the area"), ("held", "since", "by the cortex")):
        held = decoded[name]
        values, last = held.values, held.isel(time=-1, drop=True)
        same = np.flip(np.flip(values == last.values[:, np.newaxis], axis=1).cumprod(axis=1), axis=1).astype(bool)
        times = held.time.values[same.argmax(axis=1)]
        found[name] = last
        found[since] = last.copy(data=np.where(last.values > 0, times, np.nan)).assign_attrs(
            units="ms", long_name=f"time since which the item is held {whose}"
        )
    return xr.Dataset(found, attrs=result.attrs | read.criterion(window=window))


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
    chosen = result.sel(area=list(areas))
    one, two = (recorded_rates(chosen, name) for name in names)
    inside = [rates.isel(time=samples_in(rates.time, "window", window)) for rates in (one, two)]
    level = rate_threshold(one, threshold)
    unit = one.attrs.get("units", "Hz")
    mean = by_item([rates.mean(("time", "area"), dtype=np.float64) for rates in inside], names)
    peaks = [rates.max("time", skipna=False) for rates in inside]
    read_out = in_most_areas([p > level for p in peaks], names, check_count("n_min", n_min), "that the ping reads out")
    return read_out.assign(
        mean_rate=mean.assign_attrs(units=unit, long_name="mean rate in the window of the ping"),
        peak_rate=by_item(peaks, names).assign_attrs(units=unit, long_name="peak rate in the window of the ping"),
    ).assign_attrs(result.attrs | {"ping_window_ms": json.dumps(window), "ping_threshold": level})


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
