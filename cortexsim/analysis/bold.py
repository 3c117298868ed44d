"""The BOLD signal of the rates, by the Balloon-Windkessel model, chunk after chunk."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.analysis.rates import area_coordinates, sampled_rates
from cortexsim.circuits.circuit import option, parameter

Floats = NDArray[np.float64]

_STATE = ("s", "f", "v", "q")
_LONGEST_STEP = 0.01  # s; the fourth-order method is then exact to 1e-9 of the signal
_FRISTON, _STEPHAN = "Friston et al. 2003, Table 1", "Stephan et al. 2007"


@dataclass(frozen=True)
class BalloonWindkessel:
    r"""From neural activity z to blood flow f, venous volume v, deoxyhaemoglobin q and the BOLD signal y.

    .. math::

        \dot s &= ε z - κ s - γ (f - 1), \qquad \dot f = s \\
        τ \dot v &= f - v^{1/α} \\
        τ \dot q &= f (1 - (1 - ρ)^{1/f}) / ρ - v^{1/α} q / v \\
        y &= V_0 (k_1 (1 - q) + k_2 (1 - q / v) + k_3 (1 - v))

    "friston2003": k1 = 7 ρ, k2 = 2, k3 = 2 ρ - 0.2. "stephan2007": k1 = 4.3 θ0 ρ TE, k2 = β r0 ρ TE, k3 = 1 - β, which
    holds at 1.5 T.

    Parameters
    ----------
    **parameters
        Time in s, rates in 1/s, as in the papers.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a positive number, or the output is unknown.

    References
    ----------
    Friston, Harrison, Penny 2003, NeuroImage 19:1273, doi 10.1016/S1053-8119(03)00202-7.
    Stephan, Weiskopf, Drysdale, Robinson, Friston 2007, NeuroImage 38:387, doi 10.1016/j.neuroimage.2007.07.040.
    """

    epsilon: float = parameter(0.54, "1/s", "efficacy: signal per neural activity", source=_FRISTON)
    kappa: float = parameter(0.65, "1/s", "rate of signal decay", source=_FRISTON)
    gamma: float = parameter(0.41, "1/s^2", "rate of flow-dependent elimination", source=_FRISTON)
    tau: float = parameter(0.98, "s", "transit time of blood", source=_FRISTON)
    alpha: float = parameter(0.32, "1", "Grubb's exponent of vessel stiffness", source=_FRISTON)
    rho: float = parameter(0.34, "1", "oxygen extraction at rest", source=_FRISTON)
    V0: float = parameter(0.02, "1", "venous volume at rest", source=_FRISTON)
    output: str = option("friston2003", "coefficients of the signal: friston2003 or stephan2007")
    theta0: float = parameter(40.3, "1/s", "stephan2007: frequency offset at the rim of vessels", source=_STEPHAN)
    r0: float = parameter(25.0, "1/s", "stephan2007: relaxation rate over oxygen saturation", source=_STEPHAN)
    TE: float = parameter(0.04, "s", "stephan2007: echo time", source=_STEPHAN)
    beta: float = parameter(1.0, "1", "stephan2007: intra- to extravascular signal", source=_STEPHAN)

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            if f.metadata["kind"] == "parameter":
                value = _checks.check_positive(f.name, getattr(self, f.name), f.metadata["unit"])
                object.__setattr__(self, f.name, value)
        _checks.check_known(self.output, ("friston2003", "stephan2007"), what="output", where="BalloonWindkessel")

    def derivative(self, x: Floats, z: Floats) -> Floats:
        """Return d(s, f, v, q)/dt per s, for x of shape (4, ...) and neural activity z."""
        s, f, v, q = x
        outflow = v ** (1 / self.alpha)
        extraction = (1 - (1 - self.rho) ** (1 / f)) / self.rho
        return np.array(
            [
                self.epsilon * z - self.kappa * s - self.gamma * (f - 1),
                s,
                (f - outflow) / self.tau,
                (f * extraction - outflow * q / v) / self.tau,
            ]
        )

    def signal(self, x: Floats) -> Floats:
        """Return the relative change y of the BOLD signal, for x of shape (4, ...)."""
        _, _, v, q = x
        if self.output == "friston2003":
            k1, k2, k3 = 7 * self.rho, 2.0, 2 * self.rho - 0.2
        else:
            k1, k2 = 4.3 * self.theta0 * self.rho * self.TE, self.beta * self.r0 * self.rho * self.TE
            k3 = 1 - self.beta
        return np.asarray(self.V0 * (k1 * (1 - q) + k2 * (1 - q / v) + k3 * (1 - v)))


def bold(
    result: xr.Dataset | xr.DataArray,
    variable: str | None = None,
    *,
    repetition_time: float = 2000.0,
    gain: float = 0.1,
    baseline: float = 0.0,
    haemodynamics: BalloonWindkessel | None = None,
    state: xr.Dataset | None = None,
) -> xr.Dataset:
    """Return the BOLD signal of each area, sampled every repetition time.

    Neural activity is z = gain (r - baseline), each sample of the rate r held until the next. Integrated by the
    classical Runge-Kutta method in steps of 10 ms at most. A long record need never be whole: pass the chunks of a
    continued simulation one after the other, each with the `state` of the one before, which gives the same bits.

    Parameters
    ----------
    result : Dataset, or DataArray ([trial,] time, area)
        What `simulate` returned, or one rate of it, sampled evenly.
    variable : str
        The rate, where `result` is a Dataset.
    repetition_time : float
        TR in ms, a multiple of the sampling interval; samples are at multiples of it.
    gain : float
        Neural activity per unit of the rate (1/Hz).
    baseline : float
        Rate without effect on blood flow, in the rate's unit.
    haemodynamics : BalloonWindkessel
        The model and its constants; by default those of Friston et al. 2003.
    state : Dataset
        What this function returned for the chunk before; by default blood flow is at rest.

    Returns
    -------
    Dataset
        `bold` (trial, time, area), the relative change of the signal [1]; `haemodynamic_state` (haemodynamic, trial,
        area), s, f, v, q at the end; attrs `end_ms`: the time up to which rates were consumed.

    Raises
    ------
    TypeError, ValueError
        If an argument does not hold what it must, or a chunk does not follow the one before.
    FloatingPointError
        If blood flow or volume leave the model's range (f, v > 0); lower the gain.

    Examples
    --------
    >>> first = cx.simulate(model, duration=60_000, every=10)  # doctest: +SKIP
    >>> one = cx.analysis.bold(first, "r_E")  # doctest: +SKIP
    >>> second = cx.simulate(model, duration=60_000, every=10, state=first)  # doctest: +SKIP
    >>> two = cx.analysis.bold(second, "r_E", state=one)  # doctest: +SKIP
    """
    haemodynamics = BalloonWindkessel() if haemodynamics is None else haemodynamics
    rates, dt = sampled_rates(result, variable)
    every = _checks.whole_steps("repetition_time", _checks.check_positive("repetition_time", repetition_time, "ms"), dt)
    gain = _checks.check_finite("gain", gain, "1/Hz")
    baseline = _checks.check_finite("baseline", baseline)
    start = float(rates["time"][0])
    first = round(start / dt)
    values = gain * (rates.to_numpy() - baseline)
    x = _initial(rates, dt, state)
    substeps = int(np.ceil(dt * 1e-3 / _LONGEST_STEP - 1e-9))
    h = dt * 1e-3 / substeps
    samples, times = [], []
    for n in range(values.shape[1]):
        if (first + n) % every == 0:
            samples.append(haemodynamics.signal(x))
            times.append(start + n * dt)
        for _ in range(substeps):
            x = _runge_kutta(haemodynamics, x, values[:, n], h)
        if not (x[1:] > 0).all():
            raise FloatingPointError(
                f"Blood flow, volume and content must stay positive, but left the model's range at "
                f"t = {start + n * dt:g} ms; lower `gain` = {gain:g}."
            )
    labels = {"trial": rates["trial"], **area_coordinates(rates)}
    return xr.Dataset(
        {
            "bold": (
                ("trial", "time", "area"),
                np.array(samples).reshape(-1, *x.shape[1:]).swapaxes(0, 1),
                {"units": "1", "long_name": "relative change of the BOLD signal"},
            ),
            "haemodynamic_state": (
                ("haemodynamic", "trial", "area"),
                x,
                {"long_name": "haemodynamic state at the end"},
            ),
        },
        {
            **labels,
            "time": xr.Variable("time", np.array(times, dtype=np.float64), {"units": "ms", "long_name": "time"}),
            "haemodynamic": list(_STATE),
        },
        {"end_ms": start + values.shape[1] * dt},
    )


def _runge_kutta(model: BalloonWindkessel, x: Floats, z: Floats, h: float) -> Floats:
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        k1 = model.derivative(x, z)
        k2 = model.derivative(x + h / 2 * k1, z)
        k3 = model.derivative(x + h / 2 * k2, z)
        k4 = model.derivative(x + h * k3, z)
        return np.asarray(x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))


def _initial(rates: xr.DataArray, dt: float, state: Any) -> Floats:
    """Return s, f, v, q (haemodynamic, trial, area) at the start: at rest, or where the chunk before ended."""
    if state is None:
        rest = np.array([0.0, 1.0, 1.0, 1.0])[:, np.newaxis, np.newaxis]
        return np.broadcast_to(rest, (4, rates.sizes["trial"], rates.sizes["area"]))
    if not isinstance(state, xr.Dataset) or "haemodynamic_state" not in state or "end_ms" not in state.attrs:
        raise TypeError("Argument `state` must be what `bold` returned for the chunk before.")
    if abs(state.attrs["end_ms"] - float(rates["time"][0])) > 1e-6 * dt:
        raise ValueError(
            f"A chunk must follow the one before, which ended at {state.attrs['end_ms']:g} ms, but begins at "
            f"{float(rates['time'][0]):g} ms."
        )
    before = state["haemodynamic_state"].transpose("haemodynamic", "trial", "area")
    for dim in ("trial", "area"):
        if list(before[dim].to_numpy()) != list(rates[dim].to_numpy()):
            raise ValueError(f"A chunk must have the same {dim}s as the one before, in the same order.")
    return before.to_numpy()
