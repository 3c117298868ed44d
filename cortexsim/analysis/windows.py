"""Windows of a trial: where a baseline and a delay lie by default, and mean rates in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim._checks import check_known, check_not_negative
from cortexsim.stimulus import Drive, read_json
from cortexsim.stimulus.drives import SAME_TIME

DEFAULT_WINDOW_MS = 500.0
DEFAULT_THRESHOLD_HZ = 5.0

Window = tuple[float, float]
"""Half-open interval (start, stop) in ms."""


def recorded_names(result: xr.Dataset) -> tuple[str, ...]:
    """Return the names of all variables over time and area, in the order of the result."""
    return tuple(str(name) for name, values in result.data_vars.items() if {"time", "area"} <= set(values.dims))


def recorded_rates(result: xr.Dataset, variable: str) -> xr.DataArray:
    """Return one variable of a result over (trial, time, area).

    Raises
    ------
    TypeError, ValueError
        If `result` is no Dataset, has no such variable, or too few dimensions, times or trials.
    """
    if not isinstance(result, xr.Dataset):
        raise TypeError(
            f"Argument `result` must be the Dataset that `simulate` returns, but is {type(result).__name__}; "
            "pass the whole result, not one of its variables."
        )
    check_known(variable, recorded_names(result), what="variable", where="the result")
    rates = result[variable] if "trial" in result[variable].dims else result[variable].expand_dims("trial")
    if set(rates.dims) != {"trial", "time", "area"}:
        raise ValueError(f"Variable {variable!r} must have the dims (trial, time, area), but has {rates.dims}.")
    if rates.sizes["time"] < 2 or rates.sizes["trial"] < 1:
        raise ValueError(
            f"Variable {variable!r} must hold two times and one trial at least, but holds {dict(rates.sizes)}."
        )
    return rates.transpose("trial", "time", "area")


def rate_threshold(rates: xr.DataArray, threshold: float | None) -> float:
    """Return `threshold`, by default 5 Hz.

    Raises
    ------
    TypeError, ValueError
        If it is no number or negative, or None for a variable that is not in Hz.
    """
    if threshold is not None:
        return check_not_negative("threshold", threshold)
    units = rates.attrs.get("units", "Hz")
    if units != "Hz":
        raise ValueError(
            f"The default threshold is {DEFAULT_THRESHOLD_HZ:g} Hz, but {rates.name!r} has the unit {units!r}; pass "
            "`threshold=` in that unit."
        )
    return DEFAULT_THRESHOLD_HZ


def drives_told(result: xr.Dataset) -> tuple[tuple[Drive, ...], ...]:
    """Return the currents that a result's `attrs["stimulus"]` tells of: those for all trials, or those of each.

    Raises
    ------
    ValueError
        If the attribute is missing.
    """
    if "stimulus" not in result.attrs:
        raise ValueError(
            "The result must say in attrs['stimulus'] what stimuli it had, but does not; "
            "pass a result of `simulate`, or set it to a JSON list ('[]' if there was none)."
        )
    told = tuple(
        tuple(part for part in parts if isinstance(part, Drive)) for parts in read_json(result.attrs["stimulus"])
    )
    return told[:1] if len(set(told)) == 1 else told


def drives_by_trial(result: xr.Dataset) -> tuple[tuple[Drive, ...], ...]:
    """Return the currents of each trial of a result.

    Raises
    ------
    ValueError
        If the attribute `stimulus` is missing, or tells of another number of trials than the result holds.
    """
    told, trials = drives_told(result), result.sizes.get("trial", 1)
    if len(told) == 1:
        return told * trials
    if len(told) != trials:
        raise ValueError(
            f"The result's attrs['stimulus'] tells of {len(told)} trials with stimuli of their own, but the result "
            f"holds {trials}; read out first, and select trials from what comes out."
        )
    return told


def may_be_task(drive: Drive) -> bool:
    """Return whether a current can be part of the task: it does not inhibit, and is not the light of optogenetics."""
    return drive.amplitude >= 0 and drive.name != "light"


def baseline_window(result: xr.Dataset, baseline: Window | None = None, during_stimulus: bool = False) -> Window:
    """Return the window of the baseline in ms, by default the 500 ms before the first stimulus of any trial.

    Raises
    ------
    TypeError, ValueError
        If it is not (start, stop), leaves the run, or overlaps a current of any trial (unless `during_stimulus`); or if
        there is no stimulus to put it before.
    """
    if baseline is None:
        onsets = [drive.onset for drives in drives_told(result) for drive in drives]
        if not onsets:
            raise ValueError("Without a stimulus there is no default baseline; pass `baseline=(start, stop)` in ms.")
        baseline = (min(onsets) - DEFAULT_WINDOW_MS, min(onsets))
    return _free_window(result, "baseline", baseline, during_stimulus)


def delay_window(
    result: xr.Dataset, delay: Window | None = None, during_stimulus: bool = False, *, argument: str = "delay"
) -> Window:
    """Return the window of the delay in ms, by default the last 500 ms of the run.

    Errors call it by the name of the caller's `argument`.

    Raises
    ------
    TypeError, ValueError
        If it is not (start, stop), leaves the run, or overlaps a current of any trial (unless `during_stimulus`).
    """
    if delay is None:
        _, stop = span(result.time)
        delay = (stop - DEFAULT_WINDOW_MS, stop)
    return _free_window(result, argument, delay, during_stimulus)


def _free_window(result: xr.Dataset, name: str, window: Window, during_stimulus: bool) -> Window:
    low, high = check_window(name, window)
    check_within(result.time, name, (low, high))
    stimuli = [drive.window for drives in drives_told(result) for drive in drives]
    overlapped = [interval(stimulus) for stimulus in stimuli if stimulus[0] < high and stimulus[1] > low]
    if overlapped and not during_stimulus:
        raise ValueError(
            f"The {_called(name, (low, high))} must be free of stimuli, but overlaps the one at "
            f"{overlapped[0]}; pass another `{name}=(start, stop)` in ms, or during_stimulus=True if that is meant."
        )
    return low, high


def check_window(name: str, window: Window) -> Window:
    """Return (start, stop) as floats, or raise TypeError or ValueError naming the argument."""
    try:
        low, high = (float(edge) for edge in window)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Argument `{name}` must be (start, stop) in ms, but is {window!r}.") from error
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"Argument `{name}` must be (start, stop) in ms with start < stop, but is {window!r}.")
    return low, high


def span(time: xr.DataArray) -> Window:
    """Return (start, stop) of a record: from its first sample to one interval after its last."""
    times = time.values.astype(np.float64)
    return float(times[0]), float(times[-1] + (times[-1] - times[-2]))


def check_within(time: xr.DataArray, name: str, window: Window) -> None:
    """Raise ValueError unless the window lies within the run."""
    start, stop = span(time)
    early, late = window[0] < start - SAME_TIME, window[1] > stop + SAME_TIME
    if early or late:
        raise ValueError(
            f"The {_called(name, window)} must lie within the run, {interval((start, stop))}; "
            f"{'' if early else 'simulate longer, or '}pass `{name}=(start, stop)` in ms."
        )


def samples_in(time: xr.DataArray, name: str, window: Window) -> slice:
    """Return the slice of the samples with start <= t < stop.

    Raises
    ------
    ValueError
        If there are none, or the window leaves the run.
    """
    check_within(time, name, window)
    first, last = np.searchsorted(time.values, np.array(window) - SAME_TIME)
    if first >= last:
        raise ValueError(f"The {_called(name, window)} must hold samples, but holds none; widen it.")
    return slice(int(first), int(last))


def mean_in(rates: xr.DataArray, name: str, windows: Window | Sequence[Window]) -> xr.DataArray:
    """Return the mean over a window, (trial, area) in float64, of the samples that are not NaN; NaN where all are.

    Parameters
    ----------
    rates : DataArray (trial, time, area)
        Of a result.
    name
        Of the window, for errors.
    windows
        (start, stop) in ms, or one for each trial.

    Raises
    ------
    ValueError
        If a window holds no sample, or leaves the run.
    """
    return rates.isel(time=0, drop=True).copy(data=window_means(rates, name, windows))


def window_means(rates: xr.DataArray, name: str, windows: Window | Sequence[Window]) -> NDArray[np.float64]:
    """Return the values of `mean_in` alone, without labels."""
    trials, _, areas = rates.shape
    edges: NDArray[np.float64] = np.broadcast_to(np.asarray(windows, np.float64), (trials, 2))
    means = np.empty((trials, areas))
    for low, high in np.unique(edges, axis=0):
        inside = samples_in(rates.time, name, (float(low), float(high)))
        chosen = (edges == (low, high)).all(axis=1)
        means[chosen] = mean_of_known(rates.values[chosen, inside], axis=1)
    return means


def mean_of_known(values: NDArray[np.floating], axis: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Return the mean of the values that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    count = known.sum(axis)
    total = values.sum(axis, dtype=np.float64, where=known)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def above_baseline(
    rates: NDArray[np.float64], rest: NDArray[np.float64], areas: Sequence[str], baseline: Window
) -> NDArray[np.float64]:
    """Return rates (..., area) less their means in the baseline window; NaN where an area has no rate.

    Raises
    ------
    ValueError
        If an area has a rate, but none in the baseline to judge it by, as where it was cooled then.
    """
    unknown = (np.isnan(rest) & ~np.isnan(rates)).reshape(-1, len(areas)).any(axis=0)
    if unknown.any():
        names = [str(area) for area in np.asarray(areas)[unknown]]
        raise ValueError(
            f"Areas that are judged must have a rate in the baseline window {interval(baseline)}, but it is NaN there "
            f"throughout in {', '.join(names)}; pass another `baseline=(start, stop)` in ms, or leave them out: "
            f"result.drop_sel(area={names})."
        )
    return rates - rest


def _called(name: str, window: Window) -> str:
    """Return "baseline window 500 to 1000 ms", or without a name where the argument is just `window`."""
    return f"{'' if name == 'window' else f'{name} '}window {interval(window)}"


def interval(window: Window) -> str:
    """Return "1000 to 1400 ms"."""
    return f"{window[0]:g} ms on" if math.isinf(window[1]) else f"{window[0]:g} to {window[1]:g} ms"
