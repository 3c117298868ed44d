"""Claims of Chaudhuri et al. 2015, Neuron 88:419: a hierarchy of timescales in the 29-area macaque cortex."""

from __future__ import annotations

import dataclasses

import xarray as xr

from cortexsim import analysis, circuits, datasets, gradients
from cortexsim.connectome import load_connectome
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.stimulus import Pulse
from cortexsim.validate.claim import Claim, Claims

_PROGRAM = "published program (book chapter 9)"
_EXACT = "the published equations, solved exactly"
_PEAKS = {"V2": 19.333, "V4": 3.623, "MT": 3.160, "TEO": 1.054, "TEpd": 0.2294, "8l": 0.1413, "24c": 6.19e-3}
_LAGS = {"V1": 42.24, "V2": 42.76, "MT": 82.08, "8l": 134.1, "46d": 274.6, "24c": 1040.0}
_MEASURED = "Murray 2014, doi 10.1038/nn.3862, Fig. 1"
# Areas of the 29 in the regions that Murray et al. 2014 recorded from; LIP, OFC and S2 have none. Area 2 belongs to S1.
_MURRAY = {"MT": ("MT",), "LPFC": ("46d", "9/46d", "9/46v", "8l"), "ACC": ("24c",), "S1": ("2",)}


def check() -> Claims:
    """Run the model and return its claims: V1 pulse, eigen-timescales, timescales by area, measured timescales.

    Returns
    -------
    Claims
        The tolerance of a peak is 1e-3 of it (Euler at .2 ms), that of a timescale its last printed digit.
    """
    model = Model(load_connectome("macaque29"), circuits.Chaudhuri2015(), gradients.macaque29())
    claims = [*_pulse(model), *_modes(model)]
    lags = analysis.timescales(model, "r_E", input="E", area="V1")
    claims += [
        Claim(f"timescale of {area}, white noise into V1", lag, float(lags.sel(area=area)), 1e-3 * lag, _EXACT, "ms")
        for area, lag in _LAGS.items()
    ]
    return Claims("Chaudhuri2015", (*claims, *_measured(model, lags)))


def _pulse(model: Model) -> list[Claim]:
    """Return the peaks after the standard pulse: 250 ms into V1, which lifts V1 by 100 Hz."""
    amplitude = 41.8646 / model.circuit.scalar("beta_E")  # the program's number, in Hz
    pulse = Pulse(area="V1", input="E", onset=100, duration=250, amplitude=amplitude)
    rates = simulate(model, pulse, duration=1500, dt=0.2, every=0.2, record=["r_E"], noise=False).r_E[0]
    above = rates - rates.isel(time=0)
    source = f"Fig. 2; {_PROGRAM}"
    peaks = {"V1": 100.0, **_PEAKS}
    claims = [
        Claim(f"peak of {area} after a pulse to V1", peak, float(above.sel(area=area).max()), 2e-3 * peak, source, "Hz")
        for area, peak in peaks.items()
    ]
    late = above.sel(area="24c")
    claims.append(Claim("time of the peak of 24c", 641.0, float(late.idxmax("time")), 1.0, source, "ms"))
    return claims


def _modes(model: Model) -> list[Claim]:
    slow = -1 / analysis.eigenvalues(model).real.to_numpy()
    source = f"Fig. 3; {_EXACT}"
    claims = [
        Claim(f"timescale of mode {k + 1}", tau, float(slow[k]), 0.01, source, "ms")
        for k, tau in enumerate((760.34, 603.44, 322.88, 293.72, 253.90))
    ]
    flat = dataclasses.replace(model, circuit=circuits.Chaudhuri2015(eta=0.0))
    slowest = float(-1 / analysis.eigenvalues(flat).real[0])
    claims.append(Claim("slowest mode without the gradient", 43.06, slowest, 0.01, source, "ms"))
    alone = dataclasses.replace(model, connectome=model.connectome.lesion(model.areas))
    modes = -1 / analysis.eigenvalues(alone).real.to_numpy()
    claims.append(Claim("slowest mode of 24c in isolation", 400.9, float(modes[0]), 0.1, source, "ms"))
    return claims


def _measured(model: Model, lags: xr.DataArray) -> list[Claim]:
    """Timescales rise along the hierarchy, in the model as in what Murray et al. 2014 measured."""
    from scipy.stats import spearmanr

    hierarchy = model.area_maps.hierarchy
    along = float(spearmanr(lags.to_numpy(), hierarchy.to_numpy()).statistic)
    table = datasets.table("murray2014/intrinsic_timescales")

    def agreement(*regions: str) -> float:
        measured = [float(table.loc[table.region == r, "timescale"].mean()) for r in regions]
        simulated = [float(lags.sel(area=list(_MURRAY[r])).mean()) for r in regions]
        return float(spearmanr(measured, simulated).statistic)

    return [
        Claim(
            "rank correlation of timescale and hierarchy",
            0.82,
            along,
            0.05,
            "Fig. 3; 1/e lags, the published number is of fitted exponentials",
        ),
        Claim(
            "rank correlation with measured timescales (MT, LPFC, ACC)",
            1.0,
            agreement("MT", "LPFC", "ACC"),
            1e-9,
            _MEASURED,
        ),
        Claim(
            "the same with S1",
            1.0,
            agreement("MT", "LPFC", "ACC", "S1"),
            1e-9,
            _MEASURED,
            reason="noise enters at V1 alone, far from area 2, which is slow here and fast in the experiment",
        ),
    ]
