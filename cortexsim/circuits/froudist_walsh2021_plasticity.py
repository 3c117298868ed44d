"""Activity-silent memory by short-term plasticity: the variant of Fig. 4 of Froudist-Walsh et al. 2021."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import xarray as xr

from cortexsim.circuits.circuit import Floats, Pathway, Variable, on_areas, parameter
from cortexsim.circuits.froudist_walsh2021 import (
    FroudistWalsh2021,
    deep_inputs,
    excitatory_gating,
    inhibition_and_adaptation,
    noise_currents,
    rates,
    superficial_inputs,
)


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the state one Euler step later, in the order of the authors' program.

    As in FroudistWalsh2021; facilitation and depression follow the rates, and the gatings see all that is new.
    """
    eta = noise_currents(x, noise, p, dt)
    plastic = (x.S_NMDA1, x.S_NMDA2, x.S_AMPA1, x.S_AMPA2)
    frozen = (x.S_NMDA1_frozen, x.S_NMDA2_frozen, x.S_AMPA1_frozen, x.S_AMPA2_frozen)
    superficial, deep = superficial_inputs(longrange), deep_inputs(longrange)
    deep_frozen = (
        longrange.NMDA1_deep_frozen,
        longrange.NMDA2_deep_frozen,
        longrange.AMPA1_deep_frozen,
        longrange.AMPA2_deep_frozen,
    )
    graded = (p.m, p.g_E_PV, p.g_dendrite_SST, p.g_M)
    r = rates(x, stimulus, eta, graded, plastic, superficial, deep, frozen, deep_frozen, p, dt)

    # The old facilitation depletes; the new one, with the new depression, is the efficacy
    u_1, u_2 = p.u0 * x.facilitation1, p.u0 * x.facilitation2
    x_1, x_2 = p.x0 * x.depression1, p.x0 * x.depression2
    x_1 = x_1 + dt * ((1 - x_1) / p.tau_x - 1e-3 * u_1 * x_1 * r[0])
    x_2 = x_2 + dt * ((1 - x_2) / p.tau_x - 1e-3 * u_2 * x_2 * r[1])
    u_1 = u_1 + dt * ((p.U - u_1) / p.tau_u + 1e-3 * p.U * (1 - u_1) * r[0])
    u_2 = u_2 + dt * ((p.U - u_2) / p.tau_u + 1e-3 * p.U * (1 - u_2) * r[1])
    at_rest = p.gamma_ux * p.x0 * p.u0
    return (
        r
        + excitatory_gating(plastic, r, p.gamma_ux * x_1 * u_1, p.gamma_ux * x_2 * u_2, p, dt)
        + inhibition_and_adaptation(x, r, p, dt)
        + eta
        + excitatory_gating(frozen, r, at_rest, at_rest, p, dt)
        + (u_1 / p.u0, u_2 / p.u0, x_1 / p.x0, x_2 / p.x0)
    )


_SOURCE = "Froudist-Walsh 2021, the authors' program, Fig. 4"
_FROZEN = tuple(
    Variable(f"S_{s}{k}_frozen", "1", f"{s} gating of E{k} at the efficacy of rest")
    for s in ("NMDA", "AMPA")
    for k in (1, 2)
)


@dataclass(frozen=True)
class FroudistWalsh2021Plasticity(FroudistWalsh2021):
    r"""FroudistWalsh2021 with facilitation u and depression x of the synapses of E onto E and SST.

    .. math::
        \dot u = (U - u)/\tau_u + U (1 - u) r, \quad \dot x = (1 - x)/\tau_x - u x r,

    and each spike adds 2.5 u x γ to the gating, not γ. The synapses onto PV and VIP keep the efficacy 2.5 u0 x0, where
    u0 and x0 are the area's values at the start. E1 and E2 each have a u and an x. Memory is silent at low dopamine and
    at high, and persistent between.

    Parameters
    ----------
    dopamine : float, sequence of float (one per trial)
        Dopamine release; .5 by default, where memory is silent.
    **parameters
        As for FroudistWalsh2021, with mu_EE 1.5; see `parameter_table()`.

    Notes
    -----
    The state variables `facilitation1` and `depression1` (and those of E2) are u/u0 and x/x0: they start at 1, and
    their product is the efficacy relative to the start. u0 and x0 are the maps `facilitation_baseline` and
    `depression_baseline`; these are not quite the steady state, so efficacies at rest drift by a few per cent.

    References
    ----------
    Froudist-Walsh et al. (2021), Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024, Fig. 4. The equations are those of
    the authors' program of September 2021.
    """

    dopamine: Any = parameter(0.5, "1", "dopamine release", source=_SOURCE)
    mu_EE: Any = parameter(1.5, "nA", "long-range gain to excitatory cells", source=_SOURCE)
    U: Any = parameter(0.2, "1", "facilitation in silence, and by each spike", source=_SOURCE)
    tau_u: Any = parameter(1500.0, "ms", "decay of facilitation", source=_SOURCE)
    tau_x: Any = parameter(200.0, "ms", "recovery from depression", source=_SOURCE)
    gamma_ux: Any = parameter(2.5, "1", "scale of the efficacy", source=_SOURCE)

    state: ClassVar[tuple[Variable, ...]] = (
        *FroudistWalsh2021.state,
        *_FROZEN,
        *(
            Variable(f"facilitation{k}", "1", f"facilitation of E{k}, relative to the start", initial=1.0)
            for k in (1, 2)
        ),
        *(Variable(f"depression{k}", "1", f"depression of E{k}, relative to the start", initial=1.0) for k in (1, 2)),
    )
    pathways: ClassVar[tuple[Pathway, ...]] = (
        *FroudistWalsh2021.pathways,
        *(Pathway(v.name.removeprefix("S_").replace("_", "_deep_"), source=v.name, weights="deep") for v in _FROZEN),
    )
    maps: ClassVar[tuple[str, ...]] = (*FroudistWalsh2021.maps, "facilitation_baseline", "depression_baseline")
    step = staticmethod(step)
    from_rates: ClassVar[None] = None  # a trained network has no plasticity of this kind

    def modulate(
        self, maps: xr.Dataset, areas: Sequence[str], weights: Mapping[str, Any], p: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return what FroudistWalsh2021 does, and u0 and x0, per area."""
        return super().modulate(maps, areas, weights, p) | {
            "u0": on_areas(maps, "facilitation_baseline", areas),
            "x0": on_areas(maps, "depression_baseline", areas),
        }
