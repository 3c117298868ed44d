"""Claims of Joglekar et al. 2018, Neuron 98:222: global balanced amplification carries signals up the hierarchy."""

from __future__ import annotations

from cortexsim import circuits, gradients
from cortexsim.connectome import load_connectome
from cortexsim.model import Model
from cortexsim.simulate import simulate
from cortexsim.stimulus import Pulse
from cortexsim.validate.claim import Claim, Claims

_SOURCE = "Fig. 3; published program"
_PEAKS = {
    "weak": {"V1": 100.0738, "V2": 19.3476, "24c": 0.00620},
    "strong": {
        "V1": 100.0487,
        "V2": 91.41,
        "V4": 65.55,
        "TEO": 37.72,
        "TEpd": 12.71,
        "46d": 7.48,
        "8l": 7.00,
        "24c": 1.018,
    },
}


def check() -> Claims:
    """Run the model in both regimes and return its claims: peaks by area, attenuation, and the gain at 24c.

    Returns
    -------
    Claims
        The tolerance of a peak is half a unit of its last printed digit, at least 1e-3 of it.
    """
    peaks = {regime: _peaks(regime) for regime in _PEAKS}
    claims = [
        Claim(f"{regime}: peak of {area}", peak, peaks[regime][area], max(1e-3 * peak, 5e-6), _SOURCE, "Hz")
        for regime, areas in _PEAKS.items()
        for area, peak in areas.items()
    ]
    weak, strong = (peaks[regime]["24c"] for regime in ("weak", "strong"))
    claims.append(Claim("gain of the peak at 24c, strong over weak", 164.0, strong / weak, 1.0, "Fig. 3 and text"))
    for regime, expected, tolerance in (("weak", 16_100.0, 100.0), ("strong", 98.0, 1.0)):
        ratio = peaks[regime]["V1"] / peaks[regime]["24c"]
        claims.append(Claim(f"{regime}: attenuation from V1 to 24c", expected, ratio, tolerance, _SOURCE))
    return Claims("Joglekar2018", tuple(claims))


def _peaks(regime: str) -> dict[str, float]:
    """Return the largest rise of each area's rate after the standard pulse to V1."""
    circuit = circuits.Joglekar2018(regime=regime)
    model = Model(load_connectome("macaque29"), circuit, gradients.macaque29())
    # The program drives the 1251 steps from .2 s to .45 s, both included.
    pulse = Pulse(area="V1", input="E", onset=200, duration=250.2, amplitude=circuit.pulse_amplitude)
    rates = simulate(model, pulse, duration=2000, dt=0.2, every=0.2, record=["r_E"], noise=False).r_E[0]
    above = (rates - rates.isel(time=0)).max("time")
    return {area: float(above.sel(area=area)) for area in model.areas}
