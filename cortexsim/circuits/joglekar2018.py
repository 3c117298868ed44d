"""Signal propagation by global balanced amplification in the macaque cortex: Joglekar et al. 2018."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.circuits.chaudhuri2015 import derivative, from_rates, grade
from cortexsim.circuits.circuit import Circuit, Floats, Pathway, Variable, option, parameter

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome

_TABLE = "Joglekar 2018, parameters of the rate model, after Chaudhuri 2015"
_PROGRAM = "Joglekar 2018, the authors' program"
_REGIMES = {"weak": {"w_EI": 19.7, "mu_EE": 33.7}, "strong": {"w_EI": 25.2, "mu_EE": 51.5}}
_PULSES = {"weak": 22.05 * 1.9 / 0.066, "strong": 11.54 * 1.9 / 0.066}  # the program's Hz over beta_E


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the rates one Euler step later, not below their floors."""
    slope_E, slope_I = derivative(x, longrange, stimulus, p)
    return np.maximum(x.r_E + dt * slope_E, p.floor_E), np.maximum(x.r_I + dt * slope_I, p.floor_I)


@dataclass(frozen=True)
class Joglekar2018(Circuit):
    r"""The rate model of Chaudhuri 2015 with weak or strong global balanced amplification.

    .. math::
        \tau_E \dot r_E &= -r_E + \beta_E [g_i (w_{EE} r_E + \mu_{EE} \textstyle\sum_j F_{ij} r_{E,j})
            - w_{EI} r_I + I_E + s_E]_+ \\
        \tau_I \dot r_I &= -r_I + \beta_I [g_i (w_{IE} r_E + \mu_{IE} \textstyle\sum_j F_{ij} r_{E,j})
            - w_{II} r_I + I_I + s_I]_+

    with g_i = 1 + eta h_i and a background that makes `r_E_rest`, `r_I_rest` the fixed point, as in `Chaudhuri2015`.
    Strong long-range excitation mu_EE, balanced by strong local inhibition w_EI, carries a signal from V1 to the top of
    the hierarchy, and stays stable.

    Parameters
    ----------
    regime : {"weak", "strong"}
        Sets w_EI and mu_EE, where they are not given, and `pulse_amplitude`: 19.7 and 33.7 pA/Hz, or 25.2 and 51.5.
    w_EI, mu_EE : float, sequence of float (one per trial), or None
        None: what `regime` says. `dataclasses.replace` hands old numbers on, so change a regime by
        `replace(circuit, regime="strong", w_EI=None, mu_EE=None)`.
    clamp : bool
        Whether no rate falls below rest: r_E >= r_E_rest and r_I >= r_I_rest after each step. On in the authors'
        program, unmentioned in the paper. It changes nothing for the two standard pulses; where mu_EE is below some 32
        pA/Hz the fixed point is unstable, and only the clamp keeps the cortex there after a pulse.
    **parameters
        See `parameter_table()`: every number with unit, meaning and source.

    Raises
    ------
    ValueError
        If the regime is unknown, or w_EI and mu_EE are the published pair of the other regime.
    TypeError
        If `clamp` is not a bool.

    Notes
    -----
    Where program and paper differ, the program is followed: `clamp=True`. The clamp acts 1e-11 of a rate below rest, so
    that linear stability about rest is that of the equations, with the clamp and without. Inputs are in pA; the program
    adds beta_E times as many Hz. Its pulse lasts from 2 s to 2.25 s with both ends, 1251 steps of 0.2 ms: a Pulse of
    250.2 ms.

    References
    ----------
    Joglekar MR, Mejias JF, Yang GR, Wang X-J (2018). Inter-areal balanced amplification enhances signal propagation in
    a large-scale circuit model of the primate cortex. Neuron 98:222-234, doi 10.1016/j.neuron.2018.02.031.
    """

    regime: str = option("weak", "global balanced amplification: weak or strong; sets w_EI, mu_EE", source=_PROGRAM)
    tau_E: Any = parameter(20.0, "ms", "time constant of the excitatory rate", source=_TABLE)
    tau_I: Any = parameter(10.0, "ms", "time constant of the inhibitory rate", source=_TABLE)
    beta_E: Any = parameter(0.066, "Hz/pA", "slope of the excitatory f-I curve", source=_TABLE)
    beta_I: Any = parameter(0.351, "Hz/pA", "slope of the inhibitory f-I curve", source=_TABLE)
    w_EE: Any = parameter(24.3, "pA/Hz", "to E from E in an area at the bottom of the hierarchy", source=_TABLE)
    w_IE: Any = parameter(12.2, "pA/Hz", "to I from E in an area at the bottom of the hierarchy", source=_TABLE)
    w_EI: Any = parameter(None, "pA/Hz", "to E from I", source=_PROGRAM)
    w_II: Any = parameter(12.5, "pA/Hz", "to I from I", source=_TABLE)
    mu_EE: Any = parameter(None, "pA/Hz", "to E from E of other areas", source=_PROGRAM)
    mu_IE: Any = parameter(25.3, "pA/Hz", "to I from E of other areas", source=_TABLE)
    eta: Any = parameter(0.68, "1", "growth of excitation along the hierarchy", source=_TABLE)
    r_E_rest: Any = parameter(10.0, "Hz", "excitatory rate at the fixed point", source=_PROGRAM)
    r_I_rest: Any = parameter(35.0, "Hz", "inhibitory rate at the fixed point", source=_PROGRAM)
    clamp: bool = option(True, "rates never fall below rest", source=_PROGRAM)

    state: ClassVar[tuple[Variable, ...]] = (
        Variable("r_E", "Hz", "excitatory firing rate", initial=10.0),
        Variable("r_I", "Hz", "inhibitory firing rate", initial=35.0),
    )
    inputs: ClassVar[tuple[Variable, ...]] = (
        Variable("E", "pA", "current into E"),
        Variable("I", "pA", "current into I"),
    )
    pathways: ClassVar[tuple[Pathway, ...]] = (Pathway("E", source="r_E", weights="fln"),)
    recorded: ClassVar[tuple[str, ...]] = ("r_E", "r_I")
    maps: ClassVar[tuple[str, ...]] = ("hierarchy",)
    citation: ClassVar[str] = "Joglekar et al. 2018, Neuron 98:222, doi 10.1016/j.neuron.2018.02.031"
    step = staticmethod(step)
    excitatory: ClassVar[tuple[str, ...]] = ("r_E",)
    inhibitory: ClassVar[tuple[str, ...]] = ("r_I",)
    from_rates = staticmethod(from_rates)

    def __post_init__(self) -> None:
        _checks.check_known(self.regime, tuple(_REGIMES), what="regime", where="Joglekar2018")
        if not isinstance(self.clamp, bool):
            raise TypeError(f"Option `clamp` must be True or False, but is {self.clamp!r}.")
        for name, value in _REGIMES[self.regime].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        super().__post_init__()
        other = "strong" if self.regime == "weak" else "weak"
        if all(getattr(self, name) == value for name, value in _REGIMES[other].items()):
            raise ValueError(
                f"Parameters `w_EI` and `mu_EE` must go with `regime`, but are those of {other!r} and not of "
                f"{self.regime!r}; pass w_EI=None and mu_EE=None to take the regime's own."
            )

    @property
    def pulse_amplitude(self) -> float:
        """Current (pA) into E of V1 that drives V1 100 Hz above rest within 250 ms, in this regime."""
        return _PULSES[self.regime]

    def modulate(
        self, maps: xr.Dataset, areas: Sequence[str], weights: Mapping[str, Any], p: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return the graded excitation, the background currents and the floors of the rates, per area."""
        # The floor lies a hair below rest, so that rest is no kink, about which the model could not be linearised.
        # Rates of these equations are never negative: a floor of 0 is none.
        share = 1 - 1e-11 if self.clamp else 0.0
        floors = {"floor_E": share * p["r_E_rest"], "floor_I": share * p["r_I_rest"]}
        return {**grade(maps, areas, weights["fln"], p), **floors}

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return the fractions of labelled neurons as they are."""
        return {"fln": connectome.matrix("fln")}
