"""Networks whose mean obeys the equations of the area that they stand in for."""

from __future__ import annotations

import numpy as np

from cortexsim import _checks
from cortexsim.circuits import Chaudhuri2015, Joglekar2018
from cortexsim.hybrid.embedding import Embedding, channels
from cortexsim.model import Model
from cortexsim.rnn import Network, Parameters


def transplant(
    model: Model, area: str, *, units: int = 100, inhibitory: int = 20, dt: float = 0.5, inputs: int = 0
) -> Embedding:
    r"""Return a network that does exactly what the circuit of an area does, to train from there.

    With N_E excitatory and N_I inhibitory units, f threshold-linear and weights that all pairs of a kind share,

    .. math::

        W_{EE} = \beta_E g\, w_{EE} / N_E, \quad W_{EI} = -\beta_E w_{EI} / N_I, \quad
        W_{IE} = \beta_I g\, w_{IE} / N_E, \quad W_{II} = -\beta_I w_{II} / N_I ,

    P the same for all units of a kind (beta g mu), and the area's time constants, backgrounds and initial rates, the
    means over units obey the equations of the area without any error.

    Parameters
    ----------
    model
        The cortex; its circuit is threshold-linear: Chaudhuri2015, or Joglekar2018 without the clamp.
    area
        Whose circuit.
    units, inhibitory
        Units of the network, and how many of them inhibit.
    dt
        Time step of the network, in ms. With that of the cortex, the transplant is exact.
    inputs
        Direct inputs of the network, of weight 0 at first.

    Returns
    -------
    Embedding

    Raises
    ------
    ValueError
        If the circuit is another, its parameters differ between trials, or the area has noise of its own.
    """
    _checks.check_known(area, model.areas, what="area", where="`transplant`", listed="`connectome.areas`")
    circuit = model.circuit
    if not isinstance(circuit, Chaudhuri2015 | Joglekar2018) or getattr(circuit, "clamp", False):
        raise ValueError(
            f"Circuit must be threshold-linear to be a leaky network without any error, but is "
            f"{type(circuit).__name__}; Chaudhuri2015 is, and Joglekar2018(clamp=False). Embed a network of your own."
        )
    if circuit.trials is not None:
        raise ValueError(f"Parameters must be the same in all trials, but have {circuit.trials} values.")
    by_trial, by_area = model.parameters(1)
    k = model.areas.index(area)
    p = {name: float(v[0]) for name, v in by_trial.items()} | {name: float(v[0, k]) for name, v in by_area.items()}
    if p.get("sigma_E", 0.0) != 0:
        raise ValueError(f"Area {area!r} has noise of its own (sigma_E), which a network's noise can't be equal to.")
    units = _checks.check_count("units", units, least=2)
    n_I = _checks.check_count("inhibitory", inhibitory)
    n_E = units - n_I
    if n_E < 1:
        raise ValueError(f"Argument `inhibitory` must be less than {units} units, but is {inhibitory}.")
    network = Network(
        inputs=inputs,
        outputs=0,
        units=units,
        dt=dt,
        tau=(p["tau_E"],) * n_E + (p["tau_I"],) * n_I,
        tau_noise=dt,
        noise=0.0,
        inhibitory=(n_E, units),
    )
    E, I = slice(0, n_E), slice(n_E, units)  # noqa: E741  (the populations' names)
    W = np.zeros((1, units, units))
    W[0, E, E], W[0, E, I] = p["beta_E"] * p["w_EE"] / n_E, -p["beta_E"] * p["w_EI"] / n_I
    W[0, I, E], W[0, I, I] = p["beta_I"] * p["w_IE"] / n_E, -p["beta_I"] * p["w_II"] / n_I
    bias = np.repeat([p["beta_E"] * p["I0_E"], p["beta_I"] * p["I0_I"]], [n_E, n_I])[np.newaxis]
    received = channels(model, area, "streams")
    into = np.zeros((units, len(received)))
    for c, channel in enumerate(received):
        if channel.weights is not None:
            into[E, c], into[I, c] = p["beta_E"] * p["mu_EE"], p["beta_I"] * p["mu_IE"]
        elif channel.name == "E":
            into[E, c] = p["beta_E"]
        else:
            into[I, c] = p["beta_I"]
    weights = Parameters(W, bias, np.zeros((1, units, inputs)), np.zeros((1, 0, units)), np.zeros((1, 0)))
    initial = {v.name: v.initial for v in circuit.state}
    start = np.repeat([initial["r_E"], initial["r_I"]], [n_E, n_I])
    return Embedding(network=network, parameters=weights, into=into, initial=start)
