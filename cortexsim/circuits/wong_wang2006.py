"""Decision and working memory in one circuit of two variables: Wong and Wang 2006."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.circuits.circuit import Circuit, Pathway, Variable, parameter
from cortexsim.circuits.transfer import abbott_chance
from cortexsim.stimulus import Pulse, Sum

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the state one Euler step later: rates follow from the old gating and noise, gating from these rates."""
    I_1 = p.I0 + x.eta_1 + stimulus.E1 + p.J_self * x.S_1 + p.J_cross * x.S_2 + p.G * longrange.E1
    I_2 = p.I0 + x.eta_2 + stimulus.E2 + p.J_self * x.S_2 + p.J_cross * x.S_1 + p.G * longrange.E2
    r_1 = abbott_chance(p.a * I_1 - p.b, p.d)
    r_2 = abbott_chance(p.a * I_2 - p.b, p.d)

    dt_noise = dt / p.tau_noise
    kick = p.sigma * np.sqrt(dt_noise)
    eta_1 = x.eta_1 - dt_noise * x.eta_1 + kick * noise.E1
    eta_2 = x.eta_2 - dt_noise * x.eta_2 + kick * noise.E2
    S_1, S_2 = gating(x, r_1, r_2, p, dt)
    return S_1, S_2, r_1, r_2, eta_1, eta_2


def gating(x: Any, r_1: Any, r_2: Any, p: Any, dt: Any) -> tuple[Any, Any]:
    """Return the NMDA gating of both populations one Euler step later, from the new rates."""
    gain = p.gamma * 1e-3 * dt
    dt_S = dt / p.tau_S
    return (
        x.S_1 - dt_S * x.S_1 + gain * (1 - x.S_1) * r_1,
        x.S_2 - dt_S * x.S_2 + gain * (1 - x.S_2) * r_2,
    )


