"""Skip connections through time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cortexsim import _checks
from cortexsim.rnn.rules.rule import Rule, Skips, check_skip


@dataclass(frozen=True)
class SCTT(Rule):
    r"""Skip connections through time: every `skip` steps the state is mixed with that of `skip` steps before.

    With u the state at the start of the epoch, whenever (t + 1) is a multiple of `skip`, t counted within the epoch,

    .. math:: x_{t+1} \leftarrow \beta x_{t+1} + (1 - \beta) u, \qquad u \leftarrow x_{t+1} .

    What is left of an epoch after the last mix runs as ever, and nothing crosses the border of an epoch. Backwards,
    with q the gradient that waits for u, at a mix :math:`g \leftarrow g + q`, :math:`q \leftarrow (1 - \beta) g`,
    :math:`g \leftarrow \beta g`; at the start of the epoch :math:`g \leftarrow g + q`. From x_t to x_{t + skip} the
    gradient has a path of factor :math:`1 - \beta`.

    Parameters
    ----------
    skip
        Steps between mixes, at least 2.
    beta
        Share of the ordinary state, 0 to 1; 1 gives the true dynamics.

    References
    ----------
    Soo, Goudar & Wang, NeurIPS 2023, section 3.
    """

    skip: int = 40
    beta: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "skip", check_skip(self.skip))
        object.__setattr__(self, "beta", _checks.check_fraction("beta", self.beta))

    @property
    def skips(self) -> Skips:
        """A mix every `skip` steps, with a past state."""
        return Skips() if self.beta == 1 else Skips(self.skip, self.beta)

    def annealed(self, share: float) -> SCTT:
        """Return the rule with beta a share of its way to 1."""
        return replace(self, beta=self.beta + (1 - self.beta) * share)
