"""Distributed working memory in 30 areas with a gradient of spine counts: Mejias and Wang 2022."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import xarray as xr

from cortexsim import _checks
from cortexsim.circuits.circuit import Circuit, Floats, Pathway, Variable, option, parameter
from cortexsim.circuits.transfer import abbott_chance
from cortexsim.connectome.matrices import each, endpoints, normalised

if TYPE_CHECKING:
    from cortexsim.connectome import Connectome

_FEF = ("8m", "8l")
_FRONTAL = ("8m", "8l", "F1", "46d", "10", "9/46v", "9/46d", "F5", "F2", "ProM", "F7", "8B")


def step(x: Any, longrange: Any, stimulus: Any, noise: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the state one Euler step later: noise first, then all else from the old rates and gating."""
    dt_noise = dt / p.tau_noise
    kick = p.sigma * np.sqrt(dt_noise)
    eta_A = x.eta_A - dt_noise * x.eta_A + kick * noise.A
    eta_B = x.eta_B - dt_noise * x.eta_B + kick * noise.B

    # Currents (nA)
    I_E = p.I0_E + p.J_EI * x.S_I
    I_A = I_E + eta_A + stimulus.A + p.J_s * x.S_A + p.J_c * x.S_B + p.mu_E * longrange.A
    I_B = I_E + eta_B + stimulus.B + p.J_s * x.S_B + p.J_c * x.S_A + p.mu_E * longrange.B
    I_I = p.I0_I + stimulus.I + p.J_IE * (x.S_A + x.S_B) + p.J_II * x.S_I + p.mu_I * (longrange.I_A + longrange.I_B)

    # Rates (Hz); the program lets that of the interneurons fall below 0
    linear = (p.c1 * I_I - p.c0) / p.g_I + p.r0
    phi_I = np.where(p.rectified > 0, np.maximum(linear, 0), linear)
    dt_r = dt / p.tau_r
    r_A = x.r_A + dt_r * (abbott_chance(p.a * I_A - p.b, p.d) - x.r_A)
    r_B = x.r_B + dt_r * (abbott_chance(p.a * I_B - p.b, p.d) - x.r_B)
    r_I = x.r_I + dt_r * (phi_I - x.r_I)

    S_A, S_B, S_I = gating(x, p, dt)
    return p.active * r_A, p.active * r_B, p.active * r_I, S_A, S_B, S_I, eta_A, eta_B


def gating(x: Any, p: Any, dt: Any) -> tuple[Any, Any, Any]:
    """Return the gating of A, B and I one Euler step later, from the old rates."""
    gain_E = p.gamma_E * 1e-3 * dt
    gain_I = p.gamma_I * 1e-3 * dt
    dt_NMDA = dt / p.tau_NMDA
    dt_GABA = dt / p.tau_GABA
    return (
        p.active * (x.S_A - dt_NMDA * x.S_A + gain_E * (1 - x.S_A) * x.r_A),
        p.active * (x.S_B - dt_NMDA * x.S_B + gain_E * (1 - x.S_B) * x.r_B),
        p.active * (x.S_I - dt_GABA * x.S_I + gain_I * x.r_I),
    )


def from_rates(x: Any, rates: Any, p: Any, dt: Any) -> tuple[Any, ...]:
    """Return the given rates, and the gating that the rates before them drive."""
    S_A, S_B, S_I = gating(x, p, dt)
    return rates.r_A, rates.r_B, rates.r_I, S_A, S_B, S_I, x.eta_A, x.eta_B


_TABLE = "Mejias and Wang 2022, Methods"
_PROGRAM = "Mejias and Wang 2022, the authors' program"


