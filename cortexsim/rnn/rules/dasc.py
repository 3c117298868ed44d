"""Dynamics-adapted skip connections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from cortexsim import _checks
from cortexsim.rnn.rules.rule import Rule, Skips, check_skip


@dataclass(frozen=True)
class DASC(Rule):
    r"""Dynamics-adapted skip connections: as SCTT, but the past state is first taken one coarse Euler step ahead.

    With :math:`\theta` the skip and du_t the change of x in step t,

    .. math:: u = x_0 + \theta \, du_0, \qquad
        x_{t+1} \leftarrow \beta x_{t+1} + (1 - \beta) u, \quad
        u \leftarrow x_{t+1} + \theta \, du ,

    where du is du_{t+1}, of the step that leaves the mixed state (`variant` "exact", the paper's equation 9), or du_t,
    of the step before the mix ("released", as the authors' program has it). The noise in du is that of its step; the
    authors' program draws one more for du_0. Backwards as in `SCTT`, and besides the step whose du entered u gets
    :math:`\theta q`: there :math:`d = a (g + \theta q)`.

    For a unit that relaxes to a constant drive, the distance e from it becomes, in one skip of the exact variant,
    :math:`[\beta (1 - a)^\theta + (1 - \beta) (1 - \theta a)] e`: with dt = 5 ms, tau = 50 ms and a skip of 40 steps
    this grows for :math:`\beta < 2/3`.

    Parameters
    ----------
    skip
        Steps between mixes, at least 2.
    beta
        Share of the ordinary state, 0 to 1; 1 gives the true dynamics.
    variant
        "released" or "exact".

    References
    ----------
    Soo, Goudar & Wang, NeurIPS 2023, section 3, equation 9.
    """

    skip: int = 40
    beta: float = 0.5
    variant: Literal["released", "exact"] = "released"

    def __post_init__(self) -> None:
        object.__setattr__(self, "skip", check_skip(self.skip))
        object.__setattr__(self, "beta", _checks.check_fraction("beta", self.beta))
        _checks.check_known(self.variant, ("released", "exact"), what="variant", where="DASC")

    @property
    def skips(self) -> Skips:
        """A mix every `skip` steps, with a past state taken ahead."""
        return Skips() if self.beta == 1 else Skips(self.skip, self.beta, float(self.skip), self.variant == "released")

    def annealed(self, share: float) -> DASC:
        """Return the rule with beta a share of its way to 1."""
        return replace(self, beta=self.beta + (1 - self.beta) * share)
