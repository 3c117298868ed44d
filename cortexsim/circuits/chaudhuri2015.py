"""A hierarchy of timescales in the macaque cortex: Chaudhuri et al. 2015, threshold-linear and nonlinear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from cortexsim.circuits.circuit import Circuit, Floats, Pathway, Variable, on_areas, parameter
from cortexsim.circuits.transfer import abbott_chance

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome

_CITATION = "Chaudhuri et al. 2015, Neuron 88:419, doi 10.1016/j.neuron.2015.09.008"
_TABLE = "Chaudhuri 2015, parameters of the rate model"
_NONLINEAR = "Chaudhuri 2015, parameters of the nonlinear model"
_FIT = "Chaudhuri 2015, fit to Binzegger et al. 2009"


def derivative(x: Any, longrange: Any, stimulus: Any, p: Any) -> tuple[Any, ...]:
    """Return d/dt of the excitatory and the inhibitory rate (Hz/ms), without noise."""
    I_E = p.w_EE * x.r_E - p.w_EI * x.r_I + p.mu_EE * longrange.E + p.I0_E + stimulus.E
    I_I = p.w_IE * x.r_E - p.w_II * x.r_I + p.mu_IE * longrange.E + p.I0_I + stimulus.I
    # A reciprocal of what all areas share is taken once for all steps, a quotient in each.
    return (
        (1 / p.tau_E) * (np.maximum(p.beta_E * I_E, 0.0) - x.r_E),
        (1 / p.tau_I) * (np.maximum(p.beta_I * I_I, 0.0) - x.r_I),
    )


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the rates one Euler-Maruyama step later."""
    slope_E, slope_I = derivative(x, longrange, stimulus, p)
    kick = (np.sqrt(dt) / p.tau_E) * (p.beta_E * p.sigma_E)
    return x.r_E + dt * slope_E + kick * noise.E, x.r_I + dt * slope_I


