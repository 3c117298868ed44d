"""Working memory in a dopamine-graded macaque cortex: Froudist-Walsh et al. 2021."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.circuits.circuit import Circuit, Floats, Pathway, Variable, option, parameter, rescaled
from cortexsim.circuits.transfer import abbott_chance, threshold_linear
from cortexsim.connectome.matrices import each, normalised

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome

_POPULATIONS = ("E1", "E2", "PV", "SST1", "SST2", "VIP1", "VIP2")
_DOPAMINE_EFFECTS = ("NMDA", "PV", "SST", "M")


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the state one Euler step later, in the order of the authors' program.

    Noise first, then all currents from the old state, then the rates, then gating and adaptation from their old value
    and the new rate.
    """
    eta = noise_currents(x, noise, p, dt)
    local = (x.S_NMDA1, x.S_NMDA2, x.S_AMPA1, x.S_AMPA2)
    superficial, deep = superficial_inputs(longrange), deep_inputs(longrange)
    graded = (p.m, p.g_E_PV, p.g_dendrite_SST, p.g_M)
    r = rates(x, stimulus, eta, graded, local, superficial, deep, local, deep, p, dt)
    return r + excitatory_gating(local, r, 1.0, 1.0, p, dt) + inhibition_and_adaptation(x, r, p, dt) + eta


