"""The feedforward network that a recurrent one is when each of its steps is a layer of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cortexsim import _checks
from cortexsim.rnn.network import Array, Network, Parameters, activate

if TYPE_CHECKING:
    from cortexsim.tasks.task import Trials


class Layer(NamedTuple):
    """A layer with a connection past it: x <- (1 - share) x + share f(weights x + bias).

    In the current form, share (weights f(x) + bias) in place of share f(weights x + bias).

    Parameters
    ----------
    weights
        Shape (unit, unit); rows receive.
    bias
        What else the units get, inputs included, shape (trial, unit).
    share
        dt / tau of each unit, shape (unit,).
    """

    weights: Array
    bias: Array
    share: Array


def unroll(network: Network, parameters: Parameters, trials: Trials, which: int = 0) -> tuple[Layer, ...]:
    """Return the layers of the feedforward network that one network without noise is in given trials, warm-up included.

    Parameters
    ----------
    network, parameters
        The stack.
    trials
        Whose inputs enter the layers; those of a task without feedback.
    which
        Number of the network.

    Returns
    -------
    layers
        One for each step of the warm-up and of the trials. All share the weights.

    Raises
    ------
    TypeError
        If the network is no leaky one.
    ValueError
        If parameters do not fit, or inputs depend on answers.
    """
    if not isinstance(network, Network):
        raise TypeError(f"Argument `network` must be a leaky Network, but is a {type(network).__name__}.")
    network.check(parameters)
    if trials.feedback_inputs:
        raise ValueError(f"Inputs must not depend on answers, as those of {trials.task.name!r} do.")
    _checks.check_count("which", which, least=0)
    W, bias, W_in = (values[which] for values in (parameters.W_rec, parameters.bias, parameters.W_in))
    share = network.leak(trials.dt)
    layers: list[Layer] = []
    inputs = [trials.warmup_inputs, *trials.inputs_by_epoch]
    for given, steps in zip(inputs, (trials.warmup, *trials.lengths), strict=True):
        total = np.tile(bias, (trials.n, 1)).astype(np.result_type(bias, np.float64))
        total[:, network.receiving] += given @ W_in.T
        layers += [Layer(W, total, share)] * int(steps)
    return tuple(layers)


def propagate(network: Network, layers: Sequence[Layer], x: ArrayLike | None = None) -> Array:
    """Return the rates after each layer.

    Parameters
    ----------
    network
        Whose form and activation the layers have.
    layers
        See `unroll`.
    x
        What enters the first layer, shape (trial, unit); None: 0.

    Returns
    -------
    rates
        Shape (layer, trial, unit).
    """
    state = np.zeros_like(layers[0].bias) if x is None else np.asarray(x)
    rates: list[Array] = []
    for weights, bias, share in layers:
        if network.form == "rate":
            state = (1 - share) * state + share * activate(state @ weights.T + bias, network.activation)
            rates.append(state)
        else:
            state = (1 - share) * state + share * (activate(state, network.activation) @ weights.T + bias)
            rates.append(activate(state, network.activation))
    return np.array(rates)
