"""Coarse discretisation: fewer, longer steps."""

from __future__ import annotations

from dataclasses import dataclass

from cortexsim import _checks
from cortexsim.rnn.rules.rule import Rule, Skips


@dataclass(frozen=True)
class CD(Rule):
    """Train the network with time steps of skip dt; the number of steps of an epoch, and the noise, follow.

    Euler's method is stable where skip dt < 2 tau for the smallest tau, that of the noise included.

    Parameters
    ----------
    skip
        Factor of the time step; 1 gives the true dynamics.

    References
    ----------
    Soo, Goudar & Wang, NeurIPS 2023, section 3.
    """

    skip: int = 10

    def __post_init__(self) -> None:
        object.__setattr__(self, "skip", _checks.check_count("skip", self.skip))

    @property
    def skips(self) -> Skips:
        """None."""
        return Skips()

    @property
    def time_scale(self) -> int:
        """Factor of the time step."""
        return self.skip

    def annealed(self, share: float) -> CD:
        """Return the rule with a shorter time step: skip (1 - share), at least 1."""
        return CD(max(1, round(self.skip * (1 - share))))
