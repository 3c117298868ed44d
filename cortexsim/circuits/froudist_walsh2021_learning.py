"""Dopamine from a ventral tegmental area (VTA) that the cortex drives, Fig. 6 of Froudist-Walsh et al. 2021."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.circuits.circuit import Floats, Pathway, Variable, option, parameter
from cortexsim.circuits.froudist_walsh2021 import (
    FroudistWalsh2021,
    deep_inputs,
    excitatory_gating,
    grades,
    inhibition_and_adaptation,
    noise_currents,
    occupancy,
    rates,
    superficial_inputs,
)
from cortexsim.circuits.transfer import abbott_chance, threshold_linear

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome

# The published program multiplies by 1 nA what is in amperes already.
_UNITS = {"published": 1e-9, "corrected": 1.0}


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the state one Euler step later, in the order of the authors' program.

    As in FroudistWalsh2021, with what dopamine grades worked out anew from the old DA. The cells of the VTA see the old
    read-out; DA follows their new rate.
    """
    eta = noise_currents(x, noise, p, dt)
    local = (x.S_NMDA1, x.S_NMDA2, x.S_AMPA1, x.S_AMPA2)
    superficial, deep = superficial_inputs(longrange), deep_inputs(longrange)
    occupied = occupancy(p.dopamine + x.DA, p)
    graded = grades(occupied * p.d_NMDA, occupied * p.d_PV, occupied * p.d_SST, occupied * p.d_M, p)
    r = rates(x, stimulus, eta, graded, local, superficial, deep, local, deep, p, dt)

    # Cortical synapses keep their efficacy; those onto GABA cells of the VTA facilitate
    efficacy = p.x0 * p.u0
    u_1 = x.u1 + dt * ((p.U - x.u1) / p.tau_u + 1e-3 * p.U * (1 - x.u1) * r[0])
    u_2 = x.u2 + dt * ((p.U - x.u2) / p.tau_u + 1e-3 * p.U * (1 - x.u2) * r[1])
    to_VTA_GABA = (x.S_NMDA1_VTA, x.S_NMDA2_VTA, x.S_AMPA1_VTA, x.S_AMPA2_VTA)
    S = excitatory_gating(local, r, efficacy, efficacy, p, dt)
    S_VTA = excitatory_gating(to_VTA_GABA, r, p.x0 * u_1, p.x0 * u_2, p, dt)

    # The VTA; its f-I curves are those of E and of PV
    I_DA = p.I0_VTA_DA + p.g_VTA_DA_E * longrange.VTA_DA + p.g_VTA_DA_GABA * x.S_VTA_GABA
    I_GABA = p.I0_VTA_GABA + p.g_VTA_GABA_E * longrange.VTA_GABA
    r_DA = x.r_VTA_DA + dt / p.tau_r * (abbott_chance(p.a_E * I_DA - p.b_E, p.d_E) - x.r_VTA_DA)
    r_GABA = x.r_VTA_GABA + dt / p.tau_r * (threshold_linear(I_GABA, p.c_PV, p.r0_PV) - x.r_VTA_GABA)
    VTA = (
        r_DA,
        r_GABA,
        x.S_VTA_GABA - dt / p.tau_GABA * x.S_VTA_GABA + p.gamma_GABA * 1e-3 * dt * r_GABA,
        x.DA - dt / p.tau_DA * x.DA + p.gamma_DA * 1e-3 * dt * r_DA,
        p.c_VTA1 * (S[0] + S[2]) + p.c_VTA2 * (S[1] + S[3]),
        p.c_VTA1 * (S_VTA[0] + S_VTA[2]) + p.c_VTA2 * (S_VTA[1] + S_VTA[3]),
    )
    return r + S + inhibition_and_adaptation(x, r, p, dt) + eta + S_VTA + (u_1, u_2) + VTA


_SOURCE = "Froudist-Walsh 2021, the authors' program, Fig. 6"