def from_rates(x: Any, rates: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the given rates, which are all that there is."""
    return rates.r_E, rates.r_I


def grade(maps: xr.Dataset, areas: Sequence[str], fln: Any, p: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return excitation graded by the hierarchy, and the background currents that make the resting rates a fixed point.

    Parameters
    ----------
    maps, areas, p
        As for `Circuit.modulate`.
    fln
        Long-range weights (target, source).

    Returns
    -------
    dict
        w_EE, w_IE, mu_EE, mu_IE (pA/Hz), I0_E and I0_I (pA), each of shape (area,) or (trial, area).

    Raises
    ------
    ValueError
        If a resting rate is negative.
    """
    gain = 1 + p["eta"] * on_areas(maps, "hierarchy", areas)
    graded = {name: gain * p[name] for name in ("w_EE", "w_IE", "mu_EE", "mu_IE")}
    r_E, r_I = p["r_E_rest"], p["r_I_rest"]
    for name, rate in (("r_E_rest", r_E), ("r_I_rest", r_I)):
        if np.any(rate < 0):
            raise ValueError(f"Parameter `{name}` must not be negative, but is {np.min(rate):g} Hz.")
    resting = r_E + np.zeros(len(areas))
    # Trial by trial: the sums of a product of two matrices may depend on how many trials there are.
    from_afar = np.array([fln @ trial for trial in np.atleast_2d(resting)]).reshape(resting.shape)
    to_E = graded["w_EE"] * r_E + graded["mu_EE"] * from_afar - p["w_EI"] * r_I
    to_I = graded["w_IE"] * r_E + graded["mu_IE"] * from_afar - p["w_II"] * r_I
    return {**graded, "I0_E": r_E / p["beta_E"] - to_E, "I0_I": r_I / p["beta_I"] - to_I}


@dataclass(frozen=True)
class Chaudhuri2015(Circuit):
    r"""Threshold-linear excitatory and inhibitory rates, with excitation that grows along the hierarchy.

    .. math::
        \tau_E \dot r_E &= -r_E + \beta_E [g_i (w_{EE} r_E + \mu_{EE} \textstyle\sum_j F_{ij} r_{E,j})
            - w_{EI} r_I + I_E + s_E]_+ \\
        \tau_I \dot r_I &= -r_I + \beta_I [g_i (w_{IE} r_E + \mu_{IE} \textstyle\sum_j F_{ij} r_{E,j})
            - w_{II} r_I + I_I + s_I]_+

    with g_i = 1 + eta h_i, h_i the position of area i in the hierarchy (0 ... 1) and F_ij the fraction of labelled
    neurons in target i that lie in source j, not renormalised. The background I_E, I_I of each area is solved so that
    all areas rest at `r_E_rest`, `r_I_rest`. Inputs s are in pA; the rate that the authors' program adds is beta times
    as much (`pulse_amplitude` is their 41.8646 Hz to V1, which drives V1 100 Hz above rest within 250 ms).

    Parameters
    ----------
    eta : float, sequence of float (one per trial)
        Growth of excitation along the hierarchy; 0 makes all areas alike.
    sigma_E : float, sequence of float, DataArray over `area`
        White-noise current: the rate receives beta_E sigma_E / tau_E dW. None in the published pulse; give it to V1
        alone (a DataArray that is 0 elsewhere) for the autocorrelations of the paper.
    r_E_rest, r_I_rest : float, sequence of float, DataArray over `area`
        The fixed point. Every run starts at the published 10 and 35 Hz.
    **parameters
        See `parameter_table()`: every number with unit, meaning and source.

    Raises
    ------
    ValueError
        If a resting rate is negative (when a model is built into a run).

    Notes
    -----
    About the fixed point the model is linear: a pulse to V1 lowers no rate below rest. The slowest of its time
    constants depends on the last digit of the parameters (w_EE 24.25 or 24.35: 592 or 1063 ms, here 760 ms), so figures
    of the paper that were made from unrounded numbers are met in kind and not in each digit.

    References
    ----------
    Chaudhuri R, Knoblauch K, Gariel M-A, Kennedy H, Wang X-J (2015). A large-scale circuit mechanism for hierarchical
    dynamical processing in the primate cortex. Neuron 88:419-431, doi 10.1016/j.neuron.2015.09.008.
    """

    tau_E: Any = parameter(20.0, "ms", "time constant of the excitatory rate", source=_TABLE)
    tau_I: Any = parameter(10.0, "ms", "time constant of the inhibitory rate", source=_TABLE)
    beta_E: Any = parameter(0.066, "Hz/pA", "slope of the excitatory f-I curve", source=_FIT)
    beta_I: Any = parameter(0.351, "Hz/pA", "slope of the inhibitory f-I curve", source=_FIT)
    w_EE: Any = parameter(24.3, "pA/Hz", "to E from E in an area at the bottom of the hierarchy", source=_TABLE)
    w_IE: Any = parameter(12.2, "pA/Hz", "to I from E in an area at the bottom of the hierarchy", source=_TABLE)
    w_EI: Any = parameter(19.7, "pA/Hz", "to E from I", source=_TABLE)
    w_II: Any = parameter(12.5, "pA/Hz", "to I from I", source=_TABLE)
    mu_EE: Any = parameter(33.7, "pA/Hz", "to E from E of other areas", source=_TABLE)
    mu_IE: Any = parameter(25.3, "pA/Hz", "to I from E of other areas", source=_TABLE)
    eta: Any = parameter(0.68, "1", "growth of excitation along the hierarchy", source=_TABLE)
    r_E_rest: Any = parameter(10.0, "Hz", "excitatory rate at the fixed point", source=_TABLE)
    r_I_rest: Any = parameter(35.0, "Hz", "inhibitory rate at the fixed point", source=_TABLE)
    sigma_E: Any = parameter(0.0, "pA ms^0.5", "white-noise current into E")

    state: ClassVar[tuple[Variable, ...]] = (
        Variable("r_E", "Hz", "excitatory firing rate", initial=10.0),
        Variable("r_I", "Hz", "inhibitory firing rate", initial=35.0),
    )
    inputs: ClassVar[tuple[Variable, ...]] = (
        Variable("E", "pA", "current into E"),
        Variable("I", "pA", "current into I"),
    )
    noise: ClassVar[tuple[str, ...]] = ("E",)
    pathways: ClassVar[tuple[Pathway, ...]] = (Pathway("E", source="r_E", weights="fln"),)
    recorded: ClassVar[tuple[str, ...]] = ("r_E", "r_I")
    maps: ClassVar[tuple[str, ...]] = ("hierarchy",)
    citation: ClassVar[str] = _CITATION
    pulse_amplitude: ClassVar[float] = 41.8646 / 0.066
    step = staticmethod(step)
    excitatory: ClassVar[tuple[str, ...]] = ("r_E",)
    inhibitory: ClassVar[tuple[str, ...]] = ("r_I",)
    from_rates = staticmethod(from_rates)

    def modulate(
        self, maps: xr.Dataset, areas: Sequence[str], weights: Mapping[str, Any], p: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return the graded excitation and the background currents, per area."""
        return grade(maps, areas, weights["fln"], p)

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return the fractions of labelled neurons as they are."""
        return {"fln": connectome.matrix("fln")}


def nonlinear_step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the state one Euler step later, in the order of the authors' program.

    Gating first, then the excitatory rate from the new gating and the old inhibition, then the inhibitory rate. All
    areas read each other's new gating, so each step ends with the gating of the next.
    """
    S_E = x.S_E_next
    I_E = p.w_EE * S_E - p.w_EI * x.r_I + p.mu_EE * longrange.E + p.I0_E + stimulus.E
    r_E = abbott_chance(p.a * I_E - p.b, p.d)
    f_I = np.maximum(p.beta_I * (p.w_IE * S_E - p.w_II * x.r_I) + p.r0_I, 0.0)
    r_I = x.r_I + (dt / p.tau_I) * (f_I - x.r_I)
    return r_E, r_I, S_E, gating(S_E, r_E, p, dt)


def gating(S_E: Any, r_E: Any, p: Any, dt: Any) -> Any:
    """Return the excitatory gating one Euler step later."""
    return S_E - (dt / p.tau_E) * S_E + (1e-3 * dt * p.gamma) * (1 - S_E) * r_E


def nonlinear_from_rates(x: Any, rates: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the given rates, the gating of their step, and that of the next, which r_E drives."""
    return rates.r_E, rates.r_I, x.S_E_next, gating(x.S_E_next, rates.r_E, p, dt)


# A run starts near rest, with a gating that is stationary at the first step.
_S_E_START = 0.03
_R_E_START = _S_E_START / (0.641 * 60.0e-3 * (1 - _S_E_START))


@dataclass(frozen=True)
class Chaudhuri2015Nonlinear(Circuit):
    r"""NMDA-like excitatory gating with a saturating f-I curve, and excitation that grows along the hierarchy.

    .. math::
        \dot S_E &= -S_E / \tau_E + \gamma (1 - S_E) r_E \\
        r_E &= F(g_i (w_{EE} S_E + \mu_{EE} \textstyle\sum_j F_{ij} S_{E,j}) - w_{EI} r_I + I_0 + s_E), \quad
        F(I) = \frac{a I - b}{1 - e^{-d (a I - b)}} \\
        \tau_I \dot r_I &= -r_I + [\beta_I (g_i w_{IE} S_E - w_{II} r_I) + r_{0,I}]_+

    with g_i = 1 + eta h_i. Inhibition is local: no long-range projection reaches I. The input s_E is in pA
    (`pulse_amplitude` is the published 200 pA to V1).

    Parameters
    ----------
    eta : float, sequence of float (one per trial)
        Growth of excitation along the hierarchy; 0 makes all areas alike.
    **parameters
        See `parameter_table()`: every number with unit, meaning and source.

    Notes
    -----
    A step of the authors' program updates S_E, then r_E from the new S_E and the old r_I, then r_I; areas read the new
    S_E of one another. Here the same step ends with the S_E of the next one, kept as the state variable `S_E_next`.
    Recorded r_E, r_I and S_E at a time are the program's at that time; S_E_next at that time is its S_E one step later.
    A start of your own must give S_E_next = S_E + dt (-S_E / tau_E + gamma (1 - S_E) r_E), which is S_E at rest.

    The cortex rests at no given rate (0.6 Hz in V1 to 2.2 Hz in 46d on 29 areas), and its slowest time constant is
    1.1 s: let it settle for some 10 s, and give that result's `final_state` as `state` to runs with a pulse.

    References
    ----------
    Chaudhuri R, Knoblauch K, Gariel M-A, Kennedy H, Wang X-J (2015). A large-scale circuit mechanism for hierarchical
    dynamical processing in the primate cortex. Neuron 88:419-431, doi 10.1016/j.neuron.2015.09.008.
    """

    tau_E: Any = parameter(60.0, "ms", "decay of excitatory gating", source=_NONLINEAR)
    tau_I: Any = parameter(10.0, "ms", "time constant of the inhibitory rate", source=_NONLINEAR)
    gamma: Any = parameter(0.641, "1", "excitatory gating per spike", source=_NONLINEAR)
    a: Any = parameter(0.27, "Hz/pA", "f-I curve of E: gain", source=_NONLINEAR)
    b: Any = parameter(108.0, "Hz", "f-I curve of E: threshold", source=_NONLINEAR)
    d: Any = parameter(0.154, "s", "f-I curve of E: curvature", source=_NONLINEAR)
    beta_I: Any = parameter(0.351, "Hz/pA", "slope of the inhibitory f-I curve", source=_FIT)
    w_EE: Any = parameter(250.2, "pA", "to E from E in an area at the bottom of the hierarchy", source=_NONLINEAR)
    w_IE: Any = parameter(303.9, "pA", "to I from E in an area at the bottom of the hierarchy", source=_NONLINEAR)
    w_EI: Any = parameter(8.11, "pA/Hz", "to E from I", source=_NONLINEAR)
    w_II: Any = parameter(12.5, "pA/Hz", "to I from I", source=_NONLINEAR)
    mu_EE: Any = parameter(125.1, "pA", "to E from E of other areas", source=_NONLINEAR)
    eta: Any = parameter(3.4, "1", "growth of excitation along the hierarchy", source=_NONLINEAR)
    I0_E: Any = parameter(400.0, "pA", "background current into E", source=_NONLINEAR)
    r0_I: Any = parameter(61.76, "Hz", "background of I, as a rate", source=_NONLINEAR)

    state: ClassVar[tuple[Variable, ...]] = (
        Variable("r_E", "Hz", "excitatory firing rate", initial=_R_E_START),
        Variable("r_I", "Hz", "inhibitory firing rate", initial=13.0),
        Variable("S_E", "1", "excitatory gating", initial=_S_E_START),
        Variable("S_E_next", "1", "excitatory gating one step later", initial=_S_E_START),
    )
    inputs: ClassVar[tuple[Variable, ...]] = (Variable("E", "pA", "current into E"),)
    pathways: ClassVar[tuple[Pathway, ...]] = (Pathway("E", source="S_E_next", weights="fln"),)
    recorded: ClassVar[tuple[str, ...]] = ("r_E", "r_I", "S_E")
    maps: ClassVar[tuple[str, ...]] = ("hierarchy",)
    citation: ClassVar[str] = _CITATION
    pulse_amplitude: ClassVar[float] = 200.0
    step = staticmethod(nonlinear_step)
    excitatory: ClassVar[tuple[str, ...]] = ("r_E",)
    inhibitory: ClassVar[tuple[str, ...]] = ("r_I",)
    from_rates = staticmethod(nonlinear_from_rates)

    def modulate(
        self, maps: xr.Dataset, areas: Sequence[str], weights: Mapping[str, Any], p: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return the graded excitation, per area."""
        gain = 1 + p["eta"] * on_areas(maps, "hierarchy", areas)
        return {name: gain * p[name] for name in ("w_EE", "w_IE", "mu_EE")}

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return the fractions of labelled neurons as they are."""
        return {"fln": connectome.matrix("fln")}
