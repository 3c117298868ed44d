"""How a response travels: its peak, latency and attenuation in each area."""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.analysis.rates import area_coordinates, sampled_rates
from cortexsim.stimulus import Drive, read_json

Floats = NDArray[np.float64]


def propagation(
    result: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    onset: float | None = None,
    source: str | None = None,
    baseline: float = 100.0,
    fraction: float = 0.5,
) -> xr.Dataset:
    """Return how large and how late each area responds to a stimulus.

    Trials are averaged first. The baseline is the mean over the samples before the onset, and the sample at the onset.

    Parameters
    ----------
    result : Dataset, or DataArray ([trial,] time, area)
        What `simulate` returned, or one rate of it.
    variable : str
        The rate, where `result` is a Dataset.
    onset : float
        Of the stimulus, in ms; by default that of the first stimulus in the result's provenance.
    source : str
        The area that attenuation is measured from; by default the one that the first stimulus drives.
    baseline : float
        Length of the baseline before the onset, in ms; shortened where the record begins later.
    fraction : float
        Of the peak, 0 ... 1, whose first crossing is the latency.

    Returns
    -------
    Dataset (area)
        `baseline`; `peak`, the largest response above it [unit of the rate]; `peak_time`, from the onset [ms];
        `latency`, from the onset until the response first reaches `fraction` of the peak, interpolated between samples
        [ms]; `attenuation`, peak of the source over peak of the area [1]. Where an area never exceeds its baseline,
        `peak` is at most 0, the times are NaN and `attenuation` is infinite.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must, trials differ in a parameter, or there is no stimulus to take the
        defaults from.

    References
    ----------
    Chaudhuri et al. 2015, Neuron 88:419, doi 10.1016/j.neuron.2015.09.008 (Fig. 2); Joglekar et al. 2018, Neuron
    98:222, doi 10.1016/j.neuron.2018.02.031 (Fig. 3, attenuation).
    """
    rates, dt = sampled_rates(result, variable)
    _checks.check_same_condition(rates)
    onset, source = _stimulus(result, onset, source)
    areas = [str(a) for a in rates["area"].to_numpy()]
    _checks.check_known(source, areas, what="area", where="`source`")
    baseline = _checks.check_not_negative("baseline", baseline, "ms")
    if not 0 < _checks.check_finite("fraction", fraction) <= 1:
        raise ValueError(f"Argument `fraction` must lie above 0 and not above 1, but is {fraction:g}.")
    time = rates["time"].to_numpy().astype(np.float64)
    before = (time >= onset - baseline - 1e-6 * dt) & (time <= onset + 1e-6 * dt)
    after = time >= onset - 1e-6 * dt
    if not before.any() or not after.any():
        raise ValueError(f"The onset, {onset:g} ms, must lie in the record, {time[0]:g} to {time[-1]:g} ms.")
    values = rates.mean("trial").transpose("time", "area").to_numpy()
    rest = values[before].mean(axis=0)
    response, since = values[after] - rest, time[after] - onset
    at = response.argmax(axis=0)
    peak = response[at, np.arange(len(areas))]
    responds = peak > 0
    latency = [
        _crossing(since, response[:, k], fraction * peak[k]) if responds[k] else np.nan for k in range(len(areas))
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        attenuation = np.where(responds, peak[areas.index(source)] / peak, np.inf)
    unit = rates.attrs.get("units", "Hz")
    return xr.Dataset(
        {
            "baseline": ("area", rest, {"units": unit, "long_name": "activity before the stimulus"}),
            "peak": ("area", peak, {"units": unit, "long_name": "peak response above baseline"}),
            "peak_time": (
                "area",
                np.where(responds, since[at], np.nan),
                {"units": "ms", "long_name": "time of the peak from the onset"},
            ),
            "latency": (
                "area",
                latency,
                {"units": "ms", "long_name": f"time from the onset to {fraction:g} of the peak"},
            ),
            "attenuation": (
                "area",
                attenuation,
                {"units": "1", "long_name": f"peak of {source} over peak of the area"},
            ),
        },
        area_coordinates(rates),
        attrs={"onset_ms": onset, "source": source},
    )


def _stimulus(result: xr.Dataset | xr.DataArray, onset: float | None, source: str | None) -> tuple[float, str]:
    if onset is None or source is None:
        parts = itertools.chain(*read_json(result.attrs.get("stimulus", "[]")))
        told = [part for part in parts if isinstance(part, Drive)]
        if not told:
            raise ValueError("The result tells of no stimulus; pass `onset` in ms and the area `source`.")
        first = min(told, key=lambda part: part.onset)
        onset = first.onset if onset is None else onset
        source = first.area if source is None else source
    return _checks.check_finite("onset", onset, "ms"), source


def _crossing(time: Floats, response: Floats, level: float) -> float:
    k = int((response >= level).argmax())
    if k == 0:
        return float(time[0])
    share = (level - response[k - 1]) / (response[k] - response[k - 1])
    return float(time[k - 1] + share * (time[k] - time[k - 1]))
