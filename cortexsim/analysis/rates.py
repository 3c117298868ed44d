"""The rates that an analysis reads: one variable of a result, evenly sampled and finite."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cortexsim import _checks


def sampled_rates(result: xr.Dataset | xr.DataArray, variable: str | None = None) -> tuple[xr.DataArray, float]:
    """Return rates (trial, time, area) in float64, and their sampling interval in ms.

    Parameters
    ----------
    result
        What `simulate` returned, with `variable` the name of the rate; or the rate itself, such as result.r_E1, over
        ([trial,] time, area).

    Raises
    ------
    TypeError, ValueError
        If the variable is missing or superfluous, a dimension or label is missing, or the samples are not even or not
        finite.
    """
    if isinstance(result, xr.Dataset):
        names = [str(name) for name, values in result.data_vars.items() if {"time", "area"} <= set(values.dims)]
        if variable is None:
            raise TypeError(f"Argument `variable` must say which rate of the result: {', '.join(names)}.")
        result = result[_checks.check_known(variable, names, what="variable", where="the result")]
    elif variable is not None:
        raise TypeError(f"Argument `variable` goes with a Dataset, but `result` is a {type(result).__name__}.")
    if not isinstance(result, xr.DataArray):
        raise TypeError(f"Argument `result` must be a Dataset or a DataArray, but is a {type(result).__name__}.")
    if set(result.dims) - {"trial"} != {"time", "area"} or not {"time", "area"} <= set(result.coords):
        raise ValueError(f"Rates must have the labelled dimensions ([trial,] time, area), but have {result.dims}.")
    if "trial" not in result.dims:
        result = result.drop_vars("trial", errors="ignore").expand_dims(trial=[0])
    rates = result.transpose("trial", "time", "area").astype(np.float64)
    time = rates["time"].to_numpy().astype(np.float64)
    steps = np.diff(time)
    if steps.size == 0 or steps[0] <= 0 or np.abs(steps - steps[0]).max() > 1e-6 * steps[0]:
        raise ValueError("Rates must be sampled evenly in time, at two times at least.")
    if not np.isfinite(rates.to_numpy()).all():
        raise ValueError("Rates must be finite, but hold NaN or infinite values.")
    return rates, float((time[-1] - time[0]) / (time.size - 1))


def area_coordinates(rates: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the area labels and all maps along them, for a result over areas."""
    return {str(name): c for name, c in rates.coords.items() if c.dims == ("area",)}
