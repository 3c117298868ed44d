"""What stands in for the circuit of an area: a network, and its wiring to the area's long-range input and output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsim import _checks
from cortexsim.model import Model
from cortexsim.rnn import Network, Parameters, initialise
from cortexsim.rnn.network import Array

Projections = Literal["streams", "sources"]
PROJECTIONS: tuple[Projections, ...] = ("streams", "sources")
TRAINABLE = ("W_rec", "bias", "W_in", "into", "omega")


class Channel(NamedTuple):
    """One number that an embedded network receives from its area.

    Parameters
    ----------
    name
        "E feedforward", "E from V1", or the name of an input of the circuit.
    source
        The state variable that it is a weighted sum of; of a circuit's input, its name.
    weights
        Of the source areas, (area,); None for an input of the circuit.
    """

    name: str
    source: str
    weights: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedding:
    r"""A network that stands in for the circuit of an area.

    With r the rates of the units, L the area's long-range input (and the stimuli to it), u the network's own inputs,

    .. math::

        \tau \dot r &= -r + f(W r + b + P L + B u + \sigma \eta), \\
        E_c &= \rho\, \omega_c^T r, \qquad \omega_c \ge 0, \quad \textstyle\sum \omega_c = 1 ,

    where E_c is the rate (Hz) that the rest of the cortex sees. P is not negative in its long-range columns, and its
    mean over the excitatory, and over the inhibitory units is kept: the connectome says how much comes, training to
    whom. The units of channel c, over which omega_c runs, are an equal share of the excitatory ones.

    Parameters
    ----------
    network
        Its `inputs` are those of the task that reach it directly. Its outgoing weights should obey Dale's law
        (`inhibitory`); only excitatory units project.
    parameters
        Of a stack of such networks; None: `initialise(network)`. W_out and bias_out are not used.
    into
        P, of shape (unit, channel) or (network, unit, channel); see `channels`. None: `gain`, to all units, or where
        the circuit has several excitatory populations, to those of the source's population and the interneurons.
    gain
        Mean of P over the excitatory and over the inhibitory units: drive per unit of long-range input or of current.
    rate
        rho, in Hz: what a mean activity of 1 means for the rest of the cortex.
    initial
        Rates of the units at the start, (unit,); None: 0.
    projections
        "streams": P has a column for the feedforward and one for the feedback input of each pathway, by SLN; where the
        circuit itself tells apart layers of origin, one for each pathway. "sources": one for each source area.
    trained
        Which of `TRAINABLE` training may change.
    seed
        Of the weights, if `parameters` is None.
    """

    network: Network
    parameters: Parameters | None = None
    into: ArrayLike | None = None
    gain: float = 1.0
    rate: float = 1.0
    initial: ArrayLike | None = None
    projections: Projections = "streams"
    trained: tuple[str, ...] = ("W_rec", "bias", "W_in", "into")
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            raise TypeError(f"Argument `network` must be a cortexsim.rnn.Network, but is {self.network!r}.")
        _checks.check_not_negative("gain", self.gain)
        _checks.check_positive("rate", self.rate, "Hz")
        _checks.check_known(self.projections, PROJECTIONS, what="kind of projections", where="Embedding")
        object.__setattr__(self, "trained", (self.trained,) if isinstance(self.trained, str) else tuple(self.trained))
        for name in self.trained:
            _checks.check_known(name, TRAINABLE, what="weights", where="`trained`")
        if self.parameters is None:
            object.__setattr__(self, "parameters", initialise(self.network, seed=self.seed))
        if not isinstance(self.parameters, Parameters):
            raise TypeError(f"Argument `parameters` must be a rnn.Parameters, but is {self.parameters!r}.")
        self.network.check(self.weights)
        if bad := [name for name, value in self.weights._asdict().items() if not np.isfinite(value).all()]:
            raise ValueError(f"Argument `parameters` must be finite, but {bad[0]} is not.")
        if self.initial is not None:
            initial = np.asarray(self.initial, dtype=float)
            if initial.shape != (self.network.units,) or not np.isfinite(initial).all():
                raise ValueError(
                    f"Argument `initial` must have a finite rate for each of {self.network.units} units, but has the "
                    f"shape {initial.shape}."
                )
            object.__setattr__(self, "initial", initial)
        if not self.excitatory.size:
            raise ValueError("Network must have excitatory units, which project to other areas, but all inhibit.")

    @property
    def weights(self) -> Parameters:
        """Those of the network."""
        if self.parameters is None:  # pragma: no cover  (set in __post_init__)
            raise ValueError("Argument `parameters` must be given.")
        return self.parameters

    @property
    def excitatory(self) -> NDArray[np.int64]:
        """Units that project to other areas."""
        signs = self.network.signs()
        return np.arange(self.network.units) if signs is None else np.flatnonzero(signs > 0)

    @property
    def inhibitory(self) -> NDArray[np.int64]:
        """Units that do not."""
        return np.setdiff1d(np.arange(self.network.units), self.excitatory)

    def populations(self, n: int) -> list[NDArray[np.int64]]:
        """Return the excitatory units in n equal parts, one for each excitatory population of the circuit."""
        return np.array_split(self.excitatory, n)


def channels(model: Model, area: str, projections: Projections) -> list[Channel]:
    """Return what an embedded network receives: long-range input by stream or source, then the circuit's inputs.

    Parameters
    ----------
    model
        Whose area it is.
    area
        Its name.
    projections
        See `Embedding`.
    """
    k, circuit = model.areas.index(area), model.circuit
    sln = model.connectome.matrix("sln")
    found = []
    for pathway in circuit.pathways:
        row = np.asarray(model.weights()[pathway.weights][k], dtype=np.float64)
        if projections == "sources":
            for j in np.flatnonzero(row):
                weights = np.where(np.arange(len(row)) == j, row, 0.0)
                found.append(Channel(f"{pathway.name} from {model.areas[j]}", pathway.source, weights))
        elif circuit.laminar or sln is None:
            found.append(Channel(pathway.name, pathway.source, row))
        else:
            share = np.where(row != 0, np.nan_to_num(sln[k]), 0.0)
            found.append(Channel(f"{pathway.name} feedforward", pathway.source, row * share))
            found.append(Channel(f"{pathway.name} feedback", pathway.source, row - row * share))
    return found + [Channel(v.name, v.name, None) for v in circuit.inputs]


def pattern(embedding: Embedding, model: Model, received: Sequence[Channel]) -> Array:
    """Return P of a stack to start from, (network, unit, channel)."""
    network, circuit = embedding.network, model.circuit
    shape = (network.units, len(received))
    if embedding.into is not None:
        into = np.asarray(embedding.into, dtype=np.float64)
        if into.shape[-2:] != shape or into.ndim not in (2, 3):
            raise ValueError(
                f"Argument `into` must have the shape {shape} (unit, channel), or with the networks first, but has "
                f"{into.shape}; the channels are {', '.join(c.name for c in received)}."
            )
        far = [k for k, c in enumerate(received) if c.weights is not None]
        if not np.isfinite(into).all() or (into[..., far] < 0).any():
            raise ValueError("Argument `into` must be finite, and not negative where other areas project to it.")
    else:
        into = np.full(shape, embedding.gain)
        groups = embedding.populations(len(circuit.excitatory))
        if len(groups) > 1:
            for c, channel in enumerate(received):
                own = _population(circuit, channel)
                if own is not None:
                    into[embedding.excitatory, c] = 0
                    into[groups[own], c] = embedding.gain * len(embedding.excitatory) / len(groups[own])
    n = embedding.weights.networks
    return np.array(np.broadcast_to(into, (n, *shape)), dtype=embedding.weights.W_rec.dtype)


def _population(circuit: Any, channel: Channel) -> int | None:
    """Return which excitatory population a channel speaks of: by the last letter of its name, as "S_A" or "E1"."""
    ends = [name[-1] for name in circuit.excitatory]
    if channel.source[-1] in ends and len(set(ends)) == len(ends):
        return ends.index(channel.source[-1])
    return None
