"""What a training method is: a change of the dynamics that training differentiates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from cortexsim import _checks


class Skips(NamedTuple):
    """Skip connections through time, as the compiled passes take them.

    Parameters
    ----------
    every
        Steps between mixes, counted from the start of each epoch; 0: none.
    beta
        Share of the ordinary state in a mix.
    lead
        Steps that u is set ahead of the state it starts from, along the derivative.
    stale
        After a mix, set u ahead along the derivative of the step before the mix.
    strategic
        Share of the ordinary state in the mix at the end of a task-trial; 1: none.
    """

    every: int = 0
    beta: float = 1.0
    lead: float = 0.0
    stale: bool = False
    strategic: float = 1.0


class Rule(ABC):
    """A training method. What one makes is one of `rules.ALL`."""

    @property
    @abstractmethod
    def skips(self) -> Skips:
        """The skip connections in the dynamics that are differentiated."""

    @property
    def time_scale(self) -> int:
        """Factor of the time step."""
        return 1

    @abstractmethod
    def annealed(self, share: float) -> Rule:
        """Return the rule a share (0 to 1) of the way towards the true dynamics."""


def check_skip(value: int) -> int:
    """Return `value` if it is a whole number of at least 2 steps, else raise ValueError or TypeError."""
    return _checks.check_count("skip", value, least=2)
