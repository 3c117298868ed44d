"""Ignition: when each area takes up a memory, and whether that follows the hierarchy."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.analysis.rates import area_coordinates, sampled_rates
from cortexsim.analysis.windows import may_be_task, mean_of_known, recorded_names
from cortexsim.stimulus import Drive, read_json

Floats = NDArray[np.float64]


def ignition(
    result: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    onset: float | None = None,
    level: float | None = None,
    active: float = 5.0,
    window: float = 100.0,
    along: str = "hierarchy",
) -> xr.Dataset:
    """Return how long after the cue each area ignites, and the rank correlation of these latencies with the hierarchy.

    An area ignites if its rate at the end is above `active`. Its latency is the time from the onset until the rate
    first reaches the level, between samples by interpolation; 0 where it stood above at the onset. A lesioned area,
    whose rate is NaN, does not ignite.

    Parameters
    ----------
    result : Dataset, or DataArray ([trial,] time, area)
        What `simulate` returned, or one rate of it.
    variable : str
        The rate, where `result` is a Dataset; may be left out where it holds one only.
    onset : float
        Of the cue, in ms; by default that of the first current in the result's provenance that is not negative nor
        named "light", as optogenetics are.
    level : float
        In the unit of the rate; by default half of the area's rate at the end.
    active : float
        In the unit of the rate.
    window : float
        Length of the end, over which its rate is averaged, in ms.
    along : str
        Coordinate along `area` to correlate with.

    Returns
    -------
    Dataset (trial, area)
        `latency` [ms], NaN where the area does not ignite, never reaches the level, or reaches it unseen, at the end of
        a lesion; `end`, the rate at the end, NaN where the area is lesioned throughout it; by
        trial: `ignited`, how many areas have a latency, `rank_correlation` (Spearman's) of latency and map over them,
        and its two-sided `p_value`, both NaN for fewer than three areas or where either is the same in all.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must, no onset is known, or it lies outside of the record.
    """
    rates, dt = _rates(result, variable)
    if along not in rates.coords or rates[along].dims != ("area",):
        raise ValueError(
            f"Latencies are ranked along the coordinate {along!r} over areas, but the result has none; simulate a "
            f"Model with `gradients`, or add it: result.assign_coords({along}=('area', [...]))."
        )
    if onset is None:
        told = [part for parts in read_json(result.attrs.get("stimulus", "[]")) for part in parts]
        onset = min((part.onset for part in told if isinstance(part, Drive) and may_be_task(part)), default=None)
        if onset is None:
            raise ValueError("The result tells of no current that could be the cue; pass `onset` in ms.")
    onset = _checks.check_finite("onset", onset, "ms")
    level = None if level is None else _checks.check_positive("level", level)
    active = _checks.check_finite("active", active)
    window = _checks.check_positive("window", window, "ms")
    time = rates["time"].to_numpy().astype(np.float64)
    after = time >= onset - 1e-6 * dt
    if not after.any() or onset < time[0] - 1e-6 * dt:
        raise ValueError(f"The onset, {onset:g} ms, must lie in the record, {time[0]:g} to {time[-1]:g} ms.")
    values, since = rates.to_numpy()[:, after], time[after] - onset
    end = mean_of_known(values[:, since > since[-1] - window], axis=1)
    latency = _first_crossing(since, values, end / 2 if level is None else np.full(end.shape, level))
    latency[~(end > active)] = np.nan
    ranks = np.array([_rank_correlation(row, rates[along].to_numpy().astype(np.float64)) for row in latency])
    unit = rates.attrs.get("units", "Hz")
    what = "half of the rate at the end" if level is None else f"{level:g} {unit}"
    labels = {str(n): c for n, c in rates.coords.items() if c.dims == ("trial",)}
    return xr.Dataset(
        {
            "latency": (
                ("trial", "area"),
                latency,
                {"units": "ms", "long_name": f"time from the onset to {what}"},
            ),
            "end": (("trial", "area"), end, {"units": unit, "long_name": "rate at the end"}),
            "ignited": (
                "trial",
                np.isfinite(latency).sum(axis=1),
                {"units": "areas", "long_name": "areas that ignite"},
            ),
            "rank_correlation": (
                "trial",
                ranks[:, 0],
                {"units": "1", "long_name": f"rank correlation of latency and {along}"},
            ),
            "p_value": ("trial", ranks[:, 1], {"units": "1", "long_name": "p-value of the rank correlation"}),
        },
        {**labels, **area_coordinates(rates)},
        {"onset_ms": onset, "along": along},
    )


def _rates(result: xr.Dataset | xr.DataArray, variable: str | None) -> tuple[xr.DataArray, float]:
    """Return what `sampled_rates` does, by default of the only variable; the rates may be NaN, as of lesioned areas."""
    if isinstance(result, xr.Dataset):
        names = recorded_names(result)
        variable = names[0] if variable is None and len(names) == 1 else variable
        if variable in names:
            result, variable = result[variable], None
    if not isinstance(result, xr.DataArray):
        return sampled_rates(result, variable)  # which says what is wrong
    rates, dt = sampled_rates(result.fillna(0.0), variable)
    lesioned = result.isnull().transpose(..., "time", "area").to_numpy()
    return rates.copy(data=np.where(lesioned, np.nan, rates)), dt


def _first_crossing(time: Floats, values: Floats, level: Floats) -> Floats:
    """Return the first time (trial, area) at which values (trial, time, area) reach a level (trial, area)."""
    above = values >= level[:, np.newaxis]
    k = above.argmax(axis=1)
    before = np.maximum(k - 1, 0)

    def at(index: NDArray[np.int64]) -> Floats:
        return np.take_along_axis(values, index[:, np.newaxis], axis=1)[:, 0]

    rise = np.where(k > before, at(k) - at(before), 1.0)
    share = np.where(k > before, (level - at(before)) / rise, 0.0)
    found = time[before] + share * (time[k] - time[before])
    return np.where(above.any(axis=1), found, np.nan)


def _rank_correlation(latency: Floats, position: Floats) -> tuple[float, float]:
    from scipy.stats import spearmanr

    known = np.isfinite(latency) & np.isfinite(position)
    if known.sum() < 3 or np.ptp(latency[known]) == 0 or np.ptp(position[known]) == 0:
        return np.nan, np.nan
    found = spearmanr(latency[known], position[known])
    return float(found.statistic), float(found.pvalue)