@dataclass(frozen=True)
class FroudistWalsh2021Learning(FroudistWalsh2021):
    r"""FroudistWalsh2021 with dopamine from a ventral tegmental area (VTA), which learnt weights of the cortex drive.

    .. math::
        \tau_{DA} \dot{DA} = -DA + \tau_{DA}\, 0.1\, r_{DA}, \quad
        I_{DA} = B_{DA} + 0.047 \sum_i \sum_k c_k (S^N_{ik} + S^A_{ik}) + g_I G, \quad
        I_{GABA} = B_I + 0.020 \sum_i \sum_k c_k (\hat S^N_{ik} + \hat S^A_{ik}),

    with sums over all areas i and k = 1, 2. r_DA and r_GABA have the f-I curves of E and PV; G is the GABA gating that
    r_GABA drives; the gating Ŝ of synapses onto GABA cells facilitates. All that dopamine grades follows DA in each
    step. There is no M current.

    Parameters
    ----------
    dopamine : float, sequence of float (one per trial)
        Dopamine that is added to that of the VTA; 0 in the published program.
    c_VTA1, c_VTA2 : float, sequence of float (one per trial)
        The weights c1 and c2 of E1 and of E2 on the VTA, which `cortexsim.learning.learn` changes from trial to trial.
    VTA_units : {"published", "corrected"}
        What becomes of B_DA = .350, B_I = .250 and g_I = -.55 nA, the parameters I0_VTA_DA, I0_VTA_GABA, g_VTA_DA_GABA.
        "published": they are multiplied by 1e-9, as in the authors' program by a slip of the unit. The VTA then has
        no background and no inhibition: it is silent until the cortex drives it, and DA grows to 16 within a trial.
        The published figure shows this. "corrected": as the paper's table has them. The VTA then fires 8 Hz at rest,
        DA is 1.5 before the target, and falls to 1.0 in the delay, since the cortex drives the GABA cells.
    **parameters
        As for FroudistWalsh2021; see `parameter_table()`. g_M_max is 0.

    Notes
    -----
    There is one VTA. Each area holds a copy of its variables (`r_VTA_DA`, `r_VTA_GABA`, `S_VTA_GABA`, `DA`), and all
    copies are the same, since the pathways to them have the weight 1 from every area. Their sources are the read-outs
    `read_out` and `read_out_facilitated` of an area. An area that is cut off from all others has a VTA of its own.
    These pathways have no anatomy: a `conduction_speed`, or a lesion of single connections, raises.

    Depression is left out: the program works it out, but uses a constant x0.

    References
    ----------
    Froudist-Walsh et al. (2021), Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024, Fig. 6. The equations are those of
    the authors' program of September 2021.
    """

    dopamine: Any = parameter(0.0, "1", "dopamine added to that of the VTA")
    g_M_max: Any = parameter(0.0, "nA", "M current of E at full occupancy", source=_SOURCE)
    gamma_NMDA: Any = parameter(6.41, "1", "NMDA gating per spike at efficacy 1", source=_SOURCE)
    gamma_AMPA: Any = parameter(25.0, "1", "AMPA gating per spike at efficacy 1", source=_SOURCE)
    u0: Any = parameter(0.22, "1", "facilitation of cortical synapses, constant", source=_SOURCE)
    x0: Any = parameter(0.87, "1", "depression of all excitatory synapses, constant", source=_SOURCE)
    U: Any = parameter(0.2, "1", "facilitation of synapses onto the VTA in silence, and by each spike", source=_SOURCE)
    tau_u: Any = parameter(200.0, "ms", "decay of that facilitation", source=_SOURCE)
    c_VTA1: Any = parameter(0.7, "1", "weight of E1 on the VTA", source=_SOURCE)
    c_VTA2: Any = parameter(1.0, "1", "weight of E2 on the VTA", source=_SOURCE)
    g_VTA_DA_E: Any = parameter(0.047, "nA", "to dopamine cells of the VTA from E of all areas", source=_SOURCE)
    g_VTA_GABA_E: Any = parameter(0.020, "nA", "to GABA cells of the VTA from E of all areas", source=_SOURCE)
    g_VTA_DA_GABA: Any = parameter(-0.55, "nA", "to dopamine cells of the VTA from its GABA cells", source=_SOURCE)
    I0_VTA_DA: Any = parameter(0.350, "nA", "background to dopamine cells of the VTA", source=_SOURCE)
    I0_VTA_GABA: Any = parameter(0.250, "nA", "background to GABA cells of the VTA", source=_SOURCE)
    tau_DA: Any = parameter(2000.0, "ms", "decay of dopamine", source=_SOURCE)
    gamma_DA: Any = parameter(0.1, "1", "dopamine per spike of the VTA", source=_SOURCE)
    VTA_units: str = option(
        "published", "background and inhibition of the VTA: published, times 1e-9; corrected, whole"
    )

    state: ClassVar[tuple[Variable, ...]] = (
        *FroudistWalsh2021.state,
        *(
            Variable(f"S_{s}{k}_VTA", "1", f"{s} gating of E{k} onto GABA cells of the VTA")
            for s in ("NMDA", "AMPA")
            for k in (1, 2)
        ),
        *(Variable(f"u{k}", "1", f"facilitation of E{k} onto GABA cells of the VTA", initial=0.22) for k in (1, 2)),
        Variable("r_VTA_DA", "Hz", "firing rate of dopamine cells of the VTA"),
        Variable("r_VTA_GABA", "Hz", "firing rate of GABA cells of the VTA"),
        Variable("S_VTA_GABA", "1", "GABA gating of the VTA"),
        Variable("DA", "1", "dopamine release by the VTA"),
        Variable("read_out", "1", "what an area sends to dopamine cells of the VTA"),
        Variable("read_out_facilitated", "1", "what an area sends to GABA cells of the VTA"),
    )
    pathways: ClassVar[tuple[Pathway, ...]] = (
        *FroudistWalsh2021.pathways,
        Pathway("VTA_DA", source="read_out", weights="VTA", anatomical=False),
        Pathway("VTA_GABA", source="read_out_facilitated", weights="VTA", anatomical=False),
    )
    recorded: ClassVar[tuple[str, ...]] = (*FroudistWalsh2021.recorded, "r_VTA_DA", "r_VTA_GABA", "DA")
    step = staticmethod(step)
    from_rates: ClassVar[None] = None  # areas drive the VTA by all of their gating, and read dopamine anew

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.check_known(self.VTA_units, tuple(_UNITS), what="option", where="`VTA_units`")

    def modulate(
        self, maps: xr.Dataset, areas: Sequence[str], weights: Mapping[str, Any], p: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return e, the split of long-range input, the density of D1, and the VTA's currents in their unit."""
        density = {f"d_{name}": d for name, d in self._density(maps, areas).items()}
        currents = {name: _UNITS[self.VTA_units] * p[name] for name in ("I0_VTA_DA", "I0_VTA_GABA", "g_VTA_DA_GABA")}
        return self._by_area(maps, areas, p) | density | currents

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return those of FroudistWalsh2021, and 1 from every area to every copy of the VTA."""
        from scipy.sparse import csr_array

        fln = connectome.matrix("fln")
        connected = fln.sum(axis=0) + fln.sum(axis=1) > 0
        shared = (np.outer(connected, connected) | np.diag(~connected)).astype(np.float64)
        return super().weights(connectome) | {"VTA": csr_array(shared) if connectome.listed else shared}
