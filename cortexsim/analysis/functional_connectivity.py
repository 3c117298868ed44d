"""Functional connectivity: how the rates of areas vary together."""

from __future__ import annotations

import numpy as np
import xarray as xr

from cortexsim.analysis.rates import area_coordinates, sampled_rates


def functional_connectivity(result: xr.Dataset | xr.DataArray, variable: str | None = None) -> xr.DataArray:
    r"""Return Pearson's correlation of each pair of areas over time.

    :math:`c_{ij} = \langle (r_i - \bar r_i)(r_j - \bar r_j) \rangle / (σ_i σ_j)`, in each trial.

    Parameters
    ----------
    result : Dataset, or DataArray ([trial,] time, area)
        What `simulate` returned, one rate of it, or BOLD. Cut the transient off first, by result.sel(time=slice(...)).
    variable : str
        The rate, where `result` is a Dataset.

    Returns
    -------
    DataArray (trial, area, other_area)
        Symmetric, 1 on the diagonal; NaN for an area that is constant. The maps stay along `area`.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must.
    """
    rates, _ = sampled_rates(result, variable)
    values = rates.to_numpy()
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    length[np.ptp(values, axis=1, keepdims=True) == 0] = np.nan
    unit = centred / length
    correlation = np.clip(np.einsum("kta,ktb->kab", unit, unit), -1, 1)
    areas = rates["area"].to_numpy()
    return xr.DataArray(
        correlation,
        {"trial": rates["trial"], **area_coordinates(rates), "other_area": areas},
        ("trial", "area", "other_area"),
        "functional_connectivity",
        {"units": "1", "long_name": "Pearson correlation"},
    )