def from_rates(x: Any, rates: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the given rates of E1 and E2 and the gating that they drive; interneurons stay as they are."""
    local = (x.S_NMDA1, x.S_NMDA2, x.S_AMPA1, x.S_AMPA2)
    r = (rates.r_E1, rates.r_E2)
    interneurons = (x.r_PV, x.r_SST1, x.r_SST2, x.r_VIP1, x.r_VIP2)
    inhibition = (x.S_PV, x.S_SST1, x.S_SST2, x.S_VIP1, x.S_VIP2, x.S_dendrite1, x.S_dendrite2)
    adaptation = (x.a_E1, x.a_E2, x.a_SST1, x.a_SST2, x.a_VIP1, x.a_VIP2)
    eta = (x.eta_E1, x.eta_E2, x.eta_PV, x.eta_SST1, x.eta_SST2, x.eta_VIP1, x.eta_VIP2)
    return r + interneurons + excitatory_gating(local, r, 1.0, 1.0, p, dt) + inhibition + adaptation + eta


def noise_currents(x: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the Ornstein-Uhlenbeck currents (nA) of the seven populations."""
    kick = p.sigma * np.sqrt(dt / p.tau_AMPA)
    leak = dt / p.tau_AMPA
    return (
        x.eta_E1 - x.eta_E1 * leak + kick * noise.E1,
        x.eta_E2 - x.eta_E2 * leak + kick * noise.E2,
        x.eta_PV - x.eta_PV * leak + kick * noise.PV,
        x.eta_SST1 - x.eta_SST1 * leak + kick * noise.SST1,
        x.eta_SST2 - x.eta_SST2 * leak + kick * noise.SST2,
        x.eta_VIP1 - x.eta_VIP1 * leak + kick * noise.VIP1,
        x.eta_VIP2 - x.eta_VIP2 * leak + kick * noise.VIP2,
    )


def superficial_inputs(longrange: Any) -> tuple[Any, ...]:
    """Return the long-range gating from superficial layers: NMDA of E1 and E2, AMPA of E1 and E2."""
    return (
        longrange.NMDA1_superficial,
        longrange.NMDA2_superficial,
        longrange.AMPA1_superficial,
        longrange.AMPA2_superficial,
    )


def deep_inputs(longrange: Any) -> tuple[Any, ...]:
    """Return the long-range gating from deep layers: NMDA of E1 and E2, AMPA of E1 and E2."""
    return longrange.NMDA1_deep, longrange.NMDA2_deep, longrange.AMPA1_deep, longrange.AMPA2_deep


def rates(
    x: Any,
    stimulus: Any,
    eta: Any,
    graded: Any,
    local: Any,
    superficial: Any,
    deep: Any,
    local_PV_VIP: Any,
    deep_PV_VIP: Any,
    p: Any,
    dt: Any,
) -> tuple[Any, ...]:
    """Return the rates (Hz) of the seven populations one step later, from the currents of the old state.

    Parameters
    ----------
    x, stimulus, p, dt
        As for `step`.
    eta
        The noise currents.
    graded
        What dopamine grades: the gain m of NMDA, and the conductances g_E_PV, g_dendrite_SST and g_M (nA).
    local, superficial, deep
        Excitatory gating within the area and over long range, as E and SST see it: NMDA of E1 and E2, AMPA of E1, E2.
    local_PV_VIP, deep_PV_VIP
        The same as PV and VIP see it.
    """
    m, g_E_PV, g_dendrite_SST, g_M = graded
    eta_E1, eta_E2, eta_PV, eta_SST1, eta_SST2, eta_VIP1, eta_VIP2 = eta

    # Shares of NMDA (with dopamine's gain m) and AMPA in an excitatory current, but for that of PV
    n = (1 - p.AMPA_fraction) * m
    a = p.AMPA_fraction
    local_1 = n * local[0] + a * local[2]
    local_2 = n * local[1] + a * local[3]
    superficial_1 = n * superficial[0] + a * superficial[2]
    superficial_2 = n * superficial[1] + a * superficial[3]
    deep_1 = n * deep[0] + a * deep[2]
    deep_2 = n * deep[1] + a * deep[3]
    local_VIP1 = n * local_PV_VIP[0] + a * local_PV_VIP[2]
    local_VIP2 = n * local_PV_VIP[1] + a * local_PV_VIP[3]
    deep_VIP1 = n * deep_PV_VIP[0] + a * deep_PV_VIP[2]
    deep_VIP2 = n * deep_PV_VIP[1] + a * deep_PV_VIP[3]

    # Dendrites: excitation x_k is divided and shifted by inhibition y_k
    mu_EE = p.mu_EE * p.e
    other = 1 - p.same_dendrite
    x_1 = p.I0_dendrite + stimulus.E1_dendrite + mu_EE * (p.same_dendrite * superficial_1 + other * superficial_2)
    x_2 = p.I0_dendrite + stimulus.E2_dendrite + mu_EE * (p.same_dendrite * superficial_2 + other * superficial_1)
    y_1 = g_dendrite_SST * x.S_dendrite1
    y_2 = g_dendrite_SST * x.S_dendrite2
    I_dendrite1 = p.c1 * np.tanh((x_1 + p.c3 * y_1 + p.c4) * np.exp(y_1 / p.c6) / p.c5) + p.c2
    I_dendrite2 = p.c1 * np.tanh((x_2 + p.c3 * y_2 + p.c4) * np.exp(y_2 / p.c6) / p.c5) + p.c2

    # Currents (nA)
    g_EE = p.e * p.g_E_self
    g_EE_cross = p.e * p.g_E_cross
    M_and_adaptation = p.g_adaptation + g_M
    I_E = g_E_PV * x.S_PV + p.I0_E
    I_E1 = g_EE * local_1 + g_EE_cross * local_2 + I_E + eta_E1 + I_dendrite1 + M_and_adaptation * x.a_E1 + stimulus.E1
    I_E2 = g_EE * local_2 + g_EE_cross * local_1 + I_E + eta_E2 + I_dendrite2 + M_and_adaptation * x.a_E2 + stimulus.E2

    mu_IE = p.mu_IE * p.e
    I_PV = (
        p.e * p.g_PV_E * excitation_PV(local_PV_VIP, m, p)
        + mu_IE * p.split_PV * excitation_PV(deep_PV_VIP, m, p)
        + p.g_PV_PV * x.S_PV
        + p.g_PV_SST * (x.S_SST1 + x.S_SST2)
        + p.I0_I
        + eta_PV
        + stimulus.PV
    )
    I_SST = p.e * p.g_SST_E * (local_1 + local_2) + p.I0_I
    to_SST = mu_IE * p.split_SST
    I_SST1 = I_SST + to_SST * deep_1 + p.g_SST_VIP * x.S_VIP1 + eta_SST1 + p.g_adaptation * x.a_SST1 + stimulus.SST1
    I_SST2 = I_SST + to_SST * deep_2 + p.g_SST_VIP * x.S_VIP2 + eta_SST2 + p.g_adaptation * x.a_SST2 + stimulus.SST2
    I_VIP1 = p.e * p.g_VIP_E * local_VIP1 + mu_IE * p.split_VIP * deep_VIP1 + p.g_VIP_SST * x.S_SST1 + p.I0_I + eta_VIP1
    I_VIP2 = p.e * p.g_VIP_E * local_VIP2 + mu_IE * p.split_VIP * deep_VIP2 + p.g_VIP_SST * x.S_SST2 + p.I0_I + eta_VIP2
    I_VIP1 = I_VIP1 + p.g_adaptation * x.a_VIP1 + stimulus.VIP1
    I_VIP2 = I_VIP2 + p.g_adaptation * x.a_VIP2 + stimulus.VIP2

    dt_r = dt / p.tau_r
    return (
        x.r_E1 + dt_r * (abbott_chance(p.a_E * I_E1 - p.b_E, p.d_E) - x.r_E1),
        x.r_E2 + dt_r * (abbott_chance(p.a_E * I_E2 - p.b_E, p.d_E) - x.r_E2),
        x.r_PV + dt_r * (threshold_linear(I_PV, p.c_PV, p.r0_PV) - x.r_PV),
        x.r_SST1 + dt_r * (threshold_linear(I_SST1, p.c_I, p.r0_I) - x.r_SST1),
        x.r_SST2 + dt_r * (threshold_linear(I_SST2, p.c_I, p.r0_I) - x.r_SST2),
        x.r_VIP1 + dt_r * (threshold_linear(I_VIP1, p.c_I, p.r0_I) - x.r_VIP1),
        x.r_VIP2 + dt_r * (threshold_linear(I_VIP2, p.c_I, p.r0_I) - x.r_VIP2),
    )


def excitation_PV(S: Any, m: Any, p: Any) -> Any:
    """Return the drive of PV by E1 and E2 together."""
    NMDA_1, NMDA_2, AMPA_1, AMPA_2 = S
    return (1 - p.AMPA_fraction_PV) * m * (NMDA_1 + NMDA_2) + p.AMPA_fraction_PV * (AMPA_1 + AMPA_2)


def excitatory_gating(S: Any, r: Any, efficacy_1: Any, efficacy_2: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return NMDA gating of E1, E2 and AMPA gating of E1, E2 one step later, from their old value and the new rates.

    The efficacies multiply what each spike of E1 and of E2 adds.
    """
    NMDA_1, NMDA_2, AMPA_1, AMPA_2 = S
    gain_NMDA = p.gamma_NMDA * 1e-3 * dt
    gain_AMPA = p.gamma_AMPA * 1e-3 * dt
    dt_NMDA = dt / p.tau_NMDA
    dt_AMPA = dt / p.tau_AMPA
    return (
        NMDA_1 - dt_NMDA * NMDA_1 + gain_NMDA * efficacy_1 * (1 - NMDA_1) * r[0],
        NMDA_2 - dt_NMDA * NMDA_2 + gain_NMDA * efficacy_2 * (1 - NMDA_2) * r[1],
        AMPA_1 - dt_AMPA * AMPA_1 + gain_AMPA * efficacy_1 * r[0],
        AMPA_2 - dt_AMPA * AMPA_2 + gain_AMPA * efficacy_2 * r[1],
    )


def inhibition_and_adaptation(x: Any, r: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return GABA gating at somata and dendrites, and adaptation, from their old value and the new rates."""
    r_E1, r_E2, r_PV, r_SST1, r_SST2, r_VIP1, r_VIP2 = r
    gain_GABA = p.gamma_GABA * 1e-3 * dt
    gain_a = 1e-3 * dt
    dt_GABA = dt / p.tau_GABA
    dt_dendrite = dt / p.tau_GABA_dendrite
    dt_a = dt / p.tau_adaptation
    return (
        x.S_PV - dt_GABA * x.S_PV + gain_GABA * r_PV,
        x.S_SST1 - dt_GABA * x.S_SST1 + gain_GABA * r_SST1,
        x.S_SST2 - dt_GABA * x.S_SST2 + gain_GABA * r_SST2,
        x.S_VIP1 - dt_GABA * x.S_VIP1 + gain_GABA * r_VIP1,
        x.S_VIP2 - dt_GABA * x.S_VIP2 + gain_GABA * r_VIP2,
        x.S_dendrite1 - dt_dendrite * x.S_dendrite1 + gain_GABA * r_SST1,
        x.S_dendrite2 - dt_dendrite * x.S_dendrite2 + gain_GABA * r_SST2,
        x.a_E1 - dt_a * x.a_E1 + gain_a * r_E1,
        x.a_E2 - dt_a * x.a_E2 + gain_a * r_E2,
        x.a_SST1 - dt_a * x.a_SST1 + gain_a * r_SST1,
        x.a_SST2 - dt_a * x.a_SST2 + gain_a * r_SST2,
        x.a_VIP1 - dt_a * x.a_VIP1 + gain_a * r_VIP1,
        x.a_VIP2 - dt_a * x.a_VIP2 + gain_a * r_VIP2,
    )


def occupancy(dopamine: Any, p: Any) -> Any:
    """Return the share of D1 receptors that dopamine occupies."""
    return p.D1_availability * sigmoid(p.occupancy_slope * (dopamine - p.occupancy_midpoint))


def grades(NMDA: Any, PV: Any, SST: Any, M: Any, p: Any) -> tuple[Any, Any, Any, Any]:
    """Return what dopamine grades (see `rates`), from the density of occupied D1 receptors that each action sees."""
    return (
        p.NMDA_availability * (1 + p.NMDA_gain * sigmoid(p.NMDA_slope * (NMDA - p.NMDA_midpoint))),
        p.g_E_PV_max + (p.g_E_PV_min - p.g_E_PV_max) * PV,
        p.g_dendrite_SST_min + (p.g_dendrite_SST_max - p.g_dendrite_SST_min) * SST,
        p.g_M_max * sigmoid(p.M_slope * (M - p.M_midpoint)),
    )


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def _states() -> tuple[Variable, ...]:
    names = {"E1": "E1", "E2": "E2", "PV": "PV", "SST1": "SST1", "SST2": "SST2", "VIP1": "VIP1", "VIP2": "VIP2"}
    rates = [Variable(f"r_{k}", "Hz", f"firing rate of {v}", initial=5.0) for k, v in names.items()]
    excitatory = [Variable(f"S_{s}{k}", "1", f"{s} gating of E{k}") for s in ("NMDA", "AMPA") for k in (1, 2)]
    somatic = [Variable(f"S_{k}", "1", f"GABA gating of {k} at somata") for k in _POPULATIONS[2:]]
    dendritic = [Variable(f"S_dendrite{k}", "1", f"GABA gating of SST{k} at dendrites") for k in (1, 2)]
    adaptation = [Variable(f"a_{k}", "1", f"adaptation of {k}") for k in _POPULATIONS if k != "PV"]
    currents = [Variable(f"eta_{k}", "nA", f"noise current into {k}") for k in _POPULATIONS]
    return (*rates, *excitatory, *somatic, *dendritic, *adaptation, *currents)


def _inputs() -> tuple[Variable, ...]:
    where = ("E1_dendrite", "E2_dendrite", *_POPULATIONS)
    return tuple(Variable(w, "pA", f"current into {w.replace('_', ' ')}", scale=1e-3) for w in where)


def _pathways() -> tuple[Pathway, ...]:
    return tuple(
        Pathway(f"{synapse}{k}_{layer}", source=f"S_{synapse}{k}", weights=layer)
        for layer in ("superficial", "deep")
        for synapse in ("NMDA", "AMPA")
        for k in (1, 2)
    )


_TABLE = "Froudist-Walsh 2021, parameter table"
_PROGRAM = "Froudist-Walsh 2021, the authors' program"


@dataclass(frozen=True)
class FroudistWalsh2021(Circuit):
    r"""Two selective excitatory populations with dendrites, PV, SST and VIP interneurons, and dopamine.

    With :math:`\mathrm{occ} = \sigma(2(\mathrm{DA} - 1))` the occupancy of D1 receptors and d_i their rescaled density
    in area i, dopamine scales NMDA currents by m_i = 1 + 0.6 σ(10 (occ d_i - 0.35)), weakens PV inhibition of the soma,
    g_i = -0.4 + 0.399 occ d_i, strengthens SST inhibition of the dendrite, -0.09 - 0.02 occ d_i, and opens the M
    current,
    -0.5 σ(14 (occ d_i - 0.85)). All excitation into area i is scaled by its spine count,
    e_i = 0.45 + 0.55 (s_i - min s)/(max s - min s). The equations stand in `step`, each once.

    Parameters
    ----------
    dopamine : float, sequence of float (one per trial)
        Dopamine release, 0 ... 3; memory exists between .96 and 2.10.
    D1_availability, NMDA_availability : float, sequence of float, DataArray over `area`
        Share of the receptors that are not blocked. The first multiplies occ, the second every NMDA current.
    without_dopamine : tuple of str
        Actions of dopamine to hold at occ = 0: any of "NMDA", "PV", "SST", "M".
    FEF_exception : bool
        Whether the frontal eye fields (8m, 8l) split long-range input to interneurons .2/.1/.7, not .31/.22/.47. On in
        the authors' program, and load-bearing: without it 8 areas, not 23, persist at dopamine 1.5.
    noise_scaling : {"program", "continuous"}
        "program": the noise current is driven by sigma sqrt(dt/tau), which gives a stationary standard deviation of
        .756 sigma at dt = .5 ms. "continuous": by sigma sqrt(2 dt/tau), the paper's reading of sigma as the standard
        deviation of the Ornstein-Uhlenbeck process.
    **parameters
        See `parameter_table()`: every number with unit, meaning and source.

    Notes
    -----
    Where the program and the paper differ, the program is followed: rates relax with tau_r = 2 ms (the program's AMPA
    time constant; a separate `tau_rates` there is unused); dendrites receive no noise; adaptation is absent from PV;
    AMPA and GABA gating is not bounded by 1. The M current acts through the adaptation variable. Currents are in nA
    inside and in pA for users.

    Minimum and maximum of spine count and D1 density are taken over all areas of the gradients given, also those that
    the connectome leaves out, so that a part of the cortex keeps its numbers.

    References
    ----------
    Froudist-Walsh S, Bliss DP, Ding X, Rapan L, Niu M, Knoblauch K, Zilles K, Kennedy H, Palomero-Gallagher N, Wang
    X-J (2021). A dopamine gradient controls access to distributed working memory in the large-scale monkey cortex.
    Neuron 109:3500-3520, doi 10.1016/j.neuron.2021.08.024. The equations are those of the authors' program of
    September 2021.
    """

    dopamine: Any = parameter(1.5, "1", "dopamine release", source=_PROGRAM)
    D1_availability: Any = parameter(1.0, "1", "share of D1 receptors that are not blocked")
    NMDA_availability: Any = parameter(1.0, "1", "share of NMDA receptors that are not blocked")
    mu_EE: Any = parameter(1.45, "nA", "long-range gain to excitatory cells", source=_TABLE)
    mu_IE: Any = parameter(2.24, "nA", "long-range gain to interneurons", source=_TABLE)
    g_E_self: Any = parameter(0.18, "nA", "to E1 from E1, to E2 from E2", source=_TABLE)
    g_E_cross: Any = parameter(0.0, "nA", "to E1 from E2, to E2 from E1", source=_TABLE)
    g_PV_E: Any = parameter(0.174, "nA", "to PV from E1 and from E2", source=_TABLE)
    g_SST_E: Any = parameter(0.0435, "nA", "to each SST from E1 and from E2", source=_TABLE)
    g_VIP_E: Any = parameter(0.058, "nA", "to each VIP from its E", source=_TABLE)
    g_PV_PV: Any = parameter(-0.18, "nA", "to PV from PV", source=_TABLE)
    g_PV_SST: Any = parameter(-0.17, "nA", "to PV from each SST", source=_TABLE)
    g_VIP_SST: Any = parameter(-0.10, "nA", "to each VIP from its SST", source=_TABLE)
    g_SST_VIP: Any = parameter(-0.05, "nA", "to each SST from its VIP", source=_TABLE)
    g_E_PV_max: Any = parameter(-0.4, "nA", "to E soma from PV without dopamine", source=_TABLE)
    g_E_PV_min: Any = parameter(-0.001, "nA", "to E soma from PV at full occupancy", source=_TABLE)
    g_dendrite_SST_min: Any = parameter(-0.09, "nA", "to E dendrite from SST without dopamine", source=_TABLE)
    g_dendrite_SST_max: Any = parameter(-0.11, "nA", "to E dendrite from SST at full occupancy", source=_TABLE)
    g_adaptation: Any = parameter(-0.004, "nA", "adaptation of E, SST and VIP", source=_TABLE)
    g_M_max: Any = parameter(-0.5, "nA", "M current of E at full occupancy", source=_TABLE)
    AMPA_fraction: Any = parameter(0.1, "1", "share of AMPA in excitation of E, SST and VIP", source=_TABLE)
    AMPA_fraction_PV: Any = parameter(0.2, "1", "share of AMPA in excitation of PV", source=_TABLE)
    same_dendrite: Any = parameter(
        0.9, "1", "share of long-range input to dendrites of the same selectivity", source=_TABLE
    )
    lambda_PV: Any = parameter(0.31, "1", "share of long-range input to PV", source=_TABLE)
    lambda_SST: Any = parameter(0.22, "1", "share of long-range input to each SST", source=_TABLE)
    lambda_VIP: Any = parameter(0.47, "1", "share of long-range input to each VIP", source=_TABLE)
    FEF_PV: Any = parameter(0.2, "1", "the same in 8m and 8l, to PV", source=_TABLE)
    FEF_SST: Any = parameter(0.1, "1", "the same in 8m and 8l, to each SST", source=_TABLE)
    FEF_VIP: Any = parameter(0.7, "1", "the same in 8m and 8l, to each VIP", source=_TABLE)
    I0_E: Any = parameter(0.310, "nA", "background to E soma", source=_TABLE)
    I0_I: Any = parameter(0.300, "nA", "background to interneurons", source=_TABLE)
    I0_dendrite: Any = parameter(0.030, "nA", "background to dendrites", source=_TABLE)
    c1: Any = parameter(0.120, "nA", "dendrite: amplitude", source=_TABLE)
    c2: Any = parameter(0.13624, "nA", "dendrite: offset", source=_TABLE)
    c3: Any = parameter(7.0, "1", "dendrite: weight of inhibition", source=_TABLE)
    c4: Any = parameter(0.0, "nA", "dendrite: shift of excitation", source=_TABLE)
    c5: Any = parameter(0.00964, "nA", "dendrite: width of the sigmoid", source=_TABLE)
    c6: Any = parameter(0.020, "nA", "dendrite: inhibition that widens the sigmoid e-fold", source=_TABLE)
    a_E: Any = parameter(135.0, "Hz/nA", "f-I curve of E: gain", source=_TABLE)
    b_E: Any = parameter(54.0, "Hz", "f-I curve of E: threshold", source=_TABLE)
    d_E: Any = parameter(0.308, "s", "f-I curve of E: curvature", source=_TABLE)
    c_PV: Any = parameter(330.0, "Hz/nA", "f-I curve of PV: gain", source=_TABLE)
    r0_PV: Any = parameter(-95.0, "Hz", "f-I curve of PV: offset", source=_TABLE)
    c_I: Any = parameter(132.0, "Hz/nA", "f-I curve of SST and VIP: gain", source=_TABLE)
    r0_I: Any = parameter(-33.0, "Hz", "f-I curve of SST and VIP: offset", source=_TABLE)
    tau_r: Any = parameter(2.0, "ms", "time constant of all rates", source=_PROGRAM)
    tau_NMDA: Any = parameter(60.0, "ms", "decay of NMDA gating", source=_TABLE)
    tau_AMPA: Any = parameter(2.0, "ms", "decay of AMPA gating and of the noise", source=_TABLE)
    tau_GABA: Any = parameter(5.0, "ms", "decay of GABA gating at somata", source=_TABLE)
    tau_GABA_dendrite: Any = parameter(10.0, "ms", "decay of GABA gating at dendrites", source=_TABLE)
    tau_adaptation: Any = parameter(100.0, "ms", "decay of adaptation", source=_TABLE)
    gamma_NMDA: Any = parameter(1.282, "1", "NMDA gating per spike", source=_TABLE)
    gamma_AMPA: Any = parameter(5.0, "1", "AMPA gating per spike", source=_TABLE)
    gamma_GABA: Any = parameter(2.0, "1", "GABA gating per spike", source=_TABLE)
    sigma: Any = parameter(0.005, "nA", "noise", source=_TABLE)
    e_min: Any = parameter(0.45, "1", "excitation of the area with the fewest spines", source=_TABLE)
    occupancy_midpoint: Any = parameter(1.0, "1", "dopamine at half occupancy of D1", source=_TABLE)
    occupancy_slope: Any = parameter(2.0, "1", "slope of occupancy over dopamine", source=_TABLE)
    NMDA_gain: Any = parameter(0.6, "1", "largest gain of NMDA by dopamine", source=_TABLE)
    NMDA_midpoint: Any = parameter(0.35, "1", "occupied D1 at half that gain", source=_TABLE)
    NMDA_slope: Any = parameter(10.0, "1", "slope of that gain", source=_TABLE)
    M_midpoint: Any = parameter(0.85, "1", "occupied D1 at half of the M current", source=_TABLE)
    M_slope: Any = parameter(14.0, "1", "slope of the M current", source=_TABLE)
    FLN_exponent: Any = parameter(0.3, "1", "compression of the long-range weights", source=_TABLE)
    without_dopamine: tuple[str, ...] = option((), "actions of dopamine held at occupancy 0: NMDA, PV, SST, M")
    FEF_exception: bool = option(True, "8m and 8l split long-range input to interneurons differently", source=_PROGRAM)
    noise_scaling: str = option(
        "program", "drive of the noise: program, sigma sqrt(dt/tau); continuous, sigma sqrt(2 dt/tau)"
    )

    state: ClassVar[tuple[Variable, ...]] = _states()
    inputs: ClassVar[tuple[Variable, ...]] = _inputs()
    noise: ClassVar[tuple[str, ...]] = _POPULATIONS
    pathways: ClassVar[tuple[Pathway, ...]] = _pathways()
    recorded: ClassVar[tuple[str, ...]] = tuple(f"r_{k}" for k in _POPULATIONS)
    maps: ClassVar[tuple[str, ...]] = ("spine_count", "d1")
    citation: ClassVar[str] = "Froudist-Walsh et al. 2021, Neuron 109:3500, doi 10.1016/j.neuron.2021.08.024"
    step = staticmethod(step)
    laminar: ClassVar[bool] = True
    excitatory: ClassVar[tuple[str, ...]] = ("r_E1", "r_E2")
    from_rates: ClassVar[Any] = staticmethod(from_rates)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.without_dopamine, str):
            raise TypeError(
                f"Option `without_dopamine` must be a tuple of names, but is {self.without_dopamine!r}; "
                f"write ({self.without_dopamine!r},)."
            )
        object.__setattr__(self, "without_dopamine", tuple(self.without_dopamine))
        for name in self.without_dopamine:
            _checks.check_known(name, _DOPAMINE_EFFECTS, what="action of dopamine", where="`without_dopamine`")
        _checks.check_known(self.noise_scaling, ("program", "continuous"), what="option", where="`noise_scaling`")
        if not isinstance(self.FEF_exception, bool):
            raise TypeError(f"Option `FEF_exception` must be True or False, but is {self.FEF_exception!r}.")

    def modulate(
        self, maps: xr.Dataset, areas: Sequence[str], weights: Mapping[str, Any], p: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return e, the split of long-range input, and what dopamine grades: m and three conductances, per area."""
        numbers = SimpleNamespace(**p)
        occupied = occupancy(numbers.dopamine, numbers)
        NMDA, PV, SST, M = (occupied * d for d in self._density(maps, areas).values())
        graded = grades(NMDA, PV, SST, M, numbers)
        return self._by_area(maps, areas, p) | dict(zip(("m", "g_E_PV", "g_dendrite_SST", "g_M"), graded, strict=True))

    def _density(self, maps: xr.Dataset, areas: Sequence[str]) -> dict[str, Floats]:
        """Return the D1 density that each action of dopamine sees: 0 for those that are held."""
        d = rescaled(maps, "d1", areas)
        return {name: 0.0 * d if name in self.without_dopamine else d for name in _DOPAMINE_EFFECTS}

    def _by_area(self, maps: xr.Dataset, areas: Sequence[str], p: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return what differs between areas whatever dopamine does: e and the split of long-range input."""
        FEF = np.isin(list(areas), ("8m", "8l")) & self.FEF_exception
        by_area = {
            "e": p["e_min"] + (1 - p["e_min"]) * rescaled(maps, "spine_count", areas),
            "split_PV": np.where(FEF, p["FEF_PV"], p["lambda_PV"]),
            "split_SST": np.where(FEF, p["FEF_SST"], p["lambda_SST"]),
            "split_VIP": np.where(FEF, p["FEF_VIP"], p["lambda_VIP"]),
        }
        if self.noise_scaling == "continuous":
            by_area["sigma"] = np.sqrt(2.0) * p["sigma"]
        return by_area

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return FLN^0.3 with rows summing to 1, divided by SLN into superficial and deep origin."""
        exponent, sln = self.scalar("FLN_exponent"), connectome.matrix("sln")
        w = normalised(each(lambda fln: np.where(fln > 0, fln**exponent, 0.0), connectome.matrix("fln")))
        return {
            "superficial": each(lambda w, sln: w * sln, w, sln),
            "deep": each(lambda w, sln: w * (1 - sln), w, sln),
        }
