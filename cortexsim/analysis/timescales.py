"""Intrinsic timescales: how long the activity of each area stays correlated with itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.analysis.fixed_points import fixed_point
from cortexsim.analysis.linear_system import linearise
from cortexsim.analysis.rates import area_coordinates, sampled_rates
from cortexsim.analysis.vector_field import Drive, Floats, VectorField
from cortexsim.analysis.white_noise import autocovariance
from cortexsim.model import Model

_LAG = 1.0  # ms between the lags of an exact autocorrelation
_SHORTEST, _LONGEST = 20.0, 1000.0  # ms, the rates -50 ... -1 /s that the fitted exponentials may have
_FLOOR = 0.05
_WORSE = 8.0


def timescales(
    source: Model | xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    method: str = "1/e",
    max_lag: float | None = None,
    input: str | None = None,
    area: str | Sequence[str] | None = None,
    state: xr.DataArray | xr.Dataset | None = None,
    drive: Drive | None = None,
) -> xr.DataArray:
    """Return the intrinsic timescale of each area, from its autocorrelation C(lag).

    Parameters
    ----------
    source, variable, max_lag, input, area, state, drive
        As for `autocorrelation`: a model, whose autocorrelation under white noise is exact, or a result.
    method : {"1/e", "exponential"}
        "1/e": the lag at which C first falls to 1/e, between samples by interpolation of log C.
        "exponential": C up to the first value under .05 is fitted by a exp(-t/τ) and by a exp(-t/τ1) + (1 - a)
        exp(-t/τ2), with a in 0 ... 1 and τ in 20 ... 1000 ms; the timescale is τ unless the first leaves 8 or more
        times the squared error of the second, then a τ1 + (1 - a) τ2. Lags reach 1000 ms by default.

    Returns
    -------
    DataArray (area)
        In ms. NaN where C is not known (an area that is constant, or that no noise reaches), or does not fall to 1/e
        within `max_lag`.

    Raises
    ------
    TypeError, ValueError, NoFixedPoint
        As `autocorrelation`, and if the method is unknown.

    References
    ----------
    Chaudhuri et al. 2015, Neuron 88:419, doi 10.1016/j.neuron.2015.09.008 (Fig. 3; the rule of "exponential" is that
    of the programs published with it). Murray et al. 2014, Nat Neurosci 17:1661, doi 10.1038/nn.3862.

    Examples
    --------
    White noise into the excitatory population of V1, and its timescale in every area:

    >>> cx.analysis.timescales(model, "r_E", input="E", area="V1")  # doctest: +SKIP
    """
    _checks.check_known(method, ("1/e", "exponential"), what="method", where="timescales")
    if method == "exponential" and max_lag is None:
        max_lag = _LONGEST
    correlation = autocorrelation(source, variable, max_lag=max_lag, input=input, area=area, state=state, drive=drive)
    lag = correlation["lag"].to_numpy()
    one = _lag_of_1_e if method == "1/e" else _fitted
    found = [one(lag, c) if np.isfinite(c).all() else np.nan for c in correlation.transpose("area", "lag").to_numpy()]
    attributes = {"units": "ms", "long_name": "intrinsic timescale", "method": method}
    return xr.DataArray(found, area_coordinates(correlation), ("area",), "timescale", attributes)


def autocorrelation(
    source: Model | xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    max_lag: float | None = None,
    input: str | None = None,
    area: str | Sequence[str] | None = None,
    state: xr.DataArray | xr.Dataset | None = None,
    drive: Drive | None = None,
) -> xr.DataArray:
    r"""Return the autocorrelation C(lag) of each area, 1 at lag 0.

    From data, :math:`C(k) \propto \frac{1}{N - k} \sum_t (r_t - \bar r)(r_{t+k} - \bar r)`, averaged over trials. Of a
    model, linearised about a stable state and driven by white noise, dx = J x dt + B dW:
    :math:`C(τ) \propto e^{J τ} Σ` with :math:`J Σ + Σ J^T + B B^T = 0`.

    Parameters
    ----------
    source : Model, Dataset, or DataArray ([trial,] time, area)
        A model without delays, or what it did. Cut the transient off a result first, by result.sel(time=slice(...)).
    variable : str
        State variable of the model or Dataset, such as "r_E".
    max_lag : float
        Largest lag in ms; by default a tenth of the record, or 5 times the model's slowest timescale.
    input : str, optional
        Models: the input that receives white noise, independent between areas; by default the circuit's own noise.
    area : str or sequence of str, optional
        Models: where noise enters; by default in all areas.
    state : DataArray (state, area) or result, optional
        Models: the stable fixed point; by default the resting state (see `fixed_point`).
    drive : dict, optional
        Models: constant input by (area, input), in the input's unit.

    Returns
    -------
    DataArray (lag, area)
        Lags in ms, as the record is sampled, or every 1 ms. NaN in an area that is constant, or that no noise reaches.

    Raises
    ------
    TypeError, ValueError, NoFixedPoint
        If an argument does not hold what it must, or does not go with the source; if the state is not stable.
    """
    max_lag = None if max_lag is None else _checks.check_positive("max_lag", max_lag, "ms")
    if isinstance(source, Model):
        if variable is None:
            raise TypeError(f"Argument `variable` must be one of {', '.join(source.circuit.state_names())}.")
        field = VectorField(source, drive)
        system = linearise(field, field.state(fixed_point(source, drive=drive) if state is None else state))
        if max_lag is None:
            max_lag = 5 / np.abs(np.linalg.eigvals(system.jacobian).real).min()
        n_lags, step = int(np.ceil(max_lag / _LAG)) + 1, _LAG
        covariance = autocovariance(system, variable, input, area, step, n_lags)
        coordinates = {"area": xr.DataArray(list(source.areas), dims="area")}
    else:
        for name, given in {"input": input, "area": area, "state": state, "drive": drive}.items():
            if given is not None:
                raise TypeError(f"Argument `{name}` goes with a Model, but `source` is a {type(source).__name__}.")
        rates, step = sampled_rates(source, variable)
        n_lags = int((rates.sizes["time"] * step / 10 if max_lag is None else max_lag) / step + 1e-9) + 1
        if not 2 <= n_lags <= rates.sizes["time"]:
            raise ValueError(
                f"Argument `max_lag` must lie between the sampling interval, {step:g} ms, and the length of the "
                f"record, {rates.sizes['time'] * step:g} ms."
            )
        covariance, coordinates = _estimated(rates.to_numpy(), n_lags), area_coordinates(rates)
    with np.errstate(invalid="ignore"):
        correlation = covariance / covariance[0]
    lag = xr.DataArray(np.arange(n_lags) * step, dims="lag", attrs={"units": "ms", "long_name": "lag"})
    attributes = {"units": "1", "long_name": "autocorrelation"}
    return xr.DataArray(correlation, {"lag": lag, **coordinates}, ("lag", "area"), "autocorrelation", attributes)


def _estimated(rates: Floats, n_lags: int) -> Floats:
    """Return the autocovariance (lag, area) of rates (trial, time, area), averaged over trials."""
    from scipy.signal import correlate

    n = rates.shape[1]
    centred = np.where(np.ptp(rates, axis=1, keepdims=True) == 0, 0.0, rates - rates.mean(axis=1, keepdims=True))
    out = np.empty((n_lags, rates.shape[2]))
    for k in range(rates.shape[2]):
        products = np.sum([correlate(x, x, method="fft")[n - 1 : n - 1 + n_lags] for x in centred[:, :, k]], axis=0)
        out[:, k] = products / (n - np.arange(n_lags))
    return out


def _lag_of_1_e(lag: Floats, correlation: Floats) -> float:
    below = correlation <= np.exp(-1)
    if not below.any():
        return np.nan
    k = int(below.argmax())
    before, after = correlation[k - 1], correlation[k]
    # log C is straight where C is exponential; a value below 0 leaves the straight line in C itself
    share = (1 + np.log(before)) / np.log(before / after) if after > 0 else (before - np.exp(-1)) / (before - after)
    return float(lag[k - 1] + share * (lag[k] - lag[k - 1]))


def _fitted(lag: Floats, correlation: Floats) -> float:
    from scipy.optimize import least_squares

    slow, fast = 1 / _LONGEST, 1 / _SHORTEST
    low = correlation < _FLOOR
    end = int(low.argmax()) if low.any() else lag.size
    t, c = lag[:end], correlation[:end]
    if end < 4:
        return np.nan

    def single(q: Floats) -> Floats:
        return np.asarray(q[0] * np.exp(-t * q[1]) - c)

    def double(q: Floats) -> Floats:
        return np.asarray(q[0] * np.exp(-t * q[1]) + (1 - q[0]) * np.exp(-t * q[2]) - c)

    guess = _lag_of_1_e(lag, correlation)
    rate = np.clip(1 / guess, slow, fast) if np.isfinite(guess) else slow
    one = least_squares(single, (0.9, rate), bounds=((0, slow), (1, fast)), x_scale=(1.0, slow))
    # Two exponentials have several best fits nearby; these starts put the fast and the slow part apart.
    starts = [(a, min(fast, 3 * rate), max(slow, rate / 2)) for a in (0.2, 0.5, 0.8)]
    bounds = ((0, slow, slow), (1, fast, fast))
    fits = [least_squares(double, start, bounds=bounds, x_scale=(1.0, slow, slow)) for start in starts]
    two = min(fits, key=lambda fit: float(fit.cost))
    if one.cost < _WORSE * two.cost:
        return float(1 / one.x[1])
    a, first, second = two.x
    return float(a / first + (1 - a) / second)
