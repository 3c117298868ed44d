"""Excitatory and inhibitory populations after Wilson & Cowan 1972, coupled by their excitatory activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cortexsim.circuits.circuit import Circuit, Pathway, Variable, parameter

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome

_FIGURE = "Wilson & Cowan 1972, Fig. 11"


def derivative(x: Any, longrange: Any, stimulus: Any, p: Any) -> tuple[Any, ...]:
    """Return d/dt of the excitatory and the inhibitory activity (1/ms), without noise.

    S(y) = 1/(1 + exp(-a (y - theta))) - 1/(1 + exp(a theta)), written with tanh, which can't overflow.
    """
    y_E = p.w_EE * x.r_E - p.w_EI * x.r_I + p.G * longrange.E + p.P + stimulus.E
    y_I = p.w_IE * x.r_E - p.w_II * x.r_I + p.Q + stimulus.I
    half_E, half_I = 0.5 * p.a_E, 0.5 * p.a_I
    offset_E, offset_I = np.tanh(half_E * p.theta_E), np.tanh(half_I * p.theta_I)
    S_E = 0.5 * (np.tanh(half_E * (y_E - p.theta_E)) + offset_E)
    S_I = 0.5 * (np.tanh(half_I * (y_I - p.theta_I)) + offset_I)
    k_E, k_I = 0.5 * (1 + offset_E), 0.5 * (1 + offset_I)
    return (
        (1 / p.tau_E) * ((k_E - p.refractory_E * x.r_E) * S_E - x.r_E),
        (1 / p.tau_I) * ((k_I - p.refractory_I * x.r_I) * S_I - x.r_I),
    )


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the activities one Euler-Maruyama step later."""
    slope_E, slope_I = derivative(x, longrange, stimulus, p)
    kick = p.sigma * np.sqrt(dt)
    return x.r_E + dt * slope_E + kick * noise.E, x.r_I + dt * slope_I + kick * noise.I


def from_rates(x: Any, rates: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the given activities, which are all that there is."""
    return rates.r_E, rates.r_I


@dataclass(frozen=True)
class WilsonCowan(Circuit):
    r"""The equations of Wilson & Cowan 1972 in each area, with long-range excitation of E.

    .. math::
        \tau_E \dot r_E &= -r_E + (k_E - \rho_E r_E)\, S_E(w_{EE} r_E - w_{EI} r_I
            + G \textstyle\sum_j F_{ij} r_{E,j} + P + s_E) \\
        \tau_I \dot r_I &= -r_I + (k_I - \rho_I r_I)\, S_I(w_{IE} r_E - w_{II} r_I + Q + s_I) \\
        S(y) &= \frac{1}{1 + e^{-a (y - \theta)}} - \frac{1}{1 + e^{a \theta}}, \quad k = S(\infty)

    Without drive, all areas rest at 0. The coefficients are those of the paper's limit cycle: with P = 1.25 an area
    oscillates. r is a proportion of active cells, not a rate in Hz, and all inputs are numbers without unit.

    Parameters
    ----------
    P, Q : float, sequence of float (one per trial), DataArray over `area`
        Constant drive of E and I.
    G : float, sequence of float
        Global coupling: factor of the long-range input, the sum of F_ij (`connectome.fln`) times r_E of source j.
    sigma : float, sequence of float, DataArray over `area`
        White noise, added to both activities as sigma dW.
    **parameters
        See `parameter_table()`: every number with unit, meaning and source.

    Notes
    -----
    In the terms of the paper w_EE, w_EI, w_IE, w_II are c1, c2, c3, c4, and refractory_E, refractory_I are r_e, r_i.
    Other simulators differ in details: many set k = 1, leave out the second term of S, or couple by a
    normalised matrix; `connectome.normalise` gives the last.

    References
    ----------
    Wilson HR, Cowan JD (1972). Excitatory and inhibitory interactions in localized populations of model neurons.
    Biophys J 12:1-24, doi 10.1016/S0006-3495(72)86068-5.
    """

    tau_E: Any = parameter(10.0, "ms", "time constant of E", source="usual choice")
    tau_I: Any = parameter(10.0, "ms", "time constant of I", source="usual choice")
    w_EE: Any = parameter(16.0, "1", "to E from E", source=_FIGURE)
    w_EI: Any = parameter(12.0, "1", "to E from I", source=_FIGURE)
    w_IE: Any = parameter(15.0, "1", "to I from E", source=_FIGURE)
    w_II: Any = parameter(3.0, "1", "to I from I", source=_FIGURE)
    a_E: Any = parameter(1.3, "1", "slope of S_E", source=_FIGURE)
    theta_E: Any = parameter(4.0, "1", "position of S_E", source=_FIGURE)
    a_I: Any = parameter(2.0, "1", "slope of S_I", source=_FIGURE)
    theta_I: Any = parameter(3.7, "1", "position of S_I", source=_FIGURE)
    refractory_E: Any = parameter(1.0, "1", "share of active E that is refractory", source=_FIGURE)
    refractory_I: Any = parameter(1.0, "1", "share of active I that is refractory", source=_FIGURE)
    P: Any = parameter(0.0, "1", "constant drive of E; 1.25 in the figure", source="rest")
    Q: Any = parameter(0.0, "1", "constant drive of I", source=_FIGURE)
    G: Any = parameter(1.0, "1", "global coupling", source="free")
    sigma: Any = parameter(0.0, "ms^-0.5", "white noise of both activities", source="free")

    state: ClassVar[tuple[Variable, ...]] = (
        Variable("r_E", "1", "proportion of active excitatory cells"),
        Variable("r_I", "1", "proportion of active inhibitory cells"),
    )
    inputs: ClassVar[tuple[Variable, ...]] = (Variable("E", "1", "drive of E"), Variable("I", "1", "drive of I"))
    noise: ClassVar[tuple[str, ...]] = ("E", "I")
    pathways: ClassVar[tuple[Pathway, ...]] = (Pathway("E", source="r_E", weights="fln"),)
    recorded: ClassVar[tuple[str, ...]] = ("r_E", "r_I")
    citation: ClassVar[str] = "Wilson & Cowan 1972, Biophys J 12:1, doi 10.1016/S0006-3495(72)86068-5"
    step = staticmethod(step)
    excitatory: ClassVar[tuple[str, ...]] = ("r_E",)
    inhibitory: ClassVar[tuple[str, ...]] = ("r_I",)
    from_rates = staticmethod(from_rates)

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return the fractions of labelled neurons as they are."""
        return {"fln": connectome.matrix("fln")}
