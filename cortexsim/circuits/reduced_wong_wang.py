"""The node of whole-brain resting-state models: the reduced Wong-Wang model of Deco et al. 2013."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cortexsim.circuits.circuit import Circuit, Pathway, Variable, parameter
from cortexsim.circuits.transfer import abbott_chance

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the state one step of Euler and Maruyama later."""
    current = p.I0 + stimulus.E + p.J * p.w * x.S + p.J * p.G * longrange.E
    rate = abbott_chance(p.a * current - p.b, p.d)
    gain = p.gamma * 1e-3 * dt
    kick = p.sigma * np.sqrt(dt)
    return (x.S - dt / p.tau_S * x.S + gain * (1 - x.S) * rate + kick * noise.E,)


_PAPER = "Deco et al. 2013"


@dataclass(frozen=True)
class ReducedWongWang(Circuit):
    r"""One excitatory population per area, its NMDA gating S the only variable, with additive noise.

    .. math::

        dS_i &= \left( -S_i/\tau_S + \gamma (1 - S_i) H(x_i) \right) dt + \sigma\, dW_i, \qquad
        H(x) = (a x - b)/(1 - e^{-d (a x - b)}), \\
        x_i &= w J S_i + G J \sum_j FLN_{ij} S_j + I_0 + I_{stim}.

    The matrix is FLN as it is; bring another connectome, or another normalisation (`connectome.normalise`), as you
    like. The firing rate H follows from S alone.

    Notes
    -----
    w, I0 and G are a common set-up for comparing simulators; the paper has w = .9 and varies G. Others give a, b, d as
    .27, .108 and 154 ms, with rates per ms: the same numbers. S is not clipped to 0 ... 1, which it does not leave
    unless the noise is large.

    References
    ----------
    Deco G, Ponce-Alvarez A, Mantini D, Romani GL, Hagmann P, Corbetta M (2013). Resting-state functional connectivity
    emerges from structurally and dynamically shaped slow linear fluctuations. J Neurosci 33:11239-11252,
    doi 10.1523/JNEUROSCI.1091-13.2013.
    """

    G: Any = parameter(1.2, "1", "long-range coupling", source="common set-up for comparing simulators")
    w: Any = parameter(0.6, "1", "local recurrence", source="common set-up for comparing simulators")
    J: Any = parameter(0.2609, "nA", "current per gating", source=_PAPER)
    I0: Any = parameter(0.3, "nA", "background current", source=_PAPER)
    sigma: Any = parameter(1e-3, "ms^-1/2", "noise", source=_PAPER)
    tau_S: Any = parameter(100.0, "ms", "decay of NMDA gating", source=_PAPER)
    gamma: Any = parameter(0.641, "1", "NMDA gating per spike", source=_PAPER)
    a: Any = parameter(270.0, "Hz/nA", "f-I curve: gain", source=_PAPER)
    b: Any = parameter(108.0, "Hz", "f-I curve: threshold", source=_PAPER)
    d: Any = parameter(0.154, "s", "f-I curve: curvature", source=_PAPER)

    state: ClassVar[tuple[Variable, ...]] = (Variable("S", "1", "NMDA gating", initial=0.1),)
    inputs: ClassVar[tuple[Variable, ...]] = (Variable("E", "nA", "current into the population"),)
    noise: ClassVar[tuple[str, ...]] = ("E",)
    pathways: ClassVar[tuple[Pathway, ...]] = (Pathway("E", source="S", weights="fln"),)
    recorded: ClassVar[tuple[str, ...]] = ("S",)
    citation: ClassVar[str] = "Deco et al. 2013, J Neurosci 33:11239, doi 10.1523/JNEUROSCI.1091-13.2013"
    step = staticmethod(step)

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return FLN as it is."""
        return {"fln": connectome.matrix("fln")}
