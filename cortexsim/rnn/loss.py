"""What training makes small: errors within windows of time, and penalties on activity and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cortexsim import _checks
from cortexsim.rnn.network import Array, Network

if TYPE_CHECKING:
    from cortexsim.rnn.gated import GatedNetwork
    from cortexsim.tasks.task import Trials


@dataclass(frozen=True)
class Penalties:
    """Penalties that add activity * mean |r| + weights * mean |W_rec| to the loss.

    Parameters
    ----------
    activity
        The mean is over units, trials and steps of the epochs that the task counts.
    weights
        The mean is over all pairs of units, and gates.
    """

    activity: float = 1e-5
    weights: float = 1e-5

    def __post_init__(self) -> None:
        for name in ("activity", "weights"):
            object.__setattr__(self, name, _checks.check_not_negative(name, getattr(self, name)))


def window_weights(network: Network | GatedNetwork, trials: Trials) -> Array:
    """Return c of each window in the loss: sum c (y - target)^2 / 2, or -sum c target log y, over all its steps.

    The loss is a mean over the steps, trials and, for the squared error, outputs of each window.
    """
    outputs = 1.0 if network.readout == "softmax" else network.outputs / 2
    return np.array([w.weight / ((w.stop - w.start) * trials.n * outputs) for w in trials.windows])


def activity_penalties(network: Network | GatedNetwork, trials: Trials, penalties: Penalties) -> Array:
    """Return what |r| of a unit, trial and step costs in each epoch."""
    counts = trials.penalised if trials.penalised.size else np.ones(len(trials.lengths), dtype=np.bool_)
    steps = int(trials.lengths[counts].sum())
    share = penalties.activity / max(steps * trials.n * network.units, 1)
    return np.where(counts, share, 0.0)
