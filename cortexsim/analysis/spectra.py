"""Power spectra of the rates."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.analysis.rates import area_coordinates, sampled_rates


def power_spectrum(
    result: xr.Dataset | xr.DataArray, variable: str | None = None, *, segment: float = 1000.0
) -> xr.DataArray:
    r"""Return the power spectral density of each area by Welch's method.

    One-sided, so that its integral over frequency is the variance of the rate: :math:`\int_0^{f_N} P(f) df = σ^2`.
    Hann-windowed segments that overlap by half, each less its mean, are averaged.

    Parameters
    ----------
    result : Dataset, or DataArray ([trial,] time, area)
        What `simulate` returned, or one rate of it. Cut the transient off first, by result.sel(time=slice(...)).
    variable : str
        The rate, where `result` is a Dataset.
    segment : float
        Length of a segment in ms; frequencies are multiples of 1000/segment Hz, up to half the sampling rate: 50 Hz
        with samples every 10 ms.

    Returns
    -------
    DataArray (trial, frequency, area)
        In the rate's unit squared per Hz; frequency in Hz.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must, or a segment is longer than the record.

    References
    ----------
    Welch 1967, IEEE Trans Audio Electroacoust 15:70, doi 10.1109/TAU.1967.1161901.
    """
    from scipy.signal import welch

    rates, dt = sampled_rates(result, variable)
    length = round(_checks.check_positive("segment", segment, "ms") / dt)
    if not 2 <= length <= rates.sizes["time"]:
        raise ValueError(
            f"Argument `segment` must lie between two samples and the length of the record, {2 * dt:g} and "
            f"{rates.sizes['time'] * dt:g} ms, but is {segment:g} ms."
        )
    frequency, power = welch(rates.to_numpy(), fs=1000 / dt, nperseg=length, detrend="constant", axis=1)
    unit = rates.attrs.get("units", "Hz")
    return xr.DataArray(
        np.asarray(power),
        {
            "trial": rates["trial"],
            "frequency": xr.Variable("frequency", frequency, {"units": "Hz", "long_name": "frequency"}),
            **area_coordinates(rates),
        },
        ("trial", "frequency", "area"),
        "power",
        {"units": f"{unit}^2/Hz", "long_name": "power spectral density"},
    )