@dataclass(frozen=True)
class MejiasWang2022(Circuit):
    r"""Two selective excitatory populations A, B and one of interneurons I per area, graded by spine counts.

    With the gradient g_i (below), local excitation grows along the cortex,

    .. math::

        J_{s,i} = J_{min} + (J_{max} - J_{min}) g_i, \qquad J_{IE,i} = (J_0 - J_{s,i} - J_c) / (2 \zeta), \qquad
        \zeta = \frac{c_1 J_{EI} \tau_{GABA} \gamma_I}{g_I - J_{II} \tau_{GABA} \gamma_I c_1},

    so that all areas have the same spontaneous activity in isolation. With W = FLN^0.3, its rows divided by their sum,
    the long-range currents are

    .. math::

        I^{net}_{A,i} &= G \frac{J_{s,i}}{\max J_s} \sum_j W_{ij} SLN_{ij} S_{A,j}, \\
        I^{net}_{I,i} &= \frac{G}{Z} \frac{J_{IE,i}}{\max J_{IE}} \sum_j W_{ij} (1 - SLN_{ij}) (S_{A,j} + S_{B,j}),
        \qquad Z = \frac{2 c_1 J_{EI} \tau_{GABA} \gamma_I}{c_1 J_{II} \tau_{GABA} \gamma_I - g_I}:

    feedforward projections excite, feedback projections inhibit (counterstream inhibitory bias). A cue to V1 ignites 22
    of the 30 areas, and they hold it.

    Parameters
    ----------
    G, J_max : float, sequence of float (one per trial), DataArray over area
        Long-range coupling, and local excitation at the top of the gradient (nA). Below J_max = .4653 no area holds a
        memory by itself.
    counterstream_bias : float
        d: excitation is weighted by 1 - d + d SLN, inhibition by 1 - d SLN. 1 in the model, 0 without the bias.
    FEF_cap : float
        Bound of 1 - SLN in the inhibition of 8m and 8l by frontal areas, without which they stay silent. 1: none (the
        paper's Fig. 4).
    feedback_bias : float
        c: of the projections to the `feedback_areas` lowest areas from as many highest ones (in the order of the
        connectome), excitation is multiplied by 1 - c and inhibition by 1 + `feedback_inhibition` c. For Fig. 4B
        together with counterstream_bias=0.
    feedback_areas : int
        How many areas that are.
    silenced : sequence of str
        Areas whose six variables are held at 0, while W stays as it is. (`connectome.lesion` takes the connections
        away before the rows of W are divided by their sums: the other inputs grow in their place.)
    rectified : bool
        Whether the f-I curve of the interneurons ends at 0, as in the paper's text. The program lets it go on below.
    **parameters
        See `parameter_table()`: every number with unit, meaning and source.

    Notes
    -----
    Needs the maps `hierarchy` and `spine_count`. g_i is the spine count, multiplied by `age_factor` where the maps have
    one, over the largest of all areas in the maps; where `spine_count` is NaN it is the hierarchy over its largest.
    V1 has g = .0717 (not 0, as the paper's text says). The maxima of J_s and J_IE are over all areas of the maps, too,
    so that a part of the cortex keeps its numbers.

    Where the program and the paper differ, the program is followed: sigma = .010 nA as in its Fig. 2 (the paper, and
    the program for Fig. 8, say .005); TEpd has 6200 spines at an age factor of 1.15; the cap of FEF, which the program
    applies to inhibition alone. It starts from random rates; here all rates start at 5 Hz unless
    `state=MejiasWang2022.random_start(areas, trials, seed)`.

    Working memory in local circuits, the control of Figs. 7C and 8, is J_max = .468, G = .21 on a connectome without
    feedback::

        cortex = cx.load_connectome("macaque30")
        feedback = [(t, s) for k, t in enumerate(cortex.areas) for s in cortex.areas[k + 1 :]]
        feedforward = cortex.lesion(connections=[f for f in feedback if cortex.fln.sel(target=f[0], source=f[1]) > 0])

    References
    ----------
    Mejias JF, Wang X-J (2022). Mechanisms of distributed working memory in a large-scale network of macaque neocortex.
    eLife 11:e72136, doi 10.7554/eLife.72136. The equations are those of the authors' program (ModelDB 267295).
    """

    G: Any = parameter(0.48, "nA", "long-range coupling", source=_TABLE)
    J_max: Any = parameter(0.42, "nA", "to A from A, to B from B at the top of the gradient", source=_TABLE)
    J_min: Any = parameter(0.21, "nA", "the same at g = 0", source=_TABLE)
    J_0: Any = parameter(0.2112, "nA", "sets the spontaneous activity that all areas share", source=_TABLE)
    J_c: Any = parameter(0.0107, "nA", "to A from B, to B from A", source=_TABLE)
    J_EI: Any = parameter(-0.31, "nA", "to A and B from I", source=_TABLE)
    J_II: Any = parameter(-0.12, "nA", "to I from I", source=_TABLE)
    I0_E: Any = parameter(0.3294, "nA", "background to A and B", source=_TABLE)
    I0_I: Any = parameter(0.26, "nA", "background to I", source=_TABLE)
    a: Any = parameter(135.0, "Hz/nA", "f-I curve of A and B: gain", source=_TABLE)
    b: Any = parameter(54.0, "Hz", "f-I curve of A and B: threshold", source=_TABLE)
    d: Any = parameter(0.308, "s", "f-I curve of A and B: curvature", source=_TABLE)
    g_I: Any = parameter(4.0, "1", "f-I curve of I: divisor of the gain", source=_TABLE)
    c1: Any = parameter(615.0, "Hz/nA", "f-I curve of I: gain", source=_TABLE)
    c0: Any = parameter(177.0, "Hz", "f-I curve of I: threshold", source=_TABLE)
    r0: Any = parameter(5.5, "Hz", "f-I curve of I: offset", source=_TABLE)
    tau_r: Any = parameter(2.0, "ms", "time constant of all rates", source=_TABLE)
    tau_NMDA: Any = parameter(60.0, "ms", "decay of the gating of A and B", source=_TABLE)
    tau_GABA: Any = parameter(5.0, "ms", "decay of the gating of I", source=_TABLE)
    gamma_E: Any = parameter(1.282, "1", "gating of A and B per spike", source=_TABLE)
    gamma_I: Any = parameter(2.0, "1", "gating of I per spike", source=_TABLE)
    sigma: Any = parameter(0.01, "nA", "noise to A and B", source=f"{_PROGRAM}, Figs. 2 and 7; paper: .005")
    tau_noise: Any = parameter(2.0, "ms", "time constant of the noise", source=_TABLE)
    FLN_exponent: Any = parameter(0.3, "1", "compression of the long-range weights", source=_TABLE)
    counterstream_bias: Any = parameter(1.0, "1", "strength of the counterstream inhibitory bias", source="Fig. 4C")
    FEF_cap: Any = parameter(0.4, "1", "largest 1 - SLN to 8m and 8l from frontal areas; 1: no cap", source=_PROGRAM)
    feedback_bias: Any = parameter(0.0, "1", "bias of feedback from the highest to the lowest areas", source="Fig. 4B")
    feedback_inhibition: Any = parameter(6.0, "1", "inhibition that this bias adds", source=f"{_PROGRAM}, Fig. 4B")
    feedback_areas: int = option(10, "number of the highest and of the lowest areas", source=f"{_PROGRAM}, Fig. 4B")
    silenced: tuple[str, ...] = option((), "areas held at 0", source="Figs. 6 and 7")
    rectified: bool = option(False, "the rate of I has the floor 0", source=_TABLE)

    state: ClassVar[tuple[Variable, ...]] = (
        Variable("r_A", "Hz", "firing rate of A", initial=5.0),
        Variable("r_B", "Hz", "firing rate of B", initial=5.0),
        Variable("r_I", "Hz", "firing rate of I", initial=5.0),
        Variable("S_A", "1", "NMDA gating of A"),
        Variable("S_B", "1", "NMDA gating of B"),
        Variable("S_I", "1", "GABA gating of I"),
        Variable("eta_A", "nA", "noise current into A"),
        Variable("eta_B", "nA", "noise current into B"),
    )
    inputs: ClassVar[tuple[Variable, ...]] = tuple(Variable(k, "nA", f"current into {k}") for k in ("A", "B", "I"))
    noise: ClassVar[tuple[str, ...]] = ("A", "B")
    pathways: ClassVar[tuple[Pathway, ...]] = (
        Pathway("A", source="S_A", weights="excitation"),
        Pathway("B", source="S_B", weights="excitation"),
        Pathway("I_A", source="S_A", weights="inhibition"),
        Pathway("I_B", source="S_B", weights="inhibition"),
    )
    recorded: ClassVar[tuple[str, ...]] = ("r_A", "r_B", "r_I", "S_A", "S_B", "S_I")
    maps: ClassVar[tuple[str, ...]] = ("hierarchy",)
    citation: ClassVar[str] = "Mejias and Wang 2022, eLife 11:e72136, doi 10.7554/eLife.72136"
    step = staticmethod(step)
    laminar: ClassVar[bool] = True
    excitatory: ClassVar[tuple[str, ...]] = ("r_A", "r_B")
    inhibitory: ClassVar[tuple[str, ...]] = ("r_I",)
    from_rates = staticmethod(from_rates)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.silenced, str):
            raise TypeError(
                f"Option `silenced` must be a tuple of areas, but is {self.silenced!r}; write ({self.silenced!r},)."
            )
        object.__setattr__(self, "silenced", tuple(self.silenced))
        _checks.check_count("feedback_areas", self.feedback_areas)
        if not isinstance(self.rectified, bool):
            raise TypeError(f"Option `rectified` must be True or False, but is {self.rectified!r}.")

    def modulate(
        self, maps: xr.Dataset, areas: Sequence[str], weights: Mapping[str, Any], p: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return J_s, J_IE, the strength of long-range input to E and I, and what is silenced or rectified."""
        for name in self.silenced:
            _checks.check_known(name, areas, what="area", where="`silenced`", listed="`connectome.areas`")
        g = _gradient(maps)
        labels = maps["area"].to_numpy().tolist()
        local = g[[labels.index(a) for a in areas]]
        range_of_g = float(g.min()), float(g.max())

        inhibition = p["c1"] * p["tau_GABA"] * 1e-3 * p["gamma_I"]
        zeta = inhibition * p["J_EI"] / (p["g_I"] - inhibition * p["J_II"])
        Z = 2 * inhibition * p["J_EI"] / (inhibition * p["J_II"] - p["g_I"])

        def J_s(g: Any) -> Floats:
            return np.asarray(p["J_min"] + (p["J_max"] - p["J_min"]) * g)

        def J_IE(g: Any) -> Floats:
            return np.asarray((p["J_0"] - J_s(g) - p["J_c"]) / (2 * zeta))

        return {
            "J_s": J_s(local),
            "J_IE": J_IE(local),
            "mu_E": p["G"] * J_s(local) / _largest(J_s, range_of_g),
            "mu_I": p["G"] / Z * J_IE(local) / _largest(J_IE, range_of_g),
            "active": np.where(np.isin(list(areas), self.silenced), 0.0, 1.0),
            "rectified": np.asarray(float(self.rectified)),
        }

    def weights(self, connectome: Connectome) -> dict[str, Any]:
        """Return W = FLN^0.3 with rows summing to 1, weighted by SLN for excitation and 1 - SLN for inhibition."""
        exponent = _checks.check_positive("FLN_exponent", self.scalar("FLN_exponent"))
        d, bias = self.scalar("counterstream_bias"), self.scalar("feedback_bias")
        fln, sln = connectome.matrix("fln"), connectome.matrix("sln")
        W = normalised(each(lambda fln: fln**exponent, fln))
        target, source = endpoints(fln)
        capped = np.isin(connectome.areas, _FEF)[target] & np.isin(connectome.areas, _FRONTAL)[source]
        n, cap, inhibition = self.feedback_areas, self.scalar("FEF_cap"), self.scalar("feedback_inhibition")
        c = bias * ((target < n) & (source >= connectome.n_areas - n))

        def feedback(sln: Floats) -> Floats:
            return np.where(capped, np.minimum(1 - sln, cap), 1 - sln)

        return {
            "excitation": each(lambda W, sln: W * (1 - d + d * sln) * (1 - c), W, sln),
            "inhibition": each(lambda W, sln: W * (1 - d + d * feedback(sln)) * (1 + inhibition * c), W, sln),
        }

    @classmethod
    def random_start(cls, areas: Sequence[str], trials: int = 1, seed: int = 0) -> xr.DataArray:
        """Return initial states (trial, state, area) as the program draws them, for `simulate(state=...)`.

        Rates are 5 (1 + tanh(2 xi)) Hz with standard normal xi, between 0 and 10 Hz; all else is 0.

        Parameters
        ----------
        areas
            As in `model.areas`.
        trials, seed
            How many, and the seed of NumPy's generator.
        """
        n = _checks.check_count("trials", trials)
        xi = np.random.default_rng(_checks.check_count("seed", seed, least=0)).normal(size=(n, 3, len(areas)))
        start = np.zeros((n, len(cls.state), len(areas)))
        start[:, :3] = 5 * (1 + np.tanh(2 * xi))
        coordinates = {"trial": np.arange(n), "state": list(cls.state_names()), "area": list(areas)}
        return xr.DataArray(start, coordinates, ("trial", "state", "area"))


def _gradient(maps: xr.Dataset) -> Floats:
    """Return g over all areas of the maps: spine count (by age) over its largest; hierarchy where there is none."""
    if "spine_count" not in maps:
        raise ValueError(
            "MejiasWang2022 needs the map 'spine_count' (NaN where unknown), but `gradients` has "
            f"{', '.join(map(str, maps.data_vars))}; add it with cortexsim.gradients.join."
        )
    spines = maps["spine_count"].to_numpy() * (maps["age_factor"].to_numpy() if "age_factor" in maps else 1.0)
    counted, hierarchy = np.isfinite(spines), maps["hierarchy"].to_numpy()
    if not counted.any():
        raise ValueError("Map 'spine_count' must be finite in one area at least, but is in none.")
    return np.asarray(np.where(counted, spines / spines[counted].max(), hierarchy / hierarchy.max()))


def _largest(value: Any, range_of_g: tuple[float, float]) -> Floats:
    """Return the largest of a quantity linear in g over all areas of the maps, per trial."""
    low, high = (np.atleast_1d(value(g)) for g in range_of_g)
    return np.asarray(np.maximum(low, high).max(axis=-1, keepdims=True))
