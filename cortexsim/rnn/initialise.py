"""Weights to start from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from cortexsim import _checks
from cortexsim.rnn.gated import GatedNetwork, GatedParameters
from cortexsim.rnn.network import Array, Network, Parameters

Scheme = Literal["released", "normal", "orthogonal"]
SCHEMES: tuple[Scheme, ...] = ("released", "normal", "orthogonal")


@overload
def initialise(
    network: Network,
    networks: int = 1,
    *,
    seed: int = 0,
    scheme: Scheme | None = None,
    gain: float = 1.0,
    dtype: Any = "float32",
) -> Parameters: ...


@overload
def initialise(
    network: GatedNetwork,
    networks: int = 1,
    *,
    seed: int = 0,
    scheme: Scheme | None = None,
    gain: float = 1.0,
    dtype: Any = "float32",
) -> GatedParameters: ...


def initialise(
    network: Network | GatedNetwork,
    networks: int = 1,
    *,
    seed: int = 0,
    scheme: Scheme | None = None,
    gain: float = 1.0,
    dtype: Any = "float32",
) -> Parameters | GatedParameters:
    """Return weights of a stack of networks; network k of n is network k of m.

    Parameters
    ----------
    network
        What they are for; its mask and Dale's law hold.
    networks
        How many.
    seed
        Of the random numbers.
    scheme
        None: "released" for leaky networks, "orthogonal" for gated ones, gate by gate; these know no "released".

        - "released": W_rec of standard deviation gain / units, and all others gain 1, as in the program of Soo, Goudar
          and Wang (NeurIPS 2023): a very weak recurrence.
        - "normal": W_rec gain / sqrt(connections of a unit), W_in and W_out 1 / sqrt(channels or units that enter), no
          bias.
        - "orthogonal": as "normal", but W_rec is gain times a random orthogonal matrix before the mask is laid on it.

        Biases of gated networks are 0, but for those of the forget gate, 1 (Jozefowicz, Zaremba & Sutskever 2015,
        https://proceedings.mlr.press/v37/jozefowicz15.html).

        With Dale's law weights take their unit's sign, and inhibitory ones are scaled up so that a unit's
        excitation and inhibition are equal in the mean.
    gain
        Of W_rec.
    dtype
        "float32" or "float64".

    Returns
    -------
    weights
        Of the stack.

    Raises
    ------
    ValueError, TypeError
        If the scheme is unknown or a number is out of range.
    """
    networks = _checks.check_count("networks", networks)
    seed = _checks.check_count("seed", seed, least=0)
    gain = _checks.check_not_negative("gain", gain)
    gated = isinstance(network, GatedNetwork)
    if scheme is None:
        scheme = "orthogonal" if gated else "released"
    known = SCHEMES[1:] if gated else SCHEMES
    _checks.check_known(scheme, known, what="scheme", where=f"`initialise` of a {type(network).__name__}")
    draws = (np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, k])) for k in range(networks))
    if isinstance(network, GatedNetwork):
        return GatedParameters(*_stacked((_gated(network, random, scheme, gain) for random in draws), dtype))
    return Parameters(*_stacked((_leaky(network, random, scheme, gain) for random in draws), dtype))


def _stacked(each: Iterator[tuple[Array, ...]], dtype: Any) -> list[Array]:
    return [np.stack(values).astype(dtype) for values in zip(*each, strict=True)]


def _gated(network: GatedNetwork, random: np.random.Generator, scheme: Scheme, gain: float) -> tuple[Array, ...]:
    units, gates = network.units, network.gates
    drawn = [random.standard_normal((units, units)) for _ in gates]
    W_rec = [gain * (_orthogonal(W) if scheme == "orthogonal" else W / np.sqrt(units)) for W in drawn]
    W_in = random.standard_normal((len(gates) * units, network.inputs)) / np.sqrt(network.inputs)
    W_out = random.standard_normal((network.outputs, units)) / np.sqrt(units)
    bias = np.repeat([float(gate == "forget") for gate in gates], units)
    bias_rec = np.zeros(units if network.cell == "gru" else 0)
    return np.concatenate(W_rec), bias, bias_rec, W_in, W_out, np.zeros(network.outputs)


def _orthogonal(W: NDArray[np.float64]) -> NDArray[np.float64]:
    q, r = np.linalg.qr(W)
    return np.asarray(q * np.sign(np.diag(r)), np.float64)


def _leaky(network: Network, random: np.random.Generator, scheme: Scheme, gain: float) -> tuple[Array, ...]:
    units = network.units
    into, out = (s.stop - s.start for s in (network.receiving, network.read))
    W_rec = random.standard_normal((units, units))
    bias = random.standard_normal(units)
    W_in = random.standard_normal((into, network.inputs))
    W_out = random.standard_normal((network.outputs, out))
    mask = network.mask()
    if scheme == "released":
        W_rec *= gain / units
    else:
        bias[:] = 0
        W_in /= np.sqrt(network.inputs)
        W_out /= np.sqrt(out)
        if scheme == "orthogonal":
            W_rec = gain * _orthogonal(W_rec)
        else:
            W_rec *= gain / np.sqrt(np.maximum(mask.sum(axis=1, keepdims=True), 1))
    signs = network.signs()
    if signs is not None:
        W_rec = np.abs(W_rec) * signs
        inhibitory = int((signs < 0).sum())
        if 0 < inhibitory < units:
            W_rec[:, signs < 0] *= (units - inhibitory) / inhibitory
    return np.where(mask, W_rec, 0), bias, W_in, W_out, np.zeros(network.outputs)