def from_rates(x: Any, rates: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the given rates, and the gating that they drive."""
    S_1, S_2 = gating(x, rates.r_1, rates.r_2, p, dt)
    return S_1, S_2, rates.r_1, rates.r_2, x.eta_1, x.eta_2


_PAPER = "Wong and Wang 2006, Appendix"
# What J_self S + J_cross S + I0 gives at the initial S = .1, where nothing has been computed yet.
_INITIAL_RATE = float(abbott_chance(270.0 * (0.2609 * 0.1 - 0.0497 * 0.1 + 0.3255) - 108.0, 0.154))


@dataclass(frozen=True)
class WongWang2006(Circuit):
    r"""Two populations that excite themselves by slow NMDA synapses, inhibit each other, and so decide and remember.

    For population 1 (2 by exchange of the indices), with gating S, rate r, current I and noise eta,

    .. math::

        \dot S_1 &= -S_1/\tau_S + \gamma (1 - S_1) r_1, \qquad r_1 = F(I_1) = (a I_1 - b)/(1 - e^{-d (a I_1 - b)}), \\
        I_1 &= J_{self} S_1 + J_{cross} S_2 + I_0 + \eta_1 + G \sum_j FLN_{ij} S_{1,j} + I_{stim}, \\
        \tau_{noise} \dot\eta_1 &= -\eta_1 + \sigma \sqrt{\tau_{noise}}\, \xi_1.

    Without a stimulus there are three stable states: both populations low (S = .1027, 1.79 Hz), or one of them high
    (S = .567 and .0319; 20.43 and .51 Hz). `WongWang2006.motion` makes the stimulus of the random-dots task.

    Parameters
    ----------
    G : float, sequence of float (one per trial), DataArray over area
        Long-range coupling in nA. The paper has one area. On a connectome, like excites like: population 1 of each
        area sends to population 1 of its targets and 2 to 2, by FLN as it is. On `single_area()` it has no effect.
    **parameters
        See `parameter_table()`: every number with unit, meaning and source.

    Notes
    -----
    The noise current is the deviation from I0 and starts at 0, so that the current starts at I0. The program of the
    book starts the current itself at 0: `state=circuit.program_start(model.areas)`.

    Rates follow their current without delay; r at time t is that of the step which led there, so with S, eta and
    stimulus of t - dt.

    References
    ----------
    Wong K-F, Wang X-J (2006). A recurrent network mechanism of time integration in perceptual decisions. J Neurosci
    26:1314-1328, doi 10.1523/JNEUROSCI.3733-05.2006.
    """

    J_self: Any = parameter(0.2609, "nA", "to each population from itself", source=_PAPER)
    J_cross: Any = parameter(-0.0497, "nA", "to each population from the other", source=_PAPER)
    I0: Any = parameter(0.3255, "nA", "background current, mean of the noise", source=_PAPER)
    G: Any = parameter(0.01, "nA", "long-range coupling, like to like", source="none: the paper has one area")
    sigma: Any = parameter(0.02, "nA", "noise", source=_PAPER)
    tau_noise: Any = parameter(2.0, "ms", "time constant of the noise (AMPA)", source=_PAPER)
    tau_S: Any = parameter(100.0, "ms", "decay of NMDA gating", source=_PAPER)
    gamma: Any = parameter(0.641, "1", "NMDA gating per spike", source=_PAPER)
    a: Any = parameter(270.0, "Hz/nA", "f-I curve: gain", source=_PAPER)
    b: Any = parameter(108.0, "Hz", "f-I curve: threshold", source=_PAPER)
    d: Any = parameter(0.154, "s", "f-I curve: curvature", source=_PAPER)

    state: ClassVar[tuple[Variable, ...]] = (
        Variable("S_1", "1", "NMDA gating of population 1", initial=0.1),
        Variable("S_2", "1", "NMDA gating of population 2", initial=0.1),
        Variable("r_1", "Hz", "firing rate of population 1", initial=_INITIAL_RATE),
        Variable("r_2", "Hz", "firing rate of population 2", initial=_INITIAL_RATE),
        Variable("eta_1", "nA", "noise current into population 1"),
        Variable("eta_2", "nA", "noise current into population 2"),
    )
    inputs: ClassVar[tuple[Variable, ...]] = (
        Variable("E1", "nA", "current into population 1"),
        Variable("E2", "nA", "current into population 2"),
    )
    noise: ClassVar[tuple[str, ...]] = ("E1", "E2")
    pathways: ClassVar[tuple[Pathway, ...]] = (
        Pathway("E1", source="S_1", weights="fln"),
        Pathway("E2", source="S_2", weights="fln"),
    )
    recorded: ClassVar[tuple[str, ...]] = ("S_1", "S_2", "r_1", "r_2")
    citation: ClassVar[str] = "Wong and Wang 2006, J Neurosci 26:1314, doi 10.1523/JNEUROSCI.3733-05.2006"
    step = staticmethod(step)
    excitatory: ClassVar[tuple[str, ...]] = ("r_1", "r_2")
    from_rates = staticmethod(from_rates)

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return FLN as it is."""
        return {"fln": connectome.matrix("fln")}

    @staticmethod
    def motion(
        coherence: float,
        *,
        onset: float,
        duration: float,
        area: str = "area",
        mu0: float = 30.0,
        J_ext: float = 5.2e-4,
    ) -> Sum:
        """Return the input of a random-dots stimulus: J_ext mu0 (1 + c/100) nA to population 1, 1 - c/100 to 2.

        Parameters
        ----------
        coherence
            c in percent, -100 ... 100; above 0 it favours population 1.
        onset, duration
            In ms.
        area
            Where it enters; "area" is that of `cortexsim.single_area()`.
        mu0
            Rate of the input at coherence 0, in Hz (30 in the paper; the program of the book takes 20).
        J_ext
            Current per rate, in nA/Hz.

        Raises
        ------
        ValueError
            If the coherence lies outside -100 ... 100.
        """
        c = _checks.check_finite("coherence", coherence, "%")
        if abs(c) > 100:
            raise ValueError(f"Argument `coherence` must lie in -100 ... 100 %, but is {coherence} %.")
        base = _checks.check_not_negative("mu0", mu0, "Hz") * _checks.check_finite("J_ext", J_ext, "nA/Hz")
        toward, away = (
            Pulse(area=area, input=name, onset=onset, duration=duration, amplitude=base * share)
            for name, share in (("E1", 1 + c / 100), ("E2", 1 - c / 100))
        )
        return toward + away

    def program_start(self, areas: Sequence[str]) -> xr.DataArray:
        """Return the state (state, area) of the book's program at t = 0, for `simulate(state=...)`.

        S = .1 as ever, but the noise current, background included, is 0 and grows to I0 within some ms (source:
        xjwanglab/book, wong2006.py). Needs I0 to be a single number.
        """
        values = {v.name: v.initial for v in self.state}
        values["eta_1"] = values["eta_2"] = -_checks.check_finite("I0", self.I0, "nA")
        table = np.repeat(np.array(list(values.values()))[:, np.newaxis], len(areas), axis=1)
        return xr.DataArray(table, {"state": list(values), "area": list(areas)}, ("state", "area"))
