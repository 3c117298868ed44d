"""Weights to start from."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from cortexsim import _checks
from cortexsim.rnn.network import Network, Parameters

Scheme = Literal["released", "normal", "orthogonal"]
SCHEMES: tuple[Scheme, ...] = ("released", "normal", "orthogonal")


def initialise(
    network: Network,
    networks: int = 1,
    *,
    seed: int = 0,
    scheme: Scheme = "released",
    gain: float = 1.0,
    dtype: Any = "float32",
) -> Parameters:
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
        - "released": W_rec of standard deviation gain / units, and all others gain 1, as in the program of Soo, Goudar
          and Wang (NeurIPS 2023): a very weak recurrence.
        - "normal": W_rec gain / sqrt(connections of a unit), W_in and W_out 1 / sqrt(channels or units that enter), no
          bias.
        - "orthogonal": as "normal", but W_rec is gain times a random orthogonal matrix before the mask is laid on it.

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
    _checks.check_known(scheme, SCHEMES, what="scheme", where="`initialise`")
    return Parameters(
        *map(np.stack, zip(*(_one(network, seed, k, scheme, gain, dtype) for k in range(networks)), strict=True))
    )


def _one(network: Network, seed: int, k: int, scheme: Scheme, gain: float, dtype: Any) -> tuple[Any, ...]:
    random = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, k]))
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
            q, r = np.linalg.qr(W_rec)
            W_rec = gain * q * np.sign(np.diag(r))
        else:
            W_rec *= gain / np.sqrt(np.maximum(mask.sum(axis=1, keepdims=True), 1))
    signs = network.signs()
    if signs is not None:
        W_rec = np.abs(W_rec) * signs
        inhibitory = int((signs < 0).sum())
        if 0 < inhibitory < units:
            W_rec[:, signs < 0] *= (units - inhibitory) / inhibitory
    return tuple(
        values.astype(dtype) for values in (np.where(mask, W_rec, 0), bias, W_in, W_out, np.zeros(network.outputs))
    )
