"""Backpropagation through time of the true dynamics: the control."""

from __future__ import annotations

from dataclasses import dataclass

from cortexsim.rnn.rules.rule import Rule, Skips


@dataclass(frozen=True)
class BPTT(Rule):
    r"""Backpropagation through time.

    With x the state, y_t the drive towards which it relaxes and :math:`a = dt / \tau`,

    .. math:: x_{t+1} = x_t + a (y_t - x_t) .

    Backwards, with g the gradient with respect to x_{t+1}, readout and penalty included (rate form: y = f(z), r = x),

    .. math:: d = a g, \quad \delta = d f'(z_t), \quad dW \mathrel{+}= \delta^T r_t, \quad
        g \leftarrow g - d + \delta W .
    """

    @property
    def skips(self) -> Skips:
        """None."""
        return Skips()

    def annealed(self, share: float) -> BPTT:
        """Return the same: these are the true dynamics."""
        return self
